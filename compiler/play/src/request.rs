//! Reads one request from a connection, as far as the playground needs it: a method, a path, a few fields and a body.
//!
//! Everything is bounded, in bytes and in time: a connection that sends too much or too slowly is answered by a refusal.

use std::io::{self, Read};
use std::time::Instant;

/// Bytes of the line and the fields at the beginning.
const HEAD: usize = 8 << 10;

/// Fields there.
const FIELDS: usize = 64;

/// Bytes of a body: a policy, and a machine with thousands of processes.
pub(crate) const BODY: usize = 4 << 20;

/// What somebody asks for.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// As it stands in the request, with a query if there is one.
    pub(crate) path: String,
    /// Which server is meant; none, or more than one, is no request of a browser.
    pub(crate) host: Option<String>,
    /// Whose page asks.
    pub(crate) origin: Option<String>,
    /// What the browser says of whose page asks.
    pub(crate) site: Option<String>,
    /// What the body is.
    pub(crate) content: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no request.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It is none of HTTP/1.
    Malformed,
    /// The head is larger than [`HEAD`], or has too many fields.
    Head,
    /// The body is larger than [`BODY`].
    Body,
    /// The body has no length.
    Length,
    /// It did not come in time.
    Slow,
    /// The connection has ended, or failed.
    Gone,
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Slow,
            _ => Self::Gone,
        }
    }
}

/// Reads a request that has to be there by `end`. A single read has to end by itself.
pub(crate) fn read(from: &mut impl Read, end: Instant) -> Result<Request, Refused> {
    let mut bytes = Vec::with_capacity(1 << 10);
    let (mut request, start, length) = loop {
        more(from, &mut bytes, HEAD, end)?;
        if let Some(head) = head(&bytes)? {
            break head;
        }
        if bytes.len() >= HEAD {
            return Err(Refused::Head);
        }
    };
    let mut body = bytes.split_off(start.min(bytes.len()));
    while body.len() < length {
        more(from, &mut body, length, end)?;
    }
    body.truncate(length);
    request.body = body;
    Ok(request)
}

/// Reads what is there, up to so many bytes together.
fn more(from: &mut impl Read, bytes: &mut Vec<u8>, most: usize, end: Instant) -> Result<(), Refused> {
    if Instant::now() >= end {
        return Err(Refused::Slow);
    }
    let mut part = [0; 16 << 10];
    let room = most.saturating_sub(bytes.len()).min(part.len());
    let count = from.read(part.get_mut(..room).unwrap_or_default())?;
    if count == 0 {
        return Err(Refused::Gone);
    }
    bytes.extend(part.iter().take(count));
    Ok(())
}

/// The head, where the body begins, and how long it is; none: more is to come.
fn head(bytes: &[u8]) -> Result<Option<(Request, usize, usize)>, Refused> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    let start = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(start)) => start,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Refused::Head),
        Err(_) => return Err(Refused::Malformed),
    };
    let all = |name: &str| {
        let found = parsed.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        found.map(|field| std::str::from_utf8(field.value).ok().map(str::to_owned)).collect::<Vec<_>>()
    };
    // Two fields of one name may mean different things to two readers: then neither counts.
    let one = |name: &str| match all(name).as_slice() {
        [Some(value)] => Some(value.clone()),
        _ => None,
    };
    if !all("transfer-encoding").is_empty() {
        return Err(Refused::Length);
    }
    let length = match all("content-length").as_slice() {
        [] => 0,
        [Some(length)] => length.parse::<usize>().map_err(|_| Refused::Malformed)?,
        _ => return Err(Refused::Malformed),
    };
    if length > BODY {
        return Err(Refused::Body);
    }
    let request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: parsed.path.unwrap_or_default().to_owned(),
        host: one("host"),
        origin: one("origin"),
        site: one("sec-fetch-site"),
        content: one("content-type"),
        body: Vec::new(),
    };
    Ok(Some((request, start, length)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn of(bytes: &[u8]) -> Result<Request, Refused> {
        read(&mut &*bytes, Instant::now() + Duration::from_secs(10))
    }

    #[test]
    fn a_request_is_its_head_and_as_much_of_a_body_as_it_says() {
        let request = of(b"POST /x HTTP/1.1\r\nHost: h\r\ncontent-length: 3\r\n\r\nabcd").unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/x"));
        assert_eq!((request.host.as_deref(), request.body.as_slice()), (Some("h"), b"abc".as_slice()));
    }

    #[test]
    fn what_is_too_large_or_no_request_is_refused() {
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(HEAD));
        assert!(matches!(of(long.as_bytes()), Err(Refused::Head)));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(FIELDS + 1));
        assert!(matches!(of(many.as_bytes()), Err(Refused::Head)));
        let large = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", BODY + 1);
        assert!(matches!(of(large.as_bytes()), Err(Refused::Body)));
        for length in ["-1", "1, 1", "x", "99999999999999999999"] {
            let odd = format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
            assert!(matches!(of(odd.as_bytes()), Err(Refused::Malformed)), "{length}");
        }
        let twice = b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab";
        assert!(matches!(of(twice), Err(Refused::Malformed)));
        let chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert!(matches!(of(chunked), Err(Refused::Length)));
        assert!(matches!(of(b"\x16\x03\x01\x02\x00"), Err(Refused::Malformed)));
        assert!(matches!(of(b"GET / HTTP/1.1\r\n"), Err(Refused::Gone)));
    }

    #[test]
    fn two_hosts_are_none() {
        assert_eq!(of(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").unwrap().host, None);
    }

    #[test]
    fn what_comes_too_late_is_refused() {
        let past = Instant::now();
        assert!(matches!(read(&mut b"GET / HTTP/1.1\r\n\r\n".as_slice(), past), Err(Refused::Slow)));
    }
}
