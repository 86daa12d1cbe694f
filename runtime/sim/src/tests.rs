//! Decisions on small machines.
