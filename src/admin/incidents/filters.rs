//! The form that says which incidents are wanted: a GET, so that what it asks is a URL to share.
//!
//! **Neighbours:** [`Asked`] reads it; its words are those of `linkgate incidents list`.

use maud::{Markup, html};

use crate::{
    admin::query::Asked,
    incident::reader::said::{FAULTS, KINDS},
};

/// A field for text: its word, its label, what it may look like.
type Field = (&'static str, &'static str, &'static str);

/// Those that are asked for most.
const FIRST: [Field; 5] = [
    ("text", "Any text", ""),
    ("since", "Since", "2h, 3d or a date"),
    ("status", "Status", "503 or 5xx"),
    ("member", "Member", ""),
    ("caller", "Caller", ""),
];
/// The others.
const FURTHER: [Field; 9] = [
    ("until", "Until", "30m or a date"),
    ("method", "Method", "POST"),
    ("path", "Part of the path", "/rest/posts"),
    ("application", "Application", ""),
    ("signature", "Signature", ""),
    ("id", "Id, or its beginning", "8 characters or more"),
    ("request_id", "The app's X-Request-Id", ""),
    ("x_li_uuid", "LinkedIn's x-li-uuid", ""),
    ("x_li_request_id", "LinkedIn's x-li-request-id", ""),
];

/// The form, filled with what was asked.
pub(super) fn form(asked: &Asked) -> Markup {
    let is_said = |word: &str| asked.said(word).is_some();
    let is_open = is_said("ledger") || FURTHER.iter().any(|(word, ..)| is_said(word));
    html! {
        form.filters method="get" action="/incidents" aria-label="Filter" {
            @for one in &FIRST { (field(one, asked)) }
            (choice("fault", "Fault", &FAULTS, asked))
            (choice("kind", "Kind", &KINDS, asked))
            div { button.main { "Show" } " " a.button href="/incidents" { "All" } }
            details open[is_open] {
                summary { "More" }
                div.fields {
                    @for one in &FURTHER { (field(one, asked)) }
                    div {
                        label for="ledger" { "Successful writes too" }
                        input id="ledger" type="checkbox" name="ledger" value="1" checked[is_said("ledger")];
                    }
                    (choice("order", "Order", &["newest", "oldest"], asked))
                }
            }
        }
    }
}

fn field((word, label, example): &Field, asked: &Asked) -> Markup {
    html! {
        div {
            label for=(word) { (label) }
            input id=(word) type="text" name=(word) value=[asked.said(word)]
                placeholder=[(!example.is_empty()).then_some(example)] autocomplete="off" spellcheck="false";
        }
    }
}

fn choice(word: &'static str, label: &str, all: &[&str], asked: &Asked) -> Markup {
    html! {
        div {
            label for=(word) { (label) }
            select id=(word) name=(word) {
                option value="" { "any" }
                @for one in all {
                    option value=(one) selected[asked.said(word) == Some(*one)] { (one.replace('_', " ")) }
                }
            }
        }
    }
}
