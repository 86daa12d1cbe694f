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
    E0109 TOO_MANY_ERRORS Error "0.1" "More errors than anybody reads."
    E0901 IR_INVALID Error "0.1" "The IR broke its own rules."
    E0902 CODE_FAILED Error "0.1" "The back end gave up."
    E0903 OBJECT_FAILED Error "0.1" "The object could not be written."
}

#[cfg(test)]
mod tests {
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
}
