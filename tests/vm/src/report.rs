//! What the guest says to the host: one JSON object per line, over the second serial port.

use serde::{Deserialize, Serialize};

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
    /// The kernel's log from the start of the case to its end.
    pub log: Vec<String>,
    /// How long the case took, in milliseconds.
    pub millis: u64,
}

/// One line from the runner of a case to the first process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Text for [`Report::steps`].
    Step(String),
    /// Text for [`Report::shown`].
    Shown(String),
    /// The case failed, with the reason.
    Failed(String),
    /// Every step is done.
    Passed,
}
