//! References to the parts of a function, and their spelling in text: `block0`, `v0`, `inst0`, …

use cranelift_entity::entity_impl;

macro_rules! entity {
    ($( $(#[$doc:meta])* $name:ident = $prefix:literal )*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u32);
        entity_impl!($name, $prefix);
    )* };
}

entity! {
    /// A basic block.
    Block = "block"
    /// An SSA value: a block parameter or the result of an instruction.
    Value = "v"
    /// An instruction.
    Inst = "inst"
    /// A kernel member that the function reads.
    FieldRef = "fd"
    /// An enumerator that the function uses.
    EnumRef = "en"
    /// A kernel type whose id the function needs.
    TypeRef = "ty"
    /// A variable of the kernel, found in kallsyms.
    KsymRef = "ks"
    /// A piece of the frame.
    StackSlot = "ss"
    /// A global variable of the module, a section and so a map of its own: `.bss`, `.rodata`.
    Global = "gl"
    /// A function of the module that others call.
    FuncRef = "fn"
    /// A map of the module that is no variable.
    MapRef = "map"
}
