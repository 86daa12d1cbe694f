//! Passes: IR to better IR.
//!
//! Each keeps the invariants of [`crate::ir::verify`] and the order of loads, stores and calls. What a pass
//! must not touch: facts of the target's BTF (`field.exists`, `enum.value`, `type.id`), which are unknown
//! until the object is loaded, and loads from memory of our own, which the verifier does not track and so
//! keep its states few.

#![expect(clippy::indexing_slicing, reason = "an entity indexes the maps of the function that made it")]

pub mod fold;

pub mod simplify_cfg;

pub mod dce;

pub mod drop_uncalled;

use cranelift_entity::SecondaryMap;

use crate::ir::{Block, Function, Inst, InstData, Module, Value};
use crate::parallel::in_parts;

/// A pass.
#[derive(Clone, Copy)]
pub struct Pass {
    /// As in its file's name.
    pub name: &'static str,
    /// What it does.
    pub description: &'static str,
    /// Whether it changed the function.
    pub run: fn(&mut Function) -> bool,
}

/// All passes, in the order in which they run.
pub const PASSES: &[Pass] = &[
    Pass { name: "fold", description: "computes constants and uses algebraic identities", run: fold::run },
    Pass {
        name: "simplify_cfg",
        description: "drops unreachable blocks, joins blocks, jumps past empty ones, drops needless parameters",
        run: simplify_cfg::run,
    },
    Pass { name: "dce", description: "drops instructions and parameters that nobody reads", run: dce::run },
];

/// Rounds after which even a function that still changes is left as it is.
const ROUNDS: usize = 16;

/// Runs all passes on each function, and drops those that nobody calls then.
///
/// # Panics
/// As [`run`].
pub fn run_all(module: &mut Module) {
    in_parts(&mut module.functions, |part| part.iter_mut().for_each(run));
    drop_uncalled::run(module);
}

/// Runs all passes, one after another and again, until each has left the function as it is.
///
/// # Panics
/// In debug builds, when a pass breaks an invariant: a bug of the pass.
pub fn run(func: &mut Function) {
    verify(func, "lowering");
    let mut unchanged = 0;
    for pass in PASSES.iter().cycle().take(ROUNDS * PASSES.len()) {
        unchanged = if (pass.run)(func) { 0 } else { unchanged + 1 };
        verify(func, pass.name);
        if unchanged == PASSES.len() {
            return;
        }
    }
}

fn verify(func: &Function, after: &str) {
    if cfg!(debug_assertions)
        && let Err(errors) = crate::ir::verify::verify(func)
    {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let text = crate::ir::write::write(func);
        assert!(errors.is_empty(), "the IR is invalid after {after}:\n{}\n{text}", errors.join("\n"));
    }
}

/// Keeps the parameters of blocks that are to be kept, and the arguments for them. Says whether any went.
fn retain_params(func: &mut Function, keep: impl Fn(Value) -> bool) -> bool {
    let goes = |block: &Block| func.blocks[*block].params.iter().any(|param| !keep(*param));
    let losing: Vec<Block> = func.layout.iter().copied().filter(goes).collect();
    if losing.is_empty() {
        return false;
    }
    let Function { layout, blocks, insts, .. } = &mut *func;
    for block in layout {
        let Some(&last) = blocks[*block].insts.last() else { continue };
        for call in insts[last].targets_mut().filter(|call| !call.args.is_empty()) {
            let mut params = blocks[call.block].params.iter();
            call.args.retain(|_| params.next().is_none_or(|param| keep(*param)));
        }
    }
    for block in losing {
        func.retain_params(block, |param| keep(*param));
    }
    true
}

/// The terminators that lead to each block which has parameters.
fn incoming(func: &Function) -> SecondaryMap<Block, Vec<Inst>> {
    let mut incoming: SecondaryMap<Block, Vec<Inst>> = SecondaryMap::new();
    for inst in terminators(func) {
        for call in func.insts[inst].targets().filter(|call| !call.args.is_empty()) {
            // Both ways of a branch may lead here.
            if incoming[call.block].last() != Some(&inst) {
                incoming[call.block].push(inst);
            }
        }
    }
    incoming
}

/// The last instruction of each block.
fn terminators(func: &Function) -> impl Iterator<Item = Inst> + '_ {
    func.layout.iter().filter_map(|block| func.blocks[*block].insts.last().copied())
}

/// Values that stand for others.
#[derive(Default)]
struct Replace {
    by: SecondaryMap<Value, Option<Value>>,
    any: bool,
}

impl Replace {
    fn set(&mut self, old: Value, new: Value) {
        self.by[old] = Some(new);
        self.any = true;
    }

    /// What stands for a value in the end.
    fn get(&self, mut value: Value) -> Value {
        while let Some(next) = self.by[value] {
            value = next;
        }
        value
    }

    /// Rewrites the uses of an instruction.
    fn apply_to(&self, inst: &mut InstData) {
        if self.any {
            inst.map_uses(|value| self.get(value));
        }
    }

    /// Rewrites all uses.
    fn apply(&self, func: &mut Function) {
        if !self.any {
            return;
        }
        let Function { layout, blocks, insts, .. } = func;
        for inst in layout.iter().flat_map(|block| &blocks[*block].insts) {
            self.apply_to(&mut insts[*inst]);
        }
    }
}

#[cfg(test)]
mod tests;
