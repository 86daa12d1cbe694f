//! Marks of a traced build: which constructs have points, and which way passes one.
//!
//! The constructs ask for a mark wherever they are lowered; without a [`Tracer`] nothing comes of it, not even a
//! block, so that an ordinary build is what it would be without this file. A construct that is lowered several
//! times has the same points each time.

use std::collections::HashMap;

use super::Read;
use crate::hir::{ExprId, Policy};
use crate::ir::{Block, InstData, Module, Value};
use crate::source::Span;
use crate::trace::{PointKind, Protection};

/// A point: what it means, and the text that it is about.
pub(in crate::lower) type Place = (PointKind, Span);

/// The points of one policy.
#[derive(Debug)]
pub(in crate::lower) struct Tracer {
    /// Whether marks name their objects.
    names_objects: bool,
    places: Vec<Place>,
    numbers: HashMap<Place, u32>,
}

impl Tracer {
    pub(in crate::lower) fn new(names_objects: bool) -> Self {
        Self { names_objects, places: Vec::new(), numbers: HashMap::new() }
    }

    /// The number of a point.
    fn point(&mut self, place: Place) -> u32 {
        let places = &mut self.places;
        *self.numbers.entry(place).or_insert_with(|| {
            places.push(place);
            places.len() as u32 - 1
        })
    }

    /// The points in the order of the text, in which the module's marks count from then on.
    pub(in crate::lower) fn into_places(mut self, policy: &Policy, module: &mut Module) -> Vec<Place> {
        // Clauses that no action asks have points, too: those are never passed.
        for (index, never) in policy.nevers.iter().enumerate() {
            self.point((PointKind::Protected(Protection::Never(index)), never.span));
        }
        let nevers = policy.nevers.iter().map(|never| never.condition);
        let preferences = policy.preferences.iter().map(|preference| preference.condition);
        for condition in nevers.chain(preferences) {
            for yes in [true, false] {
                self.point((PointKind::Guard { yes }, span_of(policy, condition)));
            }
        }
        let mut order: Vec<(u32, Place)> = (0..).zip(self.places).collect();
        let in_no_text = |span: Span| span == Span::default();
        order.sort_by_key(|(_, (kind, span))| (in_no_text(*span), span.start, u32::MAX - span.end, *kind));
        let numbers: HashMap<u32, u32> = order.iter().map(|(old, _)| *old).zip(0..).collect();
        for inst in module.functions.iter_mut().flat_map(|func| func.insts.values_mut()) {
            if let InstData::Mark { point, .. } = inst {
                *point = numbers.get(point).copied().unwrap_or(*point);
            }
        }
        order.into_iter().map(|(_, place)| place).collect()
    }
}

fn span_of(policy: &Policy, expr: ExprId) -> Span {
    policy.exprs.get(expr).map(|expr| expr.span).unwrap_or_default()
}

impl Read<'_> {
    /// Tells that a point is passed, and by which object.
    pub(in crate::lower) fn point(&mut self, place: Place, object: Option<Value>) {
        if let Some(tracer) = &mut self.tracer {
            let point = tracer.point(place);
            let object = object.filter(|_| tracer.names_objects);
            self.b.effect(InstData::Mark { point, object });
        }
    }

    /// Tells that one of the two ways of an `if` is taken.
    pub(in crate::lower) fn branch_point(&mut self, condition: ExprId, taken: bool) {
        self.point((PointKind::Branch { taken }, span_of(self.policy, condition)), None);
    }

    /// A way to a block, to be ended by [`Self::end_way`] as soon as the present block is. It is the block itself
    /// where nothing is traced.
    pub(in crate::lower) fn way_to(&mut self, target: Block) -> Block {
        if self.tracer.is_some() { self.b.create_block() } else { target }
    }

    /// What happens on a way: a point is passed.
    pub(in crate::lower) fn end_way(
        &mut self,
        way: Block,
        target: Block,
        place: Place,
        object: Option<Value>,
    ) {
        if way != target {
            self.b.switch_to(way);
            self.point(place, object);
            self.b.jump(target, &[]);
        }
    }

    /// As [`Self::end_way`], for what keeps an object from being killed without standing in the policy's text.
    pub(in crate::lower) fn end_way_protected(
        &mut self,
        way: Block,
        target: Block,
        what: Protection,
        object: Value,
    ) {
        self.end_way(way, target, (PointKind::Protected(what), Span::default()), Some(object));
    }

    /// As [`Self::cond`], with a point for each way in which the condition may decide.
    pub(in crate::lower) fn guard(
        &mut self,
        condition: ExprId,
        object: Option<Value>,
        yes: Block,
        no: Block,
        unknown: Block,
    ) {
        let (if_yes, if_no) = (self.way_to(yes), self.way_to(no));
        let if_unknown = match unknown {
            _ if unknown == yes => if_yes,
            _ if unknown == no => if_no,
            _ => self.way_to(unknown),
        };
        self.cond(condition, if_yes, if_no, if_unknown);
        let span = span_of(self.policy, condition);
        let decided = |yes| (PointKind::Guard { yes }, span);
        self.end_way(if_yes, yes, decided(true), object);
        self.end_way(if_no, no, decided(false), object);
        if ![if_yes, if_no].contains(&if_unknown) {
            self.end_way(if_unknown, unknown, decided(false), object);
        }
    }
}
