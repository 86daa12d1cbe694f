//! What the program in the machine tells, a line of JSON each.

use serde::{Deserialize, Serialize};

use crate::plan::Cell;

/// A line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// The machine has booted.
    Ready {
        /// Its kernel.
        kernel: String,
        /// Killers and the versions of their packages.
        versions: Vec<(String, String)>,
    },
    /// A trial begins.
    Begun(Cell),
    /// A trial has ended.
    Ended(Cell, Box<Seen>),
    /// A trial could not be made; why.
    Failed(Cell, String),
    /// All are done.
    End,
}

/// What was seen in a trial. Times are milliseconds from the moment at which the one that grows was started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// When memory was short: the event, as the workload defines it.
    pub event: Option<u64>,
    /// When all processes of the culprit were gone, and its memory was free.
    pub freed: Option<u64>,
    /// When the innocent one lost its process.
    pub innocent: Option<u64>,
    /// When the first bystander was lost: another tenant, or a service of the machine.
    pub bystander: Option<u64>,
    /// When the kernel's own killer killed first.
    pub kernel: Option<u64>,
    /// How many it killed.
    pub kernel_kills: u64,
    /// Microseconds of a CPU that the killer took from the start of the growth until the culprit was gone, or the end.
    pub cpu: Option<u64>,
    /// How long that was, in milliseconds.
    pub span: u64,
    /// While nothing happened before.
    pub idle: Option<Idle>,
    /// What the killer wrote into the journal, its last lines.
    pub said: Vec<String>,
}

/// What a killer takes while nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idle {
    /// Milliseconds that it was watched.
    pub span: u64,
    /// Microseconds of a CPU that it took.
    pub cpu: u64,
    /// Its resident memory in KiB.
    pub resident: u64,
}
