//! The file: every field with its unit. A field that may be absent says what that means.
//!
//! [`SCHEMA`] grows when a field changes its meaning or goes; a reader refuses what it does not know.

use std::collections::BTreeMap;

use oomc_abi::amounts::{Amount, ROWS, Row};
use serde::{Deserialize, Serialize};

/// The version of the schema that is written.
pub const SCHEMA: u32 = 2;

/// The oldest version that is read. Schema 1 said nothing of the machine's swap, of parents and of pid namespaces.
pub const OLDEST: u32 = 1;

/// A machine at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Version of the schema: 2. Files of schema 1 are read, too: they do not say what came later.
    pub schema: u32,
    /// The cgroup to which the snapshot is restricted: cgroups above it are there, too, others are not. `/`: the
    /// whole machine.
    pub top: String,
    /// Release of the kernel, as `uname -r` tells it. Absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Bytes in a page, in which the kernel counts: 4,096, 16,384 or 65,536. Absent: 4,096.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<i64>,
    /// Memory of the machine, in bytes (`MemTotal`).
    pub memory: i64,
    /// Swap of the machine, in bytes (`SwapTotal`). Absent: none; in schema 1, not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub swap: i64,
    /// How much of it is free, in bytes (`SwapFree`). Absent: nothing; in schema 1, not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub swap_free: i64,
    /// `vm.swappiness` is 0: the OOM of a cgroup does not count swap. Absent: false; in schema 1, not known.
    #[serde(default, skip_serializing_if = "is_false")]
    pub no_swapping: bool,
    /// The boot clock, in nanoseconds (`/proc/uptime`).
    pub now: i64,
    /// Cgroups, each behind its parent; the first one is the root. At most 1,000,000.
    pub cgroups: Vec<Cgroup>,
    /// Processes, and those whose children or children's children they are, wherever these are. At most 4,194,304, as
    /// many as the kernel can number.
    pub processes: Vec<Process>,
}

/// A cgroup. Amounts include everything below it, as the kernel's files have them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cgroup {
    /// Path from the cgroup mount; `/` is the root.
    pub path: String,
    /// Path of the cgroup above. Absent: this is the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Inode number of its directory, which is its id. Cgroups are as old as these numbers are small: the order of
    /// creation cannot be seen otherwise.
    pub id: i64,
    /// User who owns its directory.
    pub owner: u32,
    /// Permission bits of its directory, as a decimal number: 493 is `rwxr-xr-x`. What group or others may write is
    /// no label that a policy trusts.
    pub mode: u32,
    /// Values of its extended attributes `user.oom.NAME`, by NAME. Absent: it has none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whether the memory controller is on. Where it is not, there are no amounts, and its processes count with the
    /// nearest cgroup above that has it.
    pub controller: bool,
    /// `memory.current`, in bytes. Absent: the root has no such file; its usage is what its statistics say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<i64>,
    /// `memory.max`, in bytes. Absent: unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
    /// `memory.high`, in bytes. Absent: unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<i64>,
    /// `memory.low`, in bytes; 2^52 stands for `max`. Absent: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<i64>,
    /// `memory.min`, in bytes; 2^52 stands for `max`. Absent: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    /// `memory.swap.current`, in bytes. Absent: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap: Option<i64>,
    /// `memory.swap.max`, in bytes. Absent: unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap_max: Option<i64>,
    /// `memory.oom.group`. Absent: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub oom_group: bool,
    /// Of `memory.stat`. Absent: all 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics: Option<Statistics>,
    /// Of `memory.events`. Absent: all 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Events>,
    /// `memory.pressure`. Absent: not measured; a policy reads it as missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pressure: Option<Pressure>,
}

macro_rules! files {
    (
        pages $pages:tt
        statistics { $($(#[doc = $stat_doc:literal])+ $stat:ident = $stat_amount:ident $stat_row:tt)* }
        events { $(
            $(#[doc = $event_doc:literal])+
            $event_member:ident = $event_amount:ident { $event:ident: $($event_row:tt)* }
        )* }
    ) => {
        /// Of `memory.stat`. An absent field is 0.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Statistics {
            $($(#[doc = $stat_doc])+ pub $stat: i64,)*
        }

        impl FileOfAmounts for Statistics {
            fn place(&mut self, amount: Amount) -> Option<&mut i64> {
                match amount {
                    $(Amount::$stat_amount => Some(&mut self.$stat),)*
                    _ => None,
                }
            }
        }

        /// Of `memory.events`. An absent field is 0.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Events {
            $($(#[doc = $event_doc])+ pub $event: i64,)*
        }

        impl FileOfAmounts for Events {
            fn place(&mut self, amount: Amount) -> Option<&mut i64> {
                match amount {
                    $(Amount::$event_amount => Some(&mut self.$event),)*
                    _ => None,
                }
            }
        }
    };
}

oomc_abi::amounts!(files);

impl Cgroup {
    /// Each row of the table of amounts that the file has for it, with its value.
    pub(crate) fn amounts(&self) -> impl Iterator<Item = (&'static Row, i64)> {
        let statistics = self.statistics.into_iter().flat_map(FileOfAmounts::amounts);
        statistics.chain(self.events.into_iter().flat_map(FileOfAmounts::amounts))
    }
}

/// A file of a cgroup whose members are rows of the table of amounts.
pub(crate) trait FileOfAmounts: Copy + Default {
    /// The member of an amount, if it is in this file.
    fn place(&mut self, amount: Amount) -> Option<&mut i64>;

    /// Each of its rows with the value that it has here, in the order of the schema.
    fn amounts(mut self) -> impl Iterator<Item = (&'static Row, i64)> {
        ROWS.iter().filter_map(move |row| Some((row, *self.place(row.amount)?)))
    }

    /// Reads its members from what the kernel's file has under each key.
    fn of(value: impl Fn(&str) -> Option<i64>) -> Self {
        let mut file = Self::default();
        for row in ROWS {
            if let Some(place) = file.place(row.amount) {
                *place = row.keys.iter().filter_map(|key| value(key)).sum();
            }
        }
        file
    }
}

/// `memory.pressure`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pressure {
    /// Share of time in which something stood still.
    pub some: Windows,
    /// Share of time in which everything stood still.
    pub full: Windows,
}

/// Running averages, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Windows {
    /// Of ten seconds.
    pub avg10: f64,
    /// Of one minute.
    pub avg60: f64,
    /// Of five minutes.
    pub avg300: f64,
}

/// A process. An absent amount is 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Process id.
    pub pid: i64,
    /// Path of the cgroup that it is in.
    pub cgroup: String,
    /// Command name, at most 15 bytes.
    pub comm: String,
    /// Real user id.
    pub uid: i64,
    /// `oom_score_adj`, from -1000 to 1000.
    pub oom_score_adj: i64,
    /// Resident anonymous memory, in bytes (`RssAnon`).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub anon: i64,
    /// Resident pages of files, in bytes (`RssFile`).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub file: i64,
    /// Resident shared memory, in bytes (`RssShmem`).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shmem: i64,
    /// Swapped out, in bytes (`VmSwap`).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub swap: i64,
    /// Page tables, in bytes (`VmPTE`).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub page_tables: i64,
    /// Threads.
    pub threads: i64,
    /// When it started, by the boot clock, in nanoseconds.
    pub start: i64,
    /// Process id of its parent (`PPid`). Absent: 1; in schema 1, not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<i64>,
    /// Its numbers in the pid namespaces below the machine's own, the outermost first (`NSpid`). Absent: it is in none;
    /// in schema 1, not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ns_pids: Vec<i64>,
    /// It is a thread of the kernel. Absent: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub kernel_thread: bool,
    /// It is exiting, or has exited and nobody has asked for its status. Absent: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub exiting: bool,
    /// It has been sent SIGKILL and still has its memory (`SigPnd`, `ShdPnd`): it is dying. Absent: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub killed: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}
