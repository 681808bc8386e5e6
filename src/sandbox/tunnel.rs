//! Query tunnelling: a long query travels in the body of a POST (linkedin.md §6.3).
//!
//! **Invariant:** what comes out is what the client meant: method, query, body.

use bytes::Bytes;
use memchr::memmem;

use super::request::Head;

/// A request after the tunnel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Meant {
    pub(crate) method: String,
    pub(crate) query: String,
    pub(crate) body: Bytes,
}

/// Takes a request out of the tunnel, or leaves it as it is.
pub(crate) fn meant(head: &Head, body: &Bytes) -> Meant {
    let restli_method = head
        .header("x-restli-method")
        .unwrap_or_default()
        .to_ascii_uppercase();
    let Some(override_method) = head
        .header("x-http-method-override")
        .filter(|_| head.method == "POST")
    else {
        return Meant {
            method: head.method.clone(),
            query: head.query().to_owned(),
            body: body.clone(),
        };
    };
    // Both official clients tunnel DELETE and BATCH_DELETE with the override GET.
    let method = match restli_method.as_str() {
        "DELETE" | "BATCH_DELETE" => String::from("DELETE"),
        _ => override_method.to_ascii_uppercase(),
    };
    let kind = head.header("content-type").unwrap_or_default();
    if let Some((query, body)) = boundary(kind).and_then(|boundary| two_parts(body, boundary)) {
        return Meant {
            method,
            query,
            body,
        };
    }
    Meant {
        method,
        query: String::from_utf8_lossy(body).trim().to_owned(),
        body: Bytes::new(),
    }
}

fn boundary(kind: &str) -> Option<&str> {
    if !kind.to_ascii_lowercase().starts_with("multipart/mixed") {
        return None;
    }
    let (_, text) = kind.split_once("boundary=")?;
    Some(text.split(';').next()?.trim().trim_matches('"'))
}

/// Part 1 is the query as a form, part 2 the JSON body; they are told apart by their type.
fn two_parts(body: &Bytes, boundary: &str) -> Option<(String, Bytes)> {
    let delimiter = format!("--{boundary}");
    let starts: Vec<usize> = memmem::find_iter(body, delimiter.as_bytes()).collect();
    let mut query = None;
    let mut inner = Bytes::new();
    for (start, end) in starts.iter().zip(starts.iter().skip(1)) {
        let part = body.slice(start + delimiter.len()..*end);
        let Some(gap) = memmem::find(&part, b"\r\n\r\n") else {
            continue;
        };
        let lines = String::from_utf8_lossy(&part.slice(..gap)).to_ascii_lowercase();
        let content = part.slice(gap + 4..);
        let content = content.slice(..content.len().saturating_sub(2));
        if lines.contains("application/x-www-form-urlencoded") {
            query = Some(String::from_utf8_lossy(&content).trim().to_owned());
        } else {
            inner = content;
        }
    }
    query.map(|query| (query, inner))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::request::{Announced, HttpVersion};

    fn head(headers: &[(&str, &str)]) -> Head {
        Head {
            method: String::from("POST"),
            target: String::from("/rest/adAccounts"),
            version: HttpVersion::Http1,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Bytes::copy_from_slice(value.as_bytes())))
                .collect(),
            raw: Bytes::new(),
            announced: Announced::Length(0),
            keep_alive: true,
        }
    }

    #[test]
    fn a_form_body_is_the_query() {
        let head = head(&[("X-HTTP-Method-Override", "GET")]);
        let meant = meant(&head, &Bytes::from_static(b"q=search&ids=List(1,2)"));
        assert_eq!(meant.method, "GET");
        assert_eq!(meant.query, "q=search&ids=List(1,2)");
        assert!(meant.body.is_empty());
    }

    #[test]
    fn an_override_get_with_restli_delete_is_a_delete() {
        let head = head(&[
            ("X-HTTP-Method-Override", "GET"),
            ("X-RestLi-Method", "delete"),
        ]);
        assert_eq!(meant(&head, &Bytes::new()).method, "DELETE");
    }

    #[test]
    fn a_multipart_body_holds_query_and_body() {
        let head = head(&[
            ("X-HTTP-Method-Override", "PUT"),
            ("Content-Type", "multipart/mixed; boundary=xyz"),
        ]);
        let body = "--xyz\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\nq=1&b=2\r\n\
                    --xyz\r\nContent-Type: application/json\r\n\r\n{\"a\":1}\r\n--xyz--\r\n";
        let meant = meant(&head, &Bytes::from_static(body.as_bytes()));
        assert_eq!(meant.method, "PUT");
        assert_eq!(meant.query, "q=1&b=2");
        assert_eq!(meant.body, "{\"a\":1}");
    }
}
