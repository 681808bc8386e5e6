//! `/rest/posts` and `/v2/ugcPosts`: the writes that must never happen twice.
//!
//! **Invariant:** the same author's same text within ten minutes is a duplicate (linkedin.md §3.5),
//! and every post that exists is in the ledger.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, VecDeque};
use std::hash::{Hash as _, Hasher as _};

use serde_json::{Value, json};

use super::answer::{Answer, InputError, RESTLI_ID};
use super::api::Call;
use super::clock::SECOND;
use super::counts::PostCreated;
use super::ledger::hold;
use super::site::Site;
use super::{query, tokens};

/// LinkedIn's window for duplicates.
const DUPLICATE_WINDOW: u64 = 10 * 60 * SECOND;
const KEPT_TEXTS: usize = 100_000;
const KEPT_POSTS: usize = 5_000;
/// Posts beyond this size are not kept for reading back.
const KEPT_POST_BYTES: usize = 64 << 10;

const KNOWN_FIELDS: [&str; 17] = [
    "adContext",
    "author",
    "commentary",
    "container",
    "content",
    "contentCallToActionLabel",
    "contentLandingPage",
    "distribution",
    "id",
    "isReshareDisabledByAuthor",
    "lifecycleState",
    "reshareContext",
    "specificContent",
    "visibility",
    "createdAt",
    "lastModifiedAt",
    "publishedAt",
];

/// The posts that exist.
#[derive(Debug, Default)]
pub(crate) struct Posts {
    recent: HashMap<u64, (u64, String)>,
    recent_order: VecDeque<u64>,
    kept: HashMap<String, Value>,
    kept_order: VecDeque<String>,
}

/// Answers `/rest/posts`.
pub(crate) fn answer(site: &Site, call: &Call) -> Answer {
    match (call.restli_method.as_str(), call.key.is_empty()) {
        ("CREATE", true) => match create(site, call) {
            Ok(urn) => Answer::empty(201)
                .with("Location", format!("/posts/{}", query::encode(&urn)))
                .with(RESTLI_ID, urn),
            Err(refused) => refused,
        },
        ("GET", false) => hold(&site.posts)
            .kept
            .get(&call.key)
            .map_or_else(not_found, |post| Answer::json(200, post)),
        ("PARTIAL_UPDATE", false) => partial_update(site, call),
        ("DELETE", false) => match hold(&site.posts).kept.remove(&call.key) {
            Some(_) => Answer::empty(204),
            None => not_found(),
        },
        ("FINDER", true) => finder(site, call),
        _ => Answer::plain(405, "Method not allowed on posts"),
    }
}

/// Answers `/v2/ugcPosts`, whose creates also have a body.
pub(crate) fn ugc(site: &Site, call: &Call) -> Answer {
    if call.restli_method != "CREATE" || !call.key.is_empty() {
        return answer(site, call);
    }
    match create(site, call) {
        Ok(urn) => Answer::json(201, &json!({ "id": urn }))
            .with("Location", format!("/ugcPosts/{}", query::encode(&urn)))
            .with(RESTLI_ID, urn),
        Err(refused) => refused,
    }
}

fn create(site: &Site, call: &Call) -> Result<String, Answer> {
    let mut post = call.json()?;
    let fields = post
        .as_object()
        .ok_or_else(|| unprocessable("/", "is not a record"))?;
    if let Some(unknown) = fields
        .keys()
        .find(|key| !KNOWN_FIELDS.contains(&key.as_str()))
    {
        let what = "unrecognized field found but not allowed";
        return Err(unprocessable(&format!("/{unknown}"), what));
    }
    let author = fields
        .get("author")
        .and_then(Value::as_str)
        .map(str::to_owned);
    let missing = "field is required but not found and has no default value";
    let author = author.ok_or_else(|| unprocessable("/author", missing))?;
    let text = text_of(&post);
    let mut posts = hold(&site.posts);
    if let Some(earlier) = posts.duplicate_of(call.now, &author, &text) {
        return Err(duplicate(&earlier));
    }
    let urn = format!("urn:li:share:{}", tokens::random_digits(19));
    if let Some(fields) = post.as_object_mut() {
        fields.insert(String::from("id"), urn.as_str().into());
        fields.insert(String::from("createdAt"), (call.now / 1_000).into());
    }
    posts.keep(call.now, &author, &text, &urn, post, call.body.len());
    drop(posts);
    site.ledger.post_created(PostCreated {
        urn: urn.clone(),
        author,
        member: call.bearer.member.clone(),
        text: text.chars().take(256).collect(),
        text_crc32: crc32fast::hash(text.as_bytes()),
        at_micros: call.now,
    });
    Ok(urn)
}

fn text_of(post: &Value) -> String {
    let commentary = post.get("commentary");
    let share =
        || post.pointer("/specificContent/com.linkedin.ugc.ShareContent/shareCommentary/text");
    commentary
        .or_else(share)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn partial_update(site: &Site, call: &Call) -> Answer {
    let changes = match call.json() {
        Ok(changes) => changes,
        Err(refused) => return refused,
    };
    let mut posts = hold(&site.posts);
    let Some(fields) = posts.kept.get_mut(&call.key).and_then(Value::as_object_mut) else {
        return not_found();
    };
    let Some(set) = changes.pointer("/patch/$set").and_then(Value::as_object) else {
        return unprocessable(
            "/patch",
            "field is required but not found and has no default value",
        );
    };
    fields.extend(set.clone());
    Answer::empty(204)
}

fn finder(site: &Site, call: &Call) -> Answer {
    let author = call.argument("author").unwrap_or_default();
    let posts = hold(&site.posts);
    let elements: Vec<&Value> = posts
        .kept_order
        .iter()
        .rev()
        .filter_map(|urn| posts.kept.get(urn))
        .filter(|post| post.get("author").and_then(Value::as_str) == Some(author.as_str()))
        .take(10)
        .collect();
    let paging = json!({ "start": 0, "count": 10, "links": [] });
    Answer::json(200, &json!({ "paging": paging, "elements": elements }))
}

impl Posts {
    fn duplicate_of(&self, now: u64, author: &str, text: &str) -> Option<String> {
        let (at, urn) = self.recent.get(&fingerprint(author, text))?;
        (!text.is_empty() && now < at + DUPLICATE_WINDOW).then(|| urn.clone())
    }

    fn keep(&mut self, now: u64, author: &str, text: &str, urn: &str, post: Value, size: usize) {
        let fingerprint = fingerprint(author, text);
        self.recent.insert(fingerprint, (now, urn.to_owned()));
        self.recent_order.push_back(fingerprint);
        if self.recent_order.len() > KEPT_TEXTS {
            let oldest = self.recent_order.pop_front();
            oldest.map(|oldest| self.recent.remove(&oldest));
        }
        if size > KEPT_POST_BYTES {
            return;
        }
        self.kept.insert(urn.to_owned(), post);
        self.kept_order.push_back(urn.to_owned());
        if self.kept_order.len() > KEPT_POSTS {
            let oldest = self.kept_order.pop_front();
            oldest.map(|oldest| self.kept.remove(&oldest));
        }
    }
}

fn fingerprint(author: &str, text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (author, text).hash(&mut hasher);
    hasher.finish()
}

/// Shape D with the URN of the first post: its sender learns that the first attempt landed.
fn duplicate(earlier: &str) -> Answer {
    let message = format!(
        "com.linkedin.content.common.exception.BadRequestResponseException: \
         Content is a duplicate of {earlier}"
    );
    let input = InputError {
        description: "Duplicate post is detected",
        code: "DUPLICATE_POST",
        field: None,
    };
    Answer::marketing(422, &message, &input)
}

fn unprocessable(field: &str, what: &str) -> Answer {
    Answer::plain(422, &format!("ERROR :: {field} :: {what}"))
}

fn not_found() -> Answer {
    Answer::plain(404, "Could not find entity")
}
