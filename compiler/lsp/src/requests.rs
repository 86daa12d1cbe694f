//! Questions of the client and their answers: takes the parameters of a request, asks [`crate::ide`], gives the result.

use std::collections::BTreeSet;
use std::path::PathBuf;

use lsp_types::request::{
    CodeActionRequest, CodeLensRequest, Completion, DocumentDiagnosticRequest, DocumentHighlightRequest,
    DocumentSymbolRequest, FoldingRangeRequest, Formatting, GotoDefinition, HoverRequest, InlayHintRequest,
    PrepareRenameRequest, References, Rename, Request, SelectionRangeRequest, SemanticTokensFullDeltaRequest,
    SemanticTokensFullRequest, SemanticTokensRangeRequest, WorkspaceSymbolRequest,
};
use lsp_types::{
    CodeActionParams, CodeLensParams, CompletionParams, DocumentDiagnosticParams, DocumentFormattingParams,
    DocumentHighlightParams, DocumentSymbolParams, FoldingRangeParams, GotoDefinitionParams, Hover,
    HoverParams, InlayHintParams, ReferenceParams, RenameParams, SelectionRangeParams, SemanticToken,
    SemanticTokensDeltaParams, SemanticTokensParams, SemanticTokensRangeParams, SymbolInformation,
    TextDocumentPositionParams, WorkspaceSymbolParams,
};
use oomc_compiler::{Parsed, Source};
use serde_json::Value;

use crate::analysis::{Analysis, Page, Side};
use crate::convert;
use crate::documents::Document;
use crate::ide;
use crate::ide::names::{Place, places, symbol};
use crate::lines::{self, Lines};
use crate::state::{Problem, State, pair, read, uri_of};

/// As many policies that are not open are searched for names: a second of parsing at the most.
const MOST_FILES: usize = 1000;

/// As much text of them.
const MOST_BYTES: usize = 4 << 20;

/// A place in a document.
struct At<'d> {
    page: Page<'d>,
    lines: Lines<'d>,
    byte: usize,
}

impl State<'_> {
    /// The answer to a question.
    pub(crate) fn request(&mut self, method: &str, params: Value) -> Result<Value, Problem> {
        match method {
            HoverRequest::METHOD => {
                let HoverParams { text_document_position_params: at, .. } = read(params)?;
                self.at(&at, |analysis, at, _| {
                    let (range, text) = ide::hover::hover(analysis, &at.page, at.byte)?;
                    Some(Hover { contents: convert::markdown(text), range: Some(at.lines.range(range)) })
                })
            }
            GotoDefinition::METHOD => {
                let GotoDefinitionParams { text_document_position_params: at, .. } = read(params)?;
                self.places(&at, |place| place.declares)
            }
            References::METHOD => {
                let ReferenceParams { text_document_position: at, context, .. } = read(params)?;
                self.places(&at, |place| context.include_declaration || !place.declares)
            }
            DocumentHighlightRequest::METHOD => {
                let DocumentHighlightParams { text_document_position_params: at, .. } = read(params)?;
                self.at(&at, |analysis, at, _| {
                    let (_, found) = symbol(&at.page, at.byte)?;
                    let here =
                        places(analysis, &found).into_iter().filter(|place| place.side == at.page.side);
                    Some(here.map(|place| convert::highlight(&place, &at.lines)).collect::<Vec<_>>())
                })
            }
            PrepareRenameRequest::METHOD => {
                let at: TextDocumentPositionParams = read(params)?;
                self.at(&at, |_, at, _| symbol(&at.page, at.byte).map(|(range, _)| at.lines.range(range)))
            }
            Rename::METHOD => {
                let RenameParams { text_document_position: at, new_name, .. } = read(params)?;
                self.rename(&at, &new_name)
            }
            Completion::METHOD => {
                let CompletionParams { text_document_position: at, .. } = read(params)?;
                let snippets = self.client.snippets;
                self.at(&at, |_, at, _| {
                    let (range, items) = ide::completion::complete(&at.page, at.byte);
                    Some(convert::completion(&items, at.lines.range(range), snippets))
                })
            }
            Formatting::METHOD => {
                // How wide and with which signs to indent is not the editor's choice: the form is one.
                let DocumentFormattingParams { text_document, .. } = read(params)?;
                let document = self.documents.get(text_document.uri.as_str());
                Ok(convert::value(document.map(|document| {
                    let lines = document.lines(self.client.encoding);
                    convert::edits(&lines, ide::format::format(&document.text))
                })))
            }
            CodeActionRequest::METHOD => {
                let CodeActionParams { text_document, range, context, .. } = read(params)?;
                let only = context.only.unwrap_or_default();
                let (said, _) = self.said(text_document.uri.as_str());
                let related = self.client.related;
                self.page(text_document.uri.as_str(), |_, page, lines, document| {
                    let at = lines.bytes(range);
                    let related = related.then_some(&document.uri);
                    let fixes = ide::fixes::touching(&said, &at).into_iter().map(|(one, fix)| {
                        convert::fix(&document.uri, convert::diagnostic(one, lines, related), fix, lines)
                    });
                    let mut found: Vec<lsp_types::CodeAction> = fixes.collect();
                    if convert::wants_changes(&only) {
                        let changes = page.map(|page| ide::actions::actions(&page, &at)).unwrap_or_default();
                        found.extend(
                            changes
                                .iter()
                                .map(|(kind, fix)| convert::change(&document.uri, *kind, fix, lines)),
                        );
                    }
                    found.retain(|action| convert::wants(&only, action));
                    Some(found)
                })
            }
            DocumentDiagnosticRequest::METHOD => {
                let DocumentDiagnosticParams { text_document, previous_result_id, .. } = read(params)?;
                let (said, state) = self.said(text_document.uri.as_str());
                let related = self.client.related;
                self.page(text_document.uri.as_str(), |_, _, lines, document| {
                    let related = related.then_some(&document.uri);
                    let list = said.iter().map(|one| convert::diagnostic(one, lines, related)).collect();
                    Some(convert::report(list, state, previous_result_id.as_deref()))
                })
            }
            DocumentSymbolRequest::METHOD => {
                let DocumentSymbolParams { text_document, .. } = read(params)?;
                self.page(text_document.uri.as_str(), |_, page, lines, _| {
                    let outline = page.map(|page| ide::symbols::outline(page.file, page.text));
                    let outline = outline.unwrap_or_default();
                    Some(outline.iter().map(|one| convert::symbol(one, lines)).collect::<Vec<_>>())
                })
            }
            WorkspaceSymbolRequest::METHOD => {
                let WorkspaceSymbolParams { query, .. } = read(params)?;
                let mut found = self.symbols_of_open(&query);
                found.extend(self.symbols_of_folders(&query));
                Ok(convert::value(found))
            }
            SemanticTokensFullRequest::METHOD => {
                let SemanticTokensParams { text_document, .. } = read(params)?;
                let uri = text_document.uri.as_str();
                let tokens = self.tokens(uri, None);
                Ok(tokens.map_or(Value::Null, |tokens| self.sent.whole(uri, tokens)))
            }
            SemanticTokensFullDeltaRequest::METHOD => {
                let SemanticTokensDeltaParams { text_document, previous_result_id, .. } = read(params)?;
                let uri = text_document.uri.as_str();
                let tokens = self.tokens(uri, None);
                Ok(tokens.map_or(Value::Null, |tokens| self.sent.change(uri, &previous_result_id, tokens)))
            }
            SemanticTokensRangeRequest::METHOD => {
                let SemanticTokensRangeParams { text_document, range, .. } = read(params)?;
                let tokens = self.tokens(text_document.uri.as_str(), Some(range));
                let tokens = tokens.map(|data| lsp_types::SemanticTokens { result_id: None, data });
                Ok(convert::value(tokens))
            }
            FoldingRangeRequest::METHOD => {
                let FoldingRangeParams { text_document, .. } = read(params)?;
                self.page(text_document.uri.as_str(), |_, page, lines, _| {
                    let folds = page.map(|page| ide::folding::folds(&page)).unwrap_or_default();
                    Some(convert::folds(&folds, lines))
                })
            }
            SelectionRangeRequest::METHOD => {
                let SelectionRangeParams { text_document, positions, .. } = read(params)?;
                self.page(text_document.uri.as_str(), |_, page, lines, _| {
                    let page = page?;
                    let around =
                        |at| convert::selection(&ide::selection::around(&page, lines.offset(at)), lines);
                    Some(positions.into_iter().map(around).collect::<Vec<_>>())
                })
            }
            InlayHintRequest::METHOD => {
                let InlayHintParams { text_document, range, .. } = read(params)?;
                self.page(text_document.uri.as_str(), |_, page, lines, _| {
                    let hints =
                        page.map(|page| ide::hints::hints(&page, &lines.bytes(range))).unwrap_or_default();
                    Some(hints.iter().map(|hint| convert::hint(hint, lines)).collect::<Vec<_>>())
                })
            }
            CodeLensRequest::METHOD => {
                let CodeLensParams { text_document, .. } = read(params)?;
                let lenses = self.lenses(text_document.uri.as_str());
                self.page(text_document.uri.as_str(), |_, _, _, _| {
                    Some(lenses.iter().map(convert::lens).collect::<Vec<_>>())
                })
            }
            _ => Err(Problem::Unknown),
        }
    }

    /// The tokens of an open document, or of a part of it.
    fn tokens(&mut self, key: &str, part: Option<lsp_types::Range>) -> Option<Vec<SemanticToken>> {
        let (analysis, side) = self.documents.contains_key(key).then(|| self.analysis(key))?;
        let lines = self.documents.get(key)?.lines(self.client.encoding);
        let page = analysis.page(side);
        let mut tokens = page.map(|page| ide::semantic::semantic(&page)).unwrap_or_default();
        if let Some(part) = part.map(|part| lines.bytes(part)) {
            tokens.retain(|(range, ..)| range.start < part.end && part.start < range.end);
        }
        Some(convert::semantic(&tokens, &lines))
    }

    /// Names in open documents that a client looks for.
    fn symbols_of_open(&mut self, query: &str) -> Vec<SymbolInformation> {
        let keys: Vec<String> = self.documents.keys().cloned().collect();
        let mut found = Vec::new();
        for key in keys {
            let (analysis, side) = self.analysis(&key);
            let (Some(page), Some(document)) = (analysis.page(side), self.documents.get(&key)) else {
                continue;
            };
            let outline = ide::symbols::outline(page.file, page.text);
            let lines = document.lines(self.client.encoding);
            convert::workspace_symbols(&document.uri, &outline, &lines, query, &mut found);
        }
        found
    }

    /// Names in the policies of the folders that are open, as they lie in their files.
    fn symbols_of_folders(&self, query: &str) -> Vec<SymbolInformation> {
        let open: BTreeSet<PathBuf> =
            self.documents.values().filter_map(|document| convert::path(&document.uri)).collect();
        let files: BTreeSet<PathBuf> =
            self.folders.iter().flat_map(|folder| (self.outside.policies)(folder)).collect();
        let mut found = Vec::new();
        let mut bytes = 0;
        for file in files.difference(&open).take(MOST_FILES) {
            let (Some(uri), Ok(Some(text))) = (convert::uri(file), (self.outside.files)(file)) else {
                continue;
            };
            bytes += text.len();
            if bytes > MOST_BYTES {
                break;
            }
            // What is no policy has no names.
            let Ok(source) = Source::from_bytes(convert::name(&uri), text.as_bytes()) else { continue };
            let outline = ide::symbols::outline(Parsed::new(source).file(), &text);
            let starts = lines::starts(&text);
            let lines = Lines { text: &text, starts: &starts, encoding: self.client.encoding };
            convert::workspace_symbols(&uri, &outline, &lines, query, &mut found);
        }
        found
    }

    /// Asks something of an open document: of what is known of it, if it could be read, and of its lines.
    fn page<T: serde::Serialize>(
        &mut self,
        key: &str,
        ask: impl FnOnce(&Analysis, Option<Page<'_>>, &Lines<'_>, &Document) -> Option<T>,
    ) -> Result<Value, Problem> {
        if !self.documents.contains_key(key) {
            return Ok(Value::Null);
        }
        let (analysis, side) = self.analysis(key);
        let document = self.documents.get(key);
        Ok(convert::value(document.and_then(|document| {
            ask(&analysis, analysis.page(side), &document.lines(self.client.encoding), document)
        })))
    }

    /// Asks something of a place in an open document that could be read.
    fn at<T: serde::Serialize>(
        &mut self,
        at: &TextDocumentPositionParams,
        ask: impl FnOnce(&Analysis, At<'_>, &Document) -> Option<T>,
    ) -> Result<Value, Problem> {
        self.page(at.text_document.uri.as_str(), |analysis, page, lines, document| {
            let byte = lines.offset(at.position);
            ask(analysis, At { page: page?, lines: *lines, byte }, document)
        })
    }

    /// Places of the name that stands somewhere, in the policy and in its tests, which need not be open.
    fn places(
        &mut self,
        at: &TextDocumentPositionParams,
        wanted: impl Fn(&Place) -> bool,
    ) -> Result<Value, Problem> {
        let (policy, side) = pair(at.text_document.uri.as_str());
        let Some(document) = self.documents.get(at.text_document.uri.as_str()) else {
            return Ok(Value::Null);
        };
        let byte = document.lines(self.client.encoding).offset(at.position);
        let analysis = self.read(&policy, self.around(&policy).view, true, None);
        let found = analysis.page(side).and_then(|page| symbol(&page, byte));
        let Some((_, found)) = found else { return Ok(Value::Null) };
        let found: Vec<Place> = places(&analysis, &found).into_iter().filter(wanted).collect();
        Ok(convert::value(self.located(&policy, &analysis, &found)))
    }

    /// Places with the URIs of their documents.
    fn located(&self, policy: &str, analysis: &Analysis, places: &[Place]) -> Vec<lsp_types::Location> {
        let mut found = Vec::new();
        for side in [Side::Policy, Side::Tests] {
            let Some(page) = analysis.page(side) else { continue };
            let Some(uri) = uri_of(policy, side).and_then(|uri| uri.parse().ok()) else { continue };
            let starts = lines::starts(page.text);
            let lines = Lines { text: page.text, starts: &starts, encoding: self.client.encoding };
            let here = places.iter().filter(|place| place.side == side);
            found.extend(here.map(|place| {
                lsp_types::Location::new(lsp_types::Uri::clone(&uri), lines.range(place.range.clone()))
            }));
        }
        found
    }

    fn rename(&mut self, at: &TextDocumentPositionParams, name: &str) -> Result<Value, Problem> {
        let (policy, side) = pair(at.text_document.uri.as_str());
        let Some(document) = self.documents.get(at.text_document.uri.as_str()) else {
            return Ok(Value::Null);
        };
        if let Some(why) = self.unread(&policy, &document.uri) {
            return Err(Problem::Refused(format!("the name may stand in a file that cannot be read: {why}")));
        }
        let byte = document.lines(self.client.encoding).offset(at.position);
        let analysis = self.read(&policy, self.around(&policy).view, true, None);
        let page = analysis.page(side);
        let page = page.ok_or_else(|| Problem::Refused("the text cannot be read".to_owned()))?;
        let places = ide::rename::rename(&analysis, &page, byte, name).map_err(Problem::Refused)?;
        Ok(convert::value(convert::renamed(&self.located(&policy, &analysis, &places), name)))
    }
}
