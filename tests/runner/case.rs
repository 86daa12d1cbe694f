//! A case: one file with its header, its input and its expectation.
//!
//! Takes the text of a file, gives its parts. Does not know what a test does with them.
//!
//! ```text
//! #! test: check, ir          header: `key: value`, first lines of the file
//!
//! kill largest where rss > 1  the policy
//! #~ E0302 no unit            assertion: a diagnostic on the nearest line of policy above
//! #~^ W0601                   assertion: a diagnostic without a place
//!
//! #= function %on_oom {       expectation: last lines of the file, written by OOMC_BLESS=1
//! ```
//!
//! All marks are comments of the language, so the input is the file itself without its expectation: lines
//! have the same numbers in both.

use std::path::PathBuf;

/// A case, taken apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    /// The file.
    pub(crate) path: PathBuf,
    /// Its name in messages, relative to the repository.
    pub(crate) name: String,
    /// Header lines, in order.
    pub(crate) header: Vec<(String, String)>,
    /// The policy's text: everything before the expectation.
    pub(crate) input: String,
    /// Diagnostics that must appear.
    pub(crate) assertions: Vec<Assertion>,
    /// Expected output of each test that prints one.
    pub(crate) expected: Vec<Expected>,
}

/// `#~ CODE fragment`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assertion {
    /// The line of policy that the diagnostic stands on, from 1; none: it has no place.
    pub(crate) line: Option<u32>,
    /// Its code.
    pub(crate) code: String,
    /// A part of its message, of a label or of its help; may be empty.
    pub(crate) fragment: String,
    /// Where the assertion itself stands, for messages.
    pub(crate) at: u32,
}

/// The expected output of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    /// The test; a case with only one printing test does not name it.
    pub(crate) test: Option<String>,
    /// The text, each line ended.
    pub(crate) text: String,
}

impl Case {
    /// Takes a file apart. An error is a sentence with a line number.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut case = Self::default();
        let lines: Vec<&str> = text.lines().collect();
        let body_end = lines.iter().position(|line| is_expectation(line)).unwrap_or(lines.len());
        let (body, expectation) = lines.split_at(body_end);

        let mut in_header = true;
        let mut last_policy_line = None;
        for (number, line) in (1..).zip(body) {
            if let Some(rest) = line.strip_prefix("#!") {
                if !in_header {
                    return Err(format!("line {number}: header lines come first"));
                }
                let Some((key, value)) = rest.split_once(':') else {
                    return Err(format!("line {number}: a header line is `#! key: value`"));
                };
                case.header.push((key.trim().to_owned(), value.trim().to_owned()));
                continue;
            }
            in_header = false;
            if let Some(rest) = line.trim_start().strip_prefix("#~") {
                case.assertions.push(assertion(rest, last_policy_line, number)?);
            } else if is_policy(line) {
                last_policy_line = Some(number);
            }
        }
        case.input = body.iter().flat_map(|line| [line, "\n"]).collect();
        case.expected = expectations(expectation, body_end)?;
        Ok(case)
    }

    /// A header value.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.header.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The tests that the header asks for.
    pub(crate) fn tests(&self) -> Vec<&str> {
        self.get("test").map(|list| list.split(',').map(str::trim).collect()).unwrap_or_default()
    }

    /// The line of policy that a position on `line` is asserted at: itself, or, where that holds no
    /// policy (the end of the file, a comment), the nearest one above.
    pub(crate) fn policy_line(&self, line: u32) -> Option<u32> {
        (1..)
            .zip(self.input.lines())
            .take_while(|(at, _)| *at <= line)
            .filter(|(_, text)| is_policy(text))
            .last()
            .map(|(at, _)| at)
    }

    /// The expected text of a test, empty if there is none.
    pub(crate) fn expected_of(&self, test: &str) -> &str {
        self.expected
            .iter()
            .find(|expected| expected.test.as_deref().is_none_or(|name| name == test))
            .map_or("", |expected| expected.text.as_str())
    }
}

fn is_expectation(line: &str) -> bool {
    line.starts_with("#=")
}

fn is_policy(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with('#')
}

fn assertion(rest: &str, line: Option<u32>, at: u32) -> Result<Assertion, String> {
    let (whole_file, rest) = rest.strip_prefix('^').map_or((false, rest), |rest| (true, rest));
    let (code, fragment) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
    if code.is_empty() {
        return Err(format!("line {at}: an assertion is `#~ CODE fragment`"));
    }
    if line.is_none() && !whole_file {
        return Err(format!(
            "line {at}: no line of policy stands above; `#~^` asserts a diagnostic without a place"
        ));
    }
    Ok(Assertion {
        line: if whole_file { None } else { line },
        code: code.to_owned(),
        fragment: fragment.trim().to_owned(),
        at,
    })
}

/// `#= text`; `#== test` opens the part of one test when a case has several that print.
fn expectations(lines: &[&str], before: usize) -> Result<Vec<Expected>, String> {
    let mut parts: Vec<Expected> = Vec::new();
    for (number, line) in (before + 1..).zip(lines) {
        if line.trim().is_empty() {
            continue;
        }
        if let Some(name) = line.strip_prefix("#==") {
            parts.push(Expected { test: Some(name.trim().to_owned()), text: String::new() });
            continue;
        }
        let Some(text) = line.strip_prefix("#=") else {
            return Err(format!("line {number}: the expectation is the end of the file"));
        };
        if parts.is_empty() {
            parts.push(Expected { test: None, text: String::new() });
        }
        if let Some(part) = parts.last_mut() {
            part.text.push_str(text.strip_prefix(' ').unwrap_or(text));
            part.text.push('\n');
        }
    }
    Ok(parts)
}

/// A sentence, and what must hold for it.
pub(crate) type SelfCheck = (&'static str, fn() -> Result<(), String>);

/// Checks of this file itself; the runner has no harness of its own, so it runs them as trials.
pub(crate) fn self_checks() -> Vec<SelfCheck> {
    vec![
        ("header, input and expectation are told apart", || {
            let case = Case::parse("#! test: ir, opt\n\nkill largest\n\n#= a\n#=\n#= b\n")?;
            equal(&case.tests(), &vec!["ir", "opt"])?;
            equal(&case.input.as_str(), &"#! test: ir, opt\n\nkill largest\n\n")?;
            equal(&case.expected_of("ir"), &"a\n\nb\n")
        }),
        ("parts of several tests", || {
            let case = Case::parse("#! test: ir, opt\nkill largest\n#== ir\n#= a\n#== opt\n#= b\n")?;
            equal(&(case.expected_of("ir"), case.expected_of("opt")), &("a\n", "b\n"))
        }),
        ("an assertion is about the nearest policy line above", || {
            let case =
                Case::parse("#! test: check\nkill x\n# remark\n#~ E0201 x\n  #~ E0302\n#~^ W0601 whole\n")?;
            let lines: Vec<_> =
                case.assertions.iter().map(|a| (a.line, a.code.as_str(), a.fragment.as_str())).collect();
            equal(&lines, &vec![(Some(2), "E0201", "x"), (Some(2), "E0302", ""), (None, "W0601", "whole")])?;
            equal(&(case.policy_line(9), case.policy_line(1)), &(Some(2), None))
        }),
        ("misplaced marks are errors", || {
            for text in [
                "kill x\n#! test: ir\n",
                "#~ E0201\nkill x\n",
                "#! test\n",
                "kill x\n#= a\nkill y\n",
                "kill x\n#~\n",
            ] {
                if Case::parse(text).is_ok() {
                    return Err(format!("accepted: {text:?}"));
                }
            }
            Ok(())
        }),
    ]
}

fn equal<T: PartialEq + std::fmt::Debug>(left: &T, right: &T) -> Result<(), String> {
    if left == right { Ok(()) } else { Err(format!("{left:?} is not {right:?}")) }
}
