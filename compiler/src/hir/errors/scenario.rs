//! Mistakes in tests: what cannot be given, and what cannot be expected.
//!
//! One constructor for each mistake. Takes names and places in the text, gives the diagnostic; how a mistake is found
//! stands with the stage.

use oomc_abi::model::{Class, Stray};

use crate::diag::{Advice, Diagnostic, Fix, codes};
use crate::hir::Ty;
use crate::hir::check::{ty_name, with_unit};
use crate::source::Span;
use crate::syntax::ast;

/// Something else than a test in a file of tests.
pub(in crate::hir) fn clause_among_tests(span: Span) -> Diagnostic {
    Diagnostic::new(codes::SCENARIO, "a file of tests holds nothing but `test` blocks")
        .label(span, "belongs to the policy")
        .help("write it into the `.oom` file beside this one")
}

/// Two tests have one name.
pub(in crate::hir) fn two_tests_of_one_name(name: &ast::Text, first: Span) -> Diagnostic {
    Diagnostic::new(codes::DUPLICATE_NAME, format!("two tests are called \"{}\"", name.text))
        .label(name.span, "the second one")
        .label(first, "the first one")
        .help("give each test its own name")
}

/// An expectation before any event.
pub(in crate::hir) fn expects_too_early(span: Span) -> Diagnostic {
    Diagnostic::new(codes::SCENARIO, "nothing has happened yet")
        .label(span, "expects something before any `on oom`")
        .help("write `on oom in \"/job\"` above it")
}

/// The whole machine runs out of memory, and it is said where.
pub(in crate::hir) fn system_in_a_cgroup(cgroup: &ast::Text) -> Diagnostic {
    Diagnostic::new(codes::SCENARIO, "the machine does not run out of memory in a cgroup")
        .label(cgroup.span, "one cgroup of it")
        .help(format!(
            "write `on oom in \"{0}\"` if it is the limit of {0} that is met, or `on system oom` if the machine has no \
             memory left",
            cgroup.text
        ))
}

/// Pressure that no file of the kernel tells.
pub(in crate::hir) fn no_pressure(span: Span) -> Diagnostic {
    Diagnostic::new(codes::SCENARIO, "there is no such pressure")
        .label(span, "tasks wait for none to all of the time")
        .help("write from 0% to 100%, or a time that fits into the window")
}

/// A test without an expectation.
pub(in crate::hir) fn expects_nothing(span: Span) -> Diagnostic {
    Diagnostic::new(codes::SCENARIO, "this test expects nothing")
        .label(span, "can never fail")
        .help("write what must happen: `expect kill process \"/job#1\"`")
}

/// A param that the policy has not.
pub(in crate::hir) fn unknown_param(name: &ast::Name, help: Advice) -> Diagnostic {
    Diagnostic::new(codes::SCENARIO, format!("the policy has no param `{}`", name.text))
        .label(name.span, "unknown param")
        .advice(help)
}

/// A param is given a value that nobody can set.
pub(in crate::hir) fn outside_of_range(name: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::SCENARIO, format!("`{}` cannot have this value", name))
        .label(span, "outside of its range")
        .help("an operator could not set it either: give a value in the range that the param declares")
}

/// Processes and cgroups in one expectation.
pub(in crate::hir) fn processes_and_cgroups(span: Span) -> Diagnostic {
    Diagnostic::new(codes::SCENARIO, "processes and cgroups in one expectation")
        .label(span, "one of them is a cgroup, another one a process")
        .help("name all processes that die, or the cgroups that die as a whole")
}

/// An object that the test does not have.
pub(in crate::hir) fn not_given(text: &str, span: Span, help: Advice) -> Diagnostic {
    Diagnostic::new(codes::SCENARIO, format!("\"{text}\" was not given"))
        .label(span, "no such object in this test")
        .advice(help)
}

/// A rule that the policy has not.
pub(in crate::hir) fn unknown_rule(rule: &ast::Text, help: Advice) -> Diagnostic {
    Diagnostic::new(codes::SCENARIO, format!("no rule is called \"{}\"", rule.text))
        .label(rule.span, "unknown rule")
        .advice(help)
}

/// A name that is neither a cgroup's nor a process's.
pub(in crate::hir) fn no_object(name: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::SCENARIO, format!("\"{name}\" is neither a cgroup nor a process"))
        .label(span, "not a name of an object")
        .help("a cgroup is called `\"/job\"`, a process in it `\"/job#100\"`")
}

/// An object of which is said something in two places.
pub(in crate::hir) fn given_twice(name: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::SCENARIO, format!("\"{name}\" is given twice"))
        .label(span, "the second one")
        .help("say everything about it in one place")
}

/// Two processes have one number.
pub(in crate::hir) fn number_taken(other: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::SCENARIO, format!("\"{other}\" has the same number"))
        .label(span, "two processes cannot have one number")
        .help("give each process its own number")
}

/// A property without the value that it needs.
pub(in crate::hir) fn value_missing(text: &str, ty: Ty, span: Span) -> Diagnostic {
    Diagnostic::new(codes::SCENARIO, format!("`{text}` needs a value"))
        .label(span, format!("{} is expected behind it", ty_name(ty)))
        .help("only what is true or false stands alone")
}

/// A property that follows from others; `why` says from which.
pub(in crate::hir) fn follows(text: &str, why: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::SCENARIO, format!("`{text}` cannot be given"))
        .label(span, "follows from something else")
        .help(why)
}

/// A member that belongs to another object, or to one that nobody knows.
pub(in crate::hir) fn member_of_another(text: &str, stray: &Stray, span: Span) -> Diagnostic {
    let (label, help) = match stray {
        Stray::Another { class: Class::Memcg | Class::Cgroup | Class::Node | Class::Psi, .. } => {
            ("belongs to another cgroup", "say it of the cgroup that it belongs to")
        }
        Stray::Another { .. } => (
            "belongs to another process",
            "give that process, with its own properties, and name it: `parent \"/job#100\"`",
        ),
        Stray::Unknown { .. } => {
            ("not in the model of a machine", "a test can give what a process or a cgroup has itself")
        }
    };
    Diagnostic::new(codes::SCENARIO, format!("`{text}` cannot be given here"))
        .label(span, label)
        .help(help)
        .note(stray.to_string())
}

/// A property that such an object has not.
pub(in crate::hir) fn unknown_property(what: &str, text: &str, help: Advice, span: Span) -> Diagnostic {
    Diagnostic::new(codes::SCENARIO, format!("{what} has no `{text}`"))
        .label(span, "unknown property")
        .advice(help)
}

/// A value of another type than the property has.
pub(in crate::hir) fn given_as_another_type(
    wanted: Ty,
    found: Ty,
    number: Option<i64>,
    span: Span,
) -> Diagnostic {
    Diagnostic::new(
        codes::TYPES,
        format!("{} is needed here, and this is {}", ty_name(wanted), ty_name(found)),
    )
    .label(span, format!("this is {}", ty_name(found)))
    .help("write it as the policy would compare it")
    .fixes(number.filter(|_| found == Ty::Count).map(|number| {
        let text = with_unit(wanted, number);
        Fix::possible(format!("write `{text}`"), span, text)
    }))
}
