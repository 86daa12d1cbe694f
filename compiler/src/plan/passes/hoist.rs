//! Marks what is the same for all processes of a cgroup, and dear: it is found out once for the cgroup, when the first
//! process needs it, and remembered until the walk goes on to the next one.
//!
//! Safe because such an expression reads nothing of the process but which cgroup it is charged to, and the walk visits
//! the processes of one cgroup in a row. A name is not such: it is that of the cgroup that the process is in, which may
//! be one without the memory controller, below.

use crate::hir::{BinderId, ExprId, ExprKind, Policy, Selection, Subject, Ty, Unit};
use crate::plan::Plan;
use crate::plan::cost::{self, Cost};

/// Marks the expressions of all tracks of processes.
pub fn run(policy: &Policy, plan: &mut Plan) {
    let rankings = &plan.rankings;
    let tracks = plan.walks.values_mut().flat_map(|walk| &mut walk.tracks);
    for track in tracks.filter(|track| track.unit == Unit::Process) {
        let selection = rankings.get(track.ranking).and_then(|ranking| cost::selection(policy, ranking.of));
        if let Some(selection) = selection {
            let mut hoist = Hoist { policy, binder: selection.binder, found: Vec::new() };
            hoist.selection(selection);
            track.per_cgroup = hoist.found;
        }
    }
}

struct Hoist<'a> {
    policy: &'a Policy,
    binder: BinderId,
    found: Vec<ExprId>,
}

impl Hoist<'_> {
    fn selection(&mut self, selection: &Selection) {
        selection.filter.iter().for_each(|filter| self.expr(*filter));
        selection.keys.iter().for_each(|key| self.expr(key.expr));
    }

    /// Marks the expression, or the largest parts of it that can be marked.
    fn expr(&mut self, id: ExprId) {
        let Some(expr) = self.policy.exprs.get(id) else { return };
        if expr.ty != Ty::Text && cost::expr(self.policy, id) >= Cost::Calls && self.is_of_home(id) {
            if !self.found.contains(&id) {
                self.found.push(id);
            }
            return;
        }
        // What stands in a quantifier is about its own elements.
        if !matches!(expr.kind, ExprKind::Quantifier(_) | ExprKind::Matches(..) | ExprKind::SameText(..)) {
            expr.kind.operands().into_iter().for_each(|operand| self.expr(operand));
        }
    }

    /// Whether an expression reads the process's cgroup, and nothing else of any candidate.
    fn is_of_home(&self, id: ExprId) -> bool {
        let mut reads_home = false;
        self.reads_only_home(id, &mut reads_home) && reads_home
    }

    fn reads_only_home(&self, id: ExprId, reads_home: &mut bool) -> bool {
        let Some(expr) = self.policy.exprs.get(id) else { return false };
        let subject = match &expr.kind {
            ExprKind::Field(subject, _)
            | ExprKind::Raw(subject, _)
            | ExprKind::Label(subject, _)
            | ExprKind::Counter(subject, _) => Some(*subject),
            ExprKind::Quantifier(_) => return false,
            _ => None,
        };
        match subject {
            Some(Subject::Home(_)) if expr.ty == Ty::Text => return false,
            Some(Subject::Home(binder)) if binder == self.binder => *reads_home = true,
            Some(Subject::Home(_) | Subject::Candidate(_) | Subject::Parent(_)) => return false,
            _ => {}
        }
        expr.kind.operands().into_iter().all(|operand| self.reads_only_home(operand, reads_home))
    }
}
