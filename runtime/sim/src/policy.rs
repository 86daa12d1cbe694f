//! A policy for a model: its program, fitted to a kernel as the loader fits it, and what it keeps between events.
//!
//! Takes an object; knows nothing of machines but what an administrator puts on their cgroups.

use std::fmt;
use std::sync::Arc;

use oomc_abi::btf::Kind;
use oomc_abi::declared::Declared;
use oomc_abi::maps::{AUDIT, CONFIG, COUNTERS, EPOCH, LABELS, RECORDS, Tally};
use oomc_abi::members;
use oomc_abi::record::{KEPT, Record};
use oomc_object::relocate::{MapFds, apply, find};
use oomc_object::{Object, named_words};

use crate::kernel::Kernel;
use crate::machine::{CgroupIndex, Counter, Machine};
use crate::maps::{Index, Map};
use crate::memory::{Memory, Region, RegionId};
use crate::program::Program;

/// Why a policy cannot be simulated on a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unfit {
    /// The bytes are no object of a policy, or contradict the kernel.
    Object(oomc_object::Error),
    /// The kernel lacks functions or variables that it cannot do without.
    Lacks(Vec<String>),
    /// Something that this simulator does not know.
    Unknown(String),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(error) => error.fmt(f),
            Self::Lacks(names) => write!(f, "the kernel lacks {}", names.join(", ")),
            Self::Unknown(what) => write!(f, "cannot simulate {what}"),
        }
    }
}

impl std::error::Error for Unfit {}

impl From<oomc_object::Error> for Unfit {
    fn from(error: oomc_object::Error) -> Self {
        Self::Object(error)
    }
}

/// A policy, fitted to a kernel.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) program: Arc<Program>,
    maps: Vec<Map>,
    /// What it declares.
    pub declared: Declared,
    /// Members of the map of settings, and of a cgroup's counters, with their offsets.
    settings: Vec<(String, usize)>,
    counters: Vec<(String, usize)>,
    /// The same policy with its program for kernels without the hook.
    other: Option<Arc<Object>>,
}

impl Policy {
    /// Fits an object to a kernel.
    ///
    /// # Errors
    /// If the object is broken or foreign, or needs what the kernel or this simulator lacks.
    pub fn new(kernel: &Kernel, object: &Object) -> Result<Self, Unfit> {
        if !object.foreign.is_empty() {
            let told = oomc_object::foreign::told(&object.foreign, Some(kernel.view().btf()));
            return Err(oomc_object::Error::NotOurs(told).into());
        }
        let (ours, page) = (object.meta.page_size(), kernel.view().page_size());
        if ours != Some(page) {
            let ours =
                ours.map_or("pages of unknown size".to_owned(), |ours| format!("pages of {ours} bytes"));
            return Err(Unfit::Unknown(format!("a policy for {ours} on a machine whose pages have {page}")));
        }
        let mut variables = Memory::default();
        *variables.region_mut(RegionId::VARIABLES) = Region::whole(variable_bytes().into(), 1, false);
        let address =
            |name: &str| Some(variables.address(RegionId::VARIABLES, 0, offset_of_variable(name)?.into()));
        let btf = kernel.view().btf();
        let found = find(&object.externs, btf, address).map_err(Unfit::Lacks)?;
        let mut maps: Vec<Map> = object.globals.iter().map(Map::of_global).collect();
        for definition in &object.maps {
            let unknown = || Unfit::Unknown(format!("the map `{}`", definition.name));
            maps.push(Map::of_definition(definition).ok_or_else(unknown)?);
        }
        if maps.len() > RegionId::MAPS {
            return Err(Unfit::Unknown(format!("a policy with {} maps", maps.len())));
        }
        let globals = object.globals.len() as u32;
        let fds = MapFds {
            globals: (0..globals).collect(),
            maps: (globals..globals + object.maps.len() as u32).collect(),
        };
        let fitted = apply(object, btf, &found, &fds)?;
        let program = Program::decode(&fitted.code, btf, &maps).map_err(Unfit::Unknown)?;
        let settings = object.globals.iter().find(|global| global.map_name() == CONFIG);
        let counters = object.maps.iter().find(|map| map.name == COUNTERS);
        Ok(Self {
            program: Arc::new(program),
            maps,
            declared: object.meta.declared(),
            settings: settings.map(|global| named_words(&object.btf, global.ty)).unwrap_or_default(),
            counters: counters.map(|map| members_of(object, map.value.1)).unwrap_or_default(),
            other: object.asked().map(Arc::new),
        })
    }

    /// The same policy as user space asks it on a kernel without the hook; none: it has no program for that.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn asked(&self, kernel: &Kernel) -> Result<Option<Self>, Unfit> {
        self.other.as_ref().map(|object| Self::new(kernel, object)).transpose()
    }

    /// The same policy, of which user space asks another one's program: that of the same text without marks.
    #[must_use]
    pub fn with_asked_of(self, other: &Self) -> Self {
        Self { other: other.other.clone(), ..self }
    }
}

/// Where a variable of the kernel lies behind the others.
pub(crate) fn offset_of_variable(name: &str) -> Option<u32> {
    let at = members::VARIABLES.iter().position(|(known, _)| *known == name)?;
    Some(members::VARIABLES.iter().take(at).map(|(_, words)| words * 8).sum())
}

/// Bytes of all variables of the kernel.
pub(crate) fn variable_bytes() -> u32 {
    members::VARIABLES.iter().map(|(_, words)| words * 8).sum()
}

/// Names and offsets of a structure's members.
fn members_of(object: &Object, ty: u32) -> Vec<(String, usize)> {
    match object.btf.resolve(ty).map(|(_, ty)| ty.kind) {
        Some(Kind::Struct { members, .. }) => {
            let place = |member: &oomc_abi::btf::Member<'_>| {
                (member.name.to_owned(), (member.bit_offset / 8) as usize)
            };
            members.iter().map(place).collect()
        }
        _ => Vec::new(),
    }
}

/// A policy that is attached to a cgroup of a machine.
#[derive(Clone, Debug)]
pub struct Attached {
    pub(crate) policy: Policy,
    /// Where.
    pub cgroup: CgroupIndex,
    pub(crate) maps: Vec<Map>,
}

impl Attached {
    /// Attaches a policy; the machine's labels and counters are read.
    #[must_use]
    pub fn new(policy: &Policy, machine: &Machine, cgroup: CgroupIndex) -> Self {
        let mut attached = Self { maps: policy.maps.clone(), policy: policy.clone(), cgroup };
        for index in 0..machine.cgroups.len() {
            attached.read(machine, index);
        }
        attached
    }

    /// Reads labels and counters of a cgroup: those that it has.
    pub fn read(&mut self, machine: &Machine, index: CgroupIndex) {
        self.read_labels(machine, index);
        self.read_counters(machine, index);
    }

    /// Whether the policy only says what it would do.
    pub fn set_audit(&mut self, audit: bool) {
        self.set(AUDIT, i64::from(audit));
    }

    /// Sets a param; false if the policy has none of this name.
    pub fn set(&mut self, name: &str, value: i64) -> bool {
        let Some(at) = place(&self.policy.settings, name) else { return false };
        let Some(map) = self.map(CONFIG) else { return false };
        map.set_word(0, at, value);
        true
    }

    /// The records that are kept, the oldest first.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let Some(map) = self.maps.iter().find(|map| map.name == RECORDS) else { return Vec::new() };
        let values = map.region.data().chunks(map.value.max(1)).take(KEPT as usize);
        let mut records: Vec<Record> = values.filter_map(Record::read).collect();
        records.sort_by_key(|record| record.number);
        records
    }

    /// What was sent to whoever follows the decisions.
    pub fn sent(&self) -> impl Iterator<Item = Record> + '_ {
        let rings = self.maps.iter().filter_map(|map| match &map.index {
            Index::Ring { sent } => Some(sent),
            _ => None,
        });
        rings.flatten().filter_map(|bytes| Record::read(bytes))
    }

    /// Counters of a cgroup by their names: those that it has.
    #[must_use]
    pub fn counters(&self, cgroup: CgroupIndex) -> Vec<(String, Counter)> {
        let Some(map) = self.maps.iter().find(|map| map.name == COUNTERS) else { return Vec::new() };
        let Index::Cgroups(found) = &map.index else { return Vec::new() };
        let Some(value) = found.get(&cgroup) else { return Vec::new() };
        let word = |name: &str| place(&self.policy.counters, name).and_then(|at| map.word(*value, at));
        self.names_of_counters()
            .map(|name| {
                let tally = |tally: Tally| {
                    (word(&tally.count(name)).unwrap_or(0), word(&tally.since(name)).unwrap_or(0))
                };
                (name.to_owned(), Counter { real: tally(Tally::Real), audit: tally(Tally::Audit) })
            })
            .collect()
    }

    fn names_of_counters(&self) -> impl Iterator<Item = &str> {
        let names = self.policy.counters.iter().map(|(name, _)| name.as_str());
        names.filter(|name| place(&self.policy.counters, &Tally::Audit.since(name)).is_some())
    }

    fn map(&mut self, name: &str) -> Option<&mut Map> {
        self.maps.iter_mut().find(|map| map.name == name)
    }

    /// Puts a label on the cgroup of this id, or takes it away; false if the policy has none of this name.
    pub fn put_label(&mut self, cgroup: i64, name: &str, value: Option<i64>) -> bool {
        let number = self.policy.declared.labels.iter().position(|label| label.name == name);
        let Some(number) = number else { return false };
        let Some(map) = self.map(LABELS) else { return false };
        let key = [cgroup.to_le_bytes(), (number as i64).to_le_bytes()].concat();
        let Index::Hash { found, .. } = &mut map.index else { return false };
        let Some(value) = value else {
            found.remove(&key);
            return true;
        };
        let value_at = *found.entry(key).or_insert_with(|| map.region.push());
        map.set_word(value_at, 0, value);
        true
    }

    fn read_labels(&mut self, machine: &Machine, index: CgroupIndex) {
        let cgroup = machine.cgroup(index);
        for (name, value) in &cgroup.labels {
            self.put_label(cgroup.id, name, Some(*value));
        }
    }

    fn read_counters(&mut self, machine: &Machine, index: CgroupIndex) {
        let places = self.policy.counters.clone();
        for (name, counter) in &machine.cgroup(index).counters {
            if place(&places, &Tally::Audit.since(name)).is_none() {
                continue;
            }
            let epoch = place(&self.policy.settings, EPOCH);
            let epoch = epoch.and_then(|at| self.map(CONFIG)?.word(0, at)).unwrap_or(0);
            let Some(map) = self.map(COUNTERS) else { return };
            let Index::Cgroups(found) = &mut map.index else { return };
            let value = *found.entry(index).or_insert_with(|| map.region.push());
            let mut set = |name: &str, number: i64| {
                if let Some(at) = place(&places, name) {
                    map.set_word(value, at, number);
                }
            };
            set(EPOCH, epoch);
            for (tally, (count, since)) in [(Tally::Real, counter.real), (Tally::Audit, counter.audit)] {
                set(&tally.count(name), count);
                set(&tally.since(name), since);
            }
        }
    }
}

fn place(places: &[(String, usize)], name: &str) -> Option<usize> {
    places.iter().find(|(found, _)| found == name).map(|(_, at)| *at)
}
