//! From the checked policy to IR.
