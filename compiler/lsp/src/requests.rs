//! Questions of the client and their answers: takes the parameters of a request, asks [`crate::ide`], gives the result.

use lsp_types::request::{
    CodeActionRequest, CodeLensRequest, Completion, DocumentDiagnosticRequest, DocumentHighlightRequest,
    DocumentSymbolRequest, FoldingRangeRequest, Formatting, GotoDefinition, HoverRequest, InlayHintRequest,
    PrepareRenameRequest, References, Rename, Request, SelectionRangeRequest, SemanticTokensFullRequest,
    WorkspaceSymbolRequest,
};
use lsp_types::{
    CodeActionParams, CodeLensParams, CompletionParams, DocumentDiagnosticParams, DocumentFormattingParams,
    DocumentHighlightParams, DocumentSymbolParams, FoldingRangeParams, GotoDefinitionParams, Hover,
    HoverParams, InlayHintParams, ReferenceParams, RenameParams, SelectionRangeParams, SemanticTokensParams,
    TextDocumentPositionParams, WorkspaceSymbolParams,
};
use serde_json::Value;

use crate::analysis::{Analysis, Page, Side};
use crate::convert;
use crate::documents::Document;
use crate::ide;
use crate::ide::names::{Place, places, symbol};
use crate::lines::{self, Lines};
use crate::state::{Problem, State, pair, read, uri_of};

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
                    let outline = page.map(|page| ide::symbols::outline(&page)).unwrap_or_default();
                    Some(outline.iter().map(|one| convert::symbol(one, lines)).collect::<Vec<_>>())
                })
            }
            WorkspaceSymbolRequest::METHOD => {
                let WorkspaceSymbolParams { query, .. } = read(params)?;
                let keys: Vec<String> = self.documents.keys().cloned().collect();
                let mut found = Vec::new();
                for key in keys {
                    let (analysis, side) = self.analysis(&key);
                    let (Some(page), Some(document)) = (analysis.page(side), self.documents.get(&key)) else {
                        continue;
                    };
                    let lines = document.lines(self.client.encoding);
                    convert::workspace_symbols(
                        &document.uri,
                        &ide::symbols::outline(&page),
                        &lines,
                        &query,
                        &mut found,
                    );
                }
                Ok(convert::value(found))
            }
            SemanticTokensFullRequest::METHOD => {
                let SemanticTokensParams { text_document, .. } = read(params)?;
                self.page(text_document.uri.as_str(), |_, page, lines, _| {
                    let tokens = page.map(|page| ide::semantic::semantic(&page)).unwrap_or_default();
                    Some(convert::semantic(&tokens, lines))
                })
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
        let analysis = self.read(&policy, self.settings(&policy).1, true, None);
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
        let byte = document.lines(self.client.encoding).offset(at.position);
        let analysis = self.read(&policy, self.settings(&policy).1, true, None);
        let page = analysis.page(side);
        let page = page.ok_or_else(|| Problem::Refused("the text cannot be read".to_owned()))?;
        let places = ide::rename::rename(&analysis, &page, byte, name).map_err(Problem::Refused)?;
        Ok(convert::value(convert::renamed(&self.located(&policy, &analysis, &places), name)))
    }
}
