//! A LinkedIn for very many members: a token says whose it is and which one, so that two numbers a
//! member are all there is to keep. It rotates refresh tokens and counts what must not happen.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, header::AUTHORIZATION};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, time::Instant};

/// Characters of a token: LinkedIn's have about so many.
const TOKEN_LENGTH: usize = 500;
/// Lifetime of an access token: sixty days.
pub(crate) const LIFE_SECS: i64 = 60 * 86_400;

/// The server.
pub(crate) struct Mint {
    pub(crate) url: String,
    books: Arc<Books>,
}

struct Books {
    /// Which token of each member is the current one.
    current: Vec<AtomicU32>,
    began: Instant,
    /// Renewals in each second since the beginning.
    by_second: Mutex<Vec<usize>>,
    renewals: AtomicUsize,
    replays: AtomicUsize,
    refused_calls: AtomicUsize,
    now: AtomicUsize,
    at_once: AtomicUsize,
}

impl Mint {
    /// Knows this many members, by their numbers.
    pub(crate) async fn for_members(count: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let books = Arc::new(Books {
            current: (0..count).map(|_| AtomicU32::new(0)).collect(),
            began: Instant::now(),
            by_second: Mutex::default(),
            renewals: AtomicUsize::new(0),
            replays: AtomicUsize::new(0),
            refused_calls: AtomicUsize::new(0),
            now: AtomicUsize::new(0),
            at_once: AtomicUsize::new(0),
        });
        let here = Arc::clone(&books);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let books = Arc::clone(&here);
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(&books, request));
                    let served =
                        http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                    // A connection that breaks off is the gateway's matter.
                    served.await.unwrap_or_default();
                });
            }
        });
        Self { url, books }
    }

    /// What the token endpoint answered when the member signed in, with this much left.
    pub(crate) fn first(member: usize, expires_in: i64) -> String {
        answer_json(member, 0, expires_in)
    }

    pub(crate) fn renewals(&self) -> usize {
        self.books.renewals.load(Ordering::SeqCst)
    }

    /// Refresh tokens that were spent twice.
    pub(crate) fn replays(&self) -> usize {
        self.books.replays.load(Ordering::SeqCst)
    }

    /// Calls whose token was neither the current one nor the one before.
    pub(crate) fn refused_calls(&self) -> usize {
        self.books.refused_calls.load(Ordering::SeqCst)
    }

    /// The most renewals that were under way at once.
    pub(crate) fn at_once(&self) -> usize {
        self.books.at_once.load(Ordering::SeqCst)
    }

    /// The most renewals in one second.
    pub(crate) fn most_in_a_second(&self) -> usize {
        let by_second = self.books.by_second.lock().unwrap();
        by_second.iter().copied().max().unwrap_or_default()
    }
}

async fn answer(
    books: &Books,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes());
    let form = String::from_utf8(body.unwrap_or_default().to_vec()).unwrap();
    let (status, text) = match head.uri.path() {
        "/oauth/v2/accessToken" => {
            let now = books.now.fetch_add(1, Ordering::SeqCst) + 1;
            books.at_once.fetch_max(now, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(2)).await; // LinkedIn takes its time, too
            let answered = renew(books, &form);
            books.now.fetch_sub(1, Ordering::SeqCst);
            answered
        }
        _ => call(books, head.headers.get(AUTHORIZATION)),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status.try_into().unwrap();
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", json);
    Ok(response)
}

fn renew(books: &Books, form: &str) -> (u16, String) {
    let mut fields = form.split('&').filter_map(|field| field.split_once('='));
    let token = fields.find(|(name, _)| *name == "refresh_token").unwrap().1;
    let (member, generation) = read(token).unwrap();
    let next = generation + 1;
    let current = &books.current[member];
    let taken = current.compare_exchange(generation, next, Ordering::SeqCst, Ordering::SeqCst);
    if taken.is_err() {
        books.replays.fetch_add(1, Ordering::SeqCst);
        let dead = r#"{"error":"invalid_request","error_description":"The provided authorization grant or refresh token is invalid, expired or revoked"}"#;
        return (400, dead.to_owned());
    }
    books.renewals.fetch_add(1, Ordering::SeqCst);
    let second = usize::try_from(books.began.elapsed().as_secs()).unwrap();
    let mut by_second = books.by_second.lock().unwrap();
    if by_second.len() <= second {
        by_second.resize(second + 1, 0);
    }
    by_second[second] += 1;
    (200, answer_json(member, next, LIFE_SECS))
}

fn call(books: &Books, authorization: Option<&http::HeaderValue>) -> (u16, String) {
    let token = authorization.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let is_good = token.and_then(read).is_some_and(|(member, generation)| {
        let current = books.current[member].load(Ordering::SeqCst);
        generation == current || generation + 1 == current
    });
    if is_good {
        return (200, "{}".to_owned());
    }
    books.refused_calls.fetch_add(1, Ordering::SeqCst);
    let refused = r#"{"status":401,"serviceErrorCode":65601,"code":"REVOKED_ACCESS_TOKEN","message":"The token used in the request has been revoked by the user"}"#;
    (401, refused.to_owned())
}

fn answer_json(member: usize, generation: u32, expires_in: i64) -> String {
    let token = |kind: &str| {
        format!(
            "{:x<TOKEN_LENGTH$}",
            format!("{kind}-{member}-{generation}-")
        )
    };
    let (access, refresh) = (token("AQV"), token("AQW"));
    format!(
        r#"{{"access_token":"{access}","expires_in":{expires_in},"refresh_token":"{refresh}","refresh_token_expires_in":31536000}}"#
    )
}

fn read(token: &str) -> Option<(usize, u32)> {
    let mut parts = token.split('-').skip(1);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
