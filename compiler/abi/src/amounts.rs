//! THE table of amounts: what the kernel counts for each cgroup, one row per amount.
//!
//! Whoever has something for each amount takes it from here, so that a further counter of `memory.stat` is one row:
//! the fields of the language ([`crate::fields::FIELDS`]), the members of the snapshot file and how they are read and
//! checked, what a cgroup of a simulated machine has, what a statistic by its enumerator is there, and what a test can
//! give. Knows nothing of files, simulators and tests: they hand a macro of their own to [`amounts!`](crate::amounts).

use crate::fields::{Field, Measure, NO_STAT, Owner, Recipe, StatTerm};

/// Hands the table to a macro. It has three parts:
///
/// * `pages`: counters of pages that have a file of their own each: a member, and the amount's name.
/// * `statistics`: what `memory.stat` has. A row is
///   `member = Name { keys: enumeration [enumerators], field Measure of "base" "meaning" }`; the member is the field's name in policies and snapshots, and what a row's keys have in the file is added up, as
///   are the enumerators in the kernel; `of` names the field that a bare percent is taken of. Without `field`, no
///   policy reads the amount alone.
/// * `events`: what `memory.events` has. The only key is the member of a snapshot; the field is `events.key`.
///
/// The comment above a row is what the book says of its member of a snapshot.
#[macro_export]
macro_rules! amounts {
    ($take:ident) => {
        $take! {
            pages {
                /// Pages charged.
                charged = Charged {}
                /// Pages swapped out.
                swapped = Swapped {}
            }
            statistics {
                /// Anonymous memory, in bytes.
                anon = Anon {
                    anon: node_stat_item [NR_ANON_MAPPED],
                    field Bytes of "limit" "anonymous memory"
                }
                /// Page cache with tmpfs and shared memory, in bytes.
                file = File {
                    file: node_stat_item [NR_FILE_PAGES],
                    field Bytes "page cache, tmpfs included"
                }
                /// Tmpfs and shared memory, in bytes.
                shmem = Shmem {
                    shmem: node_stat_item [NR_SHMEM],
                    field Bytes "shared memory and tmpfs"
                }
                /// Memory of the kernel, in bytes.
                kernel = Kernel {
                    kernel: memcg_stat_item [MEMCG_KMEM],
                    field Bytes "memory of the kernel itself, charged to the cgroup"
                }
                /// What the kernel can give back of its own, in bytes.
                slab_reclaimable = SlabReclaimable {
                    slab_reclaimable: node_stat_item [NR_SLAB_RECLAIMABLE_B],
                    field Bytes "slab memory of the kernel that reclaim can take, such as dentries"
                }
                /// Page cache that was not used lately, in bytes.
                inactive_file = InactiveFile {
                    inactive_file: node_stat_item [NR_INACTIVE_FILE]
                }
                /// Pages that reclaim has looked at.
                pgscan = Pgscan {
                    pgscan: vm_event_item [PGSCAN_KSWAPD PGSCAN_DIRECT PGSCAN_KHUGEPAGED],
                    field Count "pages that reclaim has looked at since the cgroup was made"
                }
                /// Major page faults.
                pgmajfault = Pgmajfault {
                    pgmajfault: vm_event_item [PGMAJFAULT],
                    field Count "major page faults since the cgroup was made"
                }
                /// Pages that came back after reclaim (`workingset_refault_anon` and `workingset_refault_file`
                /// together).
                refault = Refault {
                    workingset_refault_anon workingset_refault_file:
                        node_stat_item [WORKINGSET_REFAULT_ANON WORKINGSET_REFAULT_FILE],
                    field Count "pages that came back soon after reclaim had taken them, since the cgroup was made"
                }
            }
            events {
                /// How often the limit was hit.
                events_max = EventsMax {
                    max: memcg_memory_event [MEMCG_MAX],
                    field Count "how often usage was about to go over memory.max, in the cgroup and below"
                }
                /// How often reclaim did not help.
                events_oom = EventsOom {
                    oom: memcg_memory_event [MEMCG_OOM],
                    field Count "how often an allocation was about to fail, in the cgroup and below"
                }
                /// Processes that were killed for memory.
                events_oom_kill = EventsOomKill {
                    oom_kill: memcg_memory_event [MEMCG_OOM_KILL],
                    field Count "processes that an OOM killer took, in the cgroup and below"
                }
            }
        }
    };
}

/// The file of a cgroup that has an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// `memory.stat`.
    Statistics,
    /// `memory.events`.
    Events,
}

/// A row of the parts that a kernel's enumerators count.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What it is about.
    pub amount: Amount,
    /// Where user space reads it.
    pub file: File,
    /// Its member of a snapshot.
    pub member: &'static str,
    /// What the book says of this member.
    pub doc: &'static str,
    /// Keys in the file; their values are added up.
    pub keys: &'static [&'static str],
    /// What the kernel counts; the sum is the amount.
    pub terms: &'static [StatTerm],
    /// The field that is this amount alone, if there is one.
    pub field: Option<Field>,
}

macro_rules! terms {
    ($enumeration:ident [$($enumerator:ident)+]) => {
        &[$(StatTerm {
            negative: false,
            enumeration: stringify!($enumeration),
            enumerator: stringify!($enumerator),
        }),+]
    };
}

macro_rules! recipe {
    (vm_event_item $enumerators:tt) => { Recipe::VmEvents(terms!(vm_event_item $enumerators)) };
    ($enumeration:ident $enumerators:tt) => { Recipe::Stat(terms!($enumeration $enumerators)) };
}

macro_rules! field {
    ($name:expr, $recipe:expr, $source:expr) => { None };
    ($name:expr, $recipe:expr, $source:expr, field $measure:ident $(of $base:literal)? $doc:literal) => {
        Some(Field {
            owner: Owner::Cgroup,
            name: $name,
            unit: Measure::$measure,
            base: first(&[$($base)?]),
            missing: NO_STAT,
            recipe: $recipe,
            doc: $doc,
            source: $source,
        })
    };
}

macro_rules! table {
    (
        pages { $($(#[doc = $pages_doc:literal])+ $pages_member:ident = $pages:ident {})* }
        statistics { $(
            $(#[doc = $stat_doc:literal])+
            $stat_member:ident = $stat:ident {
                $($stat_key:ident)+: $enumeration:ident $enumerators:tt $(, $($stat_field:tt)+)?
            }
        )* }
        events { $(
            $(#[doc = $event_doc:literal])+
            $event_member:ident = $event:ident {
                $event_key:ident: $events:ident [$enumerator:ident] $(, $($event_field:tt)+)?
            }
        )* }
    ) => {
        /// What is counted for a cgroup.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Amount {
            $($(#[doc = $pages_doc])+ $pages,)*
            $($(#[doc = $stat_doc])+ $stat,)*
            $($(#[doc = $event_doc])+ $event,)*
        }

        /// What enumerators of the kernel count, in the order of `memory.stat` and `memory.events`.
        pub static ROWS: &[Row] = &[
            $(Row {
                amount: Amount::$stat,
                file: File::Statistics,
                member: stringify!($stat_member),
                doc: concat!($($stat_doc),+).trim_ascii(),
                keys: &[$(stringify!($stat_key)),+],
                terms: terms!($enumeration $enumerators),
                field: field!(
                    stringify!($stat_member),
                    recipe!($enumeration $enumerators),
                    concat!("memory.stat", $(" ", stringify!($stat_key)),+, ", mm/memcontrol.c")
                    $(, $($stat_field)+)?
                ),
            },)*
            $(Row {
                amount: Amount::$event,
                file: File::Events,
                member: stringify!($event_key),
                doc: concat!($($event_doc),+).trim_ascii(),
                keys: &[stringify!($event_key)],
                terms: terms!($events [$enumerator]),
                field: field!(
                    concat!("events.", stringify!($event_key)),
                    Recipe::MemoryEvents(StatTerm {
                        negative: false,
                        enumeration: stringify!($events),
                        enumerator: stringify!($enumerator),
                    }),
                    concat!("memory.events ", stringify!($event_key), ", mm/memcontrol.c")
                    $(, $($event_field)+)?
                ),
            },)*
        ];
    };
}

amounts!(table);

/// The only element, if there is one.
const fn first(of: &[&'static str]) -> Option<&'static str> {
    match of {
        [one, ..] => Some(*one),
        [] => None,
    }
}

impl Amount {
    /// The amount that a cgroup's field of this name is, if it is one alone.
    #[must_use]
    pub fn of_field(name: &str) -> Option<Self> {
        let is_named = |row: &&Row| row.field.is_some_and(|field| field.name == name);
        ROWS.iter().find(is_named).map(|row| row.amount)
    }
}

/// Each enumerator that is counted, as enumeration and name, with the amount that a model gives for it.
///
/// A model keeps no parts of a sum: the first enumerator has all of it, and the others, which the kernel counts as
/// well, are always 0.
pub fn enumerators() -> impl Iterator<Item = (&'static str, &'static str, Option<Amount>)> {
    ROWS.iter().flat_map(|row| {
        let amounts = core::iter::once(Some(row.amount)).chain(core::iter::repeat(None));
        row.terms.iter().zip(amounts).map(|(term, amount)| (term.enumeration, term.enumerator, amount))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    #[test]
    fn a_row_says_all_that_there_is_to_say_of_an_amount() {
        let row = ROWS.iter().find(|row| row.amount == Amount::Refault).expect("a row");
        assert_eq!((row.file, row.member), (File::Statistics, "refault"));
        assert_eq!(row.keys, ["workingset_refault_anon", "workingset_refault_file"]);
        assert!(row.doc.starts_with("Pages that came back"), "{}", row.doc);
        let field = fields::find(Owner::Cgroup, "refault").expect("a field").row();
        assert_eq!(field.recipe, Recipe::Stat(row.terms));
        assert_eq!(Amount::of_field("refault"), Some(Amount::Refault));
        assert_eq!(Amount::of_field("events.oom_kill"), Some(Amount::EventsOomKill));
        assert_eq!(Amount::of_field("working_set"), None);
    }

    #[test]
    fn an_enumerator_is_counted_once() {
        let mut found: Vec<_> = enumerators().map(|(enumeration, name, _)| (enumeration, name)).collect();
        let count = found.len();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), count);
        let with_amount = enumerators().filter(|(.., amount)| amount.is_some()).count();
        assert_eq!(with_amount, ROWS.len());
    }
}
