//! Members of kernel structures, as an author names them.
//!
//! Pointers are followed by plain loads, each tested: one that is null makes the value missing. What lies behind
//! may be gone; the kernel then reads 0 instead of faulting. Unsigned numbers beyond the language's range are its
//! largest one.

use oomc_abi::helpers;

use super::Read;
use super::field::{Item, PathEnd};
use super::text::{NAME_SIZE, Text};
use crate::hir::{Bits, ExprId, ExprKind, Pattern, Raw, RawId, RawValue, Subject};
use crate::ir::{BinOp, Block, Cond, FieldFact, InstData, Operand, Type, Value};
use crate::lower::emit::{Cell, imm};

impl<'a> Read<'a> {
    /// A member that the policy names.
    fn member(&mut self, raw: RawId) -> Option<&'a Raw> {
        let member = self.policy.raws.get(raw);
        if member.is_none() {
            self.broken("a policy lacks a member of its own");
        }
        member
    }

    /// Follows the pointers on a member's path.
    fn end_of_member(&mut self, object: Value, raw: &'a Raw, missing: Block) -> PathEnd<'a> {
        self.follow_pointers(object, raw.container, &raw.path, Some(missing))
    }

    /// A number, a truth value or an enum of an object.
    pub(in crate::lower) fn read_raw(&mut self, object: Value, raw: RawId, missing: Block) -> Value {
        let Some(raw) = self.member(raw) else { return self.int(0) };
        let end = self.end_of_member(object, raw, missing);
        match raw.value {
            RawValue::Bits { signed, .. } => self.bits(&end, signed, missing),
            RawValue::Number { large: true, .. } => {
                let number = self.field_at(end.object, &end.container, end.path);
                // Its highest bit is no sign.
                let over = self.bin_imm(BinOp::Sshr, number, 63);
                let max = self.int(i64::MAX);
                let change = self.bin(BinOp::Xor, number, max);
                let change = self.bin(BinOp::And, change, over);
                self.bin(BinOp::Xor, number, change)
            }
            RawValue::Number { large: false, .. } | RawValue::Enum { .. } | RawValue::Bool => {
                self.field_at(end.object, &end.container, end.path)
            }
            RawValue::Chars(_) | RawValue::Text => self.broken("a text is no number"),
        }
    }

    /// A bit-field: the number around it, shifted up and down. The target may have it elsewhere and in a wider
    /// number, so it is copied.
    fn bits(&mut self, end: &PathEnd<'_>, signed: bool, missing: Block) -> Value {
        let field = self.b.field(&end.container, end.path);
        let fact = |s: &mut Self, fact| s.b.value(InstData::FieldFact(fact, field), Type::I64);
        let cell = self.cell();
        self.put_imm(cell, 0);
        let from = self.b.value(InstData::FieldAddr { ptr: end.object, field }, Type::Ptr);
        let (to, size) = (self.area_addr(cell), fact(self, FieldFact::Size));
        let result = self.helper(helpers::PROBE_READ_KERNEL, &[to, size, from]);
        self.missing_if_negative(result, missing);
        let number = self.get(cell);
        let left = fact(self, FieldFact::LeftShift);
        let number = self.bin(BinOp::Shl, number, left);
        let right = fact(self, FieldFact::RightShift);
        let number = self.bin(if signed { BinOp::Sshr } else { BinOp::Ushr }, number, right);
        // The shifts tell the verifier how few bits there are.
        self.put(cell, number);
        self.get(cell)
    }

    /// Copies a text of an object.
    pub(in crate::lower) fn copy_raw(&mut self, object: Value, raw: RawId, to: Cell, missing: Block) {
        let Some(raw) = self.member(raw) else { return };
        let end = self.end_of_member(object, raw, missing);
        let result = match raw.value {
            RawValue::Chars(len) => {
                // What is behind it in the scratch value stays 0: an end, if it has none itself.
                let size = self.int(i64::from(len));
                let field = self.b.field(&end.container, end.path);
                let from = self.b.value(InstData::FieldAddr { ptr: end.object, field }, Type::Ptr);
                let to = self.area_addr(to);
                self.helper(helpers::PROBE_READ_KERNEL, &[to, size, from])
            }
            RawValue::Text => {
                let from = self.pointer_at(end.object, &end.container, end.path);
                self.leave_if(Cond::Eq, from, imm(0), missing);
                let (to, size) = (self.area_addr(to), self.int(i64::from(NAME_SIZE)));
                self.helper(helpers::PROBE_READ_KERNEL_STR, &[to, size, from])
            }
            _ => self.broken("a number is no text"),
        };
        self.missing_if_negative(result, missing);
    }

    /// A text, in the scratch value.
    pub(in crate::lower) fn raw_text(&mut self, subject: Subject, raw: RawId, missing: Block) -> Text {
        let item = Item::Raw(raw);
        let size = self.size_of_text(item);
        let area = match self.at_hand(subject, item) {
            Some(object) => {
                let area = self.area(size);
                self.copy_raw(object, raw, area, missing);
                area
            }
            None => self.fetched_item(subject, item, missing).value,
        };
        Text { area, size, relative: None }
    }

    /// Whether a member has all of these bits. Ends the block.
    pub(in crate::lower) fn has_bits(
        &mut self,
        member: ExprId,
        bits: &[Bits],
        yes: Block,
        no: Block,
        unknown: Block,
    ) {
        let tag = match self.policy.exprs.get(member).map(|expr| &expr.kind) {
            Some(ExprKind::Raw(_, raw)) => self.member(*raw).and_then(|raw| match &raw.value {
                RawValue::Enum { tag } => Some(tag),
                _ => None,
            }),
            _ => None,
        };
        let number = self.expr(member, unknown);
        let numbers = bits.iter().map(|bits| match bits {
            Bits::Number(number) => *number,
            Bits::Constant(_) => 0,
        });
        let known = numbers.fold(0, |all, bits| all | bits);
        let mut all = self.int(known as i64);
        for bits in bits {
            let Bits::Constant(name) = bits else { continue };
            let more = match tag {
                Some(tag) => self.enumerator_at(tag, name),
                None => self.broken("a constant of no enum"),
            };
            all = self.bin(BinOp::Or, all, more);
        }
        let found = self.bin(BinOp::And, number, all);
        let found = self.hidden_if_narrow(found);
        self.b.branch(Cond::Eq, found, Operand::Value(all), yes, no);
    }

    /// Whether an enum is one of the constants named. Ends the block.
    pub(in crate::lower) fn matches_constants(
        &mut self,
        subject: Subject,
        raw: RawId,
        tag: &str,
        patterns: &[Pattern],
        [yes, no, unknown]: [Block; 3],
    ) {
        let found = self.subject_item(subject, Item::Raw(raw), unknown);
        let mut names: Vec<&str> = patterns.iter().map(Pattern::text).collect();
        names.sort_unstable();
        // The verifier would remove a second test.
        names.dedup();
        for name in names {
            let value = self.enumerator_at(tag, name);
            self.leave_if(Cond::Eq, found, Operand::Value(value), yes);
        }
        self.b.jump(no, &[]);
    }
}

/// Bytes kept of a text, a power of two; None: it is none.
pub(in crate::lower) fn text_size(value: &RawValue) -> Option<u32> {
    match value {
        RawValue::Chars(len) => Some((len + 1).next_power_of_two()),
        RawValue::Text => Some(NAME_SIZE),
        _ => None,
    }
}
