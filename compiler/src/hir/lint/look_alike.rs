//! Letters of other scripts among those of ASCII, in patterns and in names: they look alike, and match nothing.
//!
//! Silent of words that are written in another script as a whole.

use super::walk::Compared;
use super::{Lint, errors};
use crate::diag::{Diagnostic, Fix, Sink};
use crate::source::Span;
use crate::syntax::characters::look_alike;

/// The first letter of a text that is mixed in, where it stands, and what it looks like.
fn mixed(text: &str) -> Option<(usize, char, char)> {
    let ascii = text.chars().any(|c| c.is_ascii_alphabetic());
    // A word of another script has letters that look like none of ASCII.
    let foreign = text.chars().any(|c| c.is_alphabetic() && !c.is_ascii() && look_alike(c).is_none());
    if !ascii || foreign {
        return None;
    }
    text.char_indices().find_map(|(at, c)| look_alike(c).map(|ascii| (at, c, ascii)))
}

fn plain(text: &str) -> String {
    text.chars().map(|c| look_alike(c).unwrap_or(c)).collect()
}

pub(super) fn check(compared: &Compared) -> Option<Diagnostic> {
    let (at, found, ascii) = mixed(&compared.text)?;
    let text = plain(&compared.text);
    let fix = Fix::certain(format!("write \"{text}\""), compared.span, format!("\"{text}\""));
    let start = compared.span.start + 1 + at as u32;
    let letter = Span { start, end: start + found.len_utf8() as u32 };
    let span = if compared.literal { letter } else { compared.span };
    Some(errors::look_alike("the pattern", found, ascii, span, compared.literal.then_some(fix)))
}

/// Names of the policy and its rules, which records show and operators type.
pub(super) fn names(lint: &Lint<'_>, sink: &mut Sink) {
    for rule in &lint.policy.rules {
        if let Some((_, found, ascii)) = mixed(&rule.name) {
            sink.push(errors::look_alike("the name of the rule", found, ascii, rule.span, None));
        }
    }
}
