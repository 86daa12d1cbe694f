//! Drops instructions and block parameters that nobody reads.
//!
//! Loads may go; stores, calls and terminators stay.

use cranelift_entity::SecondaryMap;

use crate::ir::{Block, Function, Inst, Value};

/// Runs the pass.
pub fn run(func: &mut Function) -> bool {
    let live = Live::new(func);
    let mut changed = false;
    for at in 0..func.layout.len() {
        let Some(&block) = func.layout.get(at) else { break };
        let mut insts = core::mem::take(&mut func.blocks[block].insts);
        let before = insts.len();
        insts.retain(|inst| {
            func.insts[*inst].has_effect() || func.results[*inst].is_some_and(|value| live.values[value])
        });
        changed |= insts.len() != before;
        if let Some(&last) = insts.last() {
            drop_arguments(func, last, &live);
        }
        func.blocks[block].insts = insts;
    }
    for block in func.layout.clone() {
        let params = &mut func.blocks[block].params;
        let before = params.len();
        params.retain(|param| live.values[*param]);
        changed |= params.len() != before;
    }
    changed
}

/// Drops the arguments for parameters that go. The parameters themselves are still there.
fn drop_arguments(func: &mut Function, terminator: Inst, live: &Live) {
    let blocks = &func.blocks;
    for call in func.insts[terminator].targets_mut() {
        let mut params = blocks[call.block].params.iter();
        call.args.retain(|_| params.next().is_none_or(|param| live.values[*param]));
    }
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
        for &block in &func.layout {
            for &inst in &func.blocks[block].insts {
                let data = &func.insts[inst];
                let targets = data.targets();
                for (param, arg) in
                    targets.iter().flat_map(|call| params(func, call.block).iter().zip(&call.args))
                {
                    sources[*param].push(*arg);
                }
                let arguments: usize = targets.iter().map(|call| call.args.len()).sum();
                let mut uses = data.uses();
                // Arguments of targets come last; they are read only if their parameter is.
                uses.truncate(uses.len() - arguments);
                if data.has_effect() {
                    work.extend(uses);
                } else if let Some(result) = func.results[inst] {
                    sources[result].extend(uses);
                }
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

fn params(func: &Function, block: Block) -> &[Value] {
    &func.blocks[block].params
}
