//! What pages show of commands: their blocks, the commands in a block, and whether an output is the one that is shown.
//!
//! `…` in what is shown stands for anything in a line, and for any number of lines where it stands alone.

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Line of its fence, from 1.
    pub line: usize,
    /// The words behind the fence.
    pub info: Vec<String>,
    /// What is in it.
    pub lines: Vec<String>,
}

/// The prompt of whoever has no rights, and that of root.
pub const PROMPTS: [&str; 2] = ["$ ", "# "];

/// The blocks of a page, in order.
#[must_use]
pub fn blocks(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open = false;
    for (line, text) in (1..).zip(text.lines()) {
        match (text.strip_prefix("```"), open, found.last_mut()) {
            (Some(info), false, _) => {
                let info = info.split(',').map(|word| word.trim().to_owned()).collect();
                found.push(Block { line, info, lines: Vec::new() });
                open = true;
            }
            (Some(_), true, _) => open = false,
            (None, true, Some(block)) => block.lines.push(text.to_owned()),
            (None, ..) => {}
        }
    }
    found
}

/// What stands in a block up to the next prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Line of the page, from 1: that of the command if there is one.
    pub line: usize,
    /// With its prompt.
    pub command: Option<&'a str>,
    /// What is shown below it.
    pub output: Vec<&'a str>,
}

impl Block {
    /// Its parts, in order.
    #[must_use]
    pub fn parts(&self) -> Vec<Part<'_>> {
        let mut parts: Vec<Part<'_>> = Vec::new();
        for (line, text) in (self.line + 1..).zip(&self.lines) {
            let is_command = PROMPTS.iter().any(|prompt| text.starts_with(prompt));
            match parts.last_mut() {
                _ if is_command => parts.push(Part { line, command: Some(text), output: Vec::new() }),
                Some(part) => part.output.push(text),
                None => parts.push(Part { line, command: None, output: vec![text] }),
            }
        }
        parts
    }
}

/// The part of a page whose first line is this, or begins so.
///
/// # Errors
/// If there is none, or more than one.
pub fn part<'a>(blocks: &'a [Block], beginning: &str) -> Result<Part<'a>, String> {
    let first = |part: &Part<'a>| part.command.or(part.output.first().copied()).unwrap_or_default();
    let parts = || blocks.iter().flat_map(Block::parts);
    if let Some(whole) = parts().find(|part| first(part) == beginning) {
        return Ok(whole);
    }
    let parts = parts();
    let mut found = parts.filter(|part| first(part).starts_with(beginning));
    match (found.next(), found.next()) {
        (Some(part), None) => Ok(part),
        (None, _) => Err(format!("no part of a block begins with `{beginning}`")),
        (Some(one), Some(other)) => {
            let (one, other) = (one.line, other.line);
            Err(format!(
                "the blocks of lines {one} and {other} both have a part that begins with `{beginning}`"
            ))
        }
    }
}

/// Whether a line is the one that is shown.
#[must_use]
pub fn is_shown(line: &str, shown: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        let at = if last {
            rest.len().checked_sub(part.len()).filter(|_| rest.ends_with(part))
        } else {
            rest.find(part)
        };
        let Some(found) = at else { return false };
        rest = rest.get(found + part.len()..).unwrap_or_default();
    }
    true
}

/// Whether lines are those that are shown.
#[must_use]
pub fn all_shown<T: AsRef<str>>(lines: &[T], shown: &[T]) -> bool {
    let Some((first, others)) = shown.split_first() else { return lines.is_empty() };
    if first.as_ref() == "…" {
        return (0..=lines.len())
            .any(|skipped| lines.get(skipped..).is_some_and(|rest| all_shown(rest, others)));
    }
    let Some((line, rest)) = lines.split_first() else { return false };
    is_shown(line.as_ref(), first.as_ref()) && all_shown(rest, others)
}

/// A line of a machine without its numbers, which are other ones each time: amounts, times, process ids, and what tells
/// one version of a policy from another. An amount keeps its unit.
#[must_use]
pub fn without_numbers(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line.chars().peekable();
    let mut is_version = false;
    while let Some(letter) = rest.next() {
        let is_number =
            |letter: &char| letter.is_ascii_digit() || (is_version && letter.is_ascii_alphabetic());
        if is_number(&letter) {
            while rest.next_if(|next| is_number(next) || (*next == '.' && !is_version)).is_some() {}
            out.push('0');
        } else {
            out.push(letter);
        }
        is_version = letter == '@';
    }
    out
}

/// Whether what a machine printed is what a page shows, numbers aside: all of it below a command, and else lines of it
/// that follow each other.
#[must_use]
pub fn is_like(output: &str, part: &Part<'_>) -> bool {
    let lines: Vec<String> = output.lines().map(without_numbers).collect();
    let mut shown: Vec<String> = part.output.iter().map(|line| without_numbers(line)).collect();
    if part.command.is_some() {
        return all_shown(&lines, &shown);
    }
    shown.push("…".to_owned());
    (0..lines.len()).any(|from| lines.get(from..).is_some_and(|rest| all_shown(rest, &shown)))
}

/// Whether a log has the lines that a page shows, in this order, numbers aside; others may stand between them.
#[must_use]
pub fn is_logged(log: &str, part: &Part<'_>) -> bool {
    let mut lines = log.lines().map(without_numbers);
    let mut shown = part.output.iter().map(|line| without_numbers(line));
    shown.all(|shown| lines.any(|line| is_shown(&line, &shown)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "a\n```text,play\n# oomc one\n1\n# oomc two\n```\nb\n```text\n    alone 2\n```\n";

    #[test]
    fn a_page_has_blocks_and_they_have_parts() {
        let blocks = blocks(PAGE);
        assert_eq!(blocks.len(), 2);
        assert_eq!(blocks[0].info, ["text", "play"]);
        let one = part(&blocks, "# oomc one").unwrap();
        assert_eq!(one, Part { line: 3, command: Some("# oomc one"), output: vec!["1"] });
        assert_eq!(part(&blocks, "# oomc two").unwrap().output, [""; 0]);
        assert_eq!(part(&blocks, "    alone").unwrap().command, None);
        assert!(part(&blocks, "# oomc").unwrap_err().contains("lines 3 and 5"));
        assert!(part(&blocks, "1").is_err());
    }

    #[test]
    fn a_line_is_shown_whole_or_with_gaps() {
        assert!(is_shown("a b c", "a … c") && !is_shown("a b d", "a … c") && !is_shown("a b", "a"));
        assert!(all_shown(&["a", "b"], &["a", "b"]) && !all_shown(&["a"], &["a", "b"]));
        assert!(all_shown(&["a", "b", "c"], &["a", "…"]) && all_shown(&["a"], &["a", "…"]));
        assert!(all_shown(&["a", "b", "c"], &["…", "c"]) && !all_shown(&["a", "b"], &["…", "c"]));
    }

    #[test]
    fn a_line_of_a_machine_is_compared_without_its_numbers() {
        let without = |line| without_numbers(line);
        assert_eq!(without("2026-11-26T03:14:02Z #2"), without("1970-01-01T00:00:59Z #10"));
        assert_eq!(without("/job: job@3f9a12c4 (enforce)"), without("/job: job@00ffee11 (enforce)"));
        assert_eq!(without("about 61.2MiB, by"), "about 0MiB, by");
        assert_ne!(without("61MiB"), without("61KiB"));
        assert_ne!(without("job@3f9a is"), without("job@3f9a was"));
    }

    #[test]
    fn below_a_command_stands_all_of_it() {
        let blocks = blocks("```text\n# oomc status\n/job: 1\n```\n```text\n  then 2\n```\n");
        let (status, alone) = (part(&blocks, "# oomc status").unwrap(), part(&blocks, "  then").unwrap());
        assert!(is_like("/job: 7\n", &status) && !is_like("/job: 7\nmore\n", &status));
        assert!(is_like("before\n  then 9\nbehind\n", &alone) && !is_like("  else 9\n", &alone));
    }

    #[test]
    fn a_log_has_other_lines_between() {
        let blocks = blocks("```text\none 1\ntwo 2\n```\n");
        let part = part(&blocks, "one").unwrap();
        assert!(is_logged("one 3\nx\ntwo 4\n", &part));
        assert!(!is_logged("two 4\none 3\n", &part));
    }
}
