//! Names: what each one in a policy refers to.
