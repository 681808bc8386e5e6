//! A list that comes by the page, printed as it comes.
//!
//! **Invariant:** however many pages it came in, JSON is one document, and a header stands once.
//! **Neighbours:** `cli::reach` brings the pages, `cli::print` prints what is short.

use std::io::{self, Write};

use comfy_table::{ColumnConstraint, Table, Width, presets::NOTHING};
use serde_json::Value;

use super::cell;

/// Space that a table puts around what stands in a column.
const PADDING: u16 = 2;

/// How a list is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Form {
    /// One array of whole items.
    Json,
    /// Comma-separated values, a header first. A value that a spreadsheet would take for a formula is
    /// given as text.
    Csv,
    /// For people: columns under their names.
    Table,
}

/// A list under way.
#[derive(Debug)]
pub(in crate::cli) struct Listing<'a> {
    form: Form,
    fields: &'a [&'a str],
    /// How wide each column has been so far, so that a later page is no narrower.
    widths: Vec<u16>,
    is_begun: bool,
}

impl<'a> Listing<'a> {
    /// Of these fields of each item; JSON has all of them.
    pub(in crate::cli) fn new(form: Form, fields: &'a [&'a str]) -> Self {
        Self {
            form,
            fields,
            widths: Vec::new(),
            is_begun: false,
        }
    }

    /// Prints the next items.
    pub(in crate::cli) fn page(&mut self, items: &[Value], out: &mut impl Write) -> io::Result<()> {
        match self.form {
            Form::Json => self.json(items, out),
            Form::Csv => self.csv(items, out),
            Form::Table => self.table(items, out),
        }
    }

    /// Prints what comes after the last page.
    pub(in crate::cli) fn end(self, out: &mut impl Write) -> io::Result<()> {
        match (self.form, self.is_begun) {
            (Form::Json, true) => writeln!(out, "\n]"),
            (Form::Json, false) => writeln!(out, "[]"),
            (Form::Csv | Form::Table, _) => Ok(()),
        }
    }

    fn json(&mut self, items: &[Value], out: &mut impl Write) -> io::Result<()> {
        for item in items {
            let between = if self.is_begun { ",\n" } else { "[\n" };
            // Line ends within texts are escaped: each one here is the layout's.
            let text = serde_json::to_string_pretty(item)?.replace('\n', "\n  ");
            write!(out, "{between}  {text}")?;
            self.is_begun = true;
        }
        Ok(())
    }

    fn csv(&mut self, items: &[Value], out: &mut impl Write) -> io::Result<()> {
        if !std::mem::replace(&mut self.is_begun, true) {
            write!(out, "{}\r\n", self.fields.join(","))?;
        }
        for item in items {
            let row = self.fields.iter().map(|field| csv_cell(of(item, field)));
            write!(out, "{}\r\n", row.collect::<Vec<_>>().join(","))?;
        }
        Ok(())
    }

    fn table(&mut self, items: &[Value], out: &mut impl Write) -> io::Result<()> {
        let mut table = Table::new();
        table.load_style(NOTHING);
        let header = |field: &&str| field.to_ascii_uppercase().replace('_', " ");
        table.set_header(self.fields.iter().map(header));
        for item in items {
            table.add_row(self.fields.iter().map(|field| cell(field, of(item, field))));
        }
        for (column, width) in table.column_iter_mut().zip(&self.widths) {
            let width = Width::Fixed(width.saturating_add(PADDING));
            column.set_constraint(ColumnConstraint::LowerBoundary(width));
        }
        let header = usize::from(std::mem::replace(&mut self.is_begun, true));
        for row in table.lines().skip(header) {
            writeln!(out, "{}", row.trim_end())?;
        }
        let now = table.column_max_content_widths();
        let before = self.widths.iter().copied().chain(std::iter::repeat(0));
        self.widths = now
            .into_iter()
            .zip(before)
            .map(|(now, before)| now.max(before))
            .collect();
        Ok(())
    }
}

fn of<'a>(item: &'a Value, field: &str) -> &'a Value {
    item.get(field).unwrap_or(&Value::Null)
}

fn csv_cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) => text.clone(),
        other => return other.to_string(),
    };
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{text}") } else { text };
    match text.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn printed(form: Form, pages: &[&[Value]]) -> String {
        let mut listing = Listing::new(form, &["name", "days_left"]);
        let mut out = Vec::new();
        for page in pages {
            listing.page(page, &mut out).unwrap();
        }
        listing.end(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_list_in_two_pages_is_printed_like_one_in_one() {
        let long = json!({"name": "a much longer name", "days_left": 3, "more": [1, "a\nb"]});
        let short = json!({"name": "ada", "days_left": null});
        let all = [long, short.clone(), short];
        for form in [Form::Json, Form::Csv, Form::Table] {
            let whole = printed(form, &[&all]);
            assert_eq!(printed(form, &[&all[..1], &all[1..]]), whole, "{form:?}");
            assert_eq!(
                printed(form, &[&all[..2], &[], &all[2..]]),
                whole,
                "{form:?}"
            );
        }
        let document = serde_json::to_string_pretty(&all).unwrap();
        assert_eq!(printed(Form::Json, &[&all]).trim_end(), document);
    }

    #[test]
    fn nobody_is_an_empty_list_in_every_form() {
        assert_eq!(printed(Form::Json, &[&[]]), "[]\n");
        assert_eq!(printed(Form::Csv, &[&[]]), "name,days_left\r\n");
        let table = printed(Form::Table, &[&[]]);
        let words: Vec<&str> = table.split_whitespace().collect();
        assert_eq!(words, ["NAME", "DAYS", "LEFT"]);
    }

    #[test]
    fn a_value_is_quoted_where_it_must_be_and_never_a_formula() {
        for (value, shown) in [
            (json!(null), ""),
            (json!(1_800_000_000), "1800000000"),
            (json!("ada"), "ada"),
            (json!("a,b"), "\"a,b\""),
            (json!("say \"hi\""), "\"say \"\"hi\"\"\""),
            (json!("-ada"), "'-ada"),
            (json!("=1+1,2"), "\"'=1+1,2\""),
        ] {
            assert_eq!(csv_cell(&value), shown);
        }
    }
}
