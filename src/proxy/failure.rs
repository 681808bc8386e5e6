//! Failure: whose fault, which status, what to do next.
//!
//! The path has this one error. A LinkedIn answer of any status is no failure: it passes through.
//!
//! **Neighbours:** `reply` turns it into the caller's answer, `capture` into a record.

use std::{sync::Arc, time::Duration};

use http::StatusCode;

use crate::exchange::{Broken, Fault};

/// Why an exchange ends with an answer of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Not HTTP as we accept it.
    Malformed(&'static str),
    /// No member was named, and the key's own is not one alone.
    MemberNotNamed,
    /// Named twice and different, or two keys.
    MemberAmbiguous(&'static str),
    /// No key, a bad key, an expired or revoked one.
    CallerUnknown,
    /// The key does not cover this member, method or path.
    NotAllowed,
    /// CONNECT or TRACE.
    MethodNotAllowed,
    /// The caller did not send its body in time.
    RequestTimeout,
    /// A `Host` or absolute target that is neither ours nor the API's.
    WrongAuthority,
    /// Something HTTP allows and we do not do.
    NotImplemented(&'static str),
    /// Over `gateway.max_body_bytes`.
    BodyTooLarge,
    /// Over `gateway.max_uri_bytes`.
    UriTooLong,
    /// Over `gateway.max_head_bytes`.
    HeadersTooLarge,
    /// Only the member can help.
    SignInNeeded {
        /// 65601 or 65602.
        service_error_code: u32,
        /// One sentence.
        reason: Arc<str>,
    },
    /// The member was disconnected while the exchange was under way, and that stops it here.
    LoggedOut,
    /// The token was refused and renewed, but the body was not kept.
    RenewedSendAgain,
    /// No usable token now; time may help.
    RenewalUnavailable {
        /// When to ask again.
        after: Duration,
        /// One sentence.
        reason: Arc<str>,
    },
    /// Too many exchanges at once.
    Overloaded,
    /// The gateway is going down.
    ShuttingDown,
    /// No connection, or it was lost before the answer's head.
    Unreachable(Broken),
    /// The answer was no HTTP we can pass on.
    ProtocolError(&'static str),
    /// No answer in time.
    LinkedInTimeout,
    /// A bug of ours: it costs this exchange, no other.
    Internal,
}

impl Failure {
    /// Whose fault it was.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Malformed(_)
            | Self::MemberNotNamed
            | Self::MemberAmbiguous(_)
            | Self::CallerUnknown
            | Self::NotAllowed
            | Self::MethodNotAllowed
            | Self::RequestTimeout
            | Self::WrongAuthority
            | Self::NotImplemented(_)
            | Self::BodyTooLarge
            | Self::UriTooLong
            | Self::HeadersTooLarge => Fault::Caller,
            Self::SignInNeeded { .. } | Self::LoggedOut => Fault::Member,
            Self::RenewedSendAgain
            | Self::RenewalUnavailable { .. }
            | Self::Unreachable(_)
            | Self::ProtocolError(_)
            | Self::LinkedInTimeout => Fault::LinkedIn,
            Self::Overloaded | Self::ShuttingDown | Self::Internal => Fault::Gateway,
        }
    }

    /// The status the caller gets (docs/contract.md: "What a caller gets").
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) | Self::MemberNotNamed | Self::MemberAmbiguous(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::CallerUnknown | Self::SignInNeeded { .. } | Self::LoggedOut => {
                StatusCode::UNAUTHORIZED
            }
            Self::NotAllowed => StatusCode::FORBIDDEN,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::WrongAuthority => StatusCode::MISDIRECTED_REQUEST,
            Self::NotImplemented(_) => StatusCode::NOT_IMPLEMENTED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::RenewedSendAgain
            | Self::RenewalUnavailable { .. }
            | Self::Overloaded
            | Self::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unreachable(_) | Self::ProtocolError(_) => StatusCode::BAD_GATEWAY,
            Self::LinkedInTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The stable word in the problem body.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "request_malformed",
            Self::MemberNotNamed => "member_not_named",
            Self::MemberAmbiguous(_) => "member_ambiguous",
            Self::CallerUnknown => "caller_unknown",
            Self::NotAllowed => "caller_not_allowed",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RequestTimeout => "request_timeout",
            Self::WrongAuthority => "wrong_authority",
            Self::NotImplemented(_) => "not_implemented",
            Self::BodyTooLarge => "body_too_large",
            Self::UriTooLong => "uri_too_long",
            Self::HeadersTooLarge => "headers_too_large",
            Self::SignInNeeded { .. } | Self::LoggedOut => "sign_in_needed",
            Self::RenewedSendAgain => "renewed_send_again",
            Self::RenewalUnavailable { .. } => "renewal_unavailable",
            Self::Overloaded => "overloaded",
            Self::ShuttingDown => "shutting_down",
            Self::Unreachable(_) => "linkedin_unreachable",
            Self::ProtocolError(_) => "linkedin_protocol_error",
            Self::LinkedInTimeout => "linkedin_timeout",
            Self::Internal => "internal_error",
        }
    }

    /// What happened and what to do, in one or two sentences for a person.
    pub(crate) fn advice(&self) -> String {
        match self {
            Self::Malformed(what) => format!("the request was not understood: {what}"),
            Self::MemberNotNamed => "the request does not say for which member it is: use a key \
                 made for one member, append ~NAME to the key, or send Linkgate-Member: NAME"
                .to_owned(),
            Self::MemberAmbiguous(what) => format!("the request names {what}: name it once"),
            Self::CallerUnknown => "no valid Linkgate key was presented: send Authorization: \
                 Bearer lgk_… with a key from linkgate keys create"
                .to_owned(),
            Self::NotAllowed => "this key does not cover this member, method or path".to_owned(),
            Self::MethodNotAllowed => "CONNECT and TRACE are not forwarded".to_owned(),
            Self::RequestTimeout => "the request's body did not arrive in time".to_owned(),
            Self::WrongAuthority => "the request is addressed to another host: an operator adds \
                 further names of this gateway under gateway.hosts"
                .to_owned(),
            Self::NotImplemented(what) => format!("{what} is not implemented"),
            Self::BodyTooLarge => "the body is larger than gateway.max_body_bytes".to_owned(),
            Self::UriTooLong => "the target is longer than gateway.max_uri_bytes".to_owned(),
            Self::HeadersTooLarge => "the head is larger than gateway.max_head_bytes".to_owned(),
            Self::SignInNeeded { reason, .. } => {
                format!("the member must sign in again: {reason}")
            }
            Self::LoggedOut => "the member was disconnected while this call was under way: the \
                 member must sign in again"
                .to_owned(),
            Self::RenewedSendAgain => "the member's token was refused and has been renewed, but \
                 the body was not kept: send the request again"
                .to_owned(),
            Self::RenewalUnavailable { reason, .. } => {
                format!("no usable token at the moment: {reason}")
            }
            Self::Overloaded => "too many requests at once: try again shortly".to_owned(),
            Self::ShuttingDown => "the gateway is shutting down: try again".to_owned(),
            Self::Unreachable(broken) => unreachable_advice(*broken).to_owned(),
            Self::ProtocolError(what) => format!("LinkedIn's answer cannot be passed on: {what}"),
            Self::LinkedInTimeout => "LinkedIn did not answer in time".to_owned(),
            Self::Internal => {
                "an error inside Linkgate: the exchange id finds its record".to_owned()
            }
        }
    }

    /// The RFC 9209 §2.3 error type.
    pub(crate) fn proxy_error(&self) -> &'static str {
        match self {
            Self::Malformed(_)
            | Self::MemberNotNamed
            | Self::MemberAmbiguous(_)
            | Self::MethodNotAllowed
            | Self::RequestTimeout
            | Self::WrongAuthority
            | Self::NotImplemented(_)
            | Self::BodyTooLarge
            | Self::UriTooLong
            | Self::HeadersTooLarge => "http_request_error",
            Self::CallerUnknown
            | Self::NotAllowed
            | Self::SignInNeeded { .. }
            | Self::LoggedOut => "http_request_denied",
            Self::RenewedSendAgain | Self::RenewalUnavailable { .. } | Self::ShuttingDown => {
                "proxy_internal_response"
            }
            Self::Overloaded => "connection_limit_reached",
            Self::Unreachable(Broken::Dns) => "dns_error",
            Self::Unreachable(Broken::Tls) => "tls_protocol_error",
            Self::Unreachable(Broken::ConnectTimeout) => "connection_timeout",
            Self::Unreachable(Broken::Connect) => "connection_refused",
            Self::Unreachable(_) => "connection_terminated",
            Self::ProtocolError(_) => "http_protocol_error",
            Self::LinkedInTimeout => "http_response_timeout",
            Self::Internal => "proxy_internal_error",
        }
    }

    /// `Retry-After`, where waiting that long makes sense.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RenewedSendAgain => Some(Duration::ZERO),
            Self::RenewalUnavailable { after, .. } => Some((*after).max(Duration::from_secs(1))),
            Self::Overloaded | Self::ShuttingDown | Self::Unreachable(_) => {
                Some(Duration::from_secs(1))
            }
            _ => None,
        }
    }
}

fn unreachable_advice(broken: Broken) -> &'static str {
    match broken {
        Broken::Dns => "LinkedIn's name does not resolve from here",
        Broken::Tls => "no trusted TLS connection to LinkedIn could be made",
        Broken::ConnectTimeout => "connecting to LinkedIn took too long",
        Broken::Connect => "LinkedIn could not be connected to",
        Broken::RefusedStream => "LinkedIn refused the request unprocessed",
        Broken::Cut
        | Broken::Timeout
        | Broken::Protocol
        | Broken::RequestBody
        | Broken::Abandoned => "the connection to LinkedIn was lost before it answered",
    }
}
