//! Which of the headers that the path asks about stand in a request: looked through once, instead of one
//! look-up (a hash and a comparison) for each question, most of which are answered with no.

use http::{HeaderMap, HeaderName};

/// What is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Present {
    pub(crate) connection: bool,
    pub(crate) linkgate_application: bool,
    pub(crate) method_override: bool,
    pub(crate) te: bool,
    pub(crate) transfer_encoding: bool,
    pub(crate) upgrade: bool,
}

impl Present {
    /// Looks `headers` through.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut present = Self::default();
        for name in headers.keys().map(HeaderName::as_str) {
            match name {
                "connection" => present.connection = true,
                "linkgate-application" => present.linkgate_application = true,
                "x-http-method-override" => present.method_override = true,
                "te" => present.te = true,
                "transfer-encoding" => present.transfer_encoding = true,
                "upgrade" => present.upgrade = true,
                _ => {}
            }
        }
        present
    }
}

#[cfg(test)]
mod tests {
    use http::header::UPGRADE;

    use super::{super::*, *};

    #[test]
    fn each_header_is_seen_under_its_name() {
        let names = [
            &CONNECTION,
            &LINKGATE_APPLICATION,
            &METHOD_OVERRIDE,
            &TE,
            &TRANSFER_ENCODING,
            &UPGRADE,
        ];
        for (n, name) in names.into_iter().enumerate() {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static("x"));
            let seen = Present::of(&headers);
            let seen = [
                seen.connection,
                seen.linkgate_application,
                seen.method_override,
                seen.te,
                seen.transfer_encoding,
                seen.upgrade,
            ];

            for (other, seen) in seen.into_iter().enumerate() {
                assert_eq!(seen, other == n, "{name}");
            }
        }
        assert_eq!(Present::of(&HeaderMap::new()), Present::default());
    }
}
