//! Mistakes in expressions: types, units, comparisons and lists.
//!
//! One constructor for each mistake. Takes names and places in the text, gives the diagnostic; how a mistake is found
//! stands with the stage.

use crate::diag::{Advice, Diagnostic, Fix, codes};
use crate::hir::Ty;
use crate::hir::check::{COMM_BYTES, bare, ty_name, with_unit};
use crate::source::Span;

/// Text where a condition is needed.
pub(in crate::hir) fn text_as_condition(place: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::NOT_BOOL, format!("{place} needs a condition, and this is text"))
        .label(span, "never true or false")
        .help("compare it: `comm == \"sshd\"`")
}

/// A value where a condition is needed; `example` is what it could be compared with.
pub(in crate::hir) fn no_condition(
    place: &str,
    called: &str,
    ty: Ty,
    (op, example): (&str, &str),
    span: Span,
) -> Diagnostic {
    Diagnostic::new(codes::NOT_BOOL, format!("{place} needs a condition, and {called} is {}", ty_name(ty)))
        .label(span, "never true or false")
        .help(format!("compare it, for example {called} with `{op} {example}`"))
}

/// Text or a truth value where a number is needed.
pub(in crate::hir) fn no_number(called: &str, ty: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::TYPES, format!("a number is needed, and {called} is {ty}"))
        .label(span, format!("this is {ty}"))
        .help("use a field that is a number; conditions belong in `where`")
}

/// A string where a number is needed.
pub(in crate::hir) fn text_as_number(span: Span) -> Diagnostic {
    Diagnostic::new(codes::TYPES, "a number is needed, and this is text")
        .label(span, "this is text")
        .help("numbers stand without quotes")
}

/// Text where it can only be compared.
pub(in crate::hir) fn text_as_value(span: Span) -> Diagnostic {
    Diagnostic::new(codes::TYPES, "a number or a truth value is needed, and this is text")
        .label(span, "this is text")
        .help("text can only be compared")
}

/// The two sides of `??` have different types.
pub(in crate::hir) fn default_of_another_type(
    (first, l): (&str, Ty),
    (second, r): (&str, Ty),
    span: Span,
) -> Diagnostic {
    Diagnostic::new(codes::TYPES, format!("{second} ({}) cannot stand for {first} ({})", bare(r), bare(l)))
        .label(span, format!("{} and {}", ty_name(l), ty_name(r)))
        .help("both sides of `??` have the same unit")
}

/// A bare percent where an amount is needed.
pub(in crate::hir) fn percent_of_what(text: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::PERCENT_BASE, format!("`{text}` of what?"))
        .label(span, "an amount of memory is needed")
        .help(format!("write `{text} of cgroup.own_limit`"))
        .fix(Fix::possible(
            format!("write `{text} of cgroup.own_limit`"),
            span,
            format!("{text} of cgroup.own_limit"),
        ))
}

/// A bare number where an amount is needed.
pub(in crate::hir) fn amount_without_unit(value: i64, span: Span) -> Diagnostic {
    Diagnostic::new(codes::UNIT_MISSING, "an amount of memory needs a unit")
        .label(span, "this has no unit")
        .help(format!("write a unit, for example `{}`", with_unit(Ty::Bytes, value)))
        .fix(Fix::possible(
            format!("write `{}`", with_unit(Ty::Bytes, value)),
            span,
            with_unit(Ty::Bytes, value),
        ))
}

/// A value of another type where an amount is needed.
pub(in crate::hir) fn no_amount(called: &str, ty: Ty, span: Span) -> Diagnostic {
    Diagnostic::new(codes::TYPES, format!("an amount of memory is needed, and {called} is {}", ty_name(ty)))
        .label(span, format!("this is {}", ty_name(ty)))
        .help("write an amount such as `64MiB`")
}

/// A list that does not stand behind `in`.
pub(in crate::hir) fn list_alone(span: Span) -> Diagnostic {
    Diagnostic::new(codes::LIST, "a list stands only behind `in`")
        .label(span, "not a value")
        .help("write `comm in [\"sshd\", \"systemd\"]`")
}

/// A list that is compared with `==` or `!=`; `gap` is the operator with the white space around it.
pub(in crate::hir) fn compared_list(equal: bool, span: Span, gap: Span) -> Diagnostic {
    let fix = Fix::certain("write `in`", gap, " in ");
    Diagnostic::new(codes::LIST, "nothing is equal to a list")
        .label(span, "a value is in a list, or it is not")
        .help(if equal {
            "write `in`: `comm in [\"sshd\", \"systemd\"]`"
        } else {
            "write `not (… in [ … ])`"
        })
        .fixes(equal.then_some(fix))
}

/// `comm == "a" or "b"`; `list` is the comparison with all of them, where `or` joins them.
pub(in crate::hir) fn bare_alternative(
    field: &str,
    span: Span,
    whole: Span,
    list: Option<String>,
) -> Diagnostic {
    let help = match &list {
        Some(list) => format!("write `{list}`"),
        None => format!("write `{field} == …` again: what is compared stands in each part"),
    };
    Diagnostic::new(codes::NOT_BOOL, "a text alone is no condition")
        .label(span, "compared with nothing")
        .help(help)
        .fixes(list.map(|list| Fix::certain(format!("write `{list}`"), whole, list)))
}

/// A quantifier in a constant.
pub(in crate::hir) fn quantifier_in_constant(span: Span) -> Diagnostic {
    Diagnostic::new(codes::NOT_CONSTANT, "a constant cannot depend on what there is")
        .label(span, "not known when the policy is built")
        .help("write it where the constant is used")
}

/// `10% of` something that is no amount.
pub(in crate::hir) fn percent_of_no_bytes(called: &str, other: Ty, span: Span) -> Diagnostic {
    Diagnostic::new(codes::TYPES, format!("a percent is of bytes, and {called} is {}", ty_name(other)))
        .label(span, format!("this is {}", ty_name(other)))
        .help("write a field such as `cgroup.limit`")
}

/// `of` behind something that is no percent.
pub(in crate::hir) fn share_is_no_percent(called: &str, other: Ty, span: Span) -> Diagnostic {
    Diagnostic::new(codes::TYPES, format!("`of` needs a percent, and {called} is {}", ty_name(other)))
        .label(span, format!("this is {}", ty_name(other)))
        .help("write it so: `10% of cgroup.limit`")
}

/// A divisor that is always zero.
pub(in crate::hir) fn divides_by_zero(span: Span) -> Diagnostic {
    Diagnostic::new(codes::DIVIDES_BY_ZERO, "this divides by zero")
        .label(span, "always zero")
        .help("divide by something else")
        .note("the value would always be missing, and no comparison with it ever true")
}

/// A percent is added to bytes, or subtracted.
pub(in crate::hir) fn adds_a_percent(percent: &str, base: &str, span: Span) -> Diagnostic {
    let text = format!("{percent} of {base}").replace("` of `", " of ");
    let fix = Fix::possible(format!("write {text}"), span, text.trim_matches('`'));
    Diagnostic::new(codes::PERCENT_BASE, format!("{percent} of what?"))
        .label(span, "a percent has no bytes of its own")
        .help(format!("name the base, for example {text}"))
        .fix(fix)
}

/// An operator whose operands have types that do not go together.
pub(in crate::hir) fn no_arithmetic(
    verb: &str,
    (first, l): (&str, Ty),
    (second, r): (&str, Ty),
    span: Span,
) -> Diagnostic {
    Diagnostic::new(codes::TYPES, format!("cannot {verb} {first} ({}) and {second} ({})", bare(l), bare(r)))
        .label(span, format!("{} and {}", ty_name(l), ty_name(r)))
        .help(
            "bytes add to bytes; bytes times a number or a percent are bytes; bytes divided by bytes are a \
                 percent",
        )
}

/// A number without a unit beside something that has one.
pub(in crate::hir) fn unit_missing(
    (verb, called, ty): (&str, &str, Ty),
    span: Span,
    help: Advice,
) -> Diagnostic {
    Diagnostic::new(codes::UNIT_MISSING, format!("cannot {verb} {called} ({}) with a number", bare(ty)))
        .label(span, "this has no unit")
        .advice(help)
}

/// Two strings are compared.
pub(in crate::hir) fn compares_strings(span: Span) -> Diagnostic {
    Diagnostic::new(codes::TEXT, "both sides are strings that never change")
        .label(span, "always the same answer")
        .help("compare a field with a string: `comm == \"sshd\"`")
}

/// Text is compared by size.
pub(in crate::hir) fn orders_text(span: Span) -> Diagnostic {
    Diagnostic::new(codes::TEXT, "text is not larger or smaller than text")
        .label(span, "no order")
        .help("use `==`, `!=` or `in [ … ]`")
}

/// A number or a truth value is compared with a string.
pub(in crate::hir) fn compares_with_text(
    called: &str,
    ty: Ty,
    span: Span,
    help: impl Into<Advice>,
) -> Diagnostic {
    Diagnostic::new(codes::TYPES, format!("cannot compare {called} ({}) with text", bare(ty)))
        .label(span, "this is text")
        .advice(help)
}

/// A string that the field never is.
pub(in crate::hir) fn never_this_word(called: &str, text: &str, span: Span, help: Advice) -> Diagnostic {
    Diagnostic::new(codes::TEXT, format!("{called} is never \"{text}\""))
        .label(span, "no such word")
        .advice(help)
}

/// A string that is longer than any command name; `cut` is what the kernel keeps of it.
pub(in crate::hir) fn long_comm(text: &str, least: usize, cut: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::LONG_COMM, format!("`comm` is never \"{text}\""))
        .label(span, format!("{least} bytes, and a command name has at most {COMM_BYTES}"))
        .help(format!("the kernel cuts it: write \"{cut}\""))
        .fixes(
            (!text.contains('*'))
                .then(|| Fix::certain(format!("write \"{cut}\""), span, format!("\"{cut}\""))),
        )
        .note("TASK_COMM_LEN is 16, the end included (include/linux/sched.h, 6.12)")
}

/// A field that is one of a few words, compared with a text.
pub(in crate::hir) fn compares_a_word(called: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::TEXT, format!("{called} is one of a few words, and is compared with a string"))
        .label(span, "another text is never one of them on purpose")
        .help("write the word in quotes: `oom.scope == \"system\"`")
}

/// The two values of a condition have two types.
pub(in crate::hir) fn choice_of_two_types(then: (&str, Ty), otherwise: (&str, Ty), span: Span) -> Diagnostic {
    let (then, otherwise) = ((then.0, ty_name(then.1)), (otherwise.0, ty_name(otherwise.1)));
    Diagnostic::new(codes::TYPES, format!("{} is {}, and {} is {}", then.0, then.1, otherwise.0, otherwise.1))
        .label(span, "a value has one type, whatever the condition says")
        .help("give both the same unit")
}

/// `has` behind something that is no member of a kernel structure.
pub(in crate::hir) fn bits_of_no_member(span: Span) -> Diagnostic {
    Diagnostic::new(codes::TYPES, "`has` asks for bits, and this has none")
        .label(span, "no unsigned number or enum of a kernel structure")
        .help("name such a member: `oom.oc.gfp_mask has 0x400`")
}

/// A number that stands for no bits.
pub(in crate::hir) fn no_bits(text: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::TYPES, format!("`{text}` stands for no bits"))
        .label(span, "not a number of 64 bits, or 0")
        .help("write them as `0x400`")
}

/// A name that is no constant of the member's enum.
pub(in crate::hir) fn unknown_bits(text: &str, near: Option<&str>, span: Span) -> Diagnostic {
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "write the bits as a number: `0x400`".to_owned(),
    };
    Diagnostic::new(codes::UNKNOWN_NAME, format!("`{text}` is no constant of this member"))
        .label(span, "not in the kernel's BTF")
        .help(help)
}

/// Truth values are compared by size.
pub(in crate::hir) fn orders_truth_values(span: Span) -> Diagnostic {
    Diagnostic::new(codes::TYPES, "a truth value is not larger or smaller than another")
        .label(span, "no order")
        .help("use `==` or `!=`, or the value itself")
}

/// Values of types that cannot be compared.
pub(in crate::hir) fn no_comparison(
    (first, l): (&str, Ty),
    (second, r): (&str, Ty),
    span: Span,
    help: &str,
) -> Diagnostic {
    Diagnostic::new(codes::TYPES, format!("cannot compare {first} ({}) with {second} ({})", bare(l), bare(r)))
        .label(span, format!("{} and {}", ty_name(l), ty_name(r)))
        .help(help)
}

/// A bare percent beside an amount that has no limit of its own; `base` is the likeliest.
pub(in crate::hir) fn no_natural_base(called: &str, share: &str, base: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::PERCENT_BASE, format!("{called} has no natural base: `{share}` of what?"))
        .label(span, "a percent of nothing")
        .help(format!("name the base: `{share} of {base}`"))
        .fix(Fix::possible(format!("write `{share} of {base}`"), span, format!("{share} of {base}")))
}

/// A word without quotes beside a field of text.
pub(in crate::hir) fn bare_text(text: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::UNKNOWN_NAME, format!("there is no `{text}` here"))
        .label(span, "unknown name")
        .help(format!("text stands in quotes: `\"{text}\"`"))
        .fix(Fix::certain(format!("write `\"{text}\"`"), span, format!("\"{text}\"")))
}

/// Something else than a list behind `in`.
pub(in crate::hir) fn no_list(span: Span, text: &str) -> Diagnostic {
    let inside = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).unwrap_or(text);
    let list = format!("[{inside}]");
    Diagnostic::new(codes::LIST, "`in` needs a list here")
        .label(span, "not a list")
        .help(format!("write `in {list}`"))
        .fix(Fix::certain(format!("write `{list}`"), span, list))
}

/// An empty list behind `in`.
pub(in crate::hir) fn empty_list(span: Span) -> Diagnostic {
    Diagnostic::new(codes::LIST, "nothing is in an empty list")
        .label(span, "empty")
        .help("name at least one value")
}

/// A string before `in`.
pub(in crate::hir) fn string_in_list(span: Span) -> Diagnostic {
    Diagnostic::new(codes::TEXT, "a string that never changes stands before `in`")
        .label(span, "always the same answer")
        .help("write a field: `comm in [\"sshd\"]`")
}
