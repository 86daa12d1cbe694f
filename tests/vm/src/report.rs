//! What the guest says to the host: one JSON object per line, over the second serial port.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One line of the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// The guest is up.
    Ready {
        /// `uname -r`.
        kernel: String,
    },
    /// A case begins.
    Started {
        /// Name of the case.
        case: String,
    },
    /// A case is over.
    Finished(Report),
    /// All cases are over; the machine powers off.
    End,
}

/// The outcome of one case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the case.
    pub case: String,
    /// What went wrong; none if the case passed.
    pub failure: Option<String>,
    /// The steps as they were carried out, with what they printed.
    pub steps: Vec<String>,
    /// What `show` and `measure` steps asked for, in order.
    pub shown: Vec<String>,
    /// What its policies have decided, each policy's decisions in their order; if a step `decisions` asks for them.
    pub decisions: Vec<Decision>,
    /// What `oomc snapshot` saw before the first policy was loaded; if a step `decisions` asks for it.
    pub machine: Option<Value>,
    /// The kernel's log from the start of the case to its end.
    pub log: Vec<String>,
    /// How long the case took, in milliseconds.
    pub millis: u64,
}

/// What a record says of a decision, as far as it is the same whenever and wherever the case runs. Equal decisions in
/// a row are one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Path of the cgroup that the policy is attached to.
    pub attached: String,
    /// Path of the cgroup whose limit was hit.
    pub domain: String,
    /// Nothing was done.
    pub audit: bool,
    /// What the policy returned.
    pub answer: u64,
    /// What was done in the end.
    pub action: String,
    /// By the rule of this name.
    pub rule: Option<String>,
    /// A process by its command name, a cgroup by its path.
    pub victim: Option<String>,
    /// How many processes were killed by the policy itself.
    pub killed: u64,
    /// Of a rise: the new limit, in bytes.
    pub limit: Option<i64>,
    /// How each rule ended.
    pub ends: Vec<(String, String)>,
    /// The best candidates by name, each with its class.
    pub candidates: Vec<(String, u64)>,
}

/// One line from the runner of a case to the first process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Text for [`Report::steps`].
    Step(String),
    /// Text for [`Report::shown`].
    Shown(String),
    /// For [`Report::decisions`].
    Decided(Decision),
    /// For [`Report::machine`].
    Machine(Value),
    /// The case failed, with the reason.
    Failed(String),
    /// Every step is done.
    Passed,
}
