//! Messages on a stream of bytes: `Content-Length: N`, an empty line, N bytes of JSON.
//!
//! Whatever comes is read on: a message that is none, a length that is none, half a surrogate pair. Memory is
//! bounded by [`MAX_BODY`].

use std::io::{self, BufRead, Read as _, Write};

use serde_json::Value;

/// The longest message. The longest policy has 4 MiB, and JSON may write a byte in six.
const MAX_BODY: u64 = 64 << 20;

/// The longest header line.
const MAX_HEADER: u64 = 4 << 10;

/// What was read.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame {
    /// JSON.
    Json(Value),
    /// Bytes that are no message, and why.
    Broken(String),
}

/// The next frame; none at the end of the stream.
///
/// # Errors
/// If the stream cannot be read.
pub(crate) fn read(input: &mut impl BufRead) -> io::Result<Option<Frame>> {
    let Some(length) = header(input)? else { return Ok(None) };
    let length = match length {
        Ok(length) => length,
        Err(problem) => return Ok(Some(Frame::Broken(problem))),
    };
    if length > MAX_BODY {
        io::copy(&mut input.take(length), &mut io::sink())?;
        return Ok(Some(Frame::Broken(format!("a message of {length} bytes; {MAX_BODY} are the most"))));
    }
    let mut body = Vec::new();
    if input.take(length).read_to_end(&mut body)? as u64 != length {
        return Ok(None);
    }
    let read = serde_json::from_slice(&body).or_else(|error| {
        replace_half_pairs(&mut body);
        // The first error is the one to tell.
        serde_json::from_slice(&body).map_err(|_| error)
    });
    Ok(Some(read.map_or_else(|error| Frame::Broken(error.to_string()), Frame::Json)))
}

/// Length of the body that follows, or what is wrong with the header; none at the end of the stream.
fn header(input: &mut impl BufRead) -> io::Result<Option<Result<u64, String>>> {
    let mut length = Err("a header without `Content-Length`".to_owned());
    loop {
        let mut line = Vec::new();
        if input.take(MAX_HEADER).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(Some(length));
        }
        let line = String::from_utf8_lossy(line);
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("Content-Length")
        {
            length = value.trim().parse().map_err(|_| format!("`{}` is no length", value.trim()));
        }
    }
}

/// Puts U+FFFD in the place of `\uD83D` without its other half: editors whose strings are UTF-16 send
/// those, and one of them must not cost the document. The length in UTF-16 stays.
fn replace_half_pairs(json: &mut [u8]) {
    let mut at = 0;
    while let Some(rest) = json.get(at..).filter(|rest| !rest.is_empty()) {
        let escape = rest.first() == Some(&b'\\');
        at += match (escape, unit(rest)) {
            (true, Some(0xd800..=0xdbff))
                if matches!(rest.get(6..).and_then(unit), Some(0xdc00..=0xdfff)) =>
            {
                12
            }
            (true, Some(0xd800..=0xdfff)) => {
                if let Some(digits) = json.get_mut(at + 2..at + 6) {
                    digits.copy_from_slice(b"fffd");
                }
                6
            }
            (true, _) => 2,
            (false, _) => 1,
        };
    }
}

/// The UTF-16 unit that the four hexadecimal digits of an escape stand for.
fn unit(json: &[u8]) -> Option<u16> {
    let digits = json.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Writes a message.
///
/// # Errors
/// If the stream cannot be written.
pub(crate) fn write(output: &mut impl Write, message: &Value) -> io::Result<()> {
    let body = message.to_string();
    write!(output, "Content-Length: {}\r\n\r\n{body}", body.len())?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn frames(bytes: &[u8]) -> Vec<Frame> {
        let mut input = bytes;
        let mut found = Vec::new();
        while let Some(frame) = read(&mut input).unwrap() {
            found.push(frame);
        }
        found
    }

    fn framed(body: &str) -> Vec<u8> {
        format!("Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut bytes = Vec::new();
        for message in [json!({"a": "\u{1f4a5}\r\n"}), json!([])] {
            write(&mut bytes, &message).unwrap();
        }
        assert_eq!(frames(&bytes), [Frame::Json(json!({"a": "\u{1f4a5}\r\n"})), Frame::Json(json!([]))]);
    }

    #[test]
    fn a_broken_message_costs_itself_only() {
        let broken = [
            framed("{"),
            framed("\u{0}\u{0}"),
            framed(&"[".repeat(100_000)),
            b"Content-Length: many\r\n\r\n".to_vec(),
            b"Content-Type: text\r\n\r\n".to_vec(),
            b"Content-Length: 3\r\n\r\n\"\xff\"".to_vec(),
            [b"Content-Length: 70000000\r\n\r\n".to_vec(), vec![b' '; 70_000_000]].concat(),
        ];
        for mut bytes in broken {
            bytes.extend(framed("1"));
            let found = frames(&bytes);
            assert!(matches!(found.as_slice(), [Frame::Broken(_), Frame::Json(_)]), "{found:?}");
        }
        assert_eq!(frames(b"Content-Length: 9\r\n\r\n{"), []);
        assert_eq!(frames(&[b'x'; 100_000]), []);
        assert_eq!(frames(b"content-length:1\n\n1"), [Frame::Json(json!(1))]);
    }

    #[test]
    fn half_a_surrogate_pair_is_replaced() {
        for (sent, read) in [
            (r#""a\ud83db""#, "a\u{fffd}b"),
            (r#""\udca5\ud83d\udca5\ud83d""#, "\u{fffd}\u{1f4a5}\u{fffd}"),
            (r#""\\ud83d\ud83d""#, "\\ud83d\u{fffd}"),
        ] {
            assert_eq!(frames(&framed(sent)), [Frame::Json(json!(read))]);
        }
    }
}
