//! The two ways in which kernels attach a policy to a cgroup, told apart by their types alone.
//!
//! Trying does not tell: a kernel without policies accepts flags and targets that it does not know, and attaches
//! nothing. So the compiler, the loader and the simulator ask here, and mean the same kernels by the same names.
//! The one object serves both: what it reads of its second argument stands behind a test of the same enumerator.

use std::fmt;

use crate::btf::{Btf, Kind};
use crate::consts::BPF_F_CGROUP_FD;
use crate::hooks::OOM;
use crate::members;

/// How a kernel attaches a policy to a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// By a link of struct_ops with a flag of its own; the callback is given the link (v3 of the series). A cgroup
    /// takes one policy, and a link keeps its map for life.
    CgroupFlag,
    /// By the link that any struct_ops can have to a cgroup, without a flag; the callback is given the cgroup (after
    /// v3). A cgroup takes several policies in an order, and a link can be led to another map.
    Generic,
}

impl Profile {
    /// Both.
    pub const ALL: [Self; 2] = [Self::CgroupFlag, Self::Generic];

    /// What a kernel's types say.
    ///
    /// # Errors
    /// When they say neither, or both.
    pub fn of(btf: &Btf) -> Result<Self, Unclear> {
        let by_enumerator = has_enumerator(btf);
        let second = second_argument(btf);
        match (by_enumerator, second.as_deref()) {
            (true, Some(tag)) if tag == Self::Generic.second() => Ok(Self::Generic),
            (false, Some(tag)) if tag == Self::CgroupFlag.second() && link_names_cgroup(btf) => {
                Ok(Self::CgroupFlag)
            }
            (false, Some(tag)) if tag == Self::CgroupFlag.second() => Err(Unclear::Neither),
            (_, Some(tag)) => {
                Err(Unclear::Contradiction { enumerator: by_enumerator, second: tag.to_owned() })
            }
            (_, None) => Err(Unclear::Neither),
        }
    }

    /// `link_create.flags` that says what the target is.
    #[must_use]
    pub fn link_flags(self) -> u32 {
        match self {
            Self::CgroupFlag => BPF_F_CGROUP_FD,
            Self::Generic => 0,
        }
    }

    /// The structure that the callback's second argument points to.
    #[must_use]
    pub fn second(self) -> &'static str {
        match self {
            Self::CgroupFlag => members::LINK,
            Self::Generic => members::CGROUP,
        }
    }

    /// Whether a link can be led to another map while it is attached.
    #[must_use]
    pub fn updates(self) -> bool {
        self == Self::Generic
    }
}

/// Why a kernel's types do not say how a policy is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unclear {
    /// The kernel has neither way.
    Neither,
    /// The enumerator says one thing and the callback another.
    Contradiction {
        /// Whether the enumerator of the generic way is there.
        enumerator: bool,
        /// What the callback's second argument points to.
        second: String,
    },
}

impl fmt::Display for Unclear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Neither => f.write_str("this kernel cannot attach a policy to a cgroup"),
            Self::Contradiction { enumerator, second } => {
                let has = if *enumerator { "has" } else { "lacks" };
                write!(
                    f,
                    "this kernel {has} `{}`, but gives `{}` a `struct {second}`: oomc knows no kernel that does both",
                    OOM.generic_attach, OOM.callback
                )
            }
        }
    }
}

impl std::error::Error for Unclear {}

/// Where in `union bpf_attr` the kernel is told for which struct_ops it is to list what a cgroup has. None: it cannot be
/// asked that.
#[must_use]
pub fn query_type_id(btf: &Btf) -> Option<u32> {
    let member = |id, wanted: &str| match btf.resolve(id)?.1.kind {
        Kind::Struct { members, .. } | Kind::Union { members, .. } => members
            .iter()
            .find(|member| member.name == wanted)
            .map(|member| (member.ty, member.bit_offset / 8)),
        _ => None,
    };
    let (query, at) = member(btf.composite(members::BPF_ATTR)?, "query")?;
    let (_, inside) = member(query, "type_id")?;
    Some(at + inside)
}

fn has_enumerator(btf: &Btf) -> bool {
    match btf.enumeration(members::ATTACH_TYPES).and_then(|id| btf.get(id)).map(|ty| ty.kind) {
        Some(Kind::Enum { values, .. }) => values.iter().any(|value| value.name == OOM.generic_attach),
        _ => false,
    }
}

/// Links of struct_ops exist in kernels that attach none to a cgroup, too.
fn link_names_cgroup(btf: &Btf) -> bool {
    let link = btf.find(members::LINK, |kind| matches!(kind, Kind::Struct { .. }));
    match link.and_then(|id| btf.get(id)).map(|ty| ty.kind) {
        Some(Kind::Struct { members, .. }) => members.iter().any(|member| member.name == "cgroup"),
        _ => false,
    }
}

/// What the callback's argument behind the event points to.
fn second_argument(btf: &Btf) -> Option<String> {
    let ops = btf.find(OOM.ops, |kind| matches!(kind, Kind::Struct { .. }))?;
    let Kind::Struct { members, .. } = btf.get(ops)?.kind else { return None };
    let callback = members.iter().find(|member| member.name == OOM.callback)?;
    let Kind::Ptr(to) = btf.resolve(callback.ty)?.1.kind else { return None };
    let Kind::FuncProto { params, .. } = btf.resolve(to)?.1.kind else { return None };
    let [_, second] = params.as_slice() else { return None };
    let Kind::Ptr(to) = btf.resolve(second.ty)?.1.kind else { return None };
    Some(btf.resolve(to)?.1.name.to_owned())
}
