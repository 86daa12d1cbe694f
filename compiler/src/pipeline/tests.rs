//! The front end on texts that are policies, and on texts that are not; and what comes of one that is checked once.

use std::time::Duration;

use oomc_abi::resolve::KernelView;

use super::{Parsed, check, compile};
use crate::diag::{Severity, codes};
use crate::hir::{self, Policy};
use crate::source::{MAX_BYTES, Source};
use crate::syntax::lower_cst;

/// What this thread has worked so far, whatever else the machine does.
fn worked() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("no time before zero")
}

/// The diagnostics of a text as `CODE line: message`, and the policy.
fn checked(text: &str) -> (Vec<String>, Option<Policy>) {
    let source = Source::new("t.oom", text);
    let view = KernelView::embedded();
    let checked = check(&source, &view);
    let diagnostics = checked
        .diagnostics()
        .into_iter()
        .map(|diagnostic| {
            let line = diagnostic.span().map_or(0, |span| source.line_column(span.start).0);
            format!("{} {line}: {diagnostic}", diagnostic.code)
        })
        .collect();
    (diagnostics, checked.into_policy())
}

#[test]
fn the_headline() {
    let text = "if cgroup.usage > 90% then raise_limit 10% else kill largest in subtree\n";
    let (diagnostics, policy) = checked(text);
    assert_eq!(diagnostics, ["W0602 1: nothing but the ancestors bounds this rise"]);
    let printed = policy.map(|policy| hir::print::print(&policy)).unwrap_or_default();
    assert_eq!(
        printed,
        "policy \"t\"\n\
         rule \"line 1\"\n\
         \x20 if (cgroup.usage > (cgroup.limit * 900000ppm))\n\
         \x20   raise_limit by (cgroup.own_limit * 100000ppm)\n\
         \x20 otherwise\n\
         \x20   kill\n\
         \x20     process candidate0 in subtree\n\
         \x20     by candidate0.footprint desc\n"
    );
}

/// Texts that are no policies, each as long as a policy may be. The test's own thread has 2 MiB of
/// stack, a quarter of what a program's first thread has.
#[test]
fn hostile_texts_end_soon_with_a_diagnostic() {
    let fill = |unit: &str| unit.repeat(MAX_BYTES / unit.len());
    let chain: String = (0..100_000).map(|n| format!("const c{n} = c{} + 1\n", n + 1)).collect::<String>()
        + "const c100000 = 1";
    let texts = [
        ("nothing", String::new()),
        ("comments", fill("# a\n")),
        ("parentheses", format!("if {}", fill("("))),
        ("ten thousand parentheses", format!("if {}1{} then wait", "(".repeat(10_000), ")".repeat(10_000))),
        ("brackets", format!("kill largest in subtree where comm in {}", fill("["))),
        ("braces", fill("{ ")),
        ("closing", fill(") ] } ")),
        ("not", format!("if {}", fill("not "))),
        ("minus", format!("if {}", fill("-"))),
        ("if", fill("if ")),
        ("if then", fill("if a then ")),
        ("else", fill("else if a then wait ")),
        ("or", format!("wait {}", fill("or wait "))),
        ("plus", format!("if 1 {}", fill("+ 1 "))),
        ("and", format!("if true {}", fill("and true "))),
        ("dots", format!("if {}", fill("a."))),
        ("letters", fill("a")),
        ("digits", fill("9")),
        ("number", format!("if {}", fill("1h"))),
        ("quotes", fill("\"")),
        ("open strings", fill("wait \"\n")),
        ("NUL", fill("\0")),
        ("emoji", fill("\u{1f480}")),
        ("broken rules", fill("kil largest in subtree\nwait wait x\n")),
        ("mistyped", fill("if cgruop.usage > 1 then wait\n")),
        ("a chain of constants", chain),
        ("a long list", format!("kill largest in subtree where pid in [{}1", fill("1,"))),
        ("later words", fill("test ")),
    ];
    for (name, text) in texts {
        let start = worked();
        let (diagnostics, policy) = checked(&text);
        let time = worked() - start;
        assert!(policy.is_none() && !diagnostics.is_empty(), "{name}");
        assert!(diagnostics.iter().all(|line| line.len() < 2_000), "{name}: a message as long as the text");
        assert!(time.as_secs() < 20, "{name}: {time:?}");
        eprintln!(
            "{name}: {time:?} {:?}",
            diagnostics.first().map(|d| d.chars().take(150).collect::<String>())
        );
    }
}

/// What is just allowed is compiled: the tree's depth is bounded by the same numbers everywhere.
#[test]
fn the_deepest_policies_are_compiled() {
    let (open, close) = ("(".repeat(60), ")".repeat(60));
    let texts = [
        format!("if {open}cgroup.usage{close} > 1GiB then wait"),
        format!("kill largest in subtree where {}dying", "not ".repeat(61)),
        format!("kill largest in subtree by {}rss", "- ".repeat(61)),
        format!("{}wait", "if cgroup.usage > 1GiB then ".repeat(61)),
        format!("{}wait", "if cgroup.usage > 1GiB then wait else ".repeat(61)),
        format!("{} wait {}", "{".repeat(61), "}".repeat(61)),
        format!("kill largest in subtree where dying{}", " and pid != 5".repeat(255)),
        format!("kill largest in subtree by rss{}", " + anon".repeat(255)),
    ];
    for text in texts {
        let compiled = compile(&Source::new("t.oom", text.as_str()), &KernelView::embedded());
        assert!(compiled.object.is_some(), "{:?}: {text}", compiled.diagnostics);
    }
    // The same, without the time that the code of 256 actions takes.
    let view = KernelView::embedded();
    let many = check(&Source::new("t.oom", format!("wait{}", " or wait".repeat(255))), &view);
    assert!(many.plan().is_some(), "{:?}", many.diagnostics());
}

/// As many rules as fit.
#[test]
fn a_large_policy_is_read_in_linear_time() {
    let rule = |number: usize| {
        format!(
            "if cgroup.usage > 90% then raise_limit 10% up to 1GiB else kill largest in subtree where \
             comm != \"sshd\" and rss > {number}KiB reason \"large\"\n"
        )
    };
    let time = |rules: usize| {
        let text: String = (1..=rules).map(rule).collect();
        let start = worked();
        let (diagnostics, policy) = checked(&text);
        assert!(matches!(diagnostics.as_slice(), [one] if one.starts_with("W0702")), "{diagnostics:?}");
        assert_eq!(policy.map(|policy| policy.rules.len()), Some(rules));
        worked() - start
    };
    let (small, large) = (time(500), time(5_000));
    assert!(large < small * 40, "500 rules {small:?}, 5,000 rules {large:?}");
}

/// Policies with a few bytes changed: whatever is said, it is said about the text, and nothing panics.
#[test]
fn damaged_policies_are_diagnosed() {
    let seeds = [
        "if cgroup.usage > 90% then raise_limit 10% else kill largest in subtree",
        "policy \"a\" mode enforce const floor = 64MiB * 2 never kill process where comm in [\"sshd\", \"x\"]\n\
         never kill cgroup where not (usage < 1.5GiB or is_leaf) rule \"r\": { raise_limit 1h up to 5 wait }\n\
         # comment\nrule \"s\": kill smallest cgroup c in subtree where c.usage - anon >= 10% of cgroup.limit \
         by c.usage desc, id asc now reason \"x\" or if a then b else { defer } default defer",
        "param a = 1 label b: count state c test \"x\" { given { } } kill worst in children of cgroup ?? 3",
    ];
    let words = [
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "\"",
        "#",
        "\n",
        "-",
        "%",
        "==",
        "if ",
        " then ",
        " or ",
        " in ",
        "é",
        "\0",
        "1h",
        "not ",
        "rule",
        "const x =",
        ":",
        ".",
        ",",
        "it",
        "cgroup",
        "💀",
        "9999999999999999999",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let view = KernelView::embedded();
    for round in 0..3_000 {
        let mut text = seeds[random(seeds.len())].to_owned();
        for _ in 0..=random(4) {
            let mut at = random(text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            let mut end = (at + random(8)).min(text.len());
            while !text.is_char_boundary(end) {
                end += 1;
            }
            text.replace_range(at..end, words[random(words.len())]);
        }
        let source = Source::new("t.oom", text.as_str());
        let checked = check(&source, &view);
        let diagnostics = checked.diagnostics();
        let errors = diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
        assert_eq!(checked.policy().is_none(), errors, "round {round}: {text}");
        for diagnostic in diagnostics {
            assert_ne!(diagnostic.code, codes::FRONT_END_FAILED, "round {round}: {text}");
            for label in &diagnostic.labels {
                assert!(text.get(label.span.range()).is_some(), "round {round}: {diagnostic:?}: {text}");
            }
        }
        let _ = (lower_cst::dump(&source), Parsed::new(source).print(), checked.print());
    }
}

/// What was parsed before an edit changes nothing of what is parsed behind it: places, words, mistakes.
#[test]
fn a_text_that_was_edited_is_read_like_a_new_one() {
    let words =
        ["\"", "#", "\n", "{", "}", "kill ", "rule \"x\": ", " and ", "9", "é", "-- ", "const x = 1 + "];
    let view = KernelView::embedded();
    let mut text: String = oomc_stdlib::FILES.iter().map(|policy| policy.text).collect();
    let mut before = check(&Source::new("t.oom", text.as_str()), &view);
    let mut random = fastrand::Rng::with_seed(14);
    for round in 0..400 {
        let place = |at: usize| (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        let from = place(random.usize(..=text.len()));
        // Most edits are small; some take whole clauses away.
        let taken = if random.u8(..8) == 0 { 400 } else { random.usize(..4) };
        let to = place((from + taken).min(text.len()));
        text.replace_range(from..to, if random.bool() { words[random.usize(..words.len())] } else { "" });
        let source = Source::new("t.oom", text.as_str());
        let (after, new) = (Parsed::after(&before, source.clone()), Parsed::new(source));
        assert_eq!(after.diagnostics(), new.diagnostics(), "round {round}: {text}");
        assert_eq!(format!("{:?}", after.file()), format!("{:?}", new.file()), "round {round}: {text}");
        before = after.check(&view);
    }
}

/// One checked policy serves for all that is made of it, in any order: no build changes another, and the tests beside
/// a policy change none.
#[test]
fn all_that_is_made_of_a_policy_comes_of_one_check() {
    let view = KernelView::embedded();
    for policy in oomc_stdlib::FILES {
        let source = Source::new("p.oom", policy.text);
        let checked =
            Parsed::new(source.clone()).with_tests(Source::new("p.oomt", policy.tests)).check(&view);
        let traced = checked.trace();
        assert_eq!(checked.compile().object, compile(&source, &view).object, "{}", policy.name);
        assert_eq!(traced.object, check(&source, &view).trace().object, "{}", policy.name);
        assert!(
            !checked.tests().1.is_empty() && traced.object != checked.compile().object,
            "{}",
            policy.name
        );
    }
}
