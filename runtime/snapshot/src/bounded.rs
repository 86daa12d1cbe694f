//! Lists that end where the kernel's own bounds are, while they are being read: what is longer is refused before it
//! takes memory.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};

use crate::schema::{Cgroup, Process};

/// As many processes as the kernel can number (`PID_MAX_LIMIT`, include/linux/threads.h, 6.12).
pub(crate) const PROCESSES: usize = 4 << 20;

/// More cgroups than any machine has.
pub(crate) const CGROUPS: usize = 1_000_000;

struct Bounded<T> {
    what: &'static str,
    most: usize,
    of: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Bounded<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of {}", self.what)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut found = Vec::new();
        while let Some(one) = list.next_element()? {
            if found.len() == self.most {
                return Err(A::Error::custom(format_args!("more than {} {}", self.most, self.what)));
            }
            found.push(one);
        }
        Ok(found)
    }
}

pub(crate) fn processes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Process>, D::Error> {
    from.deserialize_seq(Bounded { what: "processes", most: PROCESSES, of: PhantomData })
}

pub(crate) fn cgroups<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Cgroup>, D::Error> {
    from.deserialize_seq(Bounded { what: "cgroups", most: CGROUPS, of: PhantomData })
}
