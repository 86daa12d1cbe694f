//! What the kernel compiled against says of the members and enumerators that a module refers to.
//!
//! A large policy reads a member thousands of times, and a look-up searches the kernel's types: each is looked up
//! once, when it is first asked for.

use std::sync::OnceLock;

use cranelift_entity::PrimaryMap;
use oomc_abi::resolve::{BitField, KernelView, Member};

use super::limits::Error;
use crate::ir::{EnumRef, FieldRef, Refs};

/// Answers for one module.
#[derive(Debug)]
pub struct Facts<'a> {
    refs: &'a Refs,
    view: &'a KernelView,
    members: PrimaryMap<FieldRef, OnceLock<Option<Member>>>,
    bit_fields: PrimaryMap<FieldRef, OnceLock<Option<BitField>>>,
    enumerators: PrimaryMap<EnumRef, OnceLock<Option<i64>>>,
}

impl<'a> Facts<'a> {
    /// About what a module refers to, in the kernel compiled against.
    #[must_use]
    pub fn new(refs: &'a Refs, view: &'a KernelView) -> Self {
        Self {
            refs,
            view,
            members: refs.fields.keys().map(|_| OnceLock::new()).collect(),
            bit_fields: refs.fields.keys().map(|_| OnceLock::new()).collect(),
            enumerators: refs.enums.keys().map(|_| OnceLock::new()).collect(),
        }
    }

    /// A member.
    ///
    /// # Errors
    /// The kernel lacks it.
    pub fn member(&self, field: FieldRef) -> Result<&Member, Error> {
        let path = &self.refs.fields[field];
        let member = self.members[field].get_or_init(|| self.view.member(&path.container, &path.path));
        member.as_ref().ok_or_else(|| self.no_member(field))
    }

    /// A member that may be a bit-field; none if it is not.
    #[must_use]
    pub fn bit_field(&self, field: FieldRef) -> Option<&BitField> {
        let path = &self.refs.fields[field];
        self.bit_fields[field].get_or_init(|| self.view.bit_field(&path.container, &path.path)).as_ref()
    }

    /// An enumerator's value.
    ///
    /// # Errors
    /// The kernel lacks it.
    pub fn enumerator(&self, of: EnumRef) -> Result<i64, Error> {
        let name = &self.refs.enums[of];
        let value = self.enumerators[of].get_or_init(|| self.view.enumerator(&name.enumeration, &name.name));
        value.ok_or_else(|| Error::Enumerator {
            enumeration: name.enumeration.clone(),
            name: name.name.clone(),
        })
    }

    /// Says that the kernel lacks a member.
    #[must_use]
    pub fn no_member(&self, field: FieldRef) -> Error {
        let path = &self.refs.fields[field];
        Error::Member { container: path.container.clone(), path: path.path.clone() }
    }
}
