//! Exports by the API: one incident or several, in the form that someone else takes.
//!
//! **Invariant:** bodies stand in an export only for someone who may see them, and what the redaction door
//! finds in one is not handed out.
//! **Neighbours:** `incident::export` writes; the pages link here.

use std::sync::Arc;

use axum::{
    Extension, Router,
    body::Body,
    extract::{Path, Request, State, rejection::PathRejection},
    response::Response,
    routing::get,
};
use http::{
    HeaderValue,
    header::{CONTENT_DISPOSITION, CONTENT_TYPE},
};

use super::{House_, Who, trouble};
use crate::{
    admin::{
        door::Visitor,
        house::House,
        query::{self, BadParameter},
        reading::NotRead,
    },
    incident::{
        export::{Circumstances, Form, MOST_RECORDS, Refused, Weight, export},
        reader::{Found, Incidents, Record},
    },
};

pub(super) fn routes() -> Router<Arc<House>> {
    Router::new()
        .route("/api/incidents/export", get(several))
        .route("/api/incidents/{id}/export", get(one))
}

/// What is to be exported.
struct Wanted {
    ids: Vec<String>,
    form: Form,
}

/// Why it was not.
enum NotExported {
    Missing(String, Found),
    Refused(Refused),
    NotRead(NotRead),
}

impl From<NotRead> for NotExported {
    fn from(error: NotRead) -> Self {
        Self::NotRead(error)
    }
}

async fn one(
    State(house): House_,
    Extension(visitor): Who,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let id = id.map_or(String::new(), |Path(id)| id);
    let wanted = parse(request.uri().query(), Some(&id));
    answer(&house, &visitor, wanted).await
}

async fn several(State(house): House_, Extension(visitor): Who, request: Request) -> Response {
    let wanted = parse(request.uri().query(), None);
    answer(&house, &visitor, wanted).await
}

/// `as`, and `id` as often as there are incidents, unless the path names the one.
fn parse(query: Option<&str>, named: Option<&str>) -> Result<Wanted, BadParameter> {
    let mut ids: Vec<String> = named.map(query::id).transpose()?.into_iter().collect();
    let mut form = None;
    for (word, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*word {
            "as" if form.is_some() => return Err(query::bad("as", "said once")),
            "as" => form = Some(value.parse().map_err(|_| query::bad("as", FORMS))?),
            "id" if named.is_none() => {
                let id = query::id(value.trim())?;
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            word => return Err(query::unknown(word)),
        }
    }
    if ids.is_empty() || ids.len() > MOST_RECORDS {
        return Err(query::bad("id", "said from 1 to 100 times"));
    }
    let form = form.ok_or(query::bad("as", FORMS))?;
    Ok(Wanted { ids, form })
}

const FORMS: &str = "ticket, har, curl, json or zip";

async fn answer(
    house: &House,
    visitor: &Visitor,
    wanted: Result<Wanted, BadParameter>,
) -> Response {
    let Wanted { ids, form } = match wanted {
        Ok(wanted) => wanted,
        Err(error) => return trouble::not_understood(&error),
    };
    visitor.did("export", format_args!("{} as {form}", ids.join(" ")));
    match exported(house, visitor, ids, form).await {
        Ok((name, bytes)) => attached(&name, form, bytes),
        Err(NotExported::Missing(id, found)) => trouble::not_found(&id, &found),
        Err(NotExported::Refused(refused)) => trouble::not_exported(&refused),
        Err(NotExported::NotRead(error)) => trouble::not_read(error),
    }
}

async fn exported(
    house: &House,
    visitor: &Visitor,
    ids: Vec<String>,
    form: Form,
) -> Result<(String, Vec<u8>), NotExported> {
    let opener = house.reading.opener(visitor);
    let found = house.read(move |log| {
        let mut weight = Weight::default();
        let one = |id| {
            let record = opener.opened(of_id(log, id)?);
            weight.add(&record).map_err(NotExported::Refused)?;
            Ok(record)
        };
        let records: Result<Vec<Record>, NotExported> = ids.into_iter().map(one).collect();
        records
    });
    let records = found.await??;
    let name = name(&records, form);
    let beside = Circumstances {
        now_micros: house.clock.micros(),
        standings: match is_for_linkedin(form) {
            true => house.standings.of(&records).await,
            false => Vec::new(),
        },
    };
    let door = house.redaction.clone();
    let made = house.read(move |_| export(&records, form, &door, &beside));
    let bytes = made.await?.map_err(NotExported::Refused)?;
    Ok((name, bytes))
}

/// Whether LinkedIn's support reads it, which asks how the token stands.
fn is_for_linkedin(form: Form) -> bool {
    matches!(form, Form::Ticket | Form::Zip)
}

fn of_id(log: &Incidents, id: String) -> Result<Record, NotExported> {
    match log.find(&id) {
        Found::One(record) => Ok(*record),
        other => Err(NotExported::Missing(id, other)),
    }
}

/// What the file is called: by the incident's id, where it is one.
fn name(records: &[Record], form: Form) -> String {
    let about = match records {
        [one] => one.id().unwrap_or("incident"),
        _ => "incidents",
    };
    format!("linkgate-{about}.{}", form.extension())
}

fn attached(name: &str, form: Form, bytes: Vec<u8>) -> Response {
    let mut answer = Response::new(Body::from(bytes));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(form.media_type()));
    // An id has no character that would end the quotes.
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_incidents_and_a_form() {
        let wanted = parse(Some("id=0192abcd&id=0192ABCD&id=0192abce&as=json"), None);
        let wanted = wanted.ok().unwrap();

        assert_eq!(wanted.ids, ["0192abcd", "0192abce"]);
        assert_eq!(wanted.form, Form::Json);
        let many: String = (0..=MOST_RECORDS)
            .map(|n| format!("id=0192a{n:03}&"))
            .collect();
        for (query, named, parameter) in [
            ("as=json", None, "id"),
            (&*format!("{many}as=json"), None, "id"),
            ("id=0192abcd", None, "as"),
            ("id=0192abcd&as=pdf", None, "as"),
            ("id=0192abcd&as=json&as=json", None, "as"),
            ("id=0192&as=json", None, "id"),
            ("id=0192abcd&as=json&x=1", None, "\"x\""),
            ("id=0192abcd&as=json", Some("0192abcd"), "\"id\""),
            ("as=json", Some("export"), "id"),
        ] {
            let error = parse(Some(query), named).err().unwrap();
            assert_eq!(error.parameter, parameter, "{query}");
        }
    }
}
