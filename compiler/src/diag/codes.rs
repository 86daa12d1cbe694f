//! The registry of codes: one row each.
//!
//! A number is permanent; a retired code stays listed. The ranges say whose fault it is:
//!
//! | range | area | fault |
//! |---|---|---|
//! | 01xx | text and grammar | author |
//! | 02xx | names | author |
//! | 03xx | types and units | author |
//! | 04xx | context | author |
//! | 05xx | the kernel lacks it | environment |
//! | 06xx | meaning | author |
//! | 07xx | limits of BPF | author or compiler |
//! | 08xx | object, load, attach | environment |
//! | 09xx | the compiler | oomc |
//!
//! `E` stops the build, `W` does not.

use core::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The policy builds; something about it should be known.
    Warning,
    /// The policy does not build.
    Error,
}

/// A row: one code.
#[derive(Debug)]
struct Row {
    id: &'static str,
    name: &'static str,
    severity: Severity,
    since: &'static str,
    page: &'static str,
}

/// A permanent code.
#[derive(Clone, Copy)]
pub struct Code(&'static Row);

impl Code {
    /// As printed: `E0302`.
    #[must_use]
    pub fn id(&self) -> &'static str {
        self.0.id
    }

    /// Its name in the compiler: `UNIT_MISSING`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// Whether it stops the build.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.0.severity
    }

    /// Whether what it marks could be left out: editors show such text faded.
    #[must_use]
    pub fn marks_unneeded(&self) -> bool {
        [UNREACHABLE, UNUSED_CONST, UNUSED_CANDIDATE, SAME_TWICE, DUPLICATE_ELEMENT, UNUSED_ALLOW]
            .contains(self)
    }

    /// The version of oomc that first had it.
    #[must_use]
    pub fn since(&self) -> &'static str {
        self.0.since
    }

    /// Its page in Markdown: what, why, an example, the repair.
    #[must_use]
    pub fn page(&self) -> &'static str {
        self.0.page
    }

    /// All codes by number.
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.iter().copied()
    }

    /// The code with this id; upper or lower case.
    #[must_use]
    pub fn find(id: &str) -> Option<Self> {
        Self::all().find(|code| code.id().eq_ignore_ascii_case(id))
    }
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Code {}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

macro_rules! codes {
    ($( $id:ident $name:ident $severity:ident $since:literal $doc:literal )*) => {
        $(
            #[doc = $doc]
            pub const $name: Code = Code(&Row {
                id: stringify!($id),
                name: stringify!($name),
                severity: Severity::$severity,
                since: $since,
                page: include_str!(concat!("docs/", stringify!($id), ".md")),
            });
        )*
        static ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    E0101 SYNTAX Error "0.1" "The text does not follow the grammar."
    E0102 NOT_UTF8 Error "0.1" "The file is not UTF-8."
    E0103 TOO_LARGE Error "0.1" "The file is larger than a policy can be."
    E0104 CHARACTER Error "0.1" "A character that no token has."
    E0105 OPEN_STRING Error "0.1" "A string without an end."
    E0106 DEPTH Error "0.1" "Too much inside each other."
    E0107 EMPTY Error "0.1" "No rule."
    E0108 ASSIGN Error "0.1" "`=` for `==`."
    E0109 TOO_MANY_ERRORS Error "0.1" "More errors than anybody reads."
    E0110 CHAINED Error "0.1" "`a < b < c`."
    E0111 DUPLICATE_CLAUSE Error "0.1" "A clause that stands once stands twice."
    E0112 EMPTY_PART Error "0.1" "An empty block or name."
    E0113 LONG_CLAUSE Error "0.1" "A clause that is too long."
    E0114 BARE_QUANTIFIER Error "0.1" "A quantifier whose condition has no end."
    E0115 MESSAGE Error "0.1" "A message whose braces hold no value."
    E0116 ALLOW Error "0.1" "An acknowledgement that is none."
    E0117 SETTINGS Error "0.1" "`oomc.toml` that cannot be read."
    E0120 NOT_YET Error "0.1" "A construct of a later version of the language."
    E0201 UNKNOWN_NAME Error "0.1" "A name that nothing has."
    E0202 UNKNOWN_FIELD Error "0.1" "A field that its owner does not have."
    E0203 WRONG_OWNER Error "0.1" "A cgroup's field of a process, or the other way round."
    E0204 SHADOWS Error "0.1" "A name of the language, declared again."
    E0205 DUPLICATE_NAME Error "0.1" "A name declared twice."
    E0206 CYCLE Error "0.1" "Constants made of each other."
    E0207 NO_CANDIDATE Error "0.1" "A bare field outside of a selection."
    E0208 NOT_A_VALUE Error "0.1" "A cgroup or process where a value is needed."
    E0209 CANDIDATE_NAME Error "0.1" "A candidate's name that is most likely a mistyped word."
    E0301 TYPES Error "0.1" "Types that do not fit."
    E0302 UNIT_MISSING Error "0.1" "A number without a unit."
    E0303 UNKNOWN_UNIT Error "0.1" "A unit that the language does not have."
    E0304 NUMBER Error "0.1" "A number that does not fit."
    E0305 PERCENT_BASE Error "0.1" "A percent of nothing."
    E0306 NOT_BOOL Error "0.1" "A condition that is neither true nor false."
    E0307 LIST Error "0.1" "A list in the wrong place, or no list."
    E0308 NOT_CONSTANT Error "0.1" "A constant that depends on the event."
    E0309 TEXT Error "0.1" "Text compared in a way that it cannot be."
    E0310 DIVIDES_BY_ZERO Error "0.1" "A division that is always missing."
    W0311 LONG_COMM Warning "0.1" "A command name longer than the kernel keeps."
    E0312 RANGE Error "0.1" "A range that does not fit."
    E0401 DEFER_IN_BLOCK Error "0.1" "`defer` behind an action, or something behind `defer`."
    E0402 PLACE Error "0.1" "A place where no candidates are looked for."
    E0403 NEVER Error "0.1" "`never kill` without a condition, or with more than one."
    E0404 RANK_AND_KEY Error "0.1" "Two orders for one selection."
    E0405 STEPWISE Error "0.1" "`stepwise` where there are no steps."
    E0406 UNTIL Error "0.1" "`until` without a number of victims that can be."
    E0407 PICK Error "0.1" "A `pick` of something else than one cgroup."
    E0408 QUANTIFIERS Error "0.1" "A quantifier that asks nothing, or too deep."
    E0409 SCENARIO Error "0.1" "A test of something that cannot be."
    E0410 DEFINITIONS Error "0.1" "More uses of definitions than a policy may have."
    E0411 ONLY_IN_BLOCK Error "0.1" "Something that only an `on` block can do."
    E0412 WATCH Error "0.1" "An event that cannot be watched so."
    E0413 SAMPLED Error "0.1" "`rate` or `growth` of a field that has none."
    E0501 KFUNC_MISSING Error "0.1" "The kernel lacks a function."
    E0502 FIELD_MISSING Error "0.1" "The kernel lacks a member or a statistic."
    W0503 ACTION_WITHOUT_KFUNC Warning "0.1" "The kernel lacks a function, and an alternative is there."
    E0504 HOOK_MISSING Error "0.1" "The kernel has no oom policies."
    W0601 UNREACHABLE Warning "0.1" "Something that never runs."
    W0602 UNBOUNDED Warning "0.1" "A rise without a bound."
    W0603 NEVER_IS_OURS Warning "0.1" "What `never` does not promise."
    W0604 UNUSED_CONST Warning "0.1" "A constant that nothing uses."
    W0605 CONSTANT_CONDITION Warning "0.1" "A condition that never changes."
    W0606 NO_RISE Warning "0.1" "A rise that is too small."
    W0607 UNUSED_CANDIDATE Warning "0.1" "A candidate's name that nothing uses."
    W0620 REGEX_PATTERN Warning "0.1" "A pattern that is written as a regular expression."
    W0621 COMM_PATH Warning "0.1" "A path that is compared with a command's name."
    W0622 PATH_SHAPE Warning "0.1" "A path that no cgroup has."
    W0623 INDEPENDENT Warning "0.1" "A condition on candidates that does not depend on them."
    W0624 SAME_TWICE Warning "0.1" "The same action again, after it made no progress."
    W0625 DUPLICATE_ELEMENT Warning "0.1" "The same condition or element twice."
    W0626 NEVER_COUNTED Warning "0.1" "A counter that is asked, and never counted."
    W0627 LOOK_ALIKE Warning "0.1" "Letters that look like others."
    W0628 UNUSED_ALLOW Warning "0.1" "An acknowledgement of nothing."
    W0640 NOT_IN_THE_MODEL Warning "0.1" "A member that only a running kernel knows."
    W0641 ABOVE_LINEAR Warning "0.1" "A decision whose cost grows with products."
    E0701 PROGRAM_TOO_LARGE Error "0.1" "A policy that the kernel has no room for."
    W0702 RULES_NOT_TOLD Warning "0.1" "More rules than a record tells of."
    E0901 IR_INVALID Error "0.1" "The IR broke its own rules."
    E0902 CODE_FAILED Error "0.1" "The back end gave up."
    E0903 OBJECT_FAILED Error "0.1" "The object could not be written."
    E0904 FRONT_END_FAILED Error "0.1" "The front end contradicts itself."
    E0905 VERIFIER_REFUSED Error "0.1" "The kernel's verifier refuses the program."
    E0906 LOWERING_FAILED Error "0.1" "The plan and the code for it contradict each other."
}

#[cfg(test)]
mod tests {
    use oomc_abi::resolve::KernelView;

    use super::*;

    #[test]
    fn ids_are_unique_ordered_and_their_letter_is_the_severity() {
        let number = |code: &Code| code.id().get(1..).and_then(|digits| digits.parse::<u16>().ok());
        for (code, next) in ALL.iter().zip(ALL.iter().skip(1)) {
            assert!(number(code) < number(next), "{code} stands before {next}");
        }
        for code in Code::all() {
            assert_eq!(code.id().starts_with('W'), code.severity() == Severity::Warning, "{code}");
            assert_eq!(Code::find(&code.id().to_lowercase()), Some(code));
            assert!(code.page().starts_with(&format!("# {code}: ")), "{code}: the page has no title");
        }
    }

    #[derive(Debug)]
    struct Fence<'a> {
        info: &'a str,
        text: String,
    }

    impl Fence<'_> {
        /// `key(value)` in the line that opens the fence.
        fn argument(&self, key: &str) -> Option<&str> {
            let (_, rest) = self.info.split_once(&format!(",{key}("))?;
            rest.split_once(')').map(|(value, _)| value)
        }

        fn diagnostics(&self) -> Vec<crate::diag::Diagnostic> {
            let kernel = |bytes: &[u8]| KernelView::from_btf(bytes).expect("a BTF of tests/btf");
            let view = match self.argument("btf") {
                Some("no_raise") => kernel(include_bytes!("../../../tests/btf/no_raise.btf")),
                Some(_) => kernel(include_bytes!("../../../tests/btf/no_hook.btf")),
                None => KernelView::embedded(),
            };
            crate::check(&crate::source::Source::new("page.oom", self.text.as_str()), &view).diagnostics()
        }
    }

    fn fences(page: &str) -> Vec<Fence<'_>> {
        let mut found = Vec::new();
        let mut lines = page.lines();
        while let Some(line) = lines.next() {
            if let Some(info) = line.strip_prefix("```") {
                let text =
                    lines.by_ref().take_while(|line| *line != "```").flat_map(|line| [line, "\n"]).collect();
                found.push(Fence { info, text });
            }
        }
        found
    }

    #[test]
    fn examples_on_the_pages_do_what_the_pages_say() {
        for code in Code::all() {
            let mut fences = fences(code.page());
            // Settings of a folder are no policy.
            fences.retain(|fence| fence.info.starts_with("oom"));
            for fence in &fences {
                let given = fence.diagnostics();
                let errors = given.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
                let wanted = fence.argument("fail").or(fence.argument("warn"));
                if let Some(wanted) = wanted {
                    assert_eq!(wanted, code.id(), "the page of {code}");
                    assert_eq!(given.iter().filter(|d| d.code == code).count(), 1, "{code}: {given:#?}");
                }
                assert_eq!(errors, fence.argument("fail").is_some(), "{code}: {given:#?}");
                assert!(
                    given.iter().filter(|d| d.severity == Severity::Error).all(|d| d.code == code),
                    "{given:?}"
                );
            }
            let has = |key: &str| fences.iter().any(|fence| fence.argument(key).is_some());
            let fixed = fences.iter().find(|fence| fence.info == "oom");
            match fixed {
                Some(fixed) => {
                    assert!(has("fail") || has("warn"), "{code} shows the repair alone");
                    assert!(!fixed.diagnostics().iter().any(|d| d.code == code), "{code}: not repaired");
                }
                // What no policy text can bring about.
                None => assert!(
                    ["E0102", "E0103", "E0109", "E0113", "E0117", "E0502"].contains(&code.id())
                        || code.id() >= "E07",
                    "{code} has no example"
                ),
            }
        }
    }
}
