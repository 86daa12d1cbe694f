//! Members of kernel structures, as an author names them.
//!
//! Pointers are followed by plain loads, each tested: one that is null makes the value missing. What lies behind
//! may be gone; the kernel then reads 0 instead of faulting. Unsigned numbers beyond the language's range are its
//! largest one.

use oomc_abi::helpers;

use super::Read;
use super::field::Item;
use super::text::{NAME_SIZE, Text};
use crate::hir::{Pattern, RawId, RawValue, Subject};
use crate::ir::{BinOp, Block, Cond, FieldFact, InstData, Operand, Type, Value};
use crate::lower::emit::{Cell, imm};

/// Where a member is found once all pointers are followed.
struct Place {
    object: Value,
    container: String,
    path: String,
}

impl Read<'_> {
    /// Follows the pointers on a member's path.
    fn raw_place(&mut self, object: Value, raw: RawId, missing: Block) -> Place {
        let policy = self.policy;
        let Some(raw) = policy.raws.get(raw) else {
            return Place { object, container: String::new(), path: String::new() };
        };
        let mut place = Place { object, container: raw.container.to_owned(), path: raw.path.clone() };
        while let Some((step, rest)) = place.path.split_once("->") {
            let pointee = self.view.member(&place.container, step).and_then(|member| member.pointee);
            let next = self.pointer_at(place.object, &place.container, step);
            self.leave_if(Cond::Eq, next, imm(0), missing);
            place = Place { object: next, container: pointee.unwrap_or_default(), path: rest.to_owned() };
        }
        place
    }

    /// A number, a truth value or an enum of an object.
    pub(in crate::lower) fn read_raw(&mut self, object: Value, raw: RawId, missing: Block) -> Value {
        let place = self.raw_place(object, raw, missing);
        match self.policy.raws.get(raw).map(|raw| &raw.value) {
            Some(RawValue::Bits { signed, .. }) => self.bits(&place, *signed, missing),
            Some(RawValue::Number { large: true }) => {
                let number = self.field_at(place.object, &place.container, &place.path);
                // Its highest bit is no sign.
                let over = self.bin_imm(BinOp::Sshr, number, 63);
                let max = self.int(i64::MAX);
                let change = self.bin(BinOp::Xor, number, max);
                let change = self.bin(BinOp::And, change, over);
                self.bin(BinOp::Xor, number, change)
            }
            _ => self.field_at(place.object, &place.container, &place.path),
        }
    }

    /// A bit-field: the number around it, shifted up and down. The target may have it elsewhere and in a wider
    /// number, so it is copied.
    fn bits(&mut self, place: &Place, signed: bool, missing: Block) -> Value {
        let field = self.b.field(&place.container, &place.path);
        let fact = |s: &mut Self, fact| s.b.value(InstData::FieldFact(fact, field), Type::I64);
        let cell = self.cell();
        self.put_imm(cell, 0);
        let from = self.b.value(InstData::FieldAddr { ptr: place.object, field }, Type::Ptr);
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
        let place = self.raw_place(object, raw, missing);
        let result = if let Some(RawValue::Chars(len)) = self.policy.raws.get(raw).map(|raw| &raw.value) {
            // What is behind it in the scratch value stays 0: an end, if it has none itself.
            let size = self.int(i64::from(*len));
            let field = self.b.field(&place.container, &place.path);
            let from = self.b.value(InstData::FieldAddr { ptr: place.object, field }, Type::Ptr);
            let to = self.area_addr(to);
            self.helper(helpers::PROBE_READ_KERNEL, &[to, size, from])
        } else {
            let from = self.pointer_at(place.object, &place.container, &place.path);
            self.leave_if(Cond::Eq, from, imm(0), missing);
            let (to, size) = (self.area_addr(to), self.int(i64::from(NAME_SIZE)));
            self.helper(helpers::PROBE_READ_KERNEL_STR, &[to, size, from])
        };
        self.missing_if_negative(result, missing);
    }

    /// A text, in the scratch value.
    pub(in crate::lower) fn raw_text(&mut self, subject: Subject, raw: RawId, missing: Block) -> Text {
        let item = Item::Raw(raw);
        let size = self.policy.raws.get(raw).and_then(|raw| text_size(&raw.value)).unwrap_or(8);
        let object = match subject {
            Subject::Candidate(binder) => self.candidates.get(&binder).copied(),
            Subject::Home(binder) => self.homes.get(&binder).copied(),
            Subject::Event => Some(self.oc),
            Subject::Anchor(_) | Subject::Pick(_) => self.read_in_place(subject, item).then_some(self.domain),
        };
        if let Some(object) = object {
            let area = self.area(size);
            self.copy_raw(object, raw, area, missing);
            return Text { area, size, relative: None };
        }
        let fetched = match self.prefetched.get(&(subject, item)) {
            Some(fetched) => *fetched,
            None => self.fetch_from_home(subject, item),
        };
        if let Some(flag) = fetched.missing {
            self.missing_if(flag, missing);
        }
        Text { area: fetched.value, size, relative: None }
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
