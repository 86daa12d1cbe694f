//! From a finished program to an ELF object.
