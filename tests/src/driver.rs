//! Drives a browser as somebody would who sits before it: Chromium, by WebDriver (Debian packages chromium and
//! chromium-driver).
//!
//! Takes what is to be clicked and typed, gives what stands on the page. Knows nothing of what a page is for.
//! WebDriver is JSON over HTTP: <https://www.w3.org/TR/webdriver2/>.

#![expect(clippy::indexing_slicing, reason = "of a JSON value an index that is not there gives null")]

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::browser::QUIET;
use crate::http;

/// How long something may take to be on a page.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a browser needs besides in a container, and that it does not ask to be the usual one.
const CONTAINED: [&str; 2] = ["--disable-dev-shm-usage", "--no-default-browser-check"];

/// How WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Keys that have no letter.
#[expect(missing_docs, reason = "the names say it")]
pub mod keys {
    pub const TAB: &str = "\u{e004}";
    pub const ENTER: &str = "\u{e007}";
    pub const CONTROL: &str = "\u{e009}";
    pub const BACKSPACE: &str = "\u{e003}";
    pub const END: &str = "\u{e010}";
}

/// A browser with one window.
#[derive(Debug)]
pub struct Driver {
    child: Child,
    server: String,
    session: String,
    folder: PathBuf,
}

/// Whether this machine has what a [`Driver`] needs; otherwise a sentence, for whoever runs tests by hand.
#[must_use]
pub fn lacks() -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &str| std::env::split_paths(&path).any(|folder| folder.join(program).exists());
    let missing: Vec<&str> = ["chromium", "chromedriver"].into_iter().filter(|one| !is_there(one)).collect();
    (!missing.is_empty()).then(|| {
        let missing = missing.join(" and ");
        format!("skipped: there is no {missing} (Debian packages chromium and chromium-driver)")
    })
}

impl Driver {
    /// Starts a browser with a window of this size; `dark`: whoever sits before it wants light text on a dark ground.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn new(width: u32, height: u32, dark: bool) -> io::Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("oomc-driver-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let mut command = Command::new("chromedriver");
        // The browser keeps what it keeps, also besides its profile, in a folder that goes with it.
        command.arg("--port=0").env("HOME", &folder).env("TMPDIR", &folder).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let output = child.stdout.take().ok_or_else(|| io::Error::other("it says nothing"))?;
        let port = BufReader::new(output).lines().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            Some(port.trim_end_matches('.').to_owned())
        });
        let port = port.ok_or_else(|| io::Error::other("chromedriver does not say its port"))?;
        let server = format!("127.0.0.1:{port}");
        let mut driver = Self { child, server, session: String::new(), folder };
        let mut arguments: Vec<String> =
            QUIET.iter().chain(&CONTAINED).map(|one| (*one).to_owned()).collect();
        arguments.push(format!("--user-data-dir={}", driver.folder.join("profile").display()));
        arguments.push(format!("--window-size={width},{height}"));
        if dark {
            arguments.push("--blink-settings=preferredColorScheme=0".to_owned());
        }
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let session = driver.ask("POST", "", &wanted)?;
        driver.session = session["sessionId"].as_str().unwrap_or_default().to_owned();
        // A window may not be narrower than 500 pixels; what it shows may be.
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        driver.devtools("Emulation.setDeviceMetricsOverride", &metrics)?;
        Ok(driver)
    }

    /// Opens an address, and waits until the page has loaded.
    ///
    /// # Errors
    /// The browser says why.
    pub fn open(&self, address: &str) -> io::Result<()> {
        self.ask("POST", "/url", &json!({ "url": address })).map(drop)
    }

    /// What a script of the test gives; it runs beside the scripts of the page.
    ///
    /// # Errors
    /// The script has failed.
    pub fn run(&self, script: &str, arguments: &Value) -> io::Result<Value> {
        self.ask("POST", "/execute/sync", &json!({ "script": script, "args": arguments }))
    }

    /// Waits until a script gives something other than null and false.
    ///
    /// # Errors
    /// It does not, or it fails.
    pub fn wait(&self, script: &str) -> io::Result<Value> {
        let start = Instant::now();
        loop {
            match self.run(script, &json!([]))? {
                Value::Null | Value::Bool(false) if start.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Value::Null | Value::Bool(false) => {
                    let text = format!("this did not come true: {script}");
                    return Err(io::Error::new(io::ErrorKind::TimedOut, text));
                }
                value => return Ok(value),
            }
        }
    }

    /// Clicks on an element; `script` gives it.
    ///
    /// # Errors
    /// There is none, or something lies over it.
    pub fn click(&self, script: &str) -> io::Result<()> {
        let element = self.wait(script)?;
        let id = element[ELEMENT].as_str().ok_or_else(|| io::Error::other("it is no element"))?;
        self.ask("POST", &format!("/element/{id}/click"), &json!({})).map(drop)
    }

    /// Types into whatever has the keyboard; a key of [`keys`] that is held goes with all that follows.
    ///
    /// # Errors
    /// The browser says why.
    pub fn type_keys(&self, text: &str) -> io::Result<()> {
        let mut actions = Vec::new();
        let mut held = false;
        for key in text.chars().map(String::from) {
            actions.push(json!({ "type": "keyDown", "value": key }));
            if key == keys::CONTROL {
                held = true;
            } else {
                actions.push(json!({ "type": "keyUp", "value": key }));
            }
        }
        if held {
            actions.push(json!({ "type": "keyUp", "value": keys::CONTROL }));
        }
        let actions = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] });
        self.ask("POST", "/actions", &actions).map(drop)
    }

    /// What the browser has complained about since this was asked last: errors of scripts, and what a page was refused.
    ///
    /// # Errors
    /// The browser says why.
    pub fn complaints(&self) -> io::Result<Vec<String>> {
        let log = self.ask("POST", "/se/log", &json!({ "type": "browser" }))?;
        let lines = log.as_array().cloned().unwrap_or_default();
        let is_bad = |line: &&Value| line["level"] == "SEVERE" || line["level"] == "WARNING";
        Ok(lines.iter().filter(is_bad).map(|line| line["message"].to_string()).collect())
    }

    /// A picture of the window, as base64 of a PNG.
    ///
    /// # Errors
    /// The browser says why.
    pub fn picture(&self) -> io::Result<String> {
        let whole = json!({ "captureBeyondViewport": true });
        let taken = self.devtools("Page.captureScreenshot", &whole)?;
        Ok(taken["data"].as_str().unwrap_or_default().to_owned())
    }

    fn devtools(&self, command: &str, arguments: &Value) -> io::Result<Value> {
        self.ask("POST", "/goog/cdp/execute", &json!({ "cmd": command, "params": arguments }))
    }

    fn ask(&self, method: &str, path: &str, sent: &Value) -> io::Result<Value> {
        let session = if self.session.is_empty() { String::new() } else { format!("/{}", self.session) };
        let fields = [("Host", self.server.as_str()), ("Content-Type", "application/json")];
        let request = http::request(method, &format!("/session{session}{path}"), &fields, &sent.to_string());
        let answer = http::send(&self.server, request.as_bytes())?;
        let mut told: Value = serde_json::from_str(&answer.body)?;
        let value = told["value"].take();
        match answer.status {
            200 => Ok(value),
            _ => Err(io::Error::other(format!("{}: {}", value["error"], value["message"]))),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The browser ends with its session, and is left alone if it does not answer.
        if !self.session.is_empty() {
            let _ = self.ask("DELETE", "", &json!({}));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
