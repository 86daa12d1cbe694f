//! What is answered, and the fields that go with every answer.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::request::{BODY, Refused};

/// The page may run the scripts and show the styles that this server has, and talk to nobody else. Nothing inline runs,
/// so that markup in a name, even if it reached the page, would do nothing; and no text becomes markup but where the
/// page's one policy lets it.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                                 img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                                 require-trusted-types-for 'script'; trusted-types oomc";

/// In every answer.
const FIELDS: [(&str, &str); 7] = [
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
    ("Connection", "close"),
];

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    /// Of HTTP.
    pub(crate) status: u16,
    /// What the body is.
    pub(crate) content: &'static str,
    /// The body is packed: as `gzip` does it, which every browser undoes.
    pub(crate) packed: bool,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// A part of the page.
    pub(crate) fn part(content: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, content, packed: false, body: body.into() }
    }

    /// A part of the page that is packed.
    pub(crate) fn packed(content: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { packed: true, ..Self::part(content, body) }
    }

    /// Data for the page.
    pub(crate) fn json(value: &Value) -> Self {
        Self::part("application/json", value.to_string())
    }

    /// A sentence about why there is nothing else.
    pub(crate) fn refusal(status: u16, sentence: &str) -> Self {
        Self { status, ..Self::json(&json!({ "error": sentence })) }
    }

    /// Writes it out.
    pub(crate) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let mut text = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        text.push_str(&format!("Content-Type: {}\r\nContent-Length: {}\r\n", self.content, self.body.len()));
        if self.packed {
            text.push_str("Content-Encoding: gzip\r\n");
        }
        for (name, value) in FIELDS {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        to.write_all(text.as_bytes())?;
        to.write_all(&self.body)?;
        to.flush()
    }
}

impl Refused {
    /// The answer to what is no request; none: nobody listens any more.
    pub(crate) fn response(&self) -> Option<Response> {
        let (status, sentence) = match self {
            Self::Malformed => (400, "this is no request of HTTP/1".to_owned()),
            Self::Head => (431, "the head of the request is too large".to_owned()),
            Self::Body => (413, format!("a request has at most {} MiB", BODY >> 20)),
            Self::Length => (411, "a request says how long its body is".to_owned()),
            Self::Slow => (408, "the request took too long to come".to_owned()),
            Self::Gone => return None,
        };
        Some(Response::refusal(status, &sentence))
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        _ => "Bad Request",
    }
}
