//! The open documents, and what is known of them.
//!
//! Names and types are found out when they are first asked for after a change, at once; code is made in the
//! [`Background`]. Takes notifications, and gives what is to be published; questions are answered in
//! [`crate::requests`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lsp_types::notification::{
    DidChangeTextDocument, DidChangeWorkspaceFolders, DidCloseTextDocument, DidOpenTextDocument, Notification,
};
use lsp_types::{
    DidChangeTextDocumentParams, DidChangeWorkspaceFoldersParams, DidCloseTextDocumentParams,
    DidOpenTextDocumentParams, PositionEncodingKind, Uri, WorkspaceFolder,
};
use oomc_compiler::diag::{Diagnostic, codes};
use oomc_compiler::{KernelView, Source};
use oomc_settings::{NAME, Settings};
use serde_json::Value;

use crate::analysis::{Analysis, Side, Text};
use crate::background::{Background, Done, Job};
use crate::convert;
use crate::documents::Document;
use crate::lines::Encoding;
use crate::sent::Sent;
use crate::tried::{Lens, Machine, Machines};

/// Why a message has no effect.
pub(crate) enum Problem {
    /// Its method is not known.
    Unknown,
    /// Its parameters are not what they should be.
    Params(String),
    /// It asks for what cannot be done; the sentence says why.
    Refused(String),
}

/// Reads a file that is not open; none if there is no such file.
///
/// A file that is there and cannot be read is an error, the reason of which does not name it: what stands in it may
/// matter, so it is not the same as none.
pub type Files<'a> = &'a dyn Fn(&Path) -> Result<Option<String>, String>;

/// The kernel whose types are in a file that the settings of a folder name, or why there is none.
pub type Kernels<'a> = &'a dyn Fn(&Path) -> Result<&'static KernelView, String>;

/// The policies in a folder and below it, in the order of their paths; a part of them where there are very many.
pub type Policies<'a> = &'a dyn Fn(&Path) -> Vec<PathBuf>;

/// What is not in the messages of a client.
#[derive(Clone, Copy)]
pub struct Outside<'a> {
    /// For policies whose settings name none.
    pub view: &'static KernelView,
    /// Texts that are not open.
    pub files: Files<'a>,
    /// Kernels that settings name.
    pub kernels: Kernels<'a>,
    /// On which rules are tried.
    pub machines: Machines,
    /// What lies in the folders that are open.
    pub policies: Policies<'a>,
}

/// What the client can do.
#[derive(Clone, Copy, Default)]
pub(crate) struct Client {
    /// Shows places besides the one that a diagnostic stands at.
    pub(crate) related: bool,
    /// Asks for diagnostics.
    pub(crate) pulls: bool,
    /// Asks for diagnostics again when it is told to.
    pub(crate) refreshes: bool,
    /// Asks for lenses again when it is told to.
    pub(crate) refreshes_lenses: bool,
    /// Fills in places of what it inserts.
    pub(crate) snippets: bool,
    pub(crate) encoding: Encoding,
}

/// What is known of one state of a policy and its tests.
struct Entry {
    state: u64,
    analysis: Arc<Analysis>,
    /// Which warnings are told.
    settings: Settings,
    /// Why the settings cannot be read; then every warning is told.
    unread: Option<Diagnostic>,
    /// All that is to be said of the policy, once code was made of it.
    compiled: Option<Vec<Diagnostic>>,
    /// What its tests and rules do, as far as that was found out.
    lenses: Vec<Lens>,
}

/// What holds in the folder of a policy.
pub(crate) struct Around {
    pub(crate) settings: Settings,
    pub(crate) view: &'static KernelView,
    /// The file of the machine on which its rules are tried.
    recorded: Option<PathBuf>,
    /// Why the settings cannot be read.
    unread: Option<Diagnostic>,
}

/// Whether there is more to say now than before.
#[derive(Clone, Copy, Default)]
pub(crate) struct News {
    pub(crate) said: bool,
    pub(crate) lenses: bool,
}

/// What the server knows.
pub(crate) struct State<'a> {
    pub(crate) outside: Outside<'a>,
    background: Background,
    /// On which rules are tried: the one that the client names, which is stronger than settings.
    machine: Option<Arc<Machine>>,
    /// Those that settings name, by file.
    recorded: BTreeMap<PathBuf, Arc<Machine>>,
    /// The cgroup that runs out of memory there.
    oom: Option<String>,
    pub(crate) client: Client,
    /// The folders that are open.
    pub(crate) folders: Vec<PathBuf>,
    /// By URI.
    pub(crate) documents: BTreeMap<String, Document>,
    pub(crate) sent: Sent,
    /// URIs whose diagnostics the client does not know yet.
    changed: BTreeSet<String>,
    /// By the URI of the policy.
    entries: BTreeMap<String, Entry>,
    /// What was known of open policies before they changed, by URI.
    before: BTreeMap<String, Arc<Analysis>>,
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

/// The folder that a URI names; none if it is not one of this machine.
fn folder(uri: &str) -> Option<PathBuf> {
    convert::path(&uri.parse().ok()?)
}

/// Whether an option's value is of its kind.
type Fits = fn(&Value) -> bool;

/// The initialization options, and what each is.
const OPTIONS: [(&str, Fits, &str); 3] = [
    ("snapshot", Value::is_string, "a text"),
    ("oom", Value::is_string, "a text"),
    ("thisMachine", Value::is_boolean, "true or false"),
];

/// What of the client's options has no effect: a word that is none, or a value of another kind. `null` says nothing.
fn wrong_options(options: &Value) -> Vec<String> {
    let options = match options {
        Value::Object(options) => options,
        Value::Null => return Vec::new(),
        _ => return vec!["the initialization options are no object, and count as not there".to_owned()],
    };
    let mut wrong = Vec::new();
    for (name, value) in options.iter().filter(|(_, value)| !value.is_null()) {
        match OPTIONS.iter().find(|(known, ..)| known == name) {
            Some((_, fits, _)) if fits(value) => {}
            Some((.., what)) => {
                wrong.push(format!("the option `{name}` is {what}; what stands there counts as nothing"));
            }
            None => {
                let known = OPTIONS.map(|(known, ..)| format!("`{known}`")).join(", ");
                wrong.push(format!("there is no option `{name}`; there are {known}"));
            }
        }
    }
    wrong
}

impl<'a> State<'a> {
    pub(crate) fn new(outside: Outside<'a>, background: Background) -> Self {
        Self {
            outside,
            background,
            machine: None,
            recorded: BTreeMap::new(),
            oom: None,
            client: Client::default(),
            folders: Vec::new(),
            documents: BTreeMap::new(),
            sent: Sent::default(),
            changed: BTreeSet::new(),
            entries: BTreeMap::new(),
            before: BTreeMap::new(),
            last_state: 0,
        }
    }

    /// Takes the machine that the client names, in a file or this one; what is wrong with what it says.
    pub(crate) fn choose_machine(&mut self, params: &Value) -> Vec<String> {
        let options = params.get("initializationOptions").unwrap_or(&Value::Null);
        let mut wrong = wrong_options(options);
        let chosen = |key: &str| options.get(key).and_then(Value::as_str).map(str::to_owned);
        let this = options.get("thisMachine").and_then(Value::as_bool).unwrap_or(false);
        self.oom = chosen("oom");
        let file = chosen("snapshot").map(PathBuf::from);
        if file.is_none() && !this {
            return wrong;
        }
        let machine = Arc::new(Machine::new(self.outside.machines, file, self.oom.clone()));
        let unread = machine.read().err();
        self.machine = unread.is_none().then_some(machine);
        wrong.extend(unread.map(|why| format!("the machine on which rules are tried: {why}")));
        wrong
    }

    /// The machine that settings name, if the client names none.
    fn machine_of(&mut self, recorded: Option<PathBuf>) -> Option<Arc<Machine>> {
        let (machines, oom) = (self.outside.machines, &self.oom);
        let of_settings = recorded.map(|file| {
            let new = |file: &PathBuf| Arc::new(Machine::new(machines, Some(file.clone()), oom.clone()));
            Arc::clone(self.recorded.entry(file.clone()).or_insert_with(|| new(&file)))
        });
        self.machine.clone().or(of_settings)
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
            refreshes_lenses: is("workspace/codeLens/refreshSupport"),
            snippets: is("textDocument/completion/completionItem/snippetSupport"),
            encoding: Encoding::agreed(&encodings),
        };
        let folders = params.get("workspaceFolders").and_then(Value::as_array);
        let uris = folders.into_iter().flatten().filter_map(|folder| folder.get("uri")?.as_str());
        self.folders = uris.filter_map(folder).collect();
        if self.folders.is_empty() {
            self.folders.extend(params.get("rootUri").and_then(Value::as_str).and_then(folder));
        }
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
                    self.sent.forget(&key);
                    self.change(key);
                }
            }
            DidChangeWorkspaceFolders::METHOD => {
                let DidChangeWorkspaceFoldersParams { event } = read(params)?;
                let paths = |folders: &[WorkspaceFolder]| -> Vec<PathBuf> {
                    folders.iter().filter_map(|one| folder(one.uri.as_str())).collect()
                };
                let (gone, come) = (paths(&event.removed), paths(&event.added));
                self.folders.retain(|folder| !gone.contains(folder));
                self.folders.extend(come);
            }
            _ => return Err(Problem::Unknown),
        }
        Ok(())
    }

    fn change(&mut self, key: String) {
        let (policy, _) = pair(&key);
        self.background.forget(&policy);
        let known = self.entries.remove(&policy);
        if self.documents.contains_key(&policy) {
            self.before.extend(known.map(|entry| (policy, entry.analysis)));
        } else {
            self.before.remove(&policy);
        }
        // What is said of tests depends on their policy.
        self.changed.extend(tests_of(&key).filter(|tests| self.documents.contains_key(tests)));
        self.changed.insert(key);
    }

    /// What is known of a policy and its tests, found out now if it is not known yet.
    fn entry(&mut self, policy: &str) -> &mut Entry {
        let known = self.entries.remove(policy);
        let entry = known.unwrap_or_else(|| {
            self.last_state += 1;
            let before = self.before.remove(policy);
            let Around { settings, view, recorded, unread } = self.around(policy);
            let analysis = Arc::new(self.read(policy, view, false, before.as_deref()));
            let state = self.last_state;
            let has_meaning = analysis.checked().is_some_and(|checked| checked.policy().is_some());
            let is_open = |key: &str| self.documents.contains_key(key);
            if has_meaning && (is_open(policy) || tests_of(policy).is_some_and(|tests| is_open(&tests))) {
                let (analysis, machine) = (Arc::clone(&analysis), self.machine_of(recorded));
                self.background.want(Job { key: policy.to_owned(), state, analysis, machine });
            }
            Entry { state, analysis, settings, unread, compiled: None, lenses: Vec::new() }
        });
        self.entries.entry(policy.to_owned()).or_insert(entry)
    }

    /// What `oomc.toml` says, in the policy's folder or the nearest one above that has it, and what it names; what cannot
    /// be read is told, and counts as not there.
    pub(crate) fn around(&self, policy: &str) -> Around {
        let path = policy.parse().ok().and_then(|uri| convert::path(&uri));
        let folders = path.iter().flat_map(|path| path.ancestors().skip(1));
        let mut files = folders.map(|folder| folder.join(NAME));
        let nothing =
            Around { settings: Settings::default(), view: self.outside.view, recorded: None, unread: None };
        let nearest = files.find_map(|file| Some(((self.outside.files)(&file).transpose()?, file)));
        let Some((text, file)) = nearest else { return nothing };
        let told = |why: &str| Some(Diagnostic::new(codes::SETTINGS, format!("{}: {why}", file.display())));
        // A file above is not meant where this one cannot be read.
        let text = match text {
            Ok(text) => text,
            Err(why) => return Around { unread: told(&why), ..nothing },
        };
        let settings = match Settings::read(&Source::new(NAME, text)) {
            Ok(settings) => settings,
            Err(problems) => {
                let why = problems.first().map_or("", |problem| &*problem.message);
                return Around { unread: told(why), ..nothing };
            }
        };
        let recorded = settings.snapshot.as_ref().map(|snapshot| file.with_file_name(snapshot));
        let view = settings.btf.as_ref().map(|btf| (self.outside.kernels)(&file.with_file_name(btf)));
        let around = Around { settings, recorded, ..nothing };
        match view {
            None => around,
            Some(Ok(view)) => Around { view, ..around },
            Some(Err(why)) => Around { unread: told(&why), ..around },
        }
    }

    /// What is known of the policy that a document is, or that it tests.
    pub(crate) fn analysis(&mut self, key: &str) -> (Arc<Analysis>, Side) {
        let (policy, side) = pair(key);
        (Arc::clone(&self.entry(&policy).analysis), side)
    }

    /// Reads a policy and its tests: as they are open, or else as they lie in their files. Of tests that are not open
    /// nobody is told anything, so they are only read where they are asked for.
    pub(crate) fn read(
        &self,
        policy: &str,
        view: &'static KernelView,
        closed_tests: bool,
        before: Option<&Analysis>,
    ) -> Analysis {
        let tests_key = tests_of(policy);
        let tests = tests_key.as_ref().and_then(|key| self.documents.get(key));
        let beside = tests.map(|tests| &tests.uri);
        let text_of_policy = self.text(policy, beside, "oom").ok().flatten();
        let tests = match tests {
            Some(tests) => Some((tests.name(), tests.text.clone())),
            None if closed_tests => {
                let beside = self.documents.get(policy).map(|policy| &policy.uri);
                tests_key.and_then(|key| self.text(&key, beside, "oomt").ok().flatten())
            }
            None => None,
        };
        let policy = text_of_policy.as_ref().map(|(name, text)| Text { name, text });
        let tests = tests.as_ref().map(|(name, text)| Text { name, text });
        Analysis::new(policy, tests, view, before)
    }

    /// Name and text of a document: as it is open, or else as it lies in its file, beside another document.
    fn text(
        &self,
        key: &str,
        beside: Option<&Uri>,
        extension: &str,
    ) -> Result<Option<(String, String)>, String> {
        if let Some(document) = self.documents.get(key) {
            return Ok(Some((document.name(), document.text.clone())));
        }
        let path = beside.and_then(convert::path).map(|path| path.with_extension(extension));
        let Some((path, name)) = path.as_deref().and_then(|path| Some((path, path.file_name()?))) else {
            return Ok(None);
        };
        let name = name.to_string_lossy().into_owned();
        match (self.outside.files)(path) {
            Ok(text) => Ok(text.map(|text| (name, text))),
            Err(why) => Err(format!("{name}: {why}")),
        }
    }

    /// Why a policy or its tests, which are not open, cannot be read though they are there, beside an open document.
    pub(crate) fn unread(&self, policy: &str, open: &Uri) -> Option<String> {
        let of = |key: &str, extension| self.text(key, Some(open), extension).err();
        of(policy, "oom").or_else(|| of(&tests_of(policy)?, "oomt"))
    }

    /// All that is known to be wrong with a document now, and a word for this state of knowledge.
    pub(crate) fn said(&mut self, key: &str) -> (Vec<Diagnostic>, String) {
        let (policy, side) = pair(key);
        let entry = self.entry(&policy);
        let said = match (&entry.compiled, side) {
            (Some(all), Side::Policy) => all.as_slice(),
            _ => entry.analysis.said.of(side),
        };
        let told = entry.unread.iter().cloned().chain(entry.settings.told(said.to_vec())).collect();
        (told, format!("{}{}", entry.state, if entry.compiled.is_some() { "+" } else { "" }))
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

    /// What the tests and rules of a document do, as far as that is known now.
    pub(crate) fn lenses(&mut self, key: &str) -> Vec<Lens> {
        let (policy, side) = pair(key);
        let lenses = &self.entry(&policy).lenses;
        lenses.iter().filter(|lens| lens.side == side).cloned().collect()
    }

    /// Takes what the background has found out.
    pub(crate) fn compiled(&mut self, done: Done) -> News {
        let Some(entry) = self.entries.get_mut(&done.key).filter(|entry| entry.state == done.state) else {
            return News::default();
        };
        let said = entry.analysis.said.policy != done.policy;
        let news = News { said, lenses: entry.lenses != done.lenses };
        entry.compiled = Some(done.policy);
        entry.lenses = done.lenses;
        // Of a policy that is not open nobody is told anything.
        if said && self.documents.contains_key(&done.key) {
            self.changed.insert(done.key);
        }
        news
    }
}

pub(crate) fn read<T: for<'de> serde::Deserialize<'de>>(params: Value) -> Result<T, Problem> {
    serde_json::from_value(params).map_err(|error| Problem::Params(error.to_string()))
}
