//! Who can be chosen, and who is.

use core::cmp::Ordering;

use oomc_compiler::hir::{Direction, PatternId, PickId, Place, Selection, Subject, Unit};

use crate::Oracle;
use crate::kernel;
use crate::machine::{CgroupIndex, ProcessIndex, ROOT};
use crate::read::is_dying;
use crate::scope::{Object, Scope};
use crate::value::Value;

/// What a place holds.
pub(crate) struct Elements {
    pub(crate) objects: Vec<Object>,
    /// A walk over processes could not start: there may be more.
    pub(crate) incomplete: bool,
}

/// A candidate with all that decides between it and others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranked {
    pub(crate) object: Object,
    /// 0 preferred, 1 normal, 2 avoided.
    pub class: u8,
    /// As the author wrote them.
    pub keys: Vec<Option<i64>>,
    directions: Vec<Direction>,
    /// Ties: the larger one, then the younger one, then the one with the higher id.
    size: Option<i64>,
    born: i64,
    /// Process id or cgroup id.
    pub id: i64,
}

impl Ranked {
    /// Less: comes first.
    fn compare(&self, other: &Self) -> Ordering {
        let keys = self.keys.iter().zip(&other.keys).zip(&self.directions);
        self.class
            .cmp(&other.class)
            .then_with(|| {
                keys.map(|((a, b), direction)| compare(*a, *b, *direction))
                    .find(|order| order.is_ne())
                    .unwrap_or(Ordering::Equal)
            })
            .then_with(|| compare(self.size, other.size, Direction::Desc))
            .then_with(|| other.born.cmp(&self.born))
            .then_with(|| other.id.cmp(&self.id))
    }
}

/// Missing comes last in both directions.
fn compare(a: Option<i64>, b: Option<i64>, direction: Direction) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if direction == Direction::Asc => a.cmp(&b),
        (Some(a), Some(b)) => b.cmp(&a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

impl Oracle<'_> {
    /// The kill units of a cgroup's subtree: what dies as one. The root is none.
    fn units(&self, top: CgroupIndex) -> Vec<CgroupIndex> {
        let group = |at: &CgroupIndex| self.machine.cgroup(*at).group;
        let above_in_place = |at: CgroupIndex| {
            self.machine.ancestors(at).skip(1).filter(move |above| self.machine.is_within(*above, top))
        };
        self.machine
            .subtree(top)
            .filter(|at| *at != ROOT && self.is_online(*at))
            .filter(|at| group(at) || self.is_leaf(*at))
            .filter(|at| !above_in_place(*at).any(|above| group(&above)))
            .collect()
    }

    fn is_online(&self, cgroup: CgroupIndex) -> bool {
        !self.machine.cgroup(cgroup).removed
    }

    fn is_leaf(&self, cgroup: CgroupIndex) -> bool {
        self.machine.children(cgroup).next().is_none()
    }

    /// The online cgroups of the domain whose path matches, the outermost ones.
    fn matching(&self, pattern: PatternId) -> Vec<CgroupIndex> {
        let Some(pattern) = self.policy.patterns.get(pattern) else { return Vec::new() };
        let fits = |at: CgroupIndex| at != ROOT && self.is_online(at) && self.path_of(at).fits(pattern);
        let above = |at: CgroupIndex| self.machine.ancestors(at).skip(1);
        self.machine
            .subtree(self.domain())
            .filter(|at| fits(*at))
            .filter(|at| !above(*at).any(|above| self.machine.is_within(above, self.domain()) && fits(above)))
            .collect()
    }

    /// The cgroups that a place is made of; none if what it begins at is not there.
    fn cgroups(&self, scope: Option<&Scope<'_>>, place: Place, unit: Unit) -> Option<Vec<CgroupIndex>> {
        let of = self.cgroup_of(scope, place.of())?;
        Some(match (place, unit) {
            (Place::Cgroup(_), _) => vec![of],
            (Place::Children(_), _) => self.machine.children(of).collect(),
            (Place::Leaves(_), _) => {
                self.machine.subtree(of).filter(|at| self.is_online(*at) && self.is_leaf(*at)).collect()
            }
            (Place::Matching(pattern), Unit::Cgroup) => self.matching(pattern),
            (Place::Matching(pattern), Unit::Process) => {
                let top = self.matching(pattern);
                top.into_iter().flat_map(|at| self.machine.subtree(at)).collect()
            }
            (Place::Subtree(_), Unit::Cgroup) => self.units(of),
            (Place::Subtree(_), Unit::Process) => self.machine.subtree(of).collect(),
        })
    }

    /// The processes or cgroups of a place.
    pub(crate) fn elements(&self, scope: Option<&Scope<'_>>, place: Place, unit: Unit) -> Option<Elements> {
        let cgroups = self.cgroups(scope, place, unit)?;
        Some(self.elements_of(&cgroups, unit))
    }

    /// Those of a place that are in the domain. Of a subtree that reaches above the domain only the part counts
    /// that is in it: a `memory.oom.group` above joins nothing, because no kill is extended beyond the domain.
    fn elements_in_domain(&self, selection: &Selection) -> Option<Elements> {
        let Selection { place, unit, .. } = *selection;
        let of = self.cgroup_of(None, place.of())?;
        let mut elements = match (place, unit) {
            (Place::Subtree(_), Unit::Cgroup) if self.machine.is_within(self.domain(), of) => {
                self.elements_of(&self.units(self.domain()), unit)
            }
            _ => self.elements(None, place, unit)?,
        };
        elements.objects.retain(|object| self.in_domain(*object));
        Some(elements)
    }

    fn elements_of(&self, cgroups: &[CgroupIndex], unit: Unit) -> Elements {
        if unit == Unit::Cgroup {
            let objects = cgroups.iter().map(|at| Object::Cgroup(*at)).collect();
            return Elements { objects, incomplete: false };
        }
        let (blind, seen): (Vec<CgroupIndex>, Vec<CgroupIndex>) =
            cgroups.iter().partition(|at| self.machine.cgroup(**at).no_walk);
        let processes = seen.into_iter().flat_map(|at| self.machine.processes_of(at));
        Elements { objects: processes.map(Object::Process).collect(), incomplete: !blind.is_empty() }
    }

    /// The processes of a cgroup and all below it that can be seen, and whether some cannot.
    fn processes_below(&self, top: CgroupIndex) -> (Vec<ProcessIndex>, bool) {
        let cgroups: Vec<CgroupIndex> = self.machine.subtree(top).collect();
        let elements = self.elements_of(&cgroups, Unit::Process);
        let processes = elements.objects.iter().filter_map(|object| match object {
            Object::Process(process) => Some(*process),
            _ => None,
        });
        (processes.collect(), elements.incomplete)
    }

    fn in_domain(&self, object: Object) -> bool {
        match object {
            Object::Process(process) => self.machine.is_within(self.machine.home(process), self.domain()),
            Object::Cgroup(cgroup) => self.machine.is_within(cgroup, self.domain()),
            Object::Event => false,
        }
    }

    fn has_never(&self, unit: Unit) -> bool {
        self.policy.nevers.iter().any(|never| never.unit == unit)
    }

    /// Whether a clause on its unit protects the object by itself. Unknown protects.
    fn is_protected(&self, unit: Unit, object: Object) -> bool {
        self.policy.nevers.iter().filter(|never| never.unit == unit).any(|never| {
            let scope = Scope { binder: never.binder, object, outer: None };
            self.value(Some(&scope), never.condition) != Some(0)
        })
    }

    /// Whether a cgroup, or one above it, is protected. No clause is about the root.
    fn is_protected_from_above(&self, cgroup: CgroupIndex) -> bool {
        let mut above = self.machine.ancestors(cgroup).filter(|at| *at != ROOT);
        above.any(|at| self.is_protected(Unit::Cgroup, Object::Cgroup(at)))
    }

    /// Whether a cgroup or process of a unit is protected.
    fn holds_protected(&self, unit: CgroupIndex) -> bool {
        let (processes, blind) = self.processes_below(unit);
        let mut cgroups = self.machine.subtree(unit).filter(|at| *at != ROOT && self.is_online(*at));
        cgroups.any(|at| self.is_protected(Unit::Cgroup, Object::Cgroup(at)))
            || processes.iter().any(|at| self.is_protected(Unit::Process, Object::Process(*at)))
            || (blind && self.has_never(Unit::Process))
    }

    /// Whether a `kill` may take this process.
    fn is_victim(&self, index: ProcessIndex) -> bool {
        let process = self.machine.process(index);
        let group = kernel::group_of(&self.machine, index, self.domain());
        !kernel::is_unkillable(process)
            && !is_dying(process)
            && !self.is_protected(Unit::Process, Object::Process(index))
            && !self.is_protected_from_above(self.machine.home(index))
            && !group.is_some_and(|group| self.holds_protected(group))
    }

    /// Whether a `kill` may take this cgroup as a whole.
    fn is_unit_victim(&self, unit: CgroupIndex) -> bool {
        let (processes, blind) = self.processes_below(unit);
        let mut processes = processes.iter().map(|at| self.machine.process(*at));
        let group = kernel::group_above(&self.machine, unit, self.domain());
        unit != ROOT
            && !group.is_some_and(|group| self.holds_protected(group))
            && !blind
            && !self.is_protected_from_above(unit)
            && !self.holds_protected(unit)
            && !processes.clone().any(kernel::is_unkillable)
            && processes.any(|process| !is_dying(process))
    }

    /// Whether a `kill` may take an object.
    pub(crate) fn may_die(&self, object: Object) -> bool {
        match object {
            Object::Process(process) => self.is_victim(process),
            Object::Cgroup(cgroup) => self.is_unit_victim(cgroup),
            Object::Event => false,
        }
    }

    /// What clauses on a unit say of an object.
    fn own_class(&self, unit: Unit, object: Object) -> Option<u8> {
        let says = |prefer: bool| {
            self.policy.preferences.iter().any(|preference| {
                let scope = Scope { binder: preference.binder, object, outer: None };
                preference.unit == unit
                    && preference.prefer == prefer
                    && self.is_true(Some(&scope), preference.condition)
            })
        };
        if says(false) {
            Some(2)
        } else if says(true) {
            Some(0)
        } else {
            None
        }
    }

    /// Preferred, normal or avoided.
    fn class(&self, object: Object) -> u8 {
        let (own, cgroup) = match object {
            Object::Process(process) => (self.own_class(Unit::Process, object), self.machine.home(process)),
            Object::Cgroup(cgroup) => (None, cgroup),
            Object::Event => (None, ROOT),
        };
        own.unwrap_or_else(|| {
            let above = self.machine.ancestors(cgroup).filter(|at| *at != ROOT);
            let classes: Vec<u8> =
                above.filter_map(|at| self.own_class(Unit::Cgroup, Object::Cgroup(at))).collect();
            if classes.contains(&2) {
                2
            } else if classes.contains(&0) {
                0
            } else {
                1
            }
        })
    }

    fn passes(&self, selection: &Selection, object: Object) -> bool {
        let scope = Scope { binder: selection.binder, object, outer: None };
        selection.filter.is_none_or(|filter| self.is_true(Some(&scope), filter))
    }

    /// What decides between a candidate and others. Only a `kill` has classes.
    fn rank(&self, selection: &Selection, object: Object, kill: bool) -> Ranked {
        let scope = Scope { binder: selection.binder, object, outer: None };
        let keys: Vec<Value> = selection.keys.iter().map(|key| self.value(Some(&scope), key.expr)).collect();
        let (size, born, id) = match object {
            Object::Process(index) => {
                let process = self.machine.process(index);
                (self.process_field(index, "footprint"), process.start, process.pid)
            }
            Object::Cgroup(index) => {
                let cgroup = self.machine.cgroup(index);
                (self.cgroup_field(index, "unreclaimable"), cgroup.serial, cgroup.id)
            }
            Object::Event => (None, 0, 0),
        };
        Ranked {
            object,
            class: if kill { self.class(object) } else { 1 },
            keys,
            directions: selection.keys.iter().map(|key| key.direction).collect(),
            size,
            born,
            id,
        }
    }

    /// The candidates of a selection, the best one first.
    pub(crate) fn candidates(&self, selection: &Selection, kill: bool) -> Vec<Ranked> {
        let Some(elements) = self.elements_in_domain(selection) else { return Vec::new() };
        let can = |object: &Object| (!kill || self.may_die(*object)) && self.passes(selection, *object);
        let found: Vec<Object> = elements.objects.into_iter().filter(can).collect();
        if selection.stepwise {
            return self.stepwise(selection, found, kill);
        }
        let mut ranked: Vec<Ranked> =
            found.into_iter().map(|object| self.rank(selection, object, kill)).collect();
        ranked.sort_by(Ranked::compare);
        ranked
    }

    /// Descends from the place's cgroup to the best child again and again; what was reached does not compete in the
    /// next descent.
    fn stepwise(&self, selection: &Selection, mut left: Vec<Object>, kill: bool) -> Vec<Ranked> {
        let mut ranked = Vec::new();
        let Some(top) = self.cgroup_of(None, selection.place.of()) else { return ranked };
        while !left.is_empty() {
            let mut here = top;
            while !left.contains(&Object::Cgroup(here)) {
                let holds_one = |at: &CgroupIndex| {
                    left.iter().any(
                        |unit| matches!(unit, Object::Cgroup(unit) if self.machine.is_within(*unit, *at)),
                    )
                };
                let children = self.machine.children(here).filter(holds_one);
                let children = children.map(|at| self.rank(selection, Object::Cgroup(at), kill));
                match children.min_by(Ranked::compare).map(|best| best.object) {
                    Some(Object::Cgroup(best)) => here = best,
                    _ => return ranked,
                }
            }
            left.retain(|object| *object != Object::Cgroup(here));
            ranked.push(self.rank(selection, Object::Cgroup(here), kill));
        }
        ranked
    }

    /// What a pick chooses.
    pub(crate) fn choose(&self, pick: PickId) -> Option<CgroupIndex> {
        let pick = self.policy.picks.get(pick)?;
        match self.candidates(&pick.selection, false).first()?.object {
            Object::Cgroup(cgroup) => Some(cgroup),
            _ => None,
        }
    }

    /// The processes of a cgroup and all below it: those that die with it.
    pub(crate) fn members(&self, unit: CgroupIndex) -> Vec<ProcessIndex> {
        let (processes, _) = self.processes_below(unit);
        processes
            .into_iter()
            .filter(|at| !is_dying(self.machine.process(*at)))
            .filter(|at| !kernel::is_unkillable(self.machine.process(*at)))
            .collect()
    }

    /// Victims in flight: processes of the domain whose memory is about to come free; in the order in which the
    /// kernel shows them, because any of them is as good as another.
    pub(crate) fn in_flight(&self) -> Vec<ProcessIndex> {
        let shown = self.elements_of(&self.children_first(self.domain()), Unit::Process);
        let processes = shown.objects.into_iter().filter_map(|object| match object {
            Object::Process(process) => Some(process),
            _ => None,
        });
        processes.filter(|at| kernel::is_in_flight(&self.machine, *at)).collect()
    }

    /// A cgroup and those below it: each behind those below itself.
    fn children_first(&self, top: CgroupIndex) -> Vec<CgroupIndex> {
        let cgroups = &self.machine.cgroups;
        let below = (0..cgroups.len())
            .filter(|at| self.machine.cgroup(*at).parent == Some(top) && !self.machine.cgroup(*at).bare);
        below.flat_map(|child| self.children_first(child)).chain(core::iter::once(top)).collect()
    }

    /// Picks that a rule uses, those that they use themselves before them.
    pub(crate) fn picks_of(&self, subjects: &[Subject]) -> Vec<PickId> {
        let mut found = Vec::new();
        for subject in subjects {
            let Subject::Pick(pick) = subject else { continue };
            let inner = self.policy.picks.get(*pick).map(|pick| self.subjects_of_selection(&pick.selection));
            for pick in self.picks_of(&inner.unwrap_or_default()).into_iter().chain([*pick]) {
                if !found.contains(&pick) {
                    found.push(pick);
                }
            }
        }
        found
    }
}
