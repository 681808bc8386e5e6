//! A LinkedIn that does what a test tells it, and counts: the token endpoint, and whatever else a
//! test gives a path.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::Notify};

/// What the next POST gets.
#[derive(Clone)]
pub(super) enum Play {
    /// A new token, `token-N`, with this life; the refresh token becomes `refresh-N` if rotated.
    Token { life_secs: i64, is_rotated: bool },
    /// The same, and how long the refresh token still lives.
    Ends { life_secs: u64, refresh_secs: u64 },
    /// This status and body, with these headers.
    Say(u16, &'static str, Vec<(&'static str, String)>),
    /// Takes the POST, then closes without an answer.
    Hang(Duration),
    /// Half an answer.
    Half,
}

#[derive(Default)]
struct State {
    plays: VecDeque<Play>,
    forms: Vec<String>,
    /// What other paths answer, and which were asked, in order.
    pages: HashMap<String, VecDeque<(u16, Bytes)>>,
    asked: Vec<String>,
}

/// The server; forms it received are kept.
#[derive(Clone)]
pub(super) struct TokenServer {
    pub(super) url: String,
    state: Arc<Mutex<State>>,
    /// While some, answers wait for it.
    gate: Arc<Mutex<Option<Arc<Notify>>>>,
    usual: Arc<Mutex<Play>>,
}

impl TokenServer {
    /// A server that gives a token of one hour, rotated, whenever nothing else is planned.
    pub(super) async fn start() -> Self {
        Self::giving(Play::Token {
            life_secs: 3600,
            is_rotated: true,
        })
        .await
    }

    pub(super) async fn giving(usual: Play) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/oauth/v2", listener.local_addr().unwrap());
        let server = Self {
            url,
            state: Arc::default(),
            gate: Arc::default(),
            usual: Arc::new(Mutex::new(usual)),
        };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = serving.clone();
                tokio::spawn(async move {
                    let service = service_fn(|request| server.answer(request));
                    drop(
                        http1::Builder::new()
                            .serve_connection(TokioIo::new(stream), service)
                            .await,
                    );
                });
            }
        });
        server
    }

    pub(super) fn next(&self, play: Play) {
        self.state.lock().unwrap().plays.push_back(play);
    }

    /// The address, for everything that is not the token endpoint.
    pub(super) fn base(&self) -> String {
        self.url.trim_end_matches("/oauth/v2").to_owned()
    }

    /// Another path answers this from now on.
    pub(super) fn page(&self, path: &str, status: u16, body: impl Into<Bytes>) {
        let answers = [(status, body.into())].into();
        self.state
            .lock()
            .unwrap()
            .pages
            .insert(path.to_owned(), answers);
    }

    /// Another path answers this once, before what it answers from then on.
    pub(super) fn page_once(&self, path: &str, status: u16, body: impl Into<Bytes>) {
        let mut state = self.state.lock().unwrap();
        let answers = state.pages.entry(path.to_owned()).or_default();
        answers.push_front((status, body.into()));
    }

    /// The other paths that were asked, in order.
    pub(super) fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }

    /// From now on this, whenever nothing else is planned.
    pub(super) fn always(&self, play: Play) {
        *self.usual.lock().unwrap() = play;
    }

    pub(super) fn posts(&self) -> usize {
        self.state.lock().unwrap().forms.len()
    }

    pub(super) fn forms(&self) -> Vec<String> {
        self.state.lock().unwrap().forms.clone()
    }

    /// Answers wait until the returned gate is notified.
    pub(super) fn hold(&self) -> Arc<Notify> {
        let gate = Arc::new(Notify::new());
        *self.gate.lock().unwrap() = Some(Arc::clone(&gate));
        gate
    }

    /// Waits until this many POSTs have come.
    pub(super) async fn received(&self, posts: usize) {
        super::eventually("the token endpoint was asked", || self.posts() >= posts).await;
    }

    fn aside(&self, path: &str) -> Response<Full<Bytes>> {
        let mut state = self.state.lock().unwrap();
        state.asked.push(path.to_owned());
        let answers = state.pages.get_mut(path);
        let answer = answers.and_then(|answers| match answers.len() {
            0 | 1 => answers.front().cloned(),
            _ => answers.pop_front(),
        });
        let (status, body) = answer.unwrap_or((404, Bytes::new()));
        let response = Response::builder().status(status);
        response.body(Full::new(body)).unwrap()
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, std::io::Error> {
        if request.uri().path() != "/oauth/v2/accessToken" {
            return Ok(self.aside(request.uri().path()));
        }
        let form = request.into_body().collect().await.unwrap().to_bytes();
        let (play, number) = {
            let mut state = self.state.lock().unwrap();
            let form = String::from_utf8(form.to_vec()).unwrap();
            state.forms.push(form);
            let play = state.plays.pop_front();
            let play = play.unwrap_or_else(|| self.usual.lock().unwrap().clone());
            (play, state.forms.len())
        };
        let gate = self.gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.notified().await;
        }
        let body = |text: String| Full::new(Bytes::from(text));
        match play {
            Play::Token {
                life_secs,
                is_rotated,
            } => {
                let rotated = match is_rotated {
                    true => format!(r#","refresh_token":"refresh-{number}""#),
                    false => String::new(),
                };
                Ok(Response::new(body(format!(
                    r#"{{"access_token":"token-{number}","expires_in":{life_secs}{rotated}}}"#
                ))))
            }
            Play::Ends {
                life_secs,
                refresh_secs,
            } => Ok(Response::new(body(format!(
                r#"{{"access_token":"token-{number}","expires_in":"{life_secs}",
                "refresh_token":"refresh-0","refresh_token_expires_in":{refresh_secs}}}"#
            )))),
            Play::Say(status, text, headers) => {
                let mut response = Response::builder().status(status);
                for (name, value) in headers {
                    response = response.header(name, value);
                }
                Ok(response.body(body(text.to_owned())).unwrap())
            }
            Play::Hang(time) => {
                tokio::time::sleep(time).await; // the hang that the test asked for
                Err(std::io::Error::other("hung up"))
            }
            Play::Half => Ok(Response::builder()
                .header("content-length", "500")
                .body(body(r#"{"access_token":"tok"#.to_owned()))
                .unwrap()),
        }
    }
}
