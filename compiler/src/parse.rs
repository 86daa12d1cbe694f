//! The front end in one call: from text to a checked policy.

use oomc_abi::resolve::KernelView;

use crate::diag::{Diagnostic, Sink, codes};
use crate::hir::{self, Policy};
use crate::source::Source;
use crate::syntax::ast::{ClauseKind, File};
use crate::syntax::{lower_cst, print};

/// Parses and checks a policy for a kernel. All mistakes go to the sink; with one, there is no policy.
pub fn parse_and_check(source: &Source, view: &KernelView, sink: &mut Sink) -> Option<Policy> {
    let file = lower_cst::parse(source, sink);
    if !sink.has_errors() && !has_rule(&file) {
        sink.push(
            Diagnostic::new(codes::EMPTY, "the policy does nothing: it has neither a rule nor a `default`")
                .help("write a rule, for example `kill largest in subtree`"),
        );
    }
    let policy = hir::lower::lower(&file, source, sink);
    hir::coverage::check(&policy, sink);
    hir::kernel::check(&policy, view, sink);
    if sink.has_errors() { None } else { Some(policy) }
}

fn has_rule(file: &File) -> bool {
    file.clauses.iter().any(|clause| matches!(clause.kind, ClauseKind::Rule { .. } | ClauseKind::Default(_)))
}

/// The parse trees as text.
#[must_use]
pub fn dump_cst(source: &Source) -> String {
    lower_cst::dump(source)
}

/// The syntax tree as text; what could not be parsed is left out.
#[must_use]
pub fn dump_ast(source: &Source) -> String {
    print::print(&lower_cst::parse(source, &mut Sink::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The diagnostics of a text as `CODE line: message`, and the policy.
    fn checked(text: &str) -> (Vec<String>, Option<Policy>) {
        let source = Source::new("t.oom", text);
        let mut sink = Sink::default();
        let policy = parse_and_check(&source, &KernelView::embedded(), &mut sink);
        let diagnostics = sink
            .into_diagnostics()
            .into_iter()
            .map(|diagnostic| {
                let line = diagnostic.span().map_or(0, |span| source.line_column(span.start).0);
                format!("{} {line}: {diagnostic}", diagnostic.code)
            })
            .collect();
        (diagnostics, policy)
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
}
