//! Where the store's keys come from, and who else may read files that hold secrets.
//!
//! **Invariant:** exactly one source; a key that comes from elsewhere than a file is read here once and
//! stands in no problem and in no remark.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use crate::{keyring::KeySource, secret::Secret};

use super::{
    build::Builder,
    problem::{Place, Problem},
};

impl Builder<'_> {
    /// The one source that is given; the key file where none is.
    pub(super) fn key_source(&mut self) -> Option<KeySource> {
        let variable = self.read.optional_text("store.key_env")?;
        let credential = self.read.optional_text("store.key_credential")?;
        let file = self.read.path("store.key_file")?;
        let has_file = self.read.values.place("store.key_file") != Place::Default;
        let given = [
            ("store.key_file", has_file),
            ("store.key_env", variable.is_some()),
            ("store.key_credential", credential.is_some()),
        ];
        let given: Vec<&str> = given
            .into_iter()
            .filter(|(_, is)| *is)
            .map(|(key, _)| key)
            .collect();
        if let [first, second, ..] = given.as_slice() {
            let wrong = format!("stands beside {first}, which says the same thing");
            let problem = Problem::new(&self.read.values.place(second), second, wrong);
            self.found.push(problem.hint("keep one of them"));
            return None;
        }
        Some(match (variable, credential) {
            (Some(name), _) => KeySource::Variable {
                text: self.environment.variable(&name).map(Secret::from),
                name,
            },
            (None, Some(name)) => KeySource::Credential {
                path: self
                    .environment
                    .variable("CREDENTIALS_DIRECTORY")
                    .map(|folder| Path::new(folder).join(&name)),
                name,
            },
            (None, None) => KeySource::File(file),
        })
    }

    /// What the operator should know about who else may read secrets.
    pub(super) fn key_remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.read.text("store.key_env").is_some() {
            remarks.push(
                "store.key_env: this user's and root's processes can read the key in \
                 /proc/PID/environ; store.key_file or store.key_credential keep it out of there"
                    .into(),
            );
        }
        let of_applications = (0..self.read.values.items("applications").len())
            .map(|n| format!("applications.{n}.client_secret_file"));
        let keys = [
            "linkedin.proxy_authorization_file".to_owned(),
            "gateway.tls.key_file".to_owned(),
        ];
        for key in of_applications.chain(keys) {
            let Some(text) = self.read.text(&key) else {
                continue;
            };
            // Group rights are how secrets are handed to services; those of everybody are a slip.
            let file = self.read.folder.join(text);
            let mode = fs::metadata(&file).map(|found| found.permissions().mode() & 0o7777);
            if let Ok(mode) = mode
                && mode & 0o007 != 0
            {
                remarks.push(format!(
                    "{key}: every user can reach {} (mode {mode:04o})",
                    file.display()
                ));
            }
        }
        remarks
    }
}
