//! What editors read of the language, made from its grammar: colours for TextMate and Vim, a grammar for tree-sitter; and
//! what colours policies in the book.
//!
//! Takes `oom.pest` and gives texts, which lie in the folders beside this one and in the book's; `tests/editors.rs` holds the files to them.
//! Knows nothing of what a policy means, and reads and writes no files.

pub mod book;
pub mod colour;
mod context;
mod rules;
pub mod textmate;
pub mod tree_sitter;
pub mod vim;

/// Each file that is made, by its path in the repository, with its text.
#[must_use]
pub fn files() -> Vec<(&'static str, String)> {
    vec![
        ("grammar/tree-sitter/grammar.js", tree_sitter::grammar()),
        ("grammar/tree-sitter/queries/highlights.scm", tree_sitter::highlights()),
        ("grammar/vscode/syntaxes/oom.tmLanguage.json", textmate::grammar()),
        ("grammar/vim/syntax/oom.vim", vim::syntax()),
        ("book/theme/highlight.js", book::script()),
    ]
}

/// Words that may be names as well, which editors know by their neighbours.
pub fn words_beside_names() -> impl Iterator<Item = &'static str> {
    context::ROWS.iter().flat_map(|(words, ..)| words.iter().copied())
}
