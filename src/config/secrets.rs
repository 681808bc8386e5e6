//! Values that stand in a variable or a file of their own: `KEY`, `KEY_env`, `KEY_file`.
//!
//! **Invariant:** no value read here ever stands in a problem or in the effective configuration.

use std::{fs, path::Path};

use super::{
    check::{Values, find},
    environment::Environment,
    kind::Checked,
    problem::{Place, Problem},
};

/// Where secrets are looked up.
pub(super) struct Sources<'a> {
    pub(super) folder: &'a Path,
    pub(super) environment: &'a Environment,
}

impl Sources<'_> {
    /// The value of `stem`, given as `stem` itself, as `stem_env` or as `stem_file`; none if none of
    /// them is.
    pub(super) fn optional(&self, values: &Values, stem: &str) -> Result<Option<String>, Problem> {
        let forms = ["", "_env", "_file"].map(|suffix| format!("{stem}{suffix}"));
        let given: Vec<(&String, &String)> = forms
            .iter()
            .filter_map(|path| match values.value(path) {
                Some(Checked::Text(text)) => Some((path, text)),
                _ => None,
            })
            .collect();
        match given.as_slice() {
            [] => Ok(None),
            [(path, text)] => self.read(path, text, &values.place(path)).map(Some),
            [(first, _), (second, _), ..] => Err(Problem::new(
                &values.place(second),
                second,
                format!("stands beside {first}, which says the same thing"),
            )
            .hint("keep one of them")),
        }
    }

    /// The same where there must be one. None only if a problem with it is known already.
    pub(super) fn required(
        &self,
        values: &Values,
        stem: &str,
        place: &Place,
    ) -> Result<Option<String>, Problem> {
        let found = self.optional(values, stem)?;
        let forms = ["", "_env", "_file"].map(|suffix| format!("{stem}{suffix}"));
        if found.is_some() || forms.iter().any(|path| values.is_spoiled(path)) {
            return Ok(found);
        }
        let known: Vec<String> = forms
            .into_iter()
            .filter(|path| find(path).is_some())
            .collect();
        Err(Problem::new(place, stem, "is not given")
            .allowed(format!("exactly one of {}", known.join(", "))))
    }

    fn read(&self, path: &str, text: &str, place: &Place) -> Result<String, Problem> {
        let value = if path.ends_with("_env") {
            self.environment
                .variable(text)
                .map(str::to_owned)
                .ok_or_else(|| {
                    Problem::new(place, path, format!("the variable {text} is not set")).hint(
                        format!("export {text}=… before the start, or use the _file form"),
                    )
                })?
        } else if path.ends_with("_file") {
            let file = self.folder.join(text);
            fs::read_to_string(&file).map_err(|error| {
                Problem::new(
                    place,
                    path,
                    format!("{} cannot be read: {error}", file.display()),
                )
            })?
        } else {
            text.to_owned()
        };
        let value = value.trim_end_matches(['\r', '\n']);
        if value.is_empty() || value.contains(char::is_control) {
            return Err(Problem::new(
                place,
                path,
                "leads to an empty value or one with control characters",
            ));
        }
        Ok(value.to_owned())
    }
}
