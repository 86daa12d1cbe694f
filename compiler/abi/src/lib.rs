//! Everything oomc claims about the kernel, and the facts that check the claims.
//!
//! Two kinds of knowledge meet here.
//! *Claims* are tables written by us: the kernel functions a policy may call ([`kfuncs`]), the fields of
//! the language and how each is read ([`fields`], [`amounts`]), the members that generated code
//! reads ([`members`]; those that kernels declare in two ways: [`shapes`]), helpers and constants that BTF does not carry
//! ([`helpers`], [`consts`]), the hook that a policy implements ([`hooks`]), the ways of attaching it ([`profile`]), and
//! what differs where there is none ([`target`]).
//! What a function does, and what a member holds, on a machine that is no kernel, stands in the same rows and in
//! [`model`]; [`world`] is what a model may touch.
//! What generated code writes down about a decision is defined here too, for writers and readers ([`record`],
//! [`declared`], [`maps`], [`account`], [`amount`]), and by what an object that oomc made is known ([`digest`]), and how a traced policy tells what it passes ([`mark`]).
//! What a policy and user space say to each other where the kernel does not act stands in [`request`].
//! *Facts* are a kernel's BTF ([`btf`]). [`resolve`] joins the two into a [`resolve::KernelView`].
//!
//! This crate knows neither the policy language's grammar and types, nor the IR, nor ELF; surface names
//! and examples in its rows are plain text to it.

pub mod amounts;
pub mod consts;
pub mod fields;
pub mod helpers;
pub mod hooks;
pub mod kfuncs;
pub mod members;
pub mod profile;
pub mod record;
pub mod request;
pub mod shapes;
pub mod target;
pub mod watch;

pub mod model;
pub mod world;

pub mod account;
pub mod amount;
pub mod declared;
pub mod digest;
pub mod maps;
pub mod mark;
pub mod scenario;
pub mod shown;

pub mod btf;
pub mod proto;
pub mod raw;
pub mod reference;
pub mod relo;
pub mod resolve;

pub mod availability;
