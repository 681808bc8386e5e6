//! docs/incident.schema.json against what stands in the log: it describes every field that is written, and
//! what it describes is so.
//!
//! The checker knows the few keywords that the schema uses and refuses others. It closes every object, which the
//! schema itself leaves open: a field that nobody described fails here.

use serde_json::{Map, Value};

use super::*;

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../docs/incident.schema.json")).unwrap()
}

/// Why `value` is not what `rule` of `schema` says; nothing if it is.
fn complaint(schema: &Value, rule: &Value, value: &Value, at: &str) -> Option<String> {
    let rule = rule.as_object().expect("a rule is an object");
    for (keyword, says) in rule {
        let found = match keyword.as_str() {
            "$ref" => {
                let place = says.as_str().unwrap().trim_start_matches('#');
                complaint(schema, schema.pointer(place).unwrap(), value, at)
            }
            "oneOf" => none_fits(schema, says.as_array().unwrap(), value, at),
            "type" => (!has_type(says, value)).then(|| format!("{at}: {value} is no {says}")),
            "const" => (says != value).then(|| format!("{at}: {value} is not {says}")),
            "enum" => {
                let is_one = says.as_array().unwrap().contains(value);
                (!is_one).then(|| format!("{at}: {value} is none of {says}"))
            }
            "minimum" => (value.as_i64() < says.as_i64()).then(|| format!("{at}: {value}")),
            "minItems" => (length(value) < says.as_u64()).then(|| format!("{at}: {value}")),
            "maxItems" => (length(value) > says.as_u64()).then(|| format!("{at}: {value}")),
            "items" => value
                .as_array()
                .into_iter()
                .flatten()
                .enumerate()
                .find_map(|(n, item)| complaint(schema, says, item, &format!("{at}/{n}"))),
            "properties" => of_fields(schema, says.as_object().unwrap(), value, at),
            "required" => says.as_array().unwrap().iter().find_map(|name| {
                let is_missing = value.as_object()?.get(name.as_str()?).is_none();
                is_missing.then(|| format!("{at}: {name} is missing"))
            }),
            "description" | "format" | "$schema" | "$id" | "title" | "$defs" => None,
            other => panic!("the checker does not know {other}"),
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

fn none_fits(schema: &Value, branches: &[Value], value: &Value, at: &str) -> Option<String> {
    let complaints: Vec<String> = branches
        .iter()
        .filter_map(|branch| complaint(schema, branch, value, at))
        .collect();
    (complaints.len() + 1 != branches.len()).then(|| format!("{at}: not one of: {complaints:#?}"))
}

fn of_fields(
    schema: &Value,
    fields: &Map<String, Value>,
    value: &Value,
    at: &str,
) -> Option<String> {
    value.as_object()?.iter().find_map(|(name, value)| {
        let at = format!("{at}/{name}");
        match fields.get(name) {
            Some(rule) => complaint(schema, rule, value, &at),
            None => Some(format!("{at} is not described")),
        }
    })
}

fn length(value: &Value) -> Option<u64> {
    value.as_array().map(|items| items.len() as u64)
}

fn has_type(says: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("no type {other}"),
    };
    match says {
        Value::Array(names) => names.iter().any(is),
        name => is(name),
    }
}

/// Panics where a line of `log` is not as the schema says.
pub(super) fn check(log: &Incidents) -> usize {
    let schema = schema();
    let lines = log.list(linkgate::incident::reader::Filter::default());
    let lines: Vec<Record> = lines.map(Result::unwrap).collect();
    for line in &lines {
        let complaint = complaint(&schema, &schema, line.json(), "");
        assert_eq!(complaint, None, "{:#}", line.json());
    }
    lines.len()
}

#[test]
fn every_field_of_the_schema_is_described() {
    fn undescribed(rule: &Value, at: &str, found: &mut Vec<String>) {
        for (name, field) in rule
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let at = format!("{at}/{name}");
            if field.get("description").is_none() && field.get("$ref").is_none() {
                found.push(at.clone());
            }
            undescribed(field, &at, found);
        }
    }
    let schema = schema();
    let mut found = Vec::new();
    for (name, rule) in schema["$defs"].as_object().unwrap() {
        undescribed(rule, name, &mut found);
    }
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_of_the_log_are_as_the_schema_says() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada");
    let gateway = gateway
        .logging(|settings| settings.max_per_minute = 1)
        .start()
        .await;
    for _ in 0..3 {
        gateway.get("/v2/nothing", "ada").await;
    }
    let (log, folder) = (gateway.incidents(), gateway.kept_folder());
    gateway.stop().await;

    let filter = linkgate::incident::reader::Filter::default();
    let kinds: Vec<String> = log
        .list(filter)
        .flatten()
        .filter_map(|line| Some(line.kind()?.to_owned()))
        .collect();
    assert!(kinds.iter().any(|kind| kind == "summary"), "{kinds:?}");
    assert!(check(&log) >= 2);
    drop(folder);
}
