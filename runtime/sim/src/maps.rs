//! The maps of a policy, as the kernel keeps them between events.
//!
//! Owns their values; where they lie in the memory of a running program, [`crate::memory`] says.

use std::collections::HashMap;

use oomc_abi::maps::{TYPE_ARRAY, TYPE_CGRP_STORAGE, TYPE_HASH, TYPE_RINGBUF};
use oomc_object::{Global, MapDef};

use crate::machine::CgroupIndex;
use crate::memory::Region;

/// How a map finds its values.
#[derive(Clone, Debug)]
pub(crate) enum Index {
    /// By their number.
    Array {
        /// How many there are.
        entries: u32,
    },
    /// By a key.
    Hash {
        /// Bytes of a key.
        key: usize,
        /// Most values.
        most: usize,
        /// Each key's value.
        found: HashMap<Vec<u8>, usize>,
    },
    /// By the cgroup.
    Cgroups(HashMap<CgroupIndex, usize>),
    /// It has none: what is sent goes to whoever reads.
    Ring {
        /// What was sent.
        sent: Vec<Vec<u8>>,
    },
}

/// A map.
#[derive(Clone, Debug)]
pub(crate) struct Map {
    pub(crate) name: String,
    pub(crate) index: Index,
    /// Bytes of a value.
    pub(crate) value: usize,
    /// Its values, while no program runs.
    pub(crate) region: Region,
}

impl Map {
    /// Of global variables.
    pub(crate) fn of_global(global: &Global) -> Self {
        let value = global.data.len();
        let mut region = Region::whole(value as u64, 1, !global.read_only);
        region.data_mut().copy_from_slice(&global.data);
        Self { name: global.map_name().to_owned(), index: Index::Array { entries: 1 }, value, region }
    }

    /// As it is defined. None: a kind that no policy has.
    pub(crate) fn of_definition(definition: &MapDef) -> Option<Self> {
        let value = definition.value.0 as usize;
        let entries = definition.max_entries;
        let index = match definition.kind {
            TYPE_ARRAY => Index::Array { entries },
            TYPE_HASH => {
                Index::Hash { key: definition.key.0 as usize, most: entries as usize, found: HashMap::new() }
            }
            TYPE_RINGBUF => Index::Ring { sent: Vec::new() },
            TYPE_CGRP_STORAGE => Index::Cgroups(HashMap::new()),
            _ => return None,
        };
        let count = if definition.kind == TYPE_ARRAY { entries as usize } else { 0 };
        let region = Region::whole(value as u64, count, true);
        Some(Self { name: definition.name.clone(), index, value, region })
    }

    /// Eight bytes of a value, as the program's own numbers are.
    pub(crate) fn word(&self, value: usize, at: usize) -> Option<i64> {
        let start = value * self.value + at;
        let bytes = self.region.data().get(start..start + 8)?;
        Some(i64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// Sets eight bytes of a value.
    pub(crate) fn set_word(&mut self, value: usize, at: usize, number: i64) {
        let start = value * self.value + at;
        if let Some(bytes) = self.region.data_mut().get_mut(start..start + 8) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
    }
}
