//! Moves a part of the syntax tree to another place of the text: what stands behind an edit stands elsewhere, and says
//! what it said.
//!
//! Every field of the tree is named here, so that one that is added to it does not stay behind.

use super::ast::*;
use super::literal::Literal;
use crate::source::Span;

/// What has places in it.
pub(super) trait Shift {
    /// Adds so many bytes to each.
    fn shift(&mut self, by: i32);
}

impl Shift for Span {
    fn shift(&mut self, by: i32) {
        self.start = self.start.wrapping_add_signed(by);
        self.end = self.end.wrapping_add_signed(by);
    }
}

impl<T: Shift> Shift for Option<T> {
    fn shift(&mut self, by: i32) {
        self.iter_mut().for_each(|inner| inner.shift(by));
    }
}

impl<T: Shift> Shift for Vec<T> {
    fn shift(&mut self, by: i32) {
        self.iter_mut().for_each(|inner| inner.shift(by));
    }
}

impl<T: Shift, const N: usize> Shift for [T; N] {
    fn shift(&mut self, by: i32) {
        self.iter_mut().for_each(|inner| inner.shift(by));
    }
}

impl<T: Shift> Shift for Box<T> {
    fn shift(&mut self, by: i32) {
        T::shift(self, by);
    }
}

impl<A: Shift, B: Shift> Shift for (A, B) {
    fn shift(&mut self, by: i32) {
        self.0.shift(by);
        self.1.shift(by);
    }
}

/// What has no place.
macro_rules! placeless {
    ($($ty:ty),*) => {
        $(impl Shift for $ty {
            fn shift(&mut self, _: i32) {}
        })*
    };
}

macro_rules! structs {
    ($($ty:ident { $($field:ident),* })*) => {
        $(impl Shift for $ty {
            fn shift(&mut self, by: i32) {
                let Self { $($field),* } = self;
                $($field.shift(by);)*
            }
        })*
    };
}

macro_rules! enums {
    ($($ty:ident { $($variant:ident $(($($part:ident),*))? $({$($field:ident),*})?;)* })*) => {
        $(impl Shift for $ty {
            fn shift(&mut self, by: i32) {
                match self {
                    $(Self::$variant $(($($part),*))? $({$($field),*})? => {
                        let _ = by;
                        $($($part.shift(by);)*)?
                        $($($field.shift(by);)*)?
                    })*
                }
            }
        })*
    };
}

placeless!(String, bool, usize, Literal, Unit, Rank, Binary);

structs! {
    Name { text, span }
    Text { text, span }
    Clause { kind, span, faultless }
    Watch { event, event_span, lasting, cooldown, rules }
    Ruled { name, action, span }
    Protection { rank, unit, path, place, condition }
    Test { name, steps }
    Step { kind, span }
    Given { path, properties, span }
    Property { name, value }
    Action { kind, span }
    Until { freed, at_most }
    Selection { rank, unit, name, place, stepwise, filter, keys, span }
    Key { value, descending }
    Path { segments, indices, span }
    Expr { kind, span }
    Quantifier { quant, unit, name, place, filter }
}

enums! {
    ClauseKind {
        Policy(name);
        Mode(name);
        Const { name, value };
        Define { name, unit, condition };
        Param { name, value, range };
        Label { name, ty, value, trust };
        State { name, resets };
        Never(of);
        Preference { prefer, of };
        Pick { name, selection };
        Test(test);
        Rule { name, action };
        Default(action);
        Watch(watch);
        Budget { kills, per };
    }
    Watched {
        Average { full, window, above };
        Stall { full, above, per };
        Usage(above);
        Swap(above);
        Limit;
    }
    Seen {
        Average { full, window, value };
        Stall { full, above, per };
        Usage;
        Swap;
        Limit;
    }
    StepKind {
        Given(given);
        Event { system, cgroup, properties };
        Seen { event, cgroup, lasting, properties };
        After(time);
        Expect { outcome, rule };
    }
    GivenKind {
        Param(name, value);
        Object(given);
    }
    Outcome {
        NotAsked;
        KillNobody;
        Kill(unit, whom);
        RaiseLimit(cgroup, to);
        Reclaim(bytes);
        Candidates(whom);
        Freed(bytes);
        Reason(text);
        Notify(text);
        Wait;
        Defer;
    }
    ActionKind {
        If { condition, then, otherwise };
        Block(actions);
        Or(actions);
        Kill { selection, now, until, grace, reason };
        RaiseLimit { amount, up_to };
        Reclaim(bytes);
        Wait;
        Defer;
        Notify(text);
        Count(state);
    }
    Place {
        Subtree(span, of);
        Children(span, of);
        Leaves(span, of);
        Cgroup(path);
        Matching(pattern);
    }
    ExprKind {
        Number(literal);
        Text(text);
        Bool(value);
        Path(path);
        List(items);
        Paren(inner);
        Not(inner);
        Minus(inner);
        Binary(op, left, right);
        Quantifier(quantifier);
        Choice(parts);
        Rate(field);
        Growth(field, window);
        Has(member, bits);
        Broken;
    }
    Quant {
        Any;
        Every;
        Count;
        Sum(field);
        Max(field);
        Min(field);
    }
}
