//! Makes the control-flow graph smaller.
//!
//! Drops unreachable blocks, decides branches whose ways are the same or whose outcome the edge already
//! tells, jumps past blocks that only jump on, joins a block with its only predecessor, drops parameters
//! that always get the same value.

use cranelift_entity::SecondaryMap;

use super::fold::holds;
use super::{Replace, retain_params};
use crate::ir::cfg::Cfg;
use crate::ir::{Block, BlockCall, Function, Inst, InstData, Operand, Value};

/// Runs the pass.
pub fn run(func: &mut Function) -> bool {
    let mut changed = false;
    changed |= drop_unreachable(func);
    changed |= same_ways(func);
    changed |= thread(func);
    changed |= drop_unreachable(func);
    changed |= needless_params(func);
    changed |= join(func);
    changed
}

fn drop_unreachable(func: &mut Function) -> bool {
    let cfg = Cfg::new(func);
    let before = func.layout.len();
    func.layout.retain(|block| cfg.is_reachable(*block));
    func.layout.len() != before
}

/// Branches both of whose ways lead to the same place.
fn same_ways(func: &mut Function) -> bool {
    let mut changed = false;
    for inst in terminators(func) {
        if let InstData::Branch { then, otherwise, .. } = &func.insts[inst]
            && then == otherwise
        {
            func.insts[inst] = InstData::Jump(then.clone());
            changed = true;
        }
    }
    changed
}

fn terminators(func: &Function) -> Vec<Inst> {
    func.layout.iter().filter_map(|block| func.blocks[*block].insts.last().copied()).collect()
}

/// How often each value is read.
fn use_counts(func: &Function) -> SecondaryMap<Value, usize> {
    let mut counts = SecondaryMap::new();
    for inst in func.placed() {
        func.insts[inst].for_each_use(|value| counts[value] += 1);
    }
    counts
}

/// The number that a value is, if it is a constant.
fn constant(func: &Function, value: Value) -> Option<i64> {
    match func.def_inst(value) {
        Some(InstData::Iconst(imm)) => Some(*imm),
        _ => None,
    }
}

/// Leads each edge past blocks that decide nothing: that only jump on, or branch on what the edge tells.
fn thread(func: &mut Function) -> bool {
    let counts = use_counts(func);
    let mut changed = false;
    for inst in terminators(func) {
        let mut data = func.insts[inst].clone();
        let mut moved = false;
        for call in data.targets_mut() {
            // As many steps as blocks at most: an empty endless loop stays one.
            for _ in 0..func.layout.len() {
                match onward(func, call, &counts) {
                    Some(next) if next != *call => {
                        *call = next;
                        moved = true;
                    }
                    _ => break,
                }
            }
        }
        if moved {
            func.insts[inst] = data;
            changed = true;
        }
    }
    changed
}

/// Where an edge leads in the end, if its target only passes on.
fn onward(func: &Function, call: &BlockCall, counts: &SecondaryMap<Value, usize>) -> Option<BlockCall> {
    let block = &func.blocks[call.block];
    let [only] = block.insts.as_slice() else { return None };
    let data = &func.insts[*only];
    // Who reads a parameter after this block would miss it on the shorter way.
    let here = |param: Value| {
        let mut count = 0;
        data.for_each_use(|value| count += usize::from(value == param));
        count
    };
    if block.params.iter().any(|param| counts[*param] != here(*param)) {
        return None;
    }
    let argument = |value: Value| {
        let at = block.params.iter().position(|param| *param == value);
        at.and_then(|at| call.args.get(at).copied()).unwrap_or(value)
    };
    let next = match data {
        InstData::Jump(next) => next,
        InstData::Branch { cond, a, b, then, otherwise } => {
            let a = constant(func, argument(*a))?;
            let b = match b {
                Operand::Imm(imm) => i64::from(*imm),
                Operand::Value(b) => constant(func, argument(*b))?,
            };
            if holds(*cond, a, b) { then } else { otherwise }
        }
        _ => return None,
    };
    let args = next.args.iter().map(|arg| argument(*arg)).collect();
    (next.block != call.block).then_some(BlockCall { block: next.block, args })
}

/// Parameters that get the same value on every edge, or only themselves besides.
fn needless_params(func: &mut Function) -> bool {
    let mut incoming: SecondaryMap<Block, Vec<Inst>> = SecondaryMap::new();
    for inst in terminators(func) {
        for call in func.insts[inst].targets().filter(|call| !call.args.is_empty()) {
            // Both ways of a branch may lead here.
            if incoming[call.block].last() != Some(&inst) {
                incoming[call.block].push(inst);
            }
        }
    }
    let mut replace = Replace::default();
    let mut needless: SecondaryMap<Value, bool> = SecondaryMap::new();
    let mut changed = false;
    for block in func.layout.clone() {
        for at in 0..func.blocks[block].params.len() {
            let Some(&param) = func.blocks[block].params.get(at) else { break };
            match given(func, block, at, &incoming[block], &replace) {
                Given::One(value) => replace.set(param, value),
                // The constants are made on different ways: make it anew where the ways meet.
                Given::Constant(imm) => make_constant(func, block, param, imm),
                Given::Several => continue,
            }
            needless[param] = true;
            changed = true;
        }
    }
    if changed {
        retain_params(func, |param| !needless[param]);
        replace.apply(func);
    }
    changed
}

/// What a parameter gets on the edges to its block.
enum Given {
    One(Value),
    Constant(i64),
    Several,
}

fn given(func: &Function, block: Block, at: usize, edges: &[Inst], replace: &Replace) -> Given {
    let Some(&param) = func.blocks[block].params.get(at) else { return Given::Several };
    let calls = edges.iter().flat_map(|inst| func.insts[*inst].targets()).filter(|call| call.block == block);
    let mut values =
        calls.filter_map(|call| call.args.get(at)).map(|arg| replace.get(*arg)).filter(|arg| *arg != param);
    let Some(first) = values.next() else { return Given::Several };
    let mut others = values.filter(|value| *value != first).peekable();
    if others.peek().is_none() {
        return Given::One(first);
    }
    match constant(func, first) {
        Some(imm) if others.all(|value| constant(func, value) == Some(imm)) => Given::Constant(imm),
        _ => Given::Several,
    }
}

/// Makes a value, which was a parameter, a constant at the start of its block.
fn make_constant(func: &mut Function, block: Block, value: Value, imm: i64) {
    let inst = func.insts.push(InstData::Iconst(imm));
    func.set_result(inst, value);
    if let Some(&first) = func.blocks[block].insts.first() {
        func.spans[inst] = func.spans[first];
    }
    func.blocks[block].insts.insert(0, inst);
}

/// Joins a block with the only block that jumps to it.
fn join(func: &mut Function) -> bool {
    let cfg = Cfg::new(func);
    let mut replace = Replace::default();
    let mut gone: SecondaryMap<Block, bool> = SecondaryMap::new();
    let mut changed = false;
    for block in func.layout.clone() {
        // A chain of joins goes on from the first.
        while !gone[block] {
            let Some(&last) = func.blocks[block].insts.last() else { break };
            let InstData::Jump(call) = func.insts[last].clone() else { break };
            if call.block == block || cfg.predecessors(call.block).len() != 1 || gone[call.block] {
                break;
            }
            let next = core::mem::take(&mut func.blocks[call.block]);
            for (param, arg) in next.params.iter().zip(&call.args) {
                replace.set(*param, *arg);
            }
            let insts = &mut func.blocks[block].insts;
            insts.pop();
            insts.extend(next.insts);
            gone[call.block] = true;
            changed = true;
        }
    }
    func.layout.retain(|block| !gone[*block]);
    replace.apply(func);
    changed
}
