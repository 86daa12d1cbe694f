//! Where a ranking keeps its candidates: in one sorted row, or, of a selection that goes down step by step, in a row for
//! each level. Whoever takes from a ranking asks here, and need not know which.

use super::Act;
use super::rank::{Kept, Order};
use super::stepwise::Descent;
use crate::ir::Value;
use crate::lower::emit::Cell;
use crate::plan::{RankingId, cost};

/// The candidates of a ranking.
#[derive(Clone, Debug)]
pub(super) enum Keeps {
    /// The best ones of all.
    Best(Kept),
    /// The units that repeated descents end in.
    Descent(Descent),
}

impl Keeps {
    /// How candidates are compared.
    pub(super) fn order(&self) -> &Order {
        match self {
            Self::Best(kept) => &kept.order,
            Self::Descent(descent) => &descent.order,
        }
    }

    /// How many are kept at most.
    pub(super) fn capacity(&self) -> u32 {
        match self {
            Self::Best(kept) => kept.capacity,
            Self::Descent(descent) => descent.capacity,
        }
    }

    /// Not 0: some were tried, and a walk looks for others.
    pub(super) fn tried(&self) -> Cell {
        match self {
            Self::Best(kept) => kept.tried,
            Self::Descent(descent) => descent.tried,
        }
    }
}

impl Act<'_> {
    /// The cells of a ranking; it is empty before [`Self::empty_kept`].
    pub(super) fn keeps(&mut self, id: RankingId) -> Keeps {
        if let Some(keeps) = self.rankings.get(&id) {
            return keeps.clone();
        }
        let (policy, plan) = (self.policy, self.plan);
        let known = plan.rankings.get(id);
        let known = known.and_then(|ranking| Some((ranking, cost::selection(policy, ranking.of)?)));
        let Some((ranking, selection)) = known else {
            self.broken("a ranking belongs to no selection");
            return Keeps::Best(Kept::default());
        };
        let order = self.order_of(selection, ranking);
        let keeps = match ranking.stepwise {
            true => Keeps::Descent(self.descent(ranking, order)),
            false => Keeps::Best(self.kept(ranking, order)),
        };
        self.rankings.insert(id, keeps.clone());
        keeps
    }

    /// Nobody is kept, and nobody was tried.
    pub(super) fn empty_kept(&mut self, keeps: &Keeps) {
        match keeps {
            Keeps::Best(kept) => self.empty(kept),
            Keeps::Descent(descent) => self.empty_descent(descent),
        }
    }

    /// How many are kept.
    pub(super) fn count_kept(&mut self, keeps: &Keeps) -> Value {
        match keeps {
            Keeps::Best(kept) => self.get(kept.count),
            Keeps::Descent(descent) => self.count_of_descent(descent),
        }
    }

    /// An entry by its place, and where in it the candidate's id is.
    pub(super) fn entry_kept(&mut self, keeps: &Keeps, place: Value) -> (Value, i32) {
        match keeps {
            Keeps::Best(kept) => (self.entry(kept, place), kept.numbers() * 8),
            Keeps::Descent(descent) => self.entry_of_descent(descent, place),
        }
    }

    /// The place of the first one that was not tried.
    pub(super) fn first_untried(&mut self, keeps: &Keeps) -> Value {
        match keeps {
            // The last one of those that were tried stands before them.
            Keeps::Best(kept) => self.get(kept.tried),
            Keeps::Descent(_) => self.int(0),
        }
    }

    /// Tells the record who is kept.
    pub(super) fn note_kept(&mut self, keeps: &Keeps) {
        match keeps {
            Keeps::Best(kept) => self.note_candidates(kept),
            Keeps::Descent(descent) => self.note_units(descent),
        }
    }
}
