//! Drops instructions and block parameters that nobody reads.
//!
//! Loads may go; stores, calls and terminators stay.

use cranelift_entity::SecondaryMap;

use super::{incoming, retain_params};
use crate::ir::{Block, Function, Inst, Value, ValueDef};

/// Runs the pass.
pub fn run(func: &mut Function) -> bool {
    let live = Live::new(func);
    let mut changed = false;
    let Function { layout, blocks, insts, results, .. } = &mut *func;
    for block in layout {
        let placed = &mut blocks[*block].insts;
        let before = placed.len();
        placed.retain(|inst| {
            insts[*inst].has_effect() || results[*inst].is_some_and(|value| live.values[value])
        });
        changed |= placed.len() != before;
    }
    changed | retain_params(func, |param| live.values[param])
}

/// Values that an effect depends on.
struct Live {
    values: SecondaryMap<Value, bool>,
}

impl Live {
    fn new(func: &Function) -> Self {
        let incoming = incoming(func);
        let mut live = Self { values: SecondaryMap::with_capacity(func.values.len()) };
        let mut work = Vec::new();
        for inst in func.placed() {
            let data = &func.insts[inst];
            if data.has_effect() {
                // Arguments of targets come last; they are read only if their parameter is.
                let from = work.len();
                data.for_each_use(|value| work.push(value));
                let handed_over: usize = data.targets().map(|call| call.args.len()).sum();
                work.truncate(from.max(work.len() - handed_over));
            }
        }
        while let Some(value) = work.pop() {
            if !core::mem::replace(&mut live.values[value], true) {
                sources(func, value, &incoming, |source| work.push(source));
            }
        }
        live
    }
}

/// The values that a value is made of.
fn sources(
    func: &Function,
    value: Value,
    incoming: &SecondaryMap<Block, Vec<Inst>>,
    mut each: impl FnMut(Value),
) {
    match func.def(value) {
        // What has an effect is read anyway.
        Some(ValueDef::Result(inst)) => func.insts[inst].for_each_use(each),
        Some(ValueDef::Param(block, at)) => {
            let calls = incoming[block].iter().flat_map(|inst| func.insts[*inst].targets());
            calls
                .filter(|call| call.block == block)
                .filter_map(|call| call.args.get(at as usize))
                .for_each(|arg| each(*arg));
        }
        None => {}
    }
}
