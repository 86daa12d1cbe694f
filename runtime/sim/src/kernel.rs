//! One kernel, as far as a model of a machine depends on it: where members lie, what enumerators are worth.
//!
//! Made once from a kernel's types and used for any number of machines and policies.

use std::fmt;

use oomc_abi::amounts::{Amount, enumerators};
use oomc_abi::members;
use oomc_abi::model::{Class, Holds, PID_NUMBERS, PidNumber, SLOTS};
use oomc_abi::profile::{Profile, Unclear};
use oomc_abi::resolve::{KernelView, Missing};
use oomc_abi::target::{Counters, Statistic, unit_of};

/// The largest structure that is modelled; those of kernels have some thousand bytes.
const MOST_BYTES: u32 = 1 << 20;

/// A member that is filled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filled {
    pub(crate) class: Class,
    pub(crate) offset: u32,
    pub(crate) size: u32,
    pub(crate) holds: Holds,
}

/// A kernel's types, and what was found in them.
#[derive(Clone, Debug)]
pub struct Kernel {
    view: KernelView,
    pub(crate) filled: Vec<Filled>,
    /// Size of each class's structure, in their order.
    sizes: Vec<u32>,
    /// Enumerators of the orders of a walk: pre, post, up.
    pub(crate) orders: [u64; 3],
    /// Enumeration, value, and what is counted.
    statistics: Vec<(&'static str, u64, Option<Amount>)>,
    /// Tables that say where a counter lies: the variable, the place in it, the entry.
    pub(crate) tables: Vec<(&'static str, u32, u8)>,
    /// Where `cgroup.self` lies.
    pub(crate) own_css: u32,
    /// What a policy's second argument is.
    pub(crate) second: Class,
}

/// What a kernel's types lack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking(pub String);

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a machine with this kernel cannot be modelled: {}", self.0)
    }
}

impl std::error::Error for Lacking {}

impl From<Missing> for Lacking {
    fn from(missing: Missing) -> Self {
        Self(missing.to_string())
    }
}

/// The counters that are read by members: a table gives each its place, one after the other. A kernel has none of those
/// for which it lacks an array, or whose enumerator lies behind the end of the array or of the model's table.
fn counters(view: &KernelView, filled: &mut Vec<Filled>, tables: &mut Vec<(&'static str, u32, u8)>) {
    let mut places = std::collections::HashMap::new();
    for (enumeration, name, amount) in enumerators() {
        let Some(index) = view.enumerator(enumeration, name).and_then(|index| u32::try_from(index).ok())
        else {
            continue;
        };
        let what = match enumeration {
            "vm_event_item" => Statistic::VmEvent,
            "memcg_memory_event" => Statistic::MemoryEvent,
            _ => Statistic::Stat,
        };
        let (array, class, place) = match what.by_members() {
            Counters::Array(array) => (array, Class::Memcg, index),
            Counters::Table { table, array } => {
                if index >= members::TABLE_BYTES {
                    continue;
                }
                let next = places.entry(table).or_insert(0_u8);
                tables.push((table, index, *next));
                *next += 1;
                (array, Class::Statistics, u32::from(*next - 1))
            }
        };
        let Ok(counter) = view.lookup(array.container, &format!("{}[{place}]", array.path)) else { continue };
        let holds = amount.map_or(Holds::Nothing, |amount| Holds::Counted(amount, unit_of(name)));
        filled.push(Filled { class, offset: counter.offset, size: 8, holds });
    }
}

impl Kernel {
    /// From a kernel's types.
    ///
    /// # Errors
    /// If they lack a structure or member that every policy reads.
    pub fn new(view: KernelView) -> Result<Self, Lacking> {
        // Without a hook there is nobody who calls; a policy is tried as on the kernels that there are.
        let second = match view.profile() {
            Ok(Profile::Generic) => Class::Cgroup,
            Ok(Profile::CgroupFlag) | Err(Unclear::Neither) => Class::Link,
            Err(unclear) => return Err(Lacking(unclear.to_string())),
        };
        let mut filled = Vec::new();
        for slot in SLOTS.iter().filter(|slot| slot.class != Class::Link || second == Class::Link) {
            let path = slot.path_in(&view).ok_or_else(|| Lacking(format!("it has no {}", slot.path)))?;
            let (offset, size) = match view.lookup(slot.class.tag(), &path) {
                Ok(member) => (member.offset, member.size),
                Err(missing) => match view.bit_field(slot.class.tag(), &path) {
                    Some(bits) => (bits.offset, bits.size),
                    None if slot.raw => continue,
                    None => return Err(missing.into()),
                },
            };
            filled.push(Filled { class: slot.class, offset, size, holds: slot.holds });
        }
        let size_of = |tag: &str| {
            let btf = view.btf();
            btf.composite(tag).and_then(|id| btf.size_of(id)).unwrap_or(0)
        };
        let numbers = PID_NUMBERS.rows(&view, size_of(PID_NUMBERS.element));
        // The array has no length in the structure: what it holds lies behind it.
        let behind = numbers.last().map(|last| last.offset.saturating_add(size_of(PID_NUMBERS.element)));
        let size = |class: &Class| match class {
            Class::Pid => size_of(class.tag()).max(behind.unwrap_or(0)),
            class => size_of(class.tag()),
        };
        let of_pid = |row: &PidNumber| Filled {
            class: Class::Pid,
            offset: row.offset,
            size: row.size,
            holds: Holds::PidAt(row.level),
        };
        filled.extend(numbers.iter().map(of_pid));
        let order = |row: &members::Enumerator| {
            let lacks = || Lacking(format!("it has no {}", row.name));
            view.enumerator(row.enumeration, row.name).map(|value| value as u64).ok_or_else(lacks)
        };
        let mut tables = Vec::new();
        counters(&view, &mut filled, &mut tables);
        let sizes: Vec<u32> = Class::ALL.iter().map(size).collect();
        for (class, size) in Class::ALL.iter().zip(&sizes) {
            if *size > MOST_BYTES {
                return Err(Lacking(format!("its {} has {size} bytes", class.tag())));
            }
            let inside = |row: &&Filled| row.offset.checked_add(row.size).is_some_and(|end| end <= *size);
            if let Some(row) = filled.iter().filter(|row| row.class == *class).find(|row| !inside(row)) {
                let (tag, offset) = (class.tag(), row.offset);
                return Err(Lacking(format!("a member at {offset} of its {tag} lies behind the end")));
            }
        }
        let statistics = enumerators().filter_map(|(enumeration, name, amount)| {
            view.enumerator(enumeration, name).map(|value| (enumeration, value as u64, amount))
        });
        Ok(Self {
            sizes,
            orders: [order(&members::WALK_PRE)?, order(&members::WALK_POST)?, order(&members::WALK_UP)?],
            statistics: statistics.collect(),
            tables,
            own_css: view.lookup(members::CGROUP_SELF.container, members::CGROUP_SELF.path)?.offset,
            second,
            filled,
            view,
        })
    }

    /// Its types.
    #[must_use]
    pub fn view(&self) -> &KernelView {
        &self.view
    }

    /// Bytes of a class's structure.
    pub(crate) fn size(&self, class: Class) -> u32 {
        self.sizes.get(class as usize).copied().unwrap_or(0)
    }

    /// What an index of an enumeration counts, if the kernel has it; none of the model's amounts if it is always 0.
    pub(crate) fn statistic(&self, enumerations: &[&str], index: u64) -> Option<Option<Amount>> {
        let found = self
            .statistics
            .iter()
            .find(|(enumeration, value, _)| *value == index && enumerations.contains(enumeration));
        found.map(|(.., amount)| *amount)
    }
}
