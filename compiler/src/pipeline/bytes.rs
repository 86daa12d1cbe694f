//! The bytes of a file as a policy's text, before anything is parsed.
//!
//! Takes what was read from the outside, gives a [`Source`], or says why the bytes are none.

use crate::diag::{Diagnostic, codes};
use crate::source::{MAX_BYTES, Source};

impl Source {
    /// A policy as it was read from the outside.
    ///
    /// # Errors
    /// When the bytes are no policy at all: too many of them, or not UTF-8.
    pub fn from_bytes(name: impl Into<String>, bytes: &[u8]) -> Result<Self, Diagnostic> {
        let name = name.into();
        if bytes.len() > MAX_BYTES {
            return Err(too_large(&name, bytes.len()));
        }
        match core::str::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(name, text)),
            Err(error) => {
                let (good, bad) = bytes.split_at(error.valid_up_to());
                Err(not_utf8(&name, good, bad.first().copied()))
            }
        }
    }
}

/// More bytes than a policy has.
fn too_large(name: &str, bytes: usize) -> Diagnostic {
    Diagnostic::new(codes::TOO_LARGE, format!("`{name}` has {bytes} bytes; a policy has at most {MAX_BYTES}"))
        .help("give the file that holds the policy")
}

/// Bytes that are no text behind those that are; `bad` is the first of them.
fn not_utf8(name: &str, good: &[u8], bad: Option<u8>) -> Diagnostic {
    let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
    let bad = bad.map_or_else(String::new, |bad| format!("byte 0x{bad:02x} "));
    Diagnostic::new(
        codes::NOT_UTF8,
        format!("`{name}` is not UTF-8: {bad}at offset {}, line {line}", good.len()),
    )
    .help("save the policy as UTF-8 text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let error = Source::from_bytes("a.oom", b"kill\n\xff\xfe").map(|source| source.text);
        let error = error.map_err(|error| (error.code, error.message));
        let message = "`a.oom` is not UTF-8: byte 0xff at offset 5, line 2";
        assert_eq!(error, Err((codes::NOT_UTF8, message.into())));
        let error = Source::from_bytes("a.oom", &vec![b' '; MAX_BYTES + 1]).map(|source| source.text);
        assert_eq!(error.map_err(|error| error.code), Err(codes::TOO_LARGE));
    }
}
