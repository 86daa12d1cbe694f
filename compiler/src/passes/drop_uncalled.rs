//! Drops functions that nobody calls any more: a loader takes only what is called, and the kernel wants to be told of
//! exactly the functions that it gets.
//!
//! Of the whole module, behind the passes of each function: those may find that a call is never reached.

use std::sync::Arc;

use cranelift_entity::{EntityRef as _, PrimaryMap, SecondaryMap};

use crate::ir::{FuncRef, InstData, Module};

/// Keeps the program, and what it calls, directly or through others.
pub fn run(module: &mut Module) {
    let mut called: SecondaryMap<FuncRef, bool> = SecondaryMap::new();
    // The program stands before the functions that have numbers.
    module.calls().below_program().into_iter().for_each(|at| called[FuncRef::new(at - 1)] = true);
    let mut refs = module.refs();
    if refs.functions.keys().all(|func| called[func]) {
        return;
    }
    // The program itself stays.
    let mut keeps = core::iter::once(true).chain(refs.functions.keys().map(|func| called[func]));
    module.functions.retain(|_| keeps.next().unwrap_or(false));
    let mut numbers: SecondaryMap<FuncRef, Option<FuncRef>> = SecondaryMap::new();
    let mut kept = PrimaryMap::new();
    for (func, signature) in refs.functions.iter().filter(|(func, _)| called[*func]) {
        numbers[func] = Some(kept.push(signature.clone()));
    }
    Arc::make_mut(&mut refs).functions = kept;
    for function in &mut module.functions {
        for inst in function.insts.values_mut() {
            if let InstData::CallFunc { func, .. } = inst
                && let Some(number) = numbers[*func]
            {
                *func = number;
            }
        }
        function.refs = Arc::clone(&refs);
    }
}
