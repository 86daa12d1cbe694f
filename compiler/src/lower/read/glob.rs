//! Globs that no automaton stands for: one loop over pattern and text.
//!
//! It has two places to go back to where a byte does not match, the last `*` and the last `**`.

use super::Read;
use super::text::Text;
use crate::hir::Pattern;
use crate::hir::glob::{self, Token};
use crate::ir::{BinOp, Block, Cond, InstData, Operand, Size, Type, Value};
use crate::lower::emit::{Cell, Walk, Walks, imm};

/// Rounds of one match. Texts end long before, but the verifier wants a bound.
const MAX_ROUNDS: i32 = 1 << 16;

/// A star of a glob: where to go on behind it.
#[derive(Clone, Copy, Debug)]
struct Star {
    /// In the pattern; 0: there was none.
    in_pattern: Cell,
    /// Behind the bytes that it takes.
    in_text: Cell,
}

/// A glob, and how far it is matched.
#[derive(Clone, Copy, Debug)]
struct GlobMatch {
    text: Text,
    /// Where the pattern stands among the constants.
    code: u32,
    /// Keeps an index inside of the pattern.
    mask: i32,
    /// The present byte of the text.
    at: Cell,
    /// The present token.
    in_pattern: Cell,
    /// Not 0: it matches.
    found: Cell,
    /// The last `*` behind the last `**`.
    star: Star,
    /// The last `**`.
    deep: Star,
}

impl Read<'_> {
    /// Leaves to `yes` if the text, from its start, matches.
    pub(super) fn matches_glob(&mut self, text: Text, start: Option<Cell>, pattern: &Pattern, yes: Block) {
        let code = glob::encode(pattern);
        let mask = (code.len() + 1).next_power_of_two() as i32 - 1;
        let code = self.bytes_constant(&code, mask as u32 + 1);
        let (at, in_pattern, found) = (self.cell(), self.cell(), self.cell());
        let star = Star { in_pattern: self.cell(), in_text: self.cell() };
        let deep = Star { in_pattern: self.cell(), in_text: self.cell() };
        let matching = GlobMatch { text, code, mask, at, in_pattern, found, star, deep };
        match start {
            Some(start) => {
                let start = self.get(start);
                self.put(at, start);
            }
            None => self.put_imm(at, 0),
        }
        for cell in [in_pattern, found, star.in_pattern, deep.in_pattern] {
            self.put_imm(cell, 0);
        }
        self.walk_numbers(MAX_ROUNDS, |s, walk| s.match_token(matching, &walk));
        let found = self.get(found);
        self.leave_if(Cond::Ne, found, imm(0), yes);
    }

    /// One round of a match: compares a token of the pattern with a byte of the text.
    fn match_token(&mut self, matching: GlobMatch, walk: &Walk) {
        let index = self.get(matching.in_pattern);
        let index = self.bin_imm(BinOp::And, index, matching.mask);
        let base = self.bytes_address(matching.code);
        let token = self.b.value(InstData::PtrAdd(base, index), Type::Ptr);
        let token = self.load(Size::B1, token, 0);
        let place = self.get(matching.at);
        let byte = self.byte(matching.text, place);
        let (one, any, literal) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let (advance, retry) = (self.b.create_block(), self.b.create_block());
        let (single, double) = (self.b.create_block(), self.b.create_block());
        self.leave_if(Cond::Eq, token, imm(Token::Star.code()), single);
        self.leave_if(Cond::Eq, token, imm(Token::DoubleStar.code()), double);
        self.b.branch(Cond::Eq, token, imm(Token::One.code()), one, literal);

        self.b.switch_to(literal);
        self.b.branch(Cond::Eq, token, Operand::Value(byte), any, retry);
        self.b.switch_to(any);
        // Both ended together.
        let ended = self.b.create_block();
        self.b.branch(Cond::Eq, byte, imm(0), ended, advance);
        self.b.switch_to(ended);
        self.put_imm(matching.found, 1);
        self.b.jump(walk.done, &[]);
        self.b.switch_to(one);
        self.leave_if(Cond::Eq, byte, imm(0), retry);
        self.b.branch(Cond::Eq, byte, imm(i64::from(b'/')), retry, advance);
        self.b.switch_to(advance);
        self.bump(matching.at);
        self.bump(matching.in_pattern);
        self.b.jump(walk.next, &[]);

        self.b.switch_to(single);
        self.remember_star(matching, matching.star);
        self.b.jump(walk.next, &[]);
        self.b.switch_to(double);
        self.remember_star(matching, matching.deep);
        self.put_imm(matching.star.in_pattern, 0);
        self.b.jump(walk.next, &[]);

        self.b.switch_to(retry);
        self.widen_star(matching, walk);
    }

    /// Goes on behind a star, which takes nothing yet.
    fn remember_star(&mut self, matching: GlobMatch, star: Star) {
        self.bump(matching.in_pattern);
        let (behind, here) = (self.get(matching.in_pattern), self.get(matching.at));
        self.put(star.in_pattern, behind);
        self.put(star.in_text, here);
    }

    /// Lets the last `*` take one byte more, or the last `**` where that cannot; ends the walk where neither can.
    fn widen_star(&mut self, matching: GlobMatch, walk: &Walk) {
        let (wider, deeper) = (self.b.create_block(), self.b.create_block());
        let byte = self.byte_behind(matching, matching.star, deeper);
        self.b.branch(Cond::Eq, byte, imm(i64::from(b'/')), deeper, wider);
        self.b.switch_to(wider);
        self.take_byte(matching, matching.star);
        self.b.jump(walk.next, &[]);
        self.b.switch_to(deeper);
        self.byte_behind(matching, matching.deep, walk.done);
        self.put_imm(matching.star.in_pattern, 0);
        self.take_byte(matching, matching.deep);
        self.b.jump(walk.next, &[]);
    }

    /// The byte behind those that a star takes; goes to `none` if there was no such star, or the text ends.
    fn byte_behind(&mut self, matching: GlobMatch, star: Star, none: Block) -> Value {
        let behind = self.get(star.in_pattern);
        self.leave_if(Cond::Eq, behind, imm(0), none);
        let place = self.get(star.in_text);
        let byte = self.byte(matching.text, place);
        self.leave_if(Cond::Eq, byte, imm(0), none);
        byte
    }

    /// Lets a star take one byte more, and goes on behind both.
    fn take_byte(&mut self, matching: GlobMatch, star: Star) {
        self.bump(star.in_text);
        let (behind, here) = (self.get(star.in_pattern), self.get(star.in_text));
        self.put(matching.in_pattern, behind);
        self.put(matching.at, here);
    }
}
