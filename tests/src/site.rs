//! Serves a folder of pages to a browser on this machine, and remembers what was asked for that is not there.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// A folder that is served until the test program ends.
#[derive(Debug)]
pub struct Site {
    /// Where it begins, without a `/` at the end.
    pub address: String,
    missing: Arc<Mutex<Vec<String>>>,
}

impl Site {
    /// Serves a folder.
    ///
    /// # Errors
    /// There is no port.
    pub fn new(folder: &Path) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = format!("http://{}", listener.local_addr()?);
        let missing = Arc::<Mutex<Vec<String>>>::default();
        let (folder, asked) = (folder.to_owned(), Arc::clone(&missing));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (folder, asked) = (folder.clone(), Arc::clone(&asked));
                // A browser keeps connections in reserve: one that says nothing holds nobody up.
                thread::spawn(move || answer(&stream, &folder, &asked));
            }
        });
        Ok(Self { address, missing })
    }

    /// What was asked for and is not there, since this was asked last.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        std::mem::take(&mut *self.missing.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Answers one request; a browser that goes away gets nothing.
fn answer(mut stream: &TcpStream, folder: &Path, missing: &Mutex<Vec<String>>) -> Option<()> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next()?;
    lines.find(String::is_empty)?;
    let path = first.split(' ').nth(1)?.split('?').next()?.to_owned();
    let (status, kind, body) =
        match file(folder, &path).and_then(|file| Some((kind(&file), fs::read(file).ok()?))) {
            Some((kind, body)) => ("200 OK", kind, body),
            None => {
                missing.lock().unwrap_or_else(PoisonError::into_inner).push(path);
                ("404 Not Found", "text/plain", Vec::new())
            }
        };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(&body).ok()
}

/// The file behind the path of an address; none outside of the folder.
fn file(folder: &Path, path: &str) -> Option<PathBuf> {
    let path = Path::new(path.trim_start_matches('/'));
    let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
    Some(folder.join(path)).filter(|file| inside && file.is_file())
}

/// What a browser is told that a file is; it refuses scripts and styles that are something else.
fn kind(file: &Path) -> &'static str {
    match file.extension().and_then(|end| end.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}
