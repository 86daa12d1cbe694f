//! Formatting: what `oomc fmt` makes of the same text.

/// The document's new text; none if it is in canonical form.
pub(crate) fn format(text: &str) -> Option<String> {
    let formatted = oomc_compiler::format::format(text).text;
    (formatted != text).then_some(formatted)
}
