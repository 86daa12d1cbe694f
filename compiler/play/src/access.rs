//! Who may ask: the page that this server has sent to whoever knows its address.
//!
//! * The address holds a token that nobody can guess: other users of the machine can connect, too.
//! * `Host` is this server: a name of somebody else's that was made to point here (DNS rebinding) is another one.
//! * `Origin`, where a browser sends it, is this server: pages of others may send requests, but not in its name.
//!   What changes nothing and is asked for by a link (`Sec-Fetch-Site`) from elsewhere is refused, too.

use std::io;
use std::net::SocketAddr;

use rustix::rand::{GetRandomFlags, getrandom};

use crate::request::Request;
use crate::response::Response;

/// Bytes of randomness in an address.
const RANDOM: usize = 24;

/// A secret in an address.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// A new one, of the kernel's random numbers.
    ///
    /// # Errors
    /// The kernel has none.
    pub fn new() -> io::Result<Self> {
        let mut bytes = [0_u8; RANDOM];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            filled += getrandom(rest, GetRandomFlags::empty())?;
        }
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// As it stands in an address.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether it is this text. How long that takes does not tell how much of it is right.
    fn is(&self, text: &str) -> bool {
        let different = self.0.bytes().zip(text.bytes()).fold(0, |all, (one, other)| all | (one ^ other));
        self.0.len() == text.len() && different == 0
    }
}

/// What is asked for below the token, or why it is refused.
pub(crate) fn below<'r>(request: &'r Request, token: &Token, here: SocketAddr) -> Result<&'r str, Response> {
    let host = here.to_string();
    if request.host.as_deref() != Some(host.as_str()) {
        return Err(Response::refusal(421, "this address is of another server"));
    }
    let own = format!("http://{host}");
    if request.origin.as_deref().is_some_and(|origin| origin != own) {
        return Err(Response::refusal(403, "a page from elsewhere may not ask here"));
    }
    if request.method == "POST" && request.origin.is_none() {
        return Err(Response::refusal(403, "whoever sends something says from which page"));
    }
    // An address that somebody types or opens from a terminal comes from nowhere (`none`).
    if request.site.as_deref().is_some_and(|site| !["same-origin", "none"].contains(&site)) {
        return Err(Response::refusal(403, "a page from elsewhere may not ask here"));
    }
    let inside = request.path.strip_prefix('/').and_then(|path| path.split_once('/'));
    match inside {
        Some((first, rest)) if token.is(first) => Ok(rest),
        _ => Err(Response::refusal(403, "the address lacks its token: `oomc play` has printed it whole")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(host: &str, origin: Option<&str>, site: Option<&str>, method: &str, path: &str) -> u16 {
        let request = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            host: Some(host.to_owned()),
            origin: origin.map(str::to_owned),
            site: site.map(str::to_owned),
            content: None,
            body: Vec::new(),
        };
        let here = SocketAddr::from(([127, 0, 0, 1], 8000));
        below(&request, &Token("secret".to_owned()), here).map_or_else(|refused| refused.status, |_| 200)
    }

    #[test]
    fn only_the_page_itself_may_ask() {
        let (here, own) = ("127.0.0.1:8000", Some("http://127.0.0.1:8000"));
        assert_eq!(asks(here, None, Some("none"), "GET", "/secret/"), 200);
        assert_eq!(asks(here, own, Some("same-origin"), "POST", "/secret/check"), 200);
        for path in ["/", "/secret", "/secre/", "/secrett/", "/Secret/", "//secret/", "secret/", ""] {
            assert_eq!(asks(here, None, None, "GET", path), 403, "{path}");
        }
        for host in ["localhost:8000", "evil.example:8000", "127.0.0.1", "127.0.0.1:80", "127.1:8000", ""] {
            assert_eq!(asks(host, None, None, "GET", "/secret/"), 421, "{host}");
        }
        for origin in ["http://evil.example", "null", "https://127.0.0.1:8000", "http://127.0.0.1:8001"] {
            assert_eq!(asks(here, Some(origin), None, "POST", "/secret/check"), 403, "{origin}");
        }
        assert_eq!(asks(here, None, None, "POST", "/secret/check"), 403);
        for site in ["cross-site", "same-site"] {
            assert_eq!(asks(here, None, Some(site), "GET", "/secret/"), 403, "{site}");
        }
    }

    #[test]
    fn tokens_are_long_and_differ() {
        let (one, other) = (Token::new().unwrap(), Token::new().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.text().len(), 2 * RANDOM);
        assert!(one.is(one.text()) && !one.is(other.text()) && !one.is(""));
        assert_eq!(format!("{one:?}"), "Token");
    }
}
