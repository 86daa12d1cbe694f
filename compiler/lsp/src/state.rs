//! The open documents, and what is asked about them.
//!
//! Whole documents: a change brings the whole text, and the whole text is compiled anew. Takes and gives the
//! parameters and results of messages; what they say comes from [`crate::ide`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use lsp_types::notification::{
    DidChangeTextDocument, DidCloseTextDocument, DidOpenTextDocument, Notification,
};
use lsp_types::request::{CodeActionRequest, Formatting, HoverRequest, Request};
use lsp_types::{
    CodeActionParams, DidChangeTextDocumentParams, DidCloseTextDocumentParams, DidOpenTextDocumentParams,
    DocumentFormattingParams, Hover, HoverParams,
};
use oomc_compiler::KernelView;
use oomc_compiler::diag::Diagnostic;
use serde_json::Value;

use crate::convert::{self, Lines};
use crate::ide;
use crate::ide::diagnostics::{Said, Text};

/// An open document.
struct Document {
    uri: lsp_types::Uri,
    version: i32,
    text: String,
}

impl Document {
    /// Its name and its text.
    fn named(&self) -> (String, String) {
        (convert::name(&self.uri), self.text.clone())
    }
}

/// Why a message has no effect.
pub(crate) enum Problem {
    /// Its method is not known.
    Unknown,
    /// Its parameters are not what they should be.
    Params(String),
}

/// Reads a file that is not open; none if it cannot be read.
pub type Files<'a> = &'a dyn Fn(&Path) -> Option<String>;

/// What the server knows.
pub(crate) struct State<'a> {
    view: KernelView,
    files: Files<'a>,
    /// The client shows places besides the one that a diagnostic stands at.
    related: bool,
    /// By URI.
    documents: BTreeMap<String, Document>,
    /// URIs whose diagnostics the client does not know yet.
    changed: BTreeSet<String>,
}

/// The policy of a file of tests; none if it is something else.
fn policy_of(uri: &str) -> Option<String> {
    uri.strip_suffix(".oomt").map(|stem| format!("{stem}.oom"))
}

/// The file of tests of a policy; none if its name does not end as one.
fn tests_of(uri: &str) -> Option<String> {
    uri.ends_with(".oom").then(|| format!("{uri}t"))
}

impl<'a> State<'a> {
    pub(crate) fn new(view: KernelView, files: Files<'a>) -> Self {
        Self { view, files, related: false, documents: BTreeMap::new(), changed: BTreeSet::new() }
    }

    /// Takes what the client can do, says what the server can do.
    pub(crate) fn initialize(&mut self, params: &Value) -> Value {
        let related = "/capabilities/textDocument/publishDiagnostics/relatedInformation";
        self.related = params.pointer(related).and_then(Value::as_bool).unwrap_or(false);
        convert::initialized()
    }

    /// A change of the documents.
    pub(crate) fn notification(&mut self, method: &str, params: Value) -> Result<(), Problem> {
        match method {
            DidOpenTextDocument::METHOD => {
                let DidOpenTextDocumentParams { text_document } = read(params)?;
                let lsp_types::TextDocumentItem { uri, version, text, .. } = text_document;
                self.set(Document { uri, version, text });
            }
            DidChangeTextDocument::METHOD => {
                let DidChangeTextDocumentParams { text_document, content_changes } = read(params)?;
                let key = text_document.uri.as_str();
                if !self.documents.contains_key(key) {
                    return Err(Problem::Params(format!("`{key}` is not open")));
                }
                // A part of a document was not agreed upon.
                if content_changes.iter().any(|change| change.range.is_some()) {
                    return Err(Problem::Params("a change brings the whole text".to_owned()));
                }
                if let Some(change) = content_changes.into_iter().next_back() {
                    let lsp_types::VersionedTextDocumentIdentifier { uri, version } = text_document;
                    self.set(Document { uri, version, text: change.text });
                }
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

    fn set(&mut self, document: Document) {
        let key = document.uri.as_str().to_owned();
        self.change(key.clone());
        self.documents.insert(key, document);
    }

    fn change(&mut self, key: String) {
        // What is said of tests depends on their policy.
        self.changed.extend(tests_of(&key).filter(|tests| self.documents.contains_key(tests)));
        self.changed.insert(key);
    }

    /// Name and text of the policy that tests are about: as it is open, or else as it lies in its file.
    fn policy(&self, tests: &lsp_types::Uri, key: &str) -> Option<(String, String)> {
        if let Some(policy) = self.documents.get(key) {
            return Some(policy.named());
        }
        let path = convert::path(tests)?.with_extension("oom");
        let name = path.file_name()?.to_string_lossy().into_owned();
        Some((name, (self.files)(&path)?))
    }

    /// What to publish of a policy and its tests, of which one or both changed; nothing if nothing did.
    pub(crate) fn next_diagnostics(&mut self) -> Option<Vec<Value>> {
        let first = self.changed.pop_first()?;
        let (policy, tests) = match policy_of(&first) {
            Some(policy) => (policy, Some(first.clone())),
            None => (first.clone(), tests_of(&first)),
        };
        let mut publish = |key: &str| self.changed.remove(key) || *key == first;
        let (of_policy, of_tests) = (publish(&policy), tests.as_deref().is_some_and(publish));
        let tests = tests.filter(|_| of_tests);
        let said = self.said(&policy, tests.as_deref(), of_policy && self.documents.contains_key(&policy));
        let policy = of_policy.then(|| self.published(&policy, &said.policy));
        let tests = tests.map(|tests| self.published(&tests, &said.tests));
        Some(policy.into_iter().chain(tests).collect())
    }

    /// What is to be said of a policy, if it has changed, and of the tests that have.
    fn said(&self, policy: &str, tests: Option<&str>, changed: bool) -> Said {
        let tests = tests.and_then(|tests| self.documents.get(tests));
        let policy = match tests {
            Some(tests) => self.policy(&tests.uri, policy),
            None => self.documents.get(policy).map(Document::named),
        };
        let tests = tests.map(Document::named);
        let tests = tests.as_ref().map(|(name, text)| Text { name, text });
        match (&policy, tests) {
            (Some(_), None) if !changed => Said::default(),
            (Some((name, text)), tests) => {
                ide::diagnostics::of_policy(Text { name, text }, tests, changed, &self.view)
            }
            (None, Some(tests)) => Said { tests: ide::diagnostics::of_tests(tests), ..Said::default() },
            (None, None) => Said::default(),
        }
    }

    /// The message that tells what is said of a document. Of one that is closed all is taken back.
    fn published(&self, key: &str, said: &[Diagnostic]) -> Value {
        let Some(Document { uri, version, text }) = self.documents.get(key) else {
            return convert::published(key, None, Vec::new());
        };
        let lines = Lines::new(text);
        let related = self.related.then_some(uri);
        let list = said.iter().map(|one| convert::diagnostic(one, &lines, related)).collect();
        convert::published(key, Some(*version), list)
    }

    /// The answer to a question.
    pub(crate) fn request(&self, method: &str, params: Value) -> Result<Value, Problem> {
        match method {
            HoverRequest::METHOD => {
                let HoverParams { text_document_position_params: at, .. } = read(params)?;
                Ok(convert::value(self.documents.get(at.text_document.uri.as_str()).and_then(|document| {
                    let lines = Lines::new(&document.text);
                    let (range, text) = ide::hover::hover(&document.text, lines.offset(at.position))?;
                    Some(Hover { contents: convert::markdown(text), range: Some(lines.range(range)) })
                })))
            }
            Formatting::METHOD => {
                // How wide and with which signs to indent is not the editor's choice: the form is one.
                let DocumentFormattingParams { text_document, .. } = read(params)?;
                Ok(convert::value(
                    self.documents
                        .get(text_document.uri.as_str())
                        .map(|document| convert::edits(&document.text, ide::format::format(&document.text))),
                ))
            }
            CodeActionRequest::METHOD => {
                let CodeActionParams { text_document, range, context, .. } = read(params)?;
                let wanted = context.only.as_deref().is_none_or(convert::wants_fixes);
                let document = self.documents.get(text_document.uri.as_str()).filter(|_| wanted);
                Ok(convert::value(document.map(|document| self.fixes(document, range))))
            }
            _ => Err(Problem::Unknown),
        }
    }

    /// What can be repaired in a stretch of a document.
    fn fixes(&self, document: &Document, range: lsp_types::Range) -> Vec<lsp_types::CodeAction> {
        let key = document.uri.as_str();
        let said = match policy_of(key) {
            Some(policy) => self.said(&policy, Some(key), false).tests,
            None => self.said(key, tests_of(key).as_deref(), true).policy,
        };
        let lines = Lines::new(&document.text);
        let at = lines.offset(range.start)..lines.offset(range.end);
        let related = self.related.then_some(&document.uri);
        let found = ide::fixes::touching(&said, &at);
        found
            .into_iter()
            .map(|(one, fix)| {
                convert::action(&document.uri, convert::diagnostic(one, &lines, related), fix, &lines)
            })
            .collect()
    }
}

fn read<T: for<'de> serde::Deserialize<'de>>(params: Value) -> Result<T, Problem> {
    serde_json::from_value(params).map_err(|error| Problem::Params(error.to_string()))
}
