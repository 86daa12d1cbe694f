//! The only file that turns the protocol's types into ours and ours into the protocol's.
//!
//! A position there is a line and a count of UTF-16 units; here it is a byte of the text.

use core::ops::Range;
use std::path::PathBuf;

use lsp_types::{
    CodeAction, CodeActionKind, CodeActionOptions, CodeActionProviderCapability,
    DiagnosticRelatedInformation, DiagnosticSeverity, HoverContents, HoverProviderCapability,
    InitializeResult, Location, MarkupContent, MarkupKind, NumberOrString, OneOf, Position,
    PositionEncodingKind, ServerCapabilities, ServerInfo, TextDocumentSyncKind, TextDocumentSyncOptions,
    TextEdit, Uri, WorkspaceEdit,
};
use oomc_compiler::diag::{Diagnostic, Fix, Severity};
use serde_json::{Value, json};

use crate::ide::diagnostics::words;

/// Anything as JSON.
pub(crate) fn value(data: impl serde::Serialize) -> Value {
    // The protocol's types have string keys and finite numbers: they always have a value.
    serde_json::to_value(data).unwrap_or(Value::Null)
}

/// What the server can do.
pub(crate) fn initialized() -> Value {
    value(InitializeResult {
        capabilities: ServerCapabilities {
            position_encoding: Some(PositionEncodingKind::UTF16),
            text_document_sync: Some(
                TextDocumentSyncOptions {
                    open_close: Some(true),
                    change: Some(TextDocumentSyncKind::FULL),
                    ..TextDocumentSyncOptions::default()
                }
                .into(),
            ),
            document_formatting_provider: Some(OneOf::Left(true)),
            code_action_provider: Some(CodeActionProviderCapability::Options(CodeActionOptions {
                code_action_kinds: Some(vec![CodeActionKind::QUICKFIX]),
                ..CodeActionOptions::default()
            })),
            hover_provider: Some(HoverProviderCapability::Simple(true)),
            ..ServerCapabilities::default()
        },
        server_info: Some(ServerInfo {
            name: "oomc".to_owned(),
            version: Some(oomc_compiler::VERSION.to_owned()),
        }),
    })
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
        source: Some("oomc".to_owned()),
        message,
        related_information,
        ..lsp_types::Diagnostic::default()
    }
}

/// Whether a client that wants only these kinds of actions wants fixes.
pub(crate) fn wants_fixes(only: &[CodeActionKind]) -> bool {
    only.iter().any(|kind| *kind == CodeActionKind::QUICKFIX || *kind == CodeActionKind::EMPTY)
}

/// A fix of a diagnostic as an action of the editor. One that is certain is what the editor offers first.
#[expect(clippy::mutable_key_type, reason = "the protocol's own type, whose hash is that of its text")]
pub(crate) fn action(uri: &Uri, of: lsp_types::Diagnostic, fix: &Fix, lines: &Lines<'_>) -> CodeAction {
    let edits = fix
        .edits
        .iter()
        .map(|edit| TextEdit { range: lines.range(edit.span.range()), new_text: edit.text.clone() });
    let changes = core::iter::once((uri.clone(), edits.collect())).collect();
    CodeAction {
        title: fix.title.clone(),
        kind: Some(CodeActionKind::QUICKFIX),
        diagnostics: Some(vec![of]),
        edit: Some(WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() }),
        is_preferred: Some(fix.certain),
        ..CodeAction::default()
    }
}

/// Edits that make one text of another.
pub(crate) fn edits(old: &str, new: Option<String>) -> Vec<TextEdit> {
    let range = Lines::new(old).range(0..old.len());
    new.map(|new_text| TextEdit { range, new_text }).into_iter().collect()
}

/// Markdown to be shown.
pub(crate) fn markdown(value: String) -> HoverContents {
    HoverContents::Markup(MarkupContent { kind: MarkupKind::Markdown, value })
}

/// Length in UTF-16: one unit for each character, two for those that UTF-8 writes in four bytes. Counts bytes,
/// because a line may be megabytes long.
fn units(text: &str) -> u32 {
    let of = |byte: u8| u32::from(byte & 0xc0 != 0x80) + u32::from(byte >= 0xf0);
    text.bytes().map(of).sum()
}

/// Where the lines of a text begin. A line ends with `\n`, `\r\n` or `\r`, as the protocol says.
pub(crate) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let ends = bytes.iter().enumerate().filter(|(at, byte)| match byte {
            b'\n' => true,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        });
        Self { text, starts: core::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect() }
    }

    /// A byte as a position.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset).saturating_sub(1);
        let start = self.starts.get(line).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or_default();
        Position { line: line as u32, character: units(before) }
    }

    /// A range of bytes as one of positions.
    pub(crate) fn range(&self, range: Range<usize>) -> lsp_types::Range {
        lsp_types::Range { start: self.position(range.start), end: self.position(range.end) }
    }

    /// A position as a byte: behind the end of a line is its end, behind the last line is the end of the text.
    pub(crate) fn offset(&self, position: Position) -> usize {
        let line = position.line as usize;
        let Some(start) = self.starts.get(line).copied() else { return self.text.len() };
        let end = self.starts.get(line + 1).copied().unwrap_or(self.text.len());
        let text = self.text.get(start..end).unwrap_or_default().trim_end_matches(['\r', '\n']);
        let mut units = 0;
        for (at, character) in text.char_indices() {
            units += character.len_utf16() as u32;
            // In the middle of a pair is before it.
            if units > position.character {
                return start + at;
            }
        }
        start + text.len()
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    #[test]
    fn positions_count_utf16_and_every_end_of_line() {
        let text = "a\u{1f4a5}b\r\nc\rd\n\u{e9}";
        let lines = Lines::new(text);
        for (word, line, character) in [("a", 0, 0), ("b", 0, 3), ("c", 1, 0), ("d", 2, 0), ("\u{e9}", 3, 0)]
        {
            let offset = text.find(word).unwrap();
            let position = Position { line, character };
            assert_eq!((lines.position(offset), lines.offset(position)), (position, offset), "{word}");
        }
        let end = Position { line: 3, character: 1 };
        assert_eq!(lines.position(text.len()), end);
        for (line, character, before) in [(0, 2, "\u{1f4a5}"), (0, 99, "\r\n"), (1, 99, "\r")] {
            let offset = if line == 1 { 9 } else { text.find(before).unwrap() };
            assert_eq!(lines.offset(Position { line, character }), offset, "{line}:{character}");
        }
        assert_eq!(lines.offset(Position { line: 99, character: 0 }), text.len());
    }

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
}
