//! What happens now: rows of new incidents as server-sent events, while somebody watches.
//!
//! A page that shows a list opens it with the number of its newest line (`after`); a browser that was cut off
//! comes again with the number of the last row it got (`Last-Event-ID`), so that no row is missed or told twice.
//!
//! **Invariant:** at most [`MOST`] follow at once, [`MOST_OF_ONE`] with one operator's token; each is looked after for as long as its visitor stays, and a
//! tail is no visit: it keeps no session alive. Files are read where that may block, one batch at a time.
//! **Neighbours:** `script.js` puts the rows into the page; without it the page is loaded again by hand.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use futures_util::stream::unfold;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use tokio::time::{Instant, sleep};

use super::{LIVE, row};
use crate::{
    admin::{
        api::trouble,
        door::{Stay, Visitor},
        house::House,
        query::Asked,
    },
    incident::reader::{Cursor, Filter, Follow, Incidents, Order, Page, Record},
    web::answer::problem,
};

/// Followers at a time.
const MOST: usize = 16;
/// Of them with one operator's token, so that nobody takes every place.
const MOST_OF_ONE: usize = 4;
/// How often the log is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// After so long without a row the connection is kept from looking dead.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Rows of one batch.
const BATCH: usize = 100;
/// Rows that a browser is told which was cut off for a while.
const MOST_MISSED: usize = 500;
/// What it is told of the others.
const GAP: &str = "data: <tr><td colspan=\"6\" class=\"warn\">More came meanwhile: load the page again.</td></tr>\n\n";

/// Those who follow, by the ids of their tokens. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(in crate::admin) struct Followers(Arc<Mutex<Vec<Arc<str>>>>);

impl Followers {
    /// A place for whoever has this token; none while all are taken.
    fn place(&self, token: &Arc<str>) -> Option<Place> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_one = taken.iter().filter(|one| *one == token).count();
        if taken.len() >= MOST || of_one >= MOST_OF_ONE {
            return None;
        }
        taken.push(Arc::clone(token));
        Some(Place {
            followers: self.clone(),
            token: Arc::clone(token),
        })
    }
}

/// A place among those who follow, given back when it is dropped.
struct Place {
    followers: Followers,
    token: Arc<str>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let taken = self.followers.0.lock();
        let mut taken = taken.unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = taken.iter().position(|one| *one == self.token) {
            taken.swap_remove(at);
        }
    }
}

/// One who follows.
struct Following {
    follow: Follow,
    /// Found at the start, not yet told; the last one comes first.
    missed: Vec<Record>,
    /// Whether there was more than that.
    has_gap: bool,
    /// Number of the last line that was told.
    last: Option<u64>,
    stay: Stay,
    told: Instant,
    /// Given back when the connection ends.
    _place: Place,
}

pub(super) async fn tail(
    State(house): State<Arc<House>>,
    Extension(visitor): Extension<Visitor>,
    request: Request,
) -> Response {
    let asked = match Asked::parse(request.uri().query(), house.clock.micros(), &[LIVE]) {
        Ok(asked) => asked,
        Err(error) => return trouble::not_understood(&error),
    };
    let Some(place) = house.followers.place(&visitor.operator.id) else {
        return full();
    };
    visitor.did("follow", format_args!("incidents: {}", asked.shape()));
    let after = last_told(request.headers()).or(asked.after);
    let filter = Filter {
        order: Order::OldestFirst,
        ..asked.filter
    };
    let begun = house.read(move |log| begin(log, &filter, after)).await;
    let (follow, missed, has_gap) = match begun {
        Ok(begun) => begun,
        Err(error) => return trouble::not_read(error),
    };
    let following = Following {
        follow,
        missed,
        has_gap,
        last: None,
        stay: visitor.stay,
        told: Instant::now(),
        _place: place,
    };
    let rows = unfold(following, |following| async move {
        let (told, following) = next(following).await?;
        Some((Ok::<_, Infallible>(told), following))
    });
    let kind = HeaderValue::from_static("text/event-stream");
    ([(CONTENT_TYPE, kind)], Body::from_stream(rows)).into_response()
}

fn full() -> Response {
    let detail = "too many follow the support log at once";
    let mut answer = problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "too_many_followers",
        detail,
    );
    answer
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("10"));
    answer
}

/// The number of the last row that this browser got before it was cut off.
fn last_told(headers: &HeaderMap) -> Option<Cursor> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

/// Follows from now on, and what was written since `after`. In this order: a line may come twice, never not.
fn begin(log: &Incidents, filter: &Filter, after: Option<Cursor>) -> (Follow, Vec<Record>, bool) {
    let follow = log.follow(filter.clone());
    let mut found = match after {
        Some(_) => log.search(filter, after, MOST_MISSED),
        None => Page::default(),
    };
    found.records.reverse();
    (follow, found.records, found.next.is_some())
}

/// Waits for the next thing to say; none once the visitor has gone.
async fn next(mut following: Following) -> Option<(Bytes, Following)> {
    loop {
        if !following.stay.lasts() {
            return None;
        }
        let batch;
        (batch, following) = tokio::task::spawn_blocking(move || {
            let batch = following.batch();
            (batch, following)
        })
        .await
        .ok()?;
        let is_quiet = following.told.elapsed() >= HEARTBEAT;
        let told = match batch.is_empty() {
            false => batch,
            true if is_quiet => ": still here\n\n".to_owned(),
            true => {
                sleep(LOOK).await;
                continue;
            }
        };
        following.told = Instant::now();
        return Some((told.into(), following));
    }
}

impl Following {
    /// The next rows, as events. Reads files: not for an async worker.
    fn batch(&mut self) -> String {
        let mut told = String::new();
        if self.missed.is_empty() && std::mem::take(&mut self.has_gap) {
            told.push_str(GAP);
        }
        for _ in 0..BATCH {
            let Some(record) = self.missed.pop().or_else(|| self.next_line()) else {
                break;
            };
            if record.seq().is_some() && record.seq() <= self.last {
                continue;
            }
            self.last = record.seq().or(self.last);
            told.push_str(&event(&record));
        }
        told
    }

    /// Lines that cannot be read are passed over: lists tell how many there are.
    fn next_line(&mut self) -> Option<Record> {
        loop {
            if let Ok(record) = self.follow.try_next()? {
                return Some(record);
            }
        }
    }
}

/// A row as one event: its data is one line, since a row shows line ends as text.
fn event(record: &Record) -> String {
    let row = row::row(record).into_string().replace(['\r', '\n'], " ");
    match record.seq() {
        Some(seq) => format!("id: {seq}\ndata: {row}\n\n"),
        None => format!("data: {row}\n\n"),
    }
}
