//! Sends a request as it is written here, letter by letter, and reads the answer: what a library would not send, too.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// More than a slow machine under load needs to compile a policy, or to start a browser.
const PATIENCE: Duration = Duration::from_secs(120);

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Of HTTP.
    pub status: u16,
    /// The head without its first line; names in lower case.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// A field of the head.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A request with a body, which asks to be the last one of its connection.
#[must_use]
pub fn request(method: &str, path: &str, fields: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    for (name, value) in fields {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()));
    text
}

/// Sends bytes to a server, and reads what it answers.
///
/// # Errors
/// It cannot be reached, closes the connection without an answer, or answers in another way than HTTP/1.1.
pub fn send(server: &str, bytes: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // A server that refuses a request before its end may close the connection: its answer is there all the same.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut part = [0; 16 << 10];
    loop {
        if let Some(answer) = whole(&answer) {
            return Ok(answer);
        }
        match stream.read(&mut part)? {
            0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "there is no whole answer")),
            count => answer.extend(part.iter().take(count)),
        }
    }
}

/// An answer, if all of it is there.
fn whole(bytes: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let fields = lines.filter_map(|line| line.split_once(':'));
    let fields = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let mut answer = Answer { status, fields, body: body.to_owned() };
    let length: usize = answer.field("content-length")?.parse().ok()?;
    let start = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    answer.body = String::from_utf8_lossy(bytes.get(start..start + length)?).into_owned();
    Some(answer)
}
