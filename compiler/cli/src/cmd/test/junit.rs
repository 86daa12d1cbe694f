//! Results of tests in JUnit's format, which other programs read.
//!
//! There is no one JUnit format. What is written here holds to what is common to the schema of Ant's reports and that of
//! Jenkins: each suite has its number, its moment and its sums; each test ends in at most one `failure` or `error`, with
//! a type. A policy that cannot be compiled is a suite of one test with an error.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oomc_forecast::Suite;
use oomc_forecast::test_run::Ran;
use serde_json::Value;

use crate::cmd::events::utc;

/// A policy that was not compiled: its file, and what is wrong with it.
pub(super) struct Broken {
    pub(super) file: String,
    pub(super) diagnostics: Vec<Value>,
}

/// What became of a test.
enum Ended<'a> {
    Passed,
    /// The element that says so, its type, a sentence, and all that is known.
    Otherwise(&'a str, String, String, String),
}

/// One test.
struct Case<'a> {
    name: &'a str,
    file: &'a str,
    time: Duration,
    ended: Ended<'a>,
}

/// All results in JUnit's format: a suite for each policy.
pub(super) fn text(suites: &[Suite<'_>], ran: &[Ran], broken: &[Broken]) -> String {
    let mut own = Vec::new();
    for suite in suites {
        let cases = ran.iter().filter_map(|ran| {
            let (of, test) = ran.of(suites)?;
            let (name, file) = (test.test.name.as_str(), test.file.as_str());
            std::ptr::eq(of, suite).then(|| Case { name, file, time: ran.time, ended: ended(suite, ran) })
        });
        let cases: Vec<Case<'_>> = cases.collect();
        if !cases.is_empty() {
            own.push((suite.source().name.as_str(), cases));
        }
    }
    for policy in broken {
        let ended = broken_case(&policy.diagnostics);
        let case = Case { name: "compiles", file: &policy.file, time: Duration::ZERO, ended };
        own.push((policy.file.as_str(), vec![case]));
    }
    let now = utc(SystemTime::now().max(UNIX_EPOCH));
    let mut out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n".to_owned();
    for (id, (name, cases)) in own.iter().enumerate() {
        suite_text(&mut out, id, name, cases, now.trim_end_matches('Z'));
    }
    out.push_str("</testsuites>\n");
    out
}

fn ended(suite: &Suite<'_>, ran: &Ran) -> Ended<'static> {
    let failures = ran.wrong();
    let Some((line, first)) = failures.first() else { return Ended::Passed };
    let all = ran.explain(suite).join("\n");
    match ran.result {
        Ok(_) => Ended::Otherwise("failure", "expectation".to_owned(), format!("line {line}: {first}"), all),
        Err(_) => Ended::Otherwise("error", "test".to_owned(), format!("line {line}: {first}"), all),
    }
}

fn broken_case(diagnostics: &[Value]) -> Ended<'static> {
    let word = |one: &Value, name: &str| one.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let errors: Vec<&Value> = diagnostics.iter().filter(|one| word(one, "severity") == "error").collect();
    let lines = errors.iter().map(|one| {
        let label = one.get("labels").and_then(|labels| labels.get(0));
        let number = |name: &str| label.and_then(|label| label.get(name)).and_then(Value::as_u64);
        let place = match (number("line"), number("column")) {
            (Some(line), Some(column)) => format!("{}:{line}:{column}", word(one, "file")),
            _ => word(one, "file"),
        };
        let help = one.get("help").and_then(Value::as_str);
        let help = help.map(|help| format!("\n  help: {help}")).unwrap_or_default();
        format!("{place}: {}: {}{help}", word(one, "code"), word(one, "message"))
    });
    let text = lines.collect::<Vec<String>>().join("\n");
    let (kind, message) = match errors.first() {
        Some(first) => (word(first, "code"), word(first, "message")),
        None => ("unready".to_owned(), "the policy cannot be compiled".to_owned()),
    };
    Ended::Otherwise("error", kind, message, text)
}

fn suite_text(out: &mut String, id: usize, name: &str, cases: &[Case<'_>], now: &str) {
    let count = |element: &str| {
        cases
            .iter()
            .filter(|case| matches!(&case.ended, Ended::Otherwise(which, ..) if *which == element))
            .count()
    };
    let seconds: Duration = cases.iter().map(|case| case.time).sum();
    let (name, tests) = (escaped(name), cases.len());
    let (failures, errors, seconds) = (count("failure"), count("error"), seconds.as_secs_f64());
    out.push_str(&format!(
        "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" \
         time=\"{seconds:.3}\" timestamp=\"{now}\" hostname=\"localhost\" package=\"oomc\" id=\"{id}\">\n    \
         <properties/>\n"
    ));
    for case in cases {
        let (name, file, seconds) = (escaped(case.name), escaped(case.file), case.time.as_secs_f64());
        out.push_str(&format!("    <testcase name=\"{name}\" classname=\"{file}\" time=\"{seconds:.3}\""));
        match &case.ended {
            Ended::Passed => out.push_str("/>\n"),
            Ended::Otherwise(element, kind, message, text) => {
                let (kind, message, text) = (escaped(kind), escaped(message), escaped(text));
                out.push_str(&format!(
                    ">\n      <{element} type=\"{kind}\" message=\"{message}\">{text}</{element}>\n    </testcase>\n"
                ));
            }
        }
    }
    out.push_str("    <system-out/>\n    <system-err/>\n  </testsuite>\n");
}

/// Text as XML holds it; what XML cannot hold at all stands as `\u{1b}`.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(letter),
            '\u{fffe}' | '\u{ffff}' => out.push_str(&format!("\\u{{{:x}}}", u32::from(letter))),
            letter if letter.is_control() => out.push_str(&format!("\\u{{{:x}}}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out
}
