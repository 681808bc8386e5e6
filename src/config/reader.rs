//! Checked values by key, in the type that its part wants.
//!
//! **Invariant:** a reader answers none only where a problem with the key is known already, so that
//! whoever builds from them may stop there without a word.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::dial::BaseUrl;

use super::{check::Values, kind::Checked};

/// The values, and the folder where relative paths start.
pub(super) struct Reader<'a> {
    pub(super) values: Values,
    pub(super) folder: &'a Path,
}

impl Reader<'_> {
    pub(super) fn switch(&self, path: &str) -> Option<bool> {
        match self.values.value(path)? {
            Checked::Switch(on) => Some(*on),
            _ => None,
        }
    }

    pub(super) fn count(&self, path: &str) -> Option<u64> {
        match self.values.value(path)? {
            Checked::Count(n) => Some(*n),
            _ => None,
        }
    }

    pub(super) fn size(&self, path: &str) -> Option<usize> {
        self.count(path).and_then(|n| usize::try_from(n).ok())
    }

    pub(super) fn small(&self, path: &str) -> Option<u32> {
        self.count(path).and_then(|n| u32::try_from(n).ok())
    }

    pub(super) fn millis(&self, path: &str) -> Option<Duration> {
        self.count(path).map(Duration::from_millis)
    }

    pub(super) fn secs(&self, path: &str) -> Option<Duration> {
        self.count(path).map(Duration::from_secs)
    }

    pub(super) fn address(&self, path: &str) -> Option<SocketAddr> {
        match self.values.value(path)? {
            Checked::Address(address) => Some(*address),
            _ => None,
        }
    }

    pub(super) fn url(&self, path: &str) -> Option<BaseUrl> {
        self.optional_url(path)?
    }

    pub(super) fn optional_url(&self, path: &str) -> Option<Option<BaseUrl>> {
        match self.values.value(path)? {
            Checked::Url(url) => Some(Some(url.clone())),
            _ => Some(None),
        }
    }

    pub(super) fn text(&self, path: &str) -> Option<String> {
        self.optional_text(path)?
    }

    pub(super) fn optional_text(&self, path: &str) -> Option<Option<String>> {
        match self.values.value(path)? {
            Checked::Text(text) => Some(Some(text.clone())),
            _ => Some(None),
        }
    }

    pub(super) fn texts(&self, path: &str) -> Option<Vec<String>> {
        match self.values.value(path)? {
            Checked::Texts(texts) => Some(texts.clone()),
            _ => None,
        }
    }

    pub(super) fn path(&self, path: &str) -> Option<PathBuf> {
        self.text(path).map(|text| self.folder.join(text))
    }

    pub(super) fn optional_path(&self, path: &str) -> Option<Option<PathBuf>> {
        let text = self.optional_text(path)?;
        Some(text.map(|text| self.folder.join(text)))
    }
}
