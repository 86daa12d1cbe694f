//! Rankings: a candidate's keys as numbers of which the larger wins, and their lexicographic comparison.
//!
//! A key whose value can be missing is two numbers: whether it is there, then the value; so missing sorts
//! last in both directions. After the author's keys come those that make the order total: the tie rule of
//! the language (reference §5).

use oomc_abi::fields::{self, FieldId, Owner, Recipe};
use oomc_abi::members;

use super::field::Item;
use super::kill::MAX_TRIES;
use super::scratch::Cell;
use super::{Lower, imm};
use crate::hir::{BinderId, Direction, ExprId, ExprKind, Key, Selection, Subject, Unit};
use crate::ir::{BinOp, Block, Cond, Operand, Type, Value};

/// As many keys that can be missing are carried in registers.
const FEW: usize = 2;

/// One key of a ranking.
#[derive(Clone, Copy, Debug)]
enum Rank {
    /// Preferred, normal or avoided.
    Class(Unit),
    /// As the author wrote it.
    Written(Key),
    /// A field of the table; the larger wins.
    Field(FieldId),
    /// Later starts win: the younger process.
    StartTime,
    /// The larger wins: the younger cgroup.
    SerialNumber,
}

/// How the candidates of a selection are compared, and the keys that are remembered.
#[derive(Clone, Debug)]
pub(super) struct Ranking {
    ranks: Vec<Rank>,
    /// Keys of the best candidate so far.
    best: Vec<Cell>,
    /// Keys of the last candidate that could not be killed: the next one has to rank below.
    ceiling: Vec<Cell>,
    /// Not 0: there is a ceiling. For `stepwise`, whose order has none: how many units were tried.
    pub(super) tried: Cell,
    /// Their ids.
    pub(super) tried_units: Option<Cell>,
}

impl Ranking {
    /// How many numbers a candidate has.
    pub(super) fn len(&self) -> usize {
        self.best.len()
    }
}

impl Lower<'_> {
    /// The ranking of a selection; classes count in a `kill` only.
    pub(super) fn ranking(&mut self, selection: &Selection, kill: bool) -> Ranking {
        let class = (kill && self.class.is_some()).then_some(Rank::Class(selection.unit));
        let mut ranks: Vec<Rank> = class.into_iter().collect();
        ranks.extend(selection.keys.iter().map(|key| Rank::Written(*key)));
        // Candidates that are equal in a written key are equal in it as a tie, too.
        let written = |recipe: Recipe| {
            selection.keys.iter().any(|key| self.candidate_recipe(key.expr, selection.binder) == Some(recipe))
        };
        let mut ties = Vec::new();
        match selection.unit {
            Unit::Process => {
                if let Some(footprint) = fields::find(Owner::Process, "footprint")
                    && !written(footprint.row().recipe)
                {
                    ties.push(Rank::Field(footprint));
                }
                if !written(Recipe::Age) {
                    ties.push(Rank::StartTime);
                }
                if let Some(pid) = fields::find(Owner::Process, "pid") {
                    ties.push(Rank::Field(pid));
                }
            }
            Unit::Cgroup => {
                if let Some(unreclaimable) = fields::find(Owner::Cgroup, "unreclaimable")
                    && !written(unreclaimable.row().recipe)
                {
                    ties.push(Rank::Field(unreclaimable));
                }
                // No two cgroups share a serial number: the order is total.
                ties.push(Rank::SerialNumber);
            }
        }
        ranks.extend(ties);
        let numbers: usize = ranks.iter().map(|rank| 1 + usize::from(self.rank_may_miss(rank))).sum();
        let best = (0..numbers).map(|_| self.cell()).collect();
        let ceiling = (0..numbers).map(|_| self.cell()).collect();
        let tried = self.cell();
        self.put_imm(tried, 0);
        let tried_units = (kill && selection.stepwise).then(|| self.area(MAX_TRIES as u32 * 8));
        Ranking { ranks, best, ceiling, tried, tried_units }
    }

    fn candidate_recipe(&self, expr: ExprId, binder: BinderId) -> Option<Recipe> {
        match self.policy.exprs.get(expr)?.kind {
            ExprKind::Field(Subject::Candidate(of), field) if of == binder => Some(field.row().recipe),
            _ => None,
        }
    }

    fn rank_may_miss(&self, rank: &Rank) -> bool {
        match rank {
            Rank::Written(key) => self.may_be_missing(key.expr),
            Rank::Field(field) => !field.row().missing.is_empty(),
            Rank::StartTime | Rank::SerialNumber | Rank::Class(_) => false,
        }
    }

    /// The numbers of a candidate, in the order of comparison.
    pub(super) fn rank_candidate(
        &mut self,
        ranking: &Ranking,
        binder: BinderId,
        object: Value,
    ) -> Vec<Value> {
        let mut numbers = Vec::new();
        let optional = ranking.ranks.iter().filter(|rank| self.rank_may_miss(rank)).count();
        for rank in &ranking.ranks {
            if !self.rank_may_miss(rank) {
                // Such a value never goes there: the block is not placed, and the IR's check would see a jump.
                let nowhere = self.b.create_block();
                numbers.push(self.rank_value(rank, binder, object, nowhere));
                continue;
            }
            let (missing, join) = (self.b.create_block(), self.b.create_block());
            let there = self.b.block_param(join, Type::I64);
            let value = self.b.block_param(join, Type::I64);
            let found = self.rank_value(rank, binder, object, missing);
            let one = self.int(1);
            self.b.jump(join, &[one, found]);
            self.b.switch_to(missing);
            let zero = self.int(0);
            self.b.jump(join, &[zero, zero]);
            self.b.switch_to(join);
            // A constant on one of the two ways would double the verifier's states, for each key anew.
            if optional > FEW {
                let (there, value) = (self.hidden(there), self.hidden(value));
                numbers.extend([there, value]);
                continue;
            }
            numbers.extend([there, value]);
        }
        numbers
    }

    fn rank_value(&mut self, rank: &Rank, binder: BinderId, object: Value, missing: Block) -> Value {
        match rank {
            Rank::Written(key) => {
                let value = self.expr(key.expr, missing);
                match key.direction {
                    Direction::Desc => value,
                    // Not -1 - x written otherwise: the complement turns the order round without overflow.
                    Direction::Asc => self.bin_imm(BinOp::Xor, value, -1),
                }
            }
            Rank::Class(unit) => self.class_of(*unit, object),
            Rank::Field(field) => self.subject_item(Subject::Candidate(binder), Item::Field(*field), missing),
            Rank::StartTime => self.field(object, members::TASK_START),
            Rank::SerialNumber => self.field(object, members::MEMCG_SERIAL),
        }
    }

    /// Leaves to `lower` unless the candidate ranks below every one that was tried in vain.
    pub(super) fn below_ceiling(&mut self, ranking: &Ranking, numbers: &[Value], lower: Block) {
        let (compare, pass) = (self.b.create_block(), self.b.create_block());
        let tried = self.get(ranking.tried);
        self.b.branch(Cond::Ne, tried, imm(0), compare, pass);
        self.b.switch_to(compare);
        self.first_difference(numbers, &ranking.ceiling, [(Cond::Slt, pass), (Cond::Sgt, lower)], lower);
        self.b.switch_to(pass);
    }

    /// Goes to `better` if the candidate ranks above the best so far, else to `worse`.
    pub(super) fn compare_with_best(
        &mut self,
        ranking: &Ranking,
        numbers: &[Value],
        better: Block,
        worse: Block,
    ) {
        self.first_difference(numbers, &ranking.best, [(Cond::Sgt, better), (Cond::Slt, worse)], worse);
    }

    /// Follows the first of the two conditions that holds for a pair of numbers; `equal` if none ever does.
    fn first_difference(
        &mut self,
        numbers: &[Value],
        cells: &[Cell],
        [first, second]: [(Cond, Block); 2],
        equal: Block,
    ) {
        for (at, (number, cell)) in numbers.iter().zip(cells).enumerate() {
            let other = self.get(*cell);
            self.leave_if(first.0, *number, Operand::Value(other), first.1);
            if at + 1 < numbers.len() {
                self.leave_if(second.0, *number, Operand::Value(other), second.1);
            }
        }
        self.b.jump(equal, &[]);
    }

    /// The author's keys of the best candidate, for a record: whether each is missing, and its value.
    pub(super) fn best_keys(&mut self, ranking: &Ranking) -> Vec<(Option<Value>, Value)> {
        let mut cells = ranking.best.iter();
        let mut keys = Vec::new();
        for rank in &ranking.ranks {
            let there = if self.rank_may_miss(rank) { cells.next() } else { None };
            let (Some(value), Rank::Written(key)) = (cells.next(), rank) else { continue };
            let missing = there.map(|there| {
                let there = self.get(*there);
                self.bin_imm(BinOp::Xor, there, 1)
            });
            let value = self.get(*value);
            let value = match key.direction {
                Direction::Desc => value,
                Direction::Asc => self.bin_imm(BinOp::Xor, value, -1),
            };
            keys.push((missing, value));
        }
        keys
    }

    /// The class of the best candidate, if the ranking has classes.
    pub(super) fn best_class(&mut self, ranking: &Ranking) -> Option<Value> {
        match (ranking.ranks.first(), ranking.best.first()) {
            (Some(Rank::Class(_)), Some(cell)) => Some(self.get(*cell)),
            _ => None,
        }
    }

    /// Remembers the keys of the new best candidate.
    pub(super) fn remember_best(&mut self, ranking: &Ranking, numbers: &[Value]) {
        for (number, cell) in numbers.iter().zip(&ranking.best) {
            self.put(*cell, *number);
        }
    }

    /// The best candidate could not be killed: it is the ceiling of the next round.
    pub(super) fn lower_ceiling(&mut self, ranking: &Ranking) {
        if ranking.tried_units.is_some() {
            return;
        }
        for (best, ceiling) in ranking.best.iter().zip(&ranking.ceiling) {
            let number = self.get(*best);
            self.put(*ceiling, number);
        }
        self.put_imm(ranking.tried, 1);
    }
}
