//! Makes the control-flow graph smaller.
//!
//! Drops unreachable blocks, decides branches whose ways are the same or whose outcome the edge already
//! tells, jumps past blocks that only jump on, joins a block with its only predecessor, drops parameters
//! that always get the same value.

use cranelift_entity::SecondaryMap;

use super::Replace;
use super::fold::holds;
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
    for block in &func.layout {
        for inst in &func.blocks[*block].insts {
            for value in func.insts[*inst].uses() {
                counts[value] += 1;
            }
        }
    }
    counts
}

/// The constants of a function, by value.
fn constants(func: &Function) -> SecondaryMap<Value, Option<i64>> {
    let mut constants = SecondaryMap::new();
    for block in &func.layout {
        for inst in &func.blocks[*block].insts {
            if let (InstData::Iconst(imm), Some(result)) = (&func.insts[*inst], func.results[*inst]) {
                constants[result] = Some(*imm);
            }
        }
    }
    constants
}

/// Leads each edge past blocks that decide nothing: that only jump on, or branch on what the edge tells.
fn thread(func: &mut Function) -> bool {
    let (counts, constants) = (use_counts(func), constants(func));
    let mut changed = false;
    for inst in terminators(func) {
        let mut data = func.insts[inst].clone();
        let mut moved = false;
        for call in data.targets_mut() {
            // As many steps as blocks at most: an empty endless loop stays one.
            for _ in 0..func.layout.len() {
                match onward(func, call, &counts, &constants) {
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
fn onward(
    func: &Function,
    call: &BlockCall,
    counts: &SecondaryMap<Value, usize>,
    constants: &SecondaryMap<Value, Option<i64>>,
) -> Option<BlockCall> {
    let block = &func.blocks[call.block];
    let [only] = block.insts.as_slice() else { return None };
    let data = &func.insts[*only];
    // Who reads a parameter after this block would miss it on the shorter way.
    let uses = data.uses();
    let here = |param: Value| uses.iter().filter(|value| **value == param).count();
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
            let a = constants[argument(*a)]?;
            let b = match b {
                Operand::Imm(imm) => i64::from(*imm),
                Operand::Value(b) => constants[argument(*b)]?,
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
    let constants = constants(func);
    let mut incoming: SecondaryMap<Block, Vec<Vec<Value>>> = SecondaryMap::new();
    for inst in terminators(func) {
        for call in func.insts[inst].targets() {
            incoming[call.block].push(call.args.clone());
        }
    }
    let mut replace = Replace::default();
    let mut kept: SecondaryMap<Block, Option<Vec<bool>>> = SecondaryMap::new();
    let mut changed = false;
    for block in func.layout.clone() {
        let params = func.blocks[block].params.clone();
        let mut keep = vec![true; params.len()];
        for (at, (&param, keep)) in params.iter().zip(&mut keep).enumerate() {
            let mut values: Vec<Value> = incoming[block]
                .iter()
                .filter_map(|args| args.get(at).map(|arg| replace.get(*arg)))
                .filter(|arg| *arg != param)
                .collect();
            values.dedup();
            match values.as_slice() {
                [value] => {
                    replace.set(param, *value);
                    *keep = false;
                }
                [first, rest @ ..]
                    if constants[*first].is_some()
                        && rest.iter().all(|value| constants[*value] == constants[*first]) =>
                {
                    // The constants are made on different ways: make it anew where the ways meet.
                    let imm = constants[*first].unwrap_or(0);
                    let inst = func.insts.push(InstData::Iconst(imm));
                    func.results[inst] = Some(param);
                    let span = func.blocks[block].insts.first().map(|inst| func.spans[*inst]);
                    func.spans[inst] = span.unwrap_or_default();
                    func.blocks[block].insts.insert(0, inst);
                    *keep = false;
                }
                _ => {}
            }
        }
        if keep.contains(&false) {
            kept[block] = Some(keep);
            changed = true;
        }
    }
    for block in func.layout.clone() {
        if let Some(keep) = &kept[block] {
            retain_at(&mut func.blocks[block].params, keep);
        }
    }
    for inst in terminators(func) {
        for call in func.insts[inst].targets_mut() {
            if let Some(keep) = &kept[call.block] {
                retain_at(&mut call.args, keep);
            }
        }
    }
    replace.apply(func);
    changed
}

fn retain_at<T>(list: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    list.retain(|_| keep.next().copied().unwrap_or(true));
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
