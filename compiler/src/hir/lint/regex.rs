//! A pattern with signs of regular expressions, which mean themselves here.
//!
//! Silent of a single `.*`: `python3.*` and `soffice.*` are patterns.

use oomc_abi::fields::Owner;

use super::errors;
use super::walk::Compared;
use crate::diag::Diagnostic;
use crate::syntax::characters::as_glob;

pub(super) fn check(compared: &Compared) -> Option<Diagnostic> {
    let row = compared.field.row();
    let named = matches!((row.owner, row.name), (Owner::Process, "comm") | (Owner::Cgroup, "name" | "path"));
    let text = compared.text.as_str();
    if !named || !is_regex(text) {
        return None;
    }
    Some(errors::regex(text, compared.span, as_glob(text, true), compared.literal))
}

/// Whether a text can only be meant as a regular expression.
fn is_regex(text: &str) -> bool {
    let group = text.contains('(') && text.contains(')') && text.contains('|');
    let class =
        ["[0-9]", "[a-z]", "[A-Z]", "[^", "\\d", "\\w", "\\."].iter().any(|class| text.contains(class));
    let begins = text.starts_with('^') && text.len() > 1;
    let ends = text.ends_with('$') && text.len() > 1;
    let twice = text.starts_with(".*") && text.ends_with(".*") && text.len() > 4;
    group
        || class
        || begins
        || ends
        || twice
        || text.contains(".+")
        || text.contains("-.*")
        || text.contains("/.*")
}

#[cfg(test)]
mod tests {
    use super::is_regex;

    #[test]
    fn names_that_there_are_are_none() {
        for text in ["^(sshd|bash)$", "^sshd", "sshd$", "worker-.*", ".*java.*", "kube[0-9]", "a\\.service"] {
            assert!(is_regex(text), "{text}");
        }
        let names = [
            "(sd-pam)",
            "python3.*",
            ".firefox-wrapped",
            "dev-disk-by\\x2dlabel.swap",
            "kworker/0:1",
            "*",
            "**",
            "a?c",
            "user@1000.service",
            "c++filt",
            "$",
        ];
        for text in names {
            assert!(!is_regex(text), "{text}");
        }
    }
}
