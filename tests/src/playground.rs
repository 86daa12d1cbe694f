//! A playground that runs, and what it answers to whoever asks as its page does.

#![expect(clippy::indexing_slicing, reason = "of a JSON value an index that is not there gives null")]

use std::io::{self, BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::http::{Answer, request, send};

/// A playground that runs. It ends with this.
#[derive(Debug)]
pub struct Playground {
    /// The program.
    pub child: Child,
    /// `http://127.0.0.1:PORT/TOKEN/`, with what it begins with.
    pub address: String,
    /// `127.0.0.1:PORT`.
    pub server: String,
    /// `/TOKEN/`.
    pub path: String,
}

impl Playground {
    /// Starts `oomc play` with these arguments.
    ///
    /// # Errors
    /// It does not start, or prints no address.
    pub fn new(oomc: &str, args: &[&str]) -> io::Result<Self> {
        let mut command = Command::new(oomc);
        let mut child = command.arg("play").args(args).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let none = || io::Error::other("it prints no address");
        let mut address = String::new();
        BufReader::new(child.stdout.take().ok_or_else(none)?).read_line(&mut address)?;
        let address = address.trim().to_owned();
        let inside = address.strip_prefix("http://").and_then(|inside| inside.split_once('/'));
        let (server, rest) = inside.ok_or_else(none)?;
        let path = rest.split_once('#').map_or(rest, |(path, _)| path);
        let (server, path) = (server.to_owned(), format!("/{path}"));
        Ok(Self { child, address, server, path })
    }

    /// A part of the page.
    ///
    /// # Errors
    /// It does not answer.
    pub fn get(&self, part: &str) -> io::Result<Answer> {
        let text = request("GET", &format!("{}{part}", self.path), &[("Host", &self.server)], "");
        send(&self.server, text.as_bytes())
    }

    /// As the page asks, with other fields in the place of the page's own; an empty one is left out.
    ///
    /// # Errors
    /// It does not answer.
    pub fn post_as(&self, what: &str, body: &str, other: &[(&str, &str)]) -> io::Result<Answer> {
        let own = format!("http://{}", self.server);
        let mut fields = vec![
            ("Host", self.server.as_str()),
            ("Origin", own.as_str()),
            ("Content-Type", "application/json"),
            ("Sec-Fetch-Site", "same-origin"),
        ];
        for (name, value) in other {
            fields.retain(|(known, _)| known != name);
            fields.extend((!value.is_empty()).then_some((*name, *value)));
        }
        let text = request("POST", &format!("{}{what}", self.path), &fields, body);
        send(&self.server, text.as_bytes())
    }

    /// What the page would get.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub fn ask(&self, what: &str, sent: &Value) -> io::Result<Value> {
        let answer = self.post_as(what, &sent.to_string(), &[])?;
        match answer.status {
            200 => Ok(serde_json::from_str(&answer.body)?),
            _ => Err(io::Error::other(answer.body)),
        }
    }

    /// What the page begins with.
    ///
    /// # Errors
    /// It does not answer.
    pub fn begin(&self) -> io::Result<Value> {
        Ok(serde_json::from_str(&self.get("begin")?.body)?)
    }

    /// A machine after a change.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub fn edited(&self, machine: &str, edit: &Value) -> io::Result<String> {
        let told = self.ask("machine", &json!({ "machine": machine, "edit": edit }))?;
        told["machine"].as_str().map(str::to_owned).ok_or_else(|| io::Error::other(told.to_string()))
    }
}

impl Drop for Playground {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
