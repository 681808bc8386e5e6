//! `/rest/adAccounts` with every Rest.li method, and `/rest/adAnalytics`.
//!
//! **Invariant:** two accounts stand there from the start, so a finder finds something.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::answer::{Answer, InputError, RESTLI_ID};
use super::api::Call;
use super::ledger::hold;
use super::query;
use super::site::Site;

const KEPT_ACCOUNTS: usize = 10_000;

/// The ad accounts that exist.
#[derive(Debug)]
pub(crate) struct AdAccounts {
    accounts: BTreeMap<u64, Value>,
    last_id: u64,
}

impl Default for AdAccounts {
    fn default() -> Self {
        let first = 512_345_001;
        let named = |id: u64, name: &str| (id, complete(id, json!({ "name": name })));
        let accounts = BTreeMap::from([
            named(first, "Analytical Engines"),
            named(first + 1, "Compiler Works"),
        ]);
        Self {
            accounts,
            last_id: first + 1,
        }
    }
}

/// Answers `/rest/adAccounts`.
pub(crate) fn answer(site: &Site, call: &Call) -> Answer {
    let mut accounts = hold(&site.ad_accounts);
    match (call.restli_method.as_str(), call.key.is_empty()) {
        ("CREATE", true) => accounts.create(call),
        ("FINDER" | "GET_ALL", true) => accounts.search(call),
        ("BATCH_GET", true) => accounts.batch(call),
        ("BATCH_DELETE", true) => accounts.batch_delete(call),
        ("GET", false) => accounts.get(call),
        ("UPDATE", false) => accounts.update(call),
        ("PARTIAL_UPDATE", false) => accounts.partial_update(call),
        ("DELETE", false) => accounts.delete(call),
        _ => Answer::plain(405, "Method not allowed on adAccounts"),
    }
}

/// Answers `/rest/adAnalytics?q=analytics`; the sandbox's own argument `size` pads the body.
pub(crate) fn analytics(call: &Call) -> Answer {
    if call.argument("q").as_deref() != Some("analytics") {
        let input = InputError {
            description: "Unknown finder",
            code: "INVALID_FINDER",
            field: Some("q"),
        };
        return Answer::marketing(400, "Invalid query parameters passed to request", &input);
    }
    let wanted = call
        .argument("size")
        .and_then(|size| size.parse::<usize>().ok())
        .unwrap_or(0);
    let element =
        r#"{"impressions":1234,"clicks":56,"pivotValues":["urn:li:sponsoredCampaign:1"]}"#;
    let count = wanted.min(16 << 20) / (element.len() + 1) + 1;
    let elements = vec![element; count].join(",");
    let paging = r#""paging":{"start":0,"count":10,"links":[]}"#;
    Answer::json_text(200, format!("{{{paging},\"elements\":[{elements}]}}"))
}

impl AdAccounts {
    fn create(&mut self, call: &Call) -> Answer {
        let account = match named_account(call) {
            Ok(account) => account,
            Err(refused) => return refused,
        };
        self.last_id += 1;
        let id = self.last_id;
        self.accounts.insert(id, complete(id, account));
        if self.accounts.len() > KEPT_ACCOUNTS {
            self.accounts.pop_first();
        }
        Answer::empty(201)
            .with("Location", format!("/adAccounts/{id}"))
            .with(RESTLI_ID, id.to_string())
    }

    fn search(&self, call: &Call) -> Answer {
        let number = |name: &str, otherwise: usize| {
            call.argument(name)
                .and_then(|text| text.parse().ok())
                .unwrap_or(otherwise)
        };
        let (start, count) = (number("start", 0), number("count", 10).min(1_000));
        let elements: Vec<&Value> = self.accounts.values().skip(start).take(count).collect();
        let paging =
            json!({ "start": start, "count": count, "links": [], "total": self.accounts.len() });
        Answer::json(200, &json!({ "paging": paging, "elements": elements }))
    }

    fn batch(&self, call: &Call) -> Answer {
        let (mut results, mut errors) = (Map::new(), Map::new());
        for id in listed_ids(call) {
            let account = id.parse().ok().and_then(|id: u64| self.accounts.get(&id));
            match account {
                Some(account) => results.insert(id, account.clone()),
                None => errors.insert(id, json!({ "status": 404, "message": NOT_FOUND })),
            };
        }
        Answer::json(
            200,
            &json!({ "results": results, "statuses": {}, "errors": errors }),
        )
    }

    fn batch_delete(&mut self, call: &Call) -> Answer {
        let mut results = Map::new();
        for id in listed_ids(call) {
            let removed = id
                .parse()
                .ok()
                .and_then(|id: u64| self.accounts.remove(&id));
            let status = if removed.is_some() { 204 } else { 404 };
            results.insert(id, json!({ "status": status }));
        }
        Answer::json(200, &json!({ "results": results, "errors": {} }))
    }

    fn get(&self, call: &Call) -> Answer {
        id_of(call)
            .and_then(|id| self.accounts.get(&id))
            .map_or_else(not_found, |account| Answer::json(200, account))
    }

    fn update(&mut self, call: &Call) -> Answer {
        let account = match named_account(call) {
            Ok(account) => account,
            Err(refused) => return refused,
        };
        let held = id_of(call).and_then(|id| self.accounts.get_mut(&id).map(|held| (id, held)));
        let Some((id, held)) = held else {
            return not_found();
        };
        *held = complete(id, account);
        Answer::empty(204)
    }

    fn partial_update(&mut self, call: &Call) -> Answer {
        let changes = match call.json() {
            Ok(changes) => changes,
            Err(refused) => return refused,
        };
        let held = id_of(call).and_then(|id| self.accounts.get_mut(&id));
        let Some(fields) = held.and_then(Value::as_object_mut) else {
            return not_found();
        };
        let set = changes.pointer("/patch/$set").and_then(Value::as_object);
        fields.extend(set.cloned().unwrap_or_default());
        Answer::empty(204)
    }

    fn delete(&mut self, call: &Call) -> Answer {
        match id_of(call).and_then(|id| self.accounts.remove(&id)) {
            Some(_) => Answer::empty(204),
            None => not_found(),
        }
    }
}

const NOT_FOUND: &str = "Ad account could not be found";

fn not_found() -> Answer {
    Answer::plain(404, NOT_FOUND)
}

fn id_of(call: &Call) -> Option<u64> {
    call.key.parse().ok()
}

/// `ids=List(1,2)` in protocol 2.0.0, `ids=1&ids=2` in 1.0.0.
fn listed_ids(call: &Call) -> Vec<String> {
    query::raw_pairs(&call.query)
        .filter(|(name, _)| *name == "ids" || name.starts_with("ids["))
        .flat_map(|(_, value)| {
            let value = query::decode(value);
            let list = value
                .strip_prefix("List(")
                .and_then(|rest| rest.strip_suffix(')'));
            list.unwrap_or(&value)
                .split(',')
                .map(str::to_owned)
                .collect::<Vec<String>>()
        })
        .take(1_000)
        .collect()
}

fn named_account(call: &Call) -> Result<Value, Answer> {
    let account = call.json()?;
    if account.get("name").is_some_and(Value::is_string) {
        return Ok(account);
    }
    let input = InputError {
        description: "Field is required",
        code: "MISSING_FIELD",
        field: Some("name"),
    };
    Err(Answer::marketing(
        400,
        "Input field validation failure in request",
        &input,
    ))
}

fn complete(id: u64, account: Value) -> Value {
    let mut complete = json!({
        "id": id, "type": "BUSINESS", "status": "ACTIVE", "currency": "USD", "test": true,
    });
    if let (Some(fields), Value::Object(given)) = (complete.as_object_mut(), account) {
        fields.extend(given);
        fields.insert(String::from("id"), id.into());
    }
    complete
}
