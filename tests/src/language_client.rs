//! A client of the language server: the real program, messages over pipes.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::should_implement_trait,
    clippy::needless_pass_by_value,
    reason = "a server that cannot be talked to has failed, and the test with it"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// More than a slow machine under load needs, less than a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program with its pipes.
pub struct Client {
    child: Child,
    /// None once it is closed.
    pub input: Option<ChildStdin>,
    messages: Receiver<Value>,
    /// The number of the last request.
    pub last_id: i32,
}

impl Client {
    /// Starts the program.
    #[must_use]
    pub fn start(oomc: &str, args: &[&str]) -> Self {
        let mut child = Command::new(oomc)
            .arg("lsp")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (sender, messages) = channel();
        thread::spawn(move || {
            loop {
                let mut length = None;
                loop {
                    let mut line = String::new();
                    if output.read_line(&mut line).unwrap() == 0 {
                        return;
                    }
                    let line = line.strip_suffix("\r\n").unwrap();
                    if line.is_empty() {
                        break;
                    }
                    length = line.strip_prefix("Content-Length: ").map(|number| number.parse().unwrap());
                }
                let mut body = vec![0; length.unwrap()];
                output.read_exact(&mut body).unwrap();
                let message: Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(message["jsonrpc"], "2.0");
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let input = child.stdin.take();
        Self { child, input, messages, last_id: 0 }
    }

    /// Starts the program and greets it, as an editor with these capabilities.
    #[must_use]
    pub fn open(oomc: &str, capabilities: &Value) -> Self {
        let mut client = Self::start(oomc, &[]);
        let answer = client.ask("initialize", json!({ "processId": null, "capabilities": capabilities }));
        let can = &answer["result"]["capabilities"];
        assert_eq!(can["textDocumentSync"], json!({ "openClose": true, "change": 2 }), "{answer}");
        client.tell("initialized", json!({}));
        client
    }

    /// Writes bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.input.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// Sends a message.
    pub fn send(&mut self, message: &Value) {
        let body = message.to_string();
        self.raw(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    }

    /// Sends a notification.
    pub fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// The next message.
    pub fn next(&mut self) -> Value {
        match self.messages.recv_timeout(PATIENCE) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => panic!("the server is silent"),
            Err(RecvTimeoutError::Disconnected) => panic!("the server is gone: {:?}", self.child.wait()),
        }
    }

    /// Sends a request; its answer is the next message.
    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        let answer = self.next();
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// The code of the error that a request is answered with.
    pub fn refused(&mut self, method: &str, params: Value) -> i64 {
        let answer = self.ask(method, params);
        answer["error"]["code"].as_i64().unwrap_or_else(|| panic!("{method}: {answer}"))
    }

    /// Opens a document.
    pub fn did_open(&mut self, uri: &str, text: &str) {
        let document = json!({ "uri": uri, "languageId": "oom", "version": 1, "text": text });
        self.tell("textDocument/didOpen", json!({ "textDocument": document }));
    }

    /// Changes a whole document.
    pub fn did_change(&mut self, uri: &str, version: i32, text: &str) {
        let document = json!({ "uri": uri, "version": version });
        let changes = json!([{ "text": text }]);
        self.tell("textDocument/didChange", json!({ "textDocument": document, "contentChanges": changes }));
    }

    /// The next list of diagnostics, which is about this document.
    pub fn published(&mut self, uri: &str) -> Value {
        let message = self.next();
        assert_eq!(message["method"], "textDocument/publishDiagnostics", "{message}");
        assert_eq!(message["params"]["uri"], uri, "{message}");
        message["params"].clone()
    }

    /// `CODE line:character-line:character` of the next list.
    pub fn places(&mut self, uri: &str) -> Vec<String> {
        places(&self.published(uri))
    }

    /// The exit code.
    #[must_use]
    pub fn exit_code(mut self) -> i32 {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap();
            }
            assert!(start.elapsed() < PATIENCE, "the server does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Says goodbye as agreed.
    pub fn close(mut self) {
        assert_eq!(self.ask("shutdown", Value::Null)["result"], Value::Null);
        self.tell("exit", Value::Null);
        assert_eq!(self.exit_code(), 0);
    }

    /// What is said of a text in a document of its own.
    pub fn published_of(&mut self, text: &str) -> Vec<String> {
        let uri = "untitled:other";
        self.did_open(uri, text);
        let found = self.places(uri);
        self.tell("textDocument/didClose", json!({ "textDocument": { "uri": uri } }));
        self.published(uri);
        found
    }

    /// The result of a request about a document, or of a place in it.
    pub fn about(&mut self, method: &str, uri: &str, more: Value) -> Value {
        let mut params = json!({ "textDocument": { "uri": uri } });
        if let (Value::Object(params), Value::Object(more)) = (&mut params, more) {
            params.extend(more);
        }
        self.ask(method, params)["result"].clone()
    }
}

/// `CODE line:character-line:character` of a list.
#[must_use]
pub fn places(params: &Value) -> Vec<String> {
    let point = |point: &Value| format!("{}:{}", point["line"], point["character"]);
    let list = params["diagnostics"].as_array().unwrap();
    list.iter()
        .map(|one| {
            assert_eq!(one["source"], "oomc", "{one}");
            let code = one["code"].as_str().unwrap();
            format!("{code} {}-{}", point(&one["range"]["start"]), point(&one["range"]["end"]))
        })
        .collect()
}
