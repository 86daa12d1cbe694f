//! Files of systemd: sections, keys and values, as systemd.syntax(7) defines them.
//!
//! A library for ini files reads other files: it takes `;` in a value for a comment, joins sections, forgets lines, or reads
//! quotes. Here a comment is a line, `\` at an end continues, and a key may come often.

/// One assignment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where it begins.
    pub(crate) line: usize,
    pub(crate) section: String,
    pub(crate) key: String,
    pub(crate) value: String,
}

/// All assignments, and the lines that are none.
pub(crate) fn read(text: &str) -> (Vec<Entry>, Vec<usize>) {
    let (mut entries, mut odd) = (Vec::new(), Vec::new());
    let mut section = String::new();
    let mut lines = (1..).zip(text.lines());
    while let Some((line, first)) = lines.next() {
        if is_comment(first) || first.trim().is_empty() {
            continue;
        }
        let mut whole = first.to_owned();
        while let Some(before) = whole.strip_suffix('\\') {
            whole = format!("{before} ");
            match lines.by_ref().find(|(_, next)| !is_comment(next)) {
                Some((_, next)) => whole.push_str(next),
                None => break,
            }
        }
        let whole = whole.trim();
        if let Some(name) = whole.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((key, value)) = whole.split_once('=') {
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            entries.push(Entry { line, section: section.clone(), key, value });
        } else {
            odd.push(line);
        }
    }
    (entries, odd)
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with(['#', ';'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_systemd_does() {
        let (entries, odd) = read("; a\n[Rule]\n# b\nKey = a ; b \\\n# c\n  d\nKey=\nodd\n");
        let told: Vec<_> =
            entries.iter().map(|e| (e.line, e.section.as_str(), e.key.as_str(), e.value.as_str())).collect();
        assert_eq!(told, [(4, "Rule", "Key", "a ; b    d"), (7, "Rule", "Key", "")]);
        assert_eq!(odd, [8]);
    }
}
