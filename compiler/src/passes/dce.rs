//! Drops instructions and block parameters that nobody reads.
//!
//! Loads may go; stores, calls and terminators stay.

use cranelift_entity::SecondaryMap;

use super::retain_params;
use crate::ir::{Function, Value};

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
        let mut live = Self { values: SecondaryMap::new() };
        let mut sources: SecondaryMap<Value, Vec<Value>> = SecondaryMap::new();
        let mut work = Vec::new();
        for inst in func.placed() {
            let data = &func.insts[inst];
            for call in data.targets() {
                for (param, arg) in func.blocks[call.block].params.iter().zip(&call.args) {
                    sources[*param].push(*arg);
                }
            }
            // Arguments of targets come last; they are read only if their parameter is.
            let handed_over: usize = data.targets().map(|call| call.args.len()).sum();
            let mut uses = Vec::new();
            data.for_each_use(|value| uses.push(value));
            uses.truncate(uses.len() - handed_over);
            if data.has_effect() {
                work.extend(uses);
            } else if let Some(result) = func.results[inst] {
                sources[result].extend(uses);
            }
        }
        while let Some(value) = work.pop() {
            if !core::mem::replace(&mut live.values[value], true) {
                work.extend(&sources[value]);
            }
        }
        live
    }
}
