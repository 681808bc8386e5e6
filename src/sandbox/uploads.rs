//! Images, videos, documents and assets, and the upload host they name (linkedin.md §6.6).
//!
//! **Invariant:** upload URLs name `https://www.linkedin.com/dms-uploads/…` as LinkedIn writes them;
//! the bytes that come there are counted and never kept.

use std::collections::{HashMap, VecDeque};

use serde_json::{Value, json};

use super::answer::Answer;
use super::api::{Call, Intake};
use super::ledger::hold;
use super::request::Head;
use super::site::Site;
use super::tokens;

const KEPT_ASSETS: usize = 10_000;
/// LinkedIn cuts videos into parts of 4 MiB.
const PART_BYTES: u64 = 4_194_304;
const MAX_PARTS: u64 = 128;
const UPLOAD_HOST: &str = "https://www.linkedin.com/dms-uploads/";
const URL_LIFE_MICROS: u64 = 24 * 3_600 * 1_000_000;

/// What is uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Medium {
    Image,
    Video,
    Document,
    Asset,
}

impl Medium {
    fn word(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Document => "document",
            Self::Asset => "digitalmediaAsset",
        }
    }
}

/// The assets that are being uploaded, or have been.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    assets: HashMap<String, Asset>,
    order: VecDeque<String>,
}

#[derive(Debug)]
struct Asset {
    medium: Medium,
    parts: Vec<Option<Part>>,
    owner: String,
    finalized: bool,
}

#[derive(Debug)]
struct Part {
    etag: String,
    length: u64,
}

impl Asset {
    fn status(&self) -> &'static str {
        let complete = self.parts.iter().all(Option::is_some);
        match (complete, self.medium == Medium::Video && !self.finalized) {
            (false, _) => "WAITING_UPLOAD",
            (true, true) => "PROCESSING",
            (true, false) => "AVAILABLE",
        }
    }

    fn length(&self) -> u64 {
        self.parts.iter().flatten().map(|part| part.length).sum()
    }
}

/// Answers `/rest/images`, `/rest/videos`, `/rest/documents` and `/v2/assets`.
pub(crate) fn answer(site: &Site, call: &Call, medium: Medium) -> Answer {
    match (
        call.restli_method.as_str(),
        call.argument("action").as_deref(),
    ) {
        ("ACTION", Some("initializeUpload")) if medium != Medium::Asset => {
            start(site, call, medium)
        }
        ("ACTION", Some("registerUpload")) if medium == Medium::Asset => start(site, call, medium),
        ("ACTION", Some("finalizeUpload")) if medium == Medium::Video => finish(site, call),
        ("GET", None) if !call.key.is_empty() => status(site, call),
        _ => Answer::plain(400, "Unknown action or method"),
    }
}

fn start(site: &Site, call: &Call, medium: Medium) -> Answer {
    let body = match call.json() {
        Ok(body) => body,
        Err(refused) => return refused,
    };
    let request = body
        .get("initializeUploadRequest")
        .or_else(|| body.get("registerUploadRequest"));
    let Some(owner) = request
        .and_then(|request| request.get("owner"))
        .and_then(Value::as_str)
    else {
        let message = "ERROR :: /initializeUploadRequest/owner :: field is required but not found";
        return Answer::plain(422, message);
    };
    let file_bytes = request
        .and_then(|request| request.get("fileSizeBytes"))
        .and_then(Value::as_u64)
        .filter(|_| medium == Medium::Video)
        .unwrap_or(1);
    let part_count = file_bytes.div_ceil(PART_BYTES).clamp(1, MAX_PARTS);
    let id = format!("C4{}", tokens::random_text(20));
    let asset = Asset {
        medium,
        parts: (0..part_count).map(|_| None).collect(),
        owner: owner.to_owned(),
        finalized: false,
    };
    hold(&site.uploads).keep(id.clone(), asset);
    Answer::json(
        200,
        &json!({ "value": instructions(call.now, medium, &id, file_bytes, part_count) }),
    )
}

fn instructions(now: u64, medium: Medium, id: &str, file_bytes: u64, part_count: u64) -> Value {
    let urn = format!("urn:li:{}:{id}", medium.word());
    let expires_at_millis = (now + URL_LIFE_MICROS) / 1_000;
    match medium {
        Medium::Video => {
            let part = |number: u64| {
                let last = ((number + 1) * PART_BYTES)
                    .min(file_bytes)
                    .saturating_sub(1);
                json!({
                    "uploadUrl": upload_url(id, medium, number),
                    "firstByte": number * PART_BYTES,
                    "lastByte": last,
                })
            };
            let parts: Vec<Value> = (0..part_count).map(part).collect();
            json!({
                "uploadUrlsExpireAt": expires_at_millis,
                "video": urn,
                "uploadInstructions": parts,
                "uploadToken": "",
            })
        }
        Medium::Asset => json!({
            "uploadMechanism": {
                "com.linkedin.digitalmedia.uploading.MediaUploadHttpRequest": {
                    "headers": {}, "uploadUrl": upload_url(id, medium, 0),
                },
            },
            "asset": urn,
            "mediaArtifact": format!("urn:li:digitalmediaMediaArtifact:({urn},urn:li:uploaded)"),
        }),
        Medium::Image | Medium::Document => json!({
            "uploadUrlExpiresAt": expires_at_millis,
            "uploadUrl": upload_url(id, medium, 0),
            medium.word(): urn,
        }),
    }
}

fn upload_url(id: &str, medium: Medium, part: u64) -> String {
    let word = medium.word();
    let signature = tokens::random_text(18);
    format!(
        "{UPLOAD_HOST}{id}/uploaded-{word}/{part}?ca=vector_ads&cn=uploads&sync=0&v=beta&ut={signature}"
    )
}

fn finish(site: &Site, call: &Call) -> Answer {
    let body = match call.json() {
        Ok(body) => body,
        Err(refused) => return refused,
    };
    let text = |pointer: &str| {
        body.pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let video = text("/finalizeUploadRequest/video").unwrap_or_default();
    let named: Vec<&str> = body
        .pointer("/finalizeUploadRequest/uploadedPartIds")
        .and_then(Value::as_array)
        .map_or_else(Vec::new, |ids| {
            ids.iter().filter_map(Value::as_str).collect()
        });
    let mut uploads = hold(&site.uploads);
    let Some(asset) = uploads.assets.get_mut(asset_id(&video)) else {
        return not_found();
    };
    let held: Vec<&str> = asset
        .parts
        .iter()
        .flatten()
        .map(|part| part.etag.as_str())
        .collect();
    if held.len() != asset.parts.len() || held != named {
        return Answer::plain(400, "The uploaded part ids do not match the uploaded parts");
    }
    asset.finalized = true;
    Answer::empty(200)
}

fn status(site: &Site, call: &Call) -> Answer {
    let uploads = hold(&site.uploads);
    uploads
        .assets
        .get(asset_id(&call.key))
        .map_or_else(not_found, |asset| {
            let body = json!({
                "id": call.key,
                "owner": asset.owner,
                "status": asset.status(),
                "downloadUrlExpiresAt": (call.now + URL_LIFE_MICROS) / 1_000,
                "sandboxBytes": asset.length(),
            });
            Answer::json(200, &body)
        })
}

/// Answers `PUT /dms-uploads/…`: 201 for one piece, 200 with an `ETag` for the part of a video.
pub(crate) fn put(site: &Site, head: &Head, intake: &Intake) -> Answer {
    if let Some(refused) = super::admission::refused_by_size(head) {
        return refused;
    }
    if site.options.uploads_need_token {
        let now = site.clock.micros();
        if let Err(refused) = super::admission::authenticate(site, head, now) {
            return refused;
        }
    }
    if head.method != "PUT" && head.method != "POST" {
        return Answer::page(405);
    }
    let mut segments = head.path().trim_start_matches('/').split('/').skip(1);
    let id = segments.next().unwrap_or_default();
    let number = segments
        .nth(1)
        .and_then(|part| part.parse::<usize>().ok())
        .unwrap_or(0);
    let mut uploads = hold(&site.uploads);
    let Some(asset) = uploads.assets.get_mut(id) else {
        return Answer::page(404);
    };
    let Some(part) = asset.parts.get_mut(number) else {
        return Answer::page(404);
    };
    let etag = format!("{:08x}{:016x}", intake.crc32, intake.length);
    *part = Some(Part {
        etag: etag.clone(),
        length: intake.length,
    });
    if asset.medium == Medium::Video {
        Answer::empty(200).with("ETag", etag)
    } else {
        Answer::empty(201)
    }
}

impl Uploads {
    fn keep(&mut self, id: String, asset: Asset) {
        self.order.push_back(id.clone());
        self.assets.insert(id, asset);
        if self.order.len() > KEPT_ASSETS {
            let oldest = self.order.pop_front();
            oldest.map(|oldest| self.assets.remove(&oldest));
        }
    }
}

fn asset_id(urn: &str) -> &str {
    urn.rsplit(':').next().unwrap_or(urn)
}

fn not_found() -> Answer {
    Answer::plain(404, "Could not find entity")
}
