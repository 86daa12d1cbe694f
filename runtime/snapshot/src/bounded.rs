//! Lists that end where the kernel's own bounds are: what is longer is refused before it takes memory.
//!
//! The elements are passed over unread, so that a file of too many costs nothing but the time to look at it.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};

/// As many processes as the kernel can number (`PID_MAX_LIMIT`, include/linux/threads.h, 6.12).
pub(crate) const PROCESSES: usize = 4 << 20;

/// More cgroups than any machine has.
pub(crate) const CGROUPS: usize = 1_000_000;

/// What can be known of a file of any schema.
#[derive(Deserialize)]
pub(crate) struct Head {
    pub(crate) schema: u64,
    #[serde(default, rename = "cgroups", deserialize_with = "cgroups")]
    _cgroups: (),
    #[serde(default, rename = "processes", deserialize_with = "processes")]
    _processes: (),
}

struct Bounded {
    what: &'static str,
    most: usize,
}

impl<'de> Visitor<'de> for Bounded {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of {}", self.what)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut found = 0;
        while list.next_element::<IgnoredAny>()?.is_some() {
            found += 1;
            if found > self.most {
                return Err(A::Error::custom(format_args!("more than {} {}", self.most, self.what)));
            }
        }
        Ok(())
    }
}

fn processes<'de, D: Deserializer<'de>>(from: D) -> Result<(), D::Error> {
    from.deserialize_seq(Bounded { what: "processes", most: PROCESSES })
}

fn cgroups<'de, D: Deserializer<'de>>(from: D) -> Result<(), D::Error> {
    from.deserialize_seq(Bounded { what: "cgroups", most: CGROUPS })
}
