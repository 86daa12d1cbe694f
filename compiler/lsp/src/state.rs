//! The open documents, and what is known of them.
//!
//! Names and types are found out when they are first asked for after a change, at once; code is made in the
//! [`Background`]. Takes notifications, and gives what is to be published; questions are answered in
//! [`crate::requests`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use lsp_types::notification::{
    DidChangeTextDocument, DidCloseTextDocument, DidOpenTextDocument, Notification,
};
use lsp_types::{
    DidChangeTextDocumentParams, DidCloseTextDocumentParams, DidOpenTextDocumentParams, PositionEncodingKind,
    Uri,
};
use oomc_compiler::KernelView;
use oomc_compiler::diag::Diagnostic;
use serde_json::Value;

use crate::analysis::{Analysis, Side, Text};
use crate::background::{Background, Done, Job};
use crate::convert;
use crate::documents::Document;
use crate::lines::Encoding;

/// Why a message has no effect.
pub(crate) enum Problem {
    /// Its method is not known.
    Unknown,
    /// Its parameters are not what they should be.
    Params(String),
    /// It asks for what cannot be done; the sentence says why.
    Refused(String),
}

/// Reads a file that is not open; none if it cannot be read.
pub type Files<'a> = &'a dyn Fn(&Path) -> Option<String>;

/// What the client can do.
#[derive(Clone, Copy, Default)]
pub(crate) struct Client {
    /// Shows places besides the one that a diagnostic stands at.
    pub(crate) related: bool,
    /// Asks for diagnostics.
    pub(crate) pulls: bool,
    /// Asks again when it is told to.
    pub(crate) refreshes: bool,
    /// Fills in places of what it inserts.
    pub(crate) snippets: bool,
    pub(crate) encoding: Encoding,
}

/// What is known of one state of a policy and its tests.
struct Entry {
    state: u64,
    analysis: Arc<Analysis>,
    /// All that is to be said of the policy, once code was made of it.
    compiled: Option<Vec<Diagnostic>>,
}

/// What the server knows.
pub(crate) struct State<'a> {
    view: &'static KernelView,
    files: Files<'a>,
    background: Background,
    pub(crate) client: Client,
    /// By URI.
    pub(crate) documents: BTreeMap<String, Document>,
    /// URIs whose diagnostics the client does not know yet.
    changed: BTreeSet<String>,
    /// By the URI of the policy.
    entries: BTreeMap<String, Entry>,
    last_state: u64,
}

/// The policy of a file of tests; none if it is something else.
fn policy_of(uri: &str) -> Option<String> {
    uri.strip_suffix(".oomt").map(|stem| format!("{stem}.oom"))
}

/// The file of tests of a policy; none if its name does not end as one.
fn tests_of(uri: &str) -> Option<String> {
    uri.ends_with(".oom").then(|| format!("{uri}t"))
}

/// The URI of the policy that a document is, or that it tests, and which of them it is.
pub(crate) fn pair(uri: &str) -> (String, Side) {
    match policy_of(uri) {
        Some(policy) => (policy, Side::Tests),
        None => (uri.to_owned(), Side::Policy),
    }
}

/// The URI of one of the two.
pub(crate) fn uri_of(policy: &str, side: Side) -> Option<String> {
    match side {
        Side::Policy => Some(policy.to_owned()),
        Side::Tests => tests_of(policy),
    }
}

impl<'a> State<'a> {
    pub(crate) fn new(view: &'static KernelView, files: Files<'a>, background: Background) -> Self {
        Self {
            view,
            files,
            background,
            client: Client::default(),
            documents: BTreeMap::new(),
            changed: BTreeSet::new(),
            entries: BTreeMap::new(),
            last_state: 0,
        }
    }

    /// Takes what the client can do, says what the server can do.
    pub(crate) fn initialize(&mut self, params: &Value) -> Value {
        let can = |pointer: &str| params.pointer(&format!("/capabilities/{pointer}"));
        let is = |pointer: &str| can(pointer).and_then(Value::as_bool).unwrap_or(false);
        let encodings = can("general/positionEncodings").and_then(Value::as_array);
        let encodings = encodings.into_iter().flatten().filter_map(Value::as_str);
        let encodings: Vec<PositionEncodingKind> =
            encodings.map(|kind| PositionEncodingKind::from(kind.to_owned())).collect();
        self.client = Client {
            related: is("textDocument/publishDiagnostics/relatedInformation"),
            pulls: can("textDocument/diagnostic").is_some_and(Value::is_object),
            refreshes: is("workspace/diagnostics/refreshSupport"),
            snippets: is("textDocument/completion/completionItem/snippetSupport"),
            encoding: Encoding::agreed(&encodings),
        };
        convert::initialized(self.client)
    }

    /// A change of the documents.
    pub(crate) fn notification(&mut self, method: &str, params: Value) -> Result<(), Problem> {
        match method {
            DidOpenTextDocument::METHOD => {
                let DidOpenTextDocumentParams { text_document } = read(params)?;
                let lsp_types::TextDocumentItem { uri, version, text, .. } = text_document;
                let key = uri.as_str().to_owned();
                self.documents.insert(key.clone(), Document::new(uri, version, text));
                self.change(key);
            }
            DidChangeTextDocument::METHOD => {
                let DidChangeTextDocumentParams { text_document, content_changes } = read(params)?;
                let key = text_document.uri.as_str();
                let Some(document) = self.documents.get_mut(key) else {
                    return Err(Problem::Params(format!("`{key}` is not open")));
                };
                document.version = text_document.version;
                for change in &content_changes {
                    document.change(change, self.client.encoding);
                }
                self.change(key.to_owned());
            }
            DidCloseTextDocument::METHOD => {
                let DidCloseTextDocumentParams { text_document } = read(params)?;
                let key = text_document.uri.as_str().to_owned();
                if self.documents.remove(&key).is_some() {
                    self.change(key);
                }
            }
            _ => return Err(Problem::Unknown),
        }
        Ok(())
    }

    fn change(&mut self, key: String) {
        let (policy, _) = pair(&key);
        self.background.forget(&policy);
        self.entries.remove(&policy);
        // What is said of tests depends on their policy.
        self.changed.extend(tests_of(&key).filter(|tests| self.documents.contains_key(tests)));
        self.changed.insert(key);
    }

    /// What is known of a policy and its tests, found out now if it is not known yet.
    fn entry(&mut self, policy: &str) -> &mut Entry {
        let known = self.entries.remove(policy);
        let entry = known.unwrap_or_else(|| {
            self.last_state += 1;
            let (state, analysis) = (self.last_state, Arc::new(self.read(policy, false)));
            let has_meaning = analysis.checked().is_some_and(|checked| checked.policy().is_some());
            if has_meaning && self.documents.contains_key(policy) {
                let analysis = Arc::clone(&analysis);
                self.background.want(Job { key: policy.to_owned(), state, analysis });
            }
            Entry { state, analysis, compiled: None }
        });
        self.entries.entry(policy.to_owned()).or_insert(entry)
    }

    /// What is known of the policy that a document is, or that it tests.
    pub(crate) fn analysis(&mut self, key: &str) -> (Arc<Analysis>, Side) {
        let (policy, side) = pair(key);
        (Arc::clone(&self.entry(&policy).analysis), side)
    }

    /// Reads a policy and its tests: as they are open, or else as they lie in their files. Of tests that are not open
    /// nobody is told anything, so they are only read where they are asked for.
    pub(crate) fn read(&self, policy: &str, closed_tests: bool) -> Analysis {
        let tests_key = tests_of(policy);
        let tests = tests_key.as_ref().and_then(|key| self.documents.get(key));
        let beside = tests.map(|tests| &tests.uri);
        let text_of_policy = self.text(policy, beside, "oom");
        let tests = match tests {
            Some(tests) => Some((tests.name(), tests.text.clone())),
            None if closed_tests => {
                let beside = self.documents.get(policy).map(|policy| &policy.uri);
                tests_key.and_then(|key| self.text(&key, beside, "oomt"))
            }
            None => None,
        };
        let policy = text_of_policy.as_ref().map(|(name, text)| Text { name, text });
        let tests = tests.as_ref().map(|(name, text)| Text { name, text });
        Analysis::new(policy, tests, self.view)
    }

    /// Name and text of a document: as it is open, or else as it lies in its file, beside another document.
    fn text(&self, key: &str, beside: Option<&Uri>, extension: &str) -> Option<(String, String)> {
        if let Some(document) = self.documents.get(key) {
            return Some((document.name(), document.text.clone()));
        }
        let path = convert::path(beside?)?.with_extension(extension);
        let name = path.file_name()?.to_string_lossy().into_owned();
        Some((name, (self.files)(&path)?))
    }

    /// All that is known to be wrong with a document now, and a word for this state of knowledge.
    pub(crate) fn said(&mut self, key: &str) -> (Vec<Diagnostic>, String) {
        let (policy, side) = pair(key);
        let entry = self.entry(&policy);
        let said = match (&entry.compiled, side) {
            (Some(all), Side::Policy) => all.as_slice(),
            _ => entry.analysis.said.of(side),
        };
        (said.to_vec(), format!("{}{}", entry.state, if entry.compiled.is_some() { "+" } else { "" }))
    }

    /// What to publish of the next document that changed; nothing if none did.
    pub(crate) fn next_diagnostics(&mut self) -> Option<Vec<Value>> {
        let first = self.changed.pop_first()?;
        // Who asks is not told.
        if self.client.pulls {
            return Some(Vec::new());
        }
        if !self.documents.contains_key(&first) {
            return Some(vec![convert::published(&first, None, Vec::new())]);
        }
        let (said, _) = self.said(&first);
        Some(self.published(&first, &said).into_iter().collect())
    }

    /// The message that tells what is said of an open document.
    fn published(&self, key: &str, said: &[Diagnostic]) -> Option<Value> {
        let document = self.documents.get(key)?;
        let lines = document.lines(self.client.encoding);
        let related = self.client.related.then_some(&document.uri);
        let list = said.iter().map(|one| convert::diagnostic(one, &lines, related)).collect();
        Some(convert::published(key, Some(document.version), list))
    }

    /// Takes what the background has found out; whether there is more to say now.
    pub(crate) fn compiled(&mut self, done: Done) -> bool {
        let Some(entry) = self.entries.get_mut(&done.key).filter(|entry| entry.state == done.state) else {
            return false;
        };
        let news = entry.analysis.said.policy != done.policy;
        entry.compiled = Some(done.policy);
        if news {
            self.changed.insert(done.key);
        }
        news
    }
}

pub(crate) fn read<T: for<'de> serde::Deserialize<'de>>(params: Value) -> Result<T, Problem> {
    serde_json::from_value(params).map_err(|error| Problem::Params(error.to_string()))
}
