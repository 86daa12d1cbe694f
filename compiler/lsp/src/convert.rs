//! The only file that turns the protocol's types into ours and ours into the protocol's.

use core::ops::Range;
use std::path::{Path, PathBuf};

use lsp_types::{
    CodeAction, CodeActionKind, CodeActionOptions, CodeActionProviderCapability, CodeDescription, CodeLens,
    CodeLensOptions, Command, CompletionItem, CompletionItemKind, CompletionList, CompletionOptions,
    CompletionTextEdit, DiagnosticOptions, DiagnosticRelatedInformation, DiagnosticServerCapabilities,
    DiagnosticSeverity, DiagnosticTag, DocumentHighlight, DocumentSymbol, Documentation, FoldingRange,
    FoldingRangeKind, FoldingRangeProviderCapability, HoverContents, HoverProviderCapability,
    InitializeResult, InlayHint, InlayHintLabel, InlayHintTooltip, InsertTextFormat, Location, MarkupContent,
    MarkupKind, NumberOrString, OneOf, RenameOptions, SelectionRange, SelectionRangeProviderCapability,
    SemanticToken, SemanticTokenModifier, SemanticTokenType, SemanticTokensFullOptions, SemanticTokensLegend,
    SemanticTokensOptions, SemanticTokensServerCapabilities, ServerCapabilities, ServerInfo,
    SymbolInformation, SymbolKind, TextDocumentSyncKind, TextDocumentSyncOptions, TextEdit, Uri,
    WorkDoneProgressOptions, WorkspaceEdit, WorkspaceFoldersServerCapabilities, WorkspaceServerCapabilities,
};
use oomc_compiler::diag::{Diagnostic, Fix, Severity};
use serde_json::{Value, json};

use crate::ide;
use crate::ide::hints::Hint;
use crate::ide::names::{Declared, Place};
use crate::ide::semantic::LEGEND;
use crate::lines::Lines;
use crate::state::Client;
use crate::tried::Lens;

/// Where the page of a diagnostic is; its code and `.md` follow.
const PAGES: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/compiler/src/diag/docs/");

/// Anything as JSON.
pub(crate) fn value(data: impl serde::Serialize) -> Value {
    // The protocol's types have string keys and finite numbers: they always have a value.
    serde_json::to_value(data).unwrap_or(Value::Null)
}

/// What the server can do.
pub(crate) fn initialized(client: Client) -> Value {
    let legend = SemanticTokensLegend {
        token_types: LEGEND.iter().map(|(_, name)| SemanticTokenType::new(name)).collect(),
        token_modifiers: vec![SemanticTokenModifier::DECLARATION],
    };
    value(InitializeResult {
        capabilities: ServerCapabilities {
            position_encoding: Some(client.encoding.kind()),
            text_document_sync: Some(
                TextDocumentSyncOptions {
                    open_close: Some(true),
                    change: Some(TextDocumentSyncKind::INCREMENTAL),
                    ..TextDocumentSyncOptions::default()
                }
                .into(),
            ),
            document_formatting_provider: Some(OneOf::Left(true)),
            code_action_provider: Some(CodeActionProviderCapability::Options(CodeActionOptions {
                code_action_kinds: Some(vec![CodeActionKind::QUICKFIX, CodeActionKind::REFACTOR]),
                ..CodeActionOptions::default()
            })),
            hover_provider: Some(HoverProviderCapability::Simple(true)),
            definition_provider: Some(OneOf::Left(true)),
            references_provider: Some(OneOf::Left(true)),
            document_highlight_provider: Some(OneOf::Left(true)),
            rename_provider: Some(OneOf::Right(RenameOptions {
                prepare_provider: Some(true),
                work_done_progress_options: WorkDoneProgressOptions::default(),
            })),
            completion_provider: Some(CompletionOptions {
                trigger_characters: Some([".", "\"", "{", " "].map(str::to_owned).to_vec()),
                ..CompletionOptions::default()
            }),
            document_symbol_provider: Some(OneOf::Left(true)),
            workspace_symbol_provider: Some(OneOf::Left(true)),
            workspace: Some(WorkspaceServerCapabilities {
                workspace_folders: Some(WorkspaceFoldersServerCapabilities {
                    supported: Some(true),
                    change_notifications: Some(OneOf::Left(true)),
                }),
                file_operations: None,
            }),
            semantic_tokens_provider: Some(SemanticTokensServerCapabilities::SemanticTokensOptions(
                SemanticTokensOptions {
                    legend,
                    full: Some(SemanticTokensFullOptions::Delta { delta: Some(true) }),
                    range: Some(true),
                    ..SemanticTokensOptions::default()
                },
            )),
            folding_range_provider: Some(FoldingRangeProviderCapability::Simple(true)),
            selection_range_provider: Some(SelectionRangeProviderCapability::Simple(true)),
            inlay_hint_provider: Some(OneOf::Left(true)),
            code_lens_provider: Some(CodeLensOptions { resolve_provider: Some(false) }),
            diagnostic_provider: client.pulls.then(|| {
                DiagnosticServerCapabilities::Options(DiagnosticOptions {
                    identifier: Some("oomc".to_owned()),
                    // Tests are about their policy.
                    inter_file_dependencies: true,
                    ..DiagnosticOptions::default()
                })
            }),
            ..ServerCapabilities::default()
        },
        server_info: Some(ServerInfo {
            name: "oomc".to_owned(),
            version: Some(oomc_compiler::VERSION.to_owned()),
        }),
    })
}

/// What stands above a line. It says something and does nothing: its command has no name.
pub(crate) fn lens(lens: &Lens) -> CodeLens {
    let start = lsp_types::Position::new(lens.line, 0);
    let command = Command::new(lens.text.clone(), String::new(), None);
    CodeLens { range: lsp_types::Range::new(start, start), command: Some(command), data: None }
}

/// The name of a document: the last part of its path. The policy's default name is its stem.
pub(crate) fn name(uri: &Uri) -> String {
    let path = uri.path().as_estr().decode().into_string_lossy();
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

/// The file that a document is; none if its URI is not one of a file here.
pub(crate) fn path(uri: &Uri) -> Option<PathBuf> {
    let here = |authority: &str| authority.is_empty() || authority == "localhost";
    let is_file = uri.scheme().is_some_and(|scheme| scheme.as_str() == "file");
    if !is_file || !uri.authority().is_none_or(|authority| here(authority.as_str())) {
        return None;
    }
    let path = uri.path().as_estr().decode().into_string_lossy();
    path.starts_with('/').then(|| PathBuf::from(path.into_owned()))
}

/// A file of this machine as a URI.
pub(crate) fn uri(path: &Path) -> Option<Uri> {
    let mut text = "file://".to_owned();
    for byte in path.to_str()?.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text.parse().ok()
}

/// A list of diagnostics for a document; without a version when it is closed.
pub(crate) fn published(uri: &str, version: Option<i32>, list: Vec<lsp_types::Diagnostic>) -> Value {
    let mut params = json!({ "uri": uri, "diagnostics": list });
    if let (Some(version), Value::Object(fields)) = (version, &mut params) {
        fields.insert("version".to_owned(), json!(version));
    }
    params
}

/// One diagnostic. `related` is the document, if the client shows further places; otherwise they stand in
/// the message.
pub(crate) fn diagnostic(
    one: &Diagnostic,
    lines: &Lines<'_>,
    related: Option<&Uri>,
) -> lsp_types::Diagnostic {
    let mut message = words(one);
    let further = one.labels.get(1..).unwrap_or_default();
    let related_information = related.filter(|_| !further.is_empty()).map(|uri| {
        let place = |range| Location { uri: uri.clone(), range };
        let information = further.iter().map(|label| DiagnosticRelatedInformation {
            location: place(lines.range(label.span.range())),
            message: label.text.clone(),
        });
        information.collect()
    });
    if related_information.is_none() {
        for label in further {
            let line = lines.position(label.span.range().start).line + 1;
            message.push_str(&format!("\nline {line}: {}", label.text));
        }
    }
    lsp_types::Diagnostic {
        // What is about the whole file stands at its beginning.
        range: lines.range(one.span().map_or(0..0, |span| span.range())),
        severity: Some(match one.severity {
            Severity::Error => DiagnosticSeverity::ERROR,
            Severity::Warning => DiagnosticSeverity::WARNING,
        }),
        code: Some(NumberOrString::String(one.code.id().to_owned())),
        code_description: format!("{PAGES}{}.md", one.code.id())
            .parse()
            .ok()
            .map(|href| CodeDescription { href }),
        source: Some("oomc".to_owned()),
        message,
        related_information,
        tags: one.code.marks_unneeded().then(|| vec![DiagnosticTag::UNNECESSARY]),
        ..lsp_types::Diagnostic::default()
    }
}

/// Everything that an author reads, beside the places: the message, what is wrong at the first mark, help and notes.
fn words(diagnostic: &Diagnostic) -> String {
    let mut text = diagnostic.message.to_string();
    if let Some(label) = diagnostic.labels.first().filter(|label| !label.text.is_empty()) {
        text.push_str(&format!("\n{}", label.text));
    }
    if let Some(help) = &diagnostic.help {
        text.push_str(&format!("\nhelp: {help}"));
    }
    for note in &diagnostic.notes {
        text.push_str(&format!("\nnote: {note}"));
    }
    text
}

/// The answer to a client that asks for diagnostics and may know them already.
pub(crate) fn report(list: Vec<lsp_types::Diagnostic>, state: String, known: Option<&str>) -> Value {
    if known == Some(state.as_str()) {
        return json!({ "kind": "unchanged", "resultId": state });
    }
    json!({ "kind": "full", "resultId": state, "items": list })
}

/// Whether a client that wants only these kinds wants an action. None: it wants all.
pub(crate) fn wants(only: &[CodeActionKind], action: &CodeAction) -> bool {
    let kind = action.kind.as_ref().map_or("", CodeActionKind::as_str);
    let is = |wanted: &CodeActionKind| {
        let rest = kind.strip_prefix(wanted.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || wanted.as_str().is_empty())
    };
    only.is_empty() || only.iter().any(is)
}

/// Whether a client that wants only these kinds may want changes of what is right.
pub(crate) fn wants_changes(only: &[CodeActionKind]) -> bool {
    only.is_empty()
        || only.iter().any(|kind| kind.as_str().is_empty() || kind.as_str().starts_with("refactor"))
}

/// A fix of a diagnostic as an action of the editor. One that is certain is what the editor offers first.
pub(crate) fn fix(uri: &Uri, of: lsp_types::Diagnostic, fix: &Fix, lines: &Lines<'_>) -> CodeAction {
    CodeAction {
        diagnostics: Some(vec![of]),
        is_preferred: Some(fix.certain),
        ..action(uri, CodeActionKind::QUICKFIX, fix, lines)
    }
}

/// A change of what is right as an action of the editor.
pub(crate) fn change(uri: &Uri, kind: ide::actions::Kind, fix: &Fix, lines: &Lines<'_>) -> CodeAction {
    let kind = match kind {
        ide::actions::Kind::Rewrites => CodeActionKind::REFACTOR_REWRITE,
        ide::actions::Kind::Adds => CodeActionKind::REFACTOR,
    };
    action(uri, kind, fix, lines)
}

#[expect(clippy::mutable_key_type, reason = "the protocol's own type, whose hash is that of its text")]
fn action(uri: &Uri, kind: CodeActionKind, fix: &Fix, lines: &Lines<'_>) -> CodeAction {
    let edits = fix
        .edits
        .iter()
        .map(|edit| TextEdit { range: lines.range(edit.span.range()), new_text: edit.text.clone() });
    let changes = core::iter::once((uri.clone(), edits.collect())).collect();
    CodeAction {
        title: fix.title.clone(),
        kind: Some(kind),
        edit: Some(WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() }),
        ..CodeAction::default()
    }
}

/// A new name in all of its places.
#[expect(clippy::mutable_key_type, reason = "the protocol's own type, whose hash is that of its text")]
pub(crate) fn renamed(places: &[Location], name: &str) -> WorkspaceEdit {
    let mut changes: std::collections::HashMap<Uri, Vec<TextEdit>> = std::collections::HashMap::new();
    for place in places {
        let edit = TextEdit { range: place.range, new_text: name.to_owned() };
        changes.entry(place.uri.clone()).or_default().push(edit);
    }
    WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() }
}

/// Edits that make one text of another.
pub(crate) fn edits(lines: &Lines<'_>, new: Option<String>) -> Vec<TextEdit> {
    let range = lines.range(0..lines.text.len());
    new.map(|new_text| TextEdit { range, new_text }).into_iter().collect()
}

/// Markdown to be shown.
pub(crate) fn markdown(value: String) -> HoverContents {
    HoverContents::Markup(markup(value))
}

fn markup(value: String) -> MarkupContent {
    MarkupContent { kind: MarkupKind::Markdown, value }
}

/// A place of a name in the document that is shown.
pub(crate) fn highlight(place: &Place, lines: &Lines<'_>) -> DocumentHighlight {
    DocumentHighlight { range: lines.range(place.range.clone()), kind: None }
}

/// What can be written at a place. A client that fills in no places gets no text with such.
pub(crate) fn completion(
    items: &[ide::completion::Item],
    range: lsp_types::Range,
    snippets: bool,
) -> CompletionList {
    use ide::completion::Kind;
    let kind = |kind| match kind {
        Kind::Keyword => CompletionItemKind::KEYWORD,
        Kind::Field => CompletionItemKind::FIELD,
        Kind::Member => CompletionItemKind::MODULE,
        Kind::Declared(Declared::Constant) => CompletionItemKind::CONSTANT,
        Kind::Declared(Declared::Definition) => CompletionItemKind::FUNCTION,
        Kind::Declared(Declared::Param | Declared::Label) => CompletionItemKind::PROPERTY,
        Kind::Declared(Declared::State | Declared::Pick) | Kind::Candidate => CompletionItemKind::VARIABLE,
        Kind::Rule => CompletionItemKind::EVENT,
        Kind::Object => CompletionItemKind::REFERENCE,
        Kind::Value => CompletionItemKind::VALUE,
        Kind::Snippet => CompletionItemKind::SNIPPET,
    };
    let shown = items.iter().filter(|item| snippets || item.snippet.is_none());
    let items = shown.enumerate().map(|(at, item)| CompletionItem {
        label: item.label.clone(),
        kind: Some(kind(item.kind)),
        detail: (!item.detail.is_empty()).then(|| item.detail.clone()),
        documentation: (!item.doc.is_empty()).then(|| Documentation::MarkupContent(markup(item.doc.clone()))),
        // As they come: what fits first.
        sort_text: Some(format!("{at:04}")),
        insert_text_format: item.snippet.as_ref().map(|_| InsertTextFormat::SNIPPET),
        text_edit: Some(CompletionTextEdit::Edit(TextEdit {
            range,
            new_text: item.snippet.clone().unwrap_or_else(|| item.label.clone()),
        })),
        ..CompletionItem::default()
    });
    CompletionList { is_incomplete: false, items: items.collect() }
}

/// The kind that the protocol has for something.
fn symbol_kind(kind: ide::symbols::Kind) -> SymbolKind {
    use ide::symbols::Kind;
    match kind {
        Kind::Policy => SymbolKind::MODULE,
        Kind::Declared(Declared::Constant) => SymbolKind::CONSTANT,
        Kind::Declared(Declared::Definition) | Kind::Rule => SymbolKind::FUNCTION,
        Kind::Declared(Declared::Param | Declared::Label) => SymbolKind::PROPERTY,
        Kind::Declared(Declared::State | Declared::Pick) => SymbolKind::VARIABLE,
        Kind::Protection => SymbolKind::INTERFACE,
        Kind::Block => SymbolKind::EVENT,
        Kind::Test => SymbolKind::METHOD,
    }
}

/// A part of an outline.
pub(crate) fn symbol(one: &ide::symbols::Symbol, lines: &Lines<'_>) -> DocumentSymbol {
    #[expect(deprecated, reason = "the field has to be there; tags say it now")]
    DocumentSymbol {
        name: one.name.clone(),
        detail: None,
        kind: symbol_kind(one.kind),
        tags: None,
        deprecated: None,
        range: lines.range(one.range.clone()),
        selection_range: lines.range(one.mark.clone()),
        children: Some(one.inside.iter().map(|one| symbol(one, lines)).collect()),
    }
}

/// Adds what an outline has that a client looks for: letters of the name, in any case.
pub(crate) fn workspace_symbols(
    uri: &Uri,
    outline: &[ide::symbols::Symbol],
    lines: &Lines<'_>,
    query: &str,
    found: &mut Vec<SymbolInformation>,
) {
    for one in outline {
        if one.name.to_lowercase().contains(&query.to_lowercase()) {
            #[expect(deprecated, reason = "the field has to be there; tags say it now")]
            found.push(SymbolInformation {
                name: one.name.clone(),
                kind: symbol_kind(one.kind),
                tags: None,
                deprecated: None,
                location: Location { uri: uri.clone(), range: lines.range(one.mark.clone()) },
                container_name: Some(name(uri)),
            });
        }
        workspace_symbols(uri, &one.inside, lines, query, found);
    }
}

/// Tokens, each by how far it is from the one before it.
pub(crate) fn semantic(
    tokens: &[(Range<usize>, ide::semantic::Kind, bool)],
    lines: &Lines<'_>,
) -> Vec<SemanticToken> {
    let (mut line, mut character) = (0, 0);
    let data = tokens.iter().map(|(range, kind, declares)| {
        let at = lines.position(range.start);
        let delta_line = at.line - line;
        let delta_start = if delta_line == 0 { at.character - character } else { at.character };
        (line, character) = (at.line, at.character);
        let token_type = LEGEND.iter().position(|(known, _)| known == kind).unwrap_or(0) as u32;
        let length = lines.length(range.clone());
        let token_modifiers_bitset = u32::from(*declares);
        SemanticToken { delta_line, delta_start, length, token_type, token_modifiers_bitset }
    });
    data.collect()
}

/// Stretches that can be folded.
pub(crate) fn folds(folds: &[(Range<usize>, bool)], lines: &Lines<'_>) -> Vec<FoldingRange> {
    let fold = |(range, comment): &(Range<usize>, bool)| FoldingRange {
        start_line: lines.line(range.start),
        end_line: lines.line(range.end),
        kind: comment.then_some(FoldingRangeKind::Comment),
        ..FoldingRange::default()
    };
    folds.iter().map(fold).collect()
}

/// Stretches that each hold the one before.
pub(crate) fn selection(around: &[Range<usize>], lines: &Lines<'_>) -> Option<SelectionRange> {
    let parts = around.iter().rev();
    parts.fold(None, |parent: Option<SelectionRange>, range| {
        Some(SelectionRange { range: lines.range(range.clone()), parent: parent.map(Box::new) })
    })
}

/// A text that is shown between those of the document.
pub(crate) fn hint(hint: &Hint, lines: &Lines<'_>) -> InlayHint {
    let position = lines.position(hint.at);
    let edit = || TextEdit { range: lines.range(hint.at..hint.at), new_text: hint.text.clone() };
    InlayHint {
        position,
        label: InlayHintLabel::String(hint.text.trim().to_owned()),
        kind: None,
        text_edits: hint.can_be_written.then(|| vec![edit()]),
        tooltip: Some(InlayHintTooltip::String(hint.why.to_owned())),
        padding_left: Some(hint.text.starts_with(' ')),
        padding_right: Some(hint.text.ends_with(' ')),
        data: None,
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    #[test]
    fn a_document_is_named_by_its_uri() {
        for (uri, expected) in [
            ("file:///etc/oom/batch.oom", "batch.oom"),
            ("file:///a%20b/c%20d.oom", "c d.oom"),
            ("untitled:Untitled-1", "Untitled-1"),
            ("git:/x/y.oom?ref=HEAD#1", "y.oom"),
            ("http://host", ""),
            ("", ""),
        ] {
            assert_eq!(name(&Uri::from_str(uri).unwrap()), expected, "{uri}");
        }
    }

    #[test]
    fn a_file_and_its_uri_name_each_other() {
        for file in ["/etc/oom/batch.oom", "/a b/c%20d#.oom", "/gr\u{f6}\u{df}e/\u{1f4a5}?.oom"] {
            let uri = uri(Path::new(file)).unwrap();
            assert_eq!(path(&uri).unwrap(), Path::new(file), "{}", uri.as_str());
        }
    }
}
