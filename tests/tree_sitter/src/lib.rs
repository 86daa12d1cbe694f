//! The parser of `grammar/tree-sitter`, as an editor loads it.

use tree_sitter_language::LanguageFn;

// The function that each parser of tree-sitter's has.
#[expect(unsafe_code, reason = "the parser is C")]
unsafe extern "C" {
    fn tree_sitter_oom() -> *const ();
}

/// The language, for `tree_sitter::Parser::set_language`.
#[must_use]
pub fn language() -> tree_sitter::Language {
    // The parser is made for the interface of the library that the workspace names, which looks at its version.
    #[expect(unsafe_code, reason = "the parser is C")]
    let language = unsafe { LanguageFn::from_raw(tree_sitter_oom) };
    language.into()
}
