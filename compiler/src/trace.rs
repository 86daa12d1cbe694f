//! The traced build: the same policy with marks in it, which tell what a decision passed and for whom.
//!
//! Takes the [`Checked`] of which the ordinary object is made, gives an object for the simulator and the list of
//! points that its marks count through. Verdicts come from the ordinary object, always: the traced one is a second translation of
//! the same text, and no kernel loads it, because a mark uses fields of an instruction that have to be 0
//! ([`oomc_abi::mark`]). Where marks stand, [`lower`] decides; what was passed, the
//! simulator tells.

use crate::bpf;
use crate::diag::{Diagnostic, Sink};
use crate::pipeline::{Checked, Marks, Points, Programs, no_code};
use crate::source::{Source, Span};

/// What a traced build gives.
#[derive(Debug, Default)]
pub struct Traced {
    /// The ELF object, for the simulator only; none if there is an error.
    pub object: Option<Vec<u8>>,
    /// What its marks count through, in the order of the text; what stands in no text comes last.
    pub points: Vec<Point>,
    /// Whether marks name their objects. They do not where the registers that this takes do not fit the stack.
    pub names_objects: bool,
    /// Errors and warnings, in the order of the text: those of the ordinary build.
    pub diagnostics: Vec<Diagnostic>,
}

/// A place of the policy that a decision may pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// What it means to pass it.
    pub kind: PointKind,
    /// What it is about; empty if it stands in no text.
    pub span: Span,
    /// The text there in one line, or what else it is.
    pub text: String,
}

/// What it means to pass a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PointKind {
    /// The rule of this index was reached.
    Rule(usize),
    /// Of an `if`, whose condition is the text: what stands behind `then` was reached, or what stands behind `else`,
    /// be it that the condition did not hold or that the first made no progress; without `else`, the condition did
    /// not hold.
    Branch {
        /// The first of them.
        taken: bool,
    },
    /// This alternative of an `or` was reached.
    Alternative,
    /// This action was reached: `kill`, `raise_limit`, `wait`, `defer`, `notify` or `count`.
    Action,
    /// The condition of an `if`, of a clause or behind `where` decided, for the candidate that it was asked of.
    Guard {
        /// It counted as true. Unknown counts as true in `never`, and as false everywhere else.
        yes: bool,
    },
    /// The object is out of reach of the policy's `kill`s, and with it what cannot be killed without it.
    Protected(Protection),
}

/// What keeps a process or cgroup from being killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protection {
    /// The `never` of this index.
    Never(usize),
    /// It is the init process.
    Init,
    /// It is a thread of the kernel.
    KernelThread,
    /// Its `oom_score_adj` is −1000.
    Exempt,
    /// It is dying already.
    Dying,
}

impl Protection {
    /// What stands in no policy's text.
    fn built_in(self) -> Option<&'static str> {
        match self {
            Self::Never(_) => None,
            Self::Init => Some("process 1"),
            Self::KernelThread => Some("kernel thread"),
            Self::Exempt => Some("oom_score_adj -1000"),
            Self::Dying => Some("already dying"),
        }
    }
}

impl Point {
    fn new((kind, span): (PointKind, Span), source: &Source) -> Self {
        let built_in = match kind {
            PointKind::Protected(protection) => protection.built_in(),
            _ => None,
        };
        let text = match built_in {
            Some(text) => text.to_owned(),
            None => one_line(source.text.get(span.range()).unwrap_or_default()),
        };
        Self { kind, span, text }
    }
}

/// A piece of a policy without its comments and line breaks.
fn one_line(text: &str) -> String {
    text.lines().map(without_comment).flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

/// A line up to its comment. A string, in which a `#` is one, ends in its line.
fn without_comment(line: &str) -> &str {
    let (mut in_string, mut escaped) = (false, false);
    let comment = line.char_indices().find(|(_, c)| {
        let plain = !core::mem::take(&mut escaped);
        match c {
            '"' if plain => in_string = !in_string,
            '\\' if plain && in_string => escaped = true,
            '#' => return !in_string,
            _ => {}
        }
        false
    });
    comment.and_then(|(at, _)| line.get(..at)).unwrap_or(line)
}

impl Checked<'_> {
    /// Makes the traced build of the policy.
    #[must_use]
    pub fn trace(&self) -> Traced {
        let mut sink = self.sink();
        let mut traced = Traced::default();
        if let Some((programs, points, marks)) = marked(self, &mut sink) {
            traced.points = points.into_iter().map(|point| Point::new(point, self.source())).collect();
            traced.names_objects = marks == Marks::WithObjects;
            traced.object = programs.object(&mut sink);
        }
        traced.diagnostics = sink.into_diagnostics();
        traced
    }
}

/// Code with marks that name their objects, or, where these do not fit, with marks alone.
fn marked<'c>(checked: &'c Checked<'_>, sink: &mut Sink) -> Option<(Programs<'c>, Points, Marks)> {
    let mut marks = Marks::WithObjects;
    loop {
        let (lowered, points) = checked.lower_traced(marks, sink)?;
        match lowered.optimise(sink)?.select() {
            Ok(programs) => return Some((programs, points, marks)),
            // An object has to be kept until its mark.
            Err(bpf::Error::Stack { .. } | bpf::Error::Chain { .. }) if marks == Marks::WithObjects => {
                marks = Marks::Alone;
            }
            Err(error) => {
                sink.push(no_code(&error));
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::InstData;

    #[test]
    fn a_text_is_one_line_without_comments() {
        let text = "if a # first\n    \tand b == \"#1 \\\" #2\" # last";
        assert_eq!(one_line(text), "if a and b == \"#1 \\\" #2\"");
    }

    /// What is done where the objects of marks need more stack than there is.
    #[test]
    fn marks_can_do_without_objects() {
        let view = crate::KernelView::embedded();
        let source = Source::new("test.oom", "kill largest in subtree where rss > 1MiB");
        let checked = crate::check(&source, &view);
        let marks = |marks| {
            let mut sink = checked.sink();
            let (lowered, points) = checked.lower_traced(marks, &mut sink).expect("a policy");
            let module = lowered.module();
            let insts = module.functions.iter().flat_map(|func| func.placed().map(|inst| &func.insts[inst]));
            let marks: Vec<(u32, bool)> = insts
                .filter_map(|inst| match inst {
                    InstData::Mark { point, object } => Some((*point, object.is_some())),
                    _ => None,
                })
                .collect();
            (points, marks)
        };
        let ((points, with), (same_points, without)) = (marks(Marks::WithObjects), marks(Marks::Alone));
        assert_eq!(points, same_points);
        let numbers = |marks: &[(u32, bool)]| marks.iter().map(|(point, _)| *point).collect::<Vec<_>>();
        assert_eq!(numbers(&with), numbers(&without));
        assert!(with.iter().any(|(_, object)| *object) && without.iter().all(|(_, object)| !object));
    }
}
