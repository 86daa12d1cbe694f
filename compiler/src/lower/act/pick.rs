//! `pick`: a cgroup chosen once per event, at the head of the first rule that uses it.
//!
//! What is kept is its id; 0 says that nothing was chosen. A pick sees every cgroup of its place: what holds for a
//! `kill` alone does not hold here.

use oomc_abi::record::End;

use super::Act;
use crate::hir::{ActionId, Kill, PickId, Subject};
use crate::ir::{Block, Cond, Size};
use crate::lower::emit::{Cell, imm};
use crate::plan::{RankingId, WalkId};

impl Act<'_> {
    /// Chooses what a rule uses and no rule before it used.
    pub(super) fn choose_picks(&mut self, rule: ActionId) {
        for pick in self.policy.used_picks(rule) {
            if !self.picks.contains_key(&pick) {
                self.choose(pick);
            }
        }
    }

    /// Leaves to `nothing` if a kill looks for its candidates in what a pick chose, and that is nothing.
    pub(super) fn leave_unpicked(&mut self, kill: &Kill, nothing: Block) {
        let Subject::Pick(pick) = kill.selection.place.of() else { return };
        self.note_end(End::NothingPicked);
        let id = self.picked(pick);
        self.leave_if(Cond::Eq, id, imm(0), nothing);
    }

    fn choose(&mut self, id: PickId) {
        let policy = self.policy;
        let Some(pick) = policy.picks.get(id) else { return };
        let outer = self.b.set_span(pick.span);
        let cell = self.cell();
        self.put_imm(cell, 0);
        let selection = &pick.selection;
        let walking = core::mem::replace(&mut self.in_walk, true);
        let asked = self.asked_by_selection(selection);
        self.prefetch(&asked);
        match self.plan.picks.get(id).copied().flatten() {
            Some((walk, ranking)) => self.choose_from(walk, ranking, cell),
            None => drop(self.broken("a pick without a walk")),
        }
        self.in_walk = walking;
        self.picks.insert(id, cell);
        self.b.set_span(outer);
    }

    /// Runs a walk, and puts the id of the best one into a cell.
    fn choose_from(&mut self, walk: WalkId, ranking: RankingId, cell: Cell) {
        let keeps = self.keeps(ranking);
        self.empty_kept(&keeps);
        self.run_walk(walk);
        let (found, none) = (self.b.create_block(), self.b.create_block());
        let count = self.count_kept(&keeps);
        self.b.branch(Cond::Ne, count, imm(0), found, none);
        self.b.switch_to(found);
        let first = self.int(0);
        let (entry, id) = self.entry_kept(&keeps, first);
        let chosen = self.load(Size::B8, entry, id);
        self.put(cell, chosen);
        self.b.jump(none, &[]);
        self.b.switch_to(none);
    }
}
