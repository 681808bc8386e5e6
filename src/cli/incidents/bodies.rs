//! The bodies of a record, opened by the running gateway, which alone has the key at hand.

use std::path::Path;

use serde_json::Value;

use crate::{
    app::{Order, Reply, ask},
    incident::reader::Record,
};

/// The record with `text` or `base64` beside each `ref` that the gateway at `socket` could open.
/// Without a gateway, or after their time, the record stays as it is.
pub(super) async fn open(record: Record, socket: &Path) -> Record {
    let text = |path: &str| record.text(path).map(str::to_owned);
    let (member, Some(application)) = (text("/member/name"), text("/application/name")) else {
        return record;
    };
    let mut json = record.json().clone();
    for body in bodies(&mut json) {
        let Some(reference) = body.get("ref").and_then(Value::as_str) else {
            continue;
        };
        let order = Order::OpenBody {
            member: member.clone(),
            application: application.clone(),
            reference: reference.to_owned(),
        };
        if let Ok(Reply::Done(Value::Object(opened))) = ask(socket, &order).await
            && let Some(fields) = body.as_object_mut()
        {
            fields.extend(opened);
        }
    }
    Record::from(json)
}

/// Everything under a key `body`: the request's, each attempt's, the answer's.
fn bodies(json: &mut Value) -> Vec<&mut Value> {
    match json {
        Value::Object(fields) => fields
            .iter_mut()
            .flat_map(|(name, value)| {
                if name == "body" {
                    vec![value]
                } else {
                    bodies(value)
                }
            })
            .collect(),
        Value::Array(items) => items.iter_mut().flat_map(bodies).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_bodies_of_a_record_are_found() {
        let mut record = json!({
            "request": {"body": {"ref": "a"}},
            "attempts": [{"body": {"ref": "b"}}, {"body": {"ref": "c"}}],
            "answer": {"body": {"ref": "d"}},
        });

        let mut found: Vec<String> = bodies(&mut record)
            .iter()
            .filter_map(|body| Some(body.get("ref")?.as_str()?.to_owned()))
            .collect();
        found.sort();

        assert_eq!(found, ["a", "b", "c", "d"]);
    }
}
