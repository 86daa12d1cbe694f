//! The ops map and its link: how a program becomes the handler of a cgroup.
//!
//! Takes the kernel's types for every size, offset and index: nothing about the layout is written here.
//! Two ways of attaching exist: the one of the series, with a flag of its own, and the generic one of
//! later kernels, without. The kernel's types say which.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use aya_obj::generated::{BPF_F_LINK, bpf_map_type};
use oomc_abi::btf::{Btf, Kind, TypeId};
use oomc_abi::consts::BPF_F_CGROUP_FD;
use oomc_abi::hooks::OOM;

use crate::bpf::{Bpf, unexpected};
use crate::error::{Error, Result};
use crate::object::{self, Object};
use crate::preflight::{Missing, no_ops};
use crate::sys::{MapAttr, Reply, Syscall};

/// How a kernel attaches a struct_ops to a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// `BPF_F_CGROUP_FD` says that the target is a cgroup (v3 of the series).
    CgroupFlag,
    /// The ops type says it; no flag.
    Generic,
}

impl Profile {
    pub(crate) fn flags(self) -> u32 {
        match self {
            Self::CgroupFlag => BPF_F_CGROUP_FD,
            Self::Generic => 0,
        }
    }
}

/// What a kernel says of the ops structure.
#[derive(Clone, Debug)]
pub(crate) struct KernelOps {
    /// The ops structure.
    pub(crate) ops_type: TypeId,
    /// The value of its maps: some state of the kernel's, then the ops structure.
    pub(crate) value_type: TypeId,
    value_size: u32,
    /// Index of the callback.
    pub(crate) callback: u32,
    /// Name, offset in the value, and size of each member.
    members: Vec<(String, u32, u32)>,
    pub(crate) profile: Profile,
}

impl KernelOps {
    /// Looks in the kernel's types.
    pub(crate) fn find(btf: &Btf) -> std::result::Result<Self, Vec<Missing>> {
        Self::layout(btf).map_err(|missing| vec![missing])
    }

    fn layout(btf: &Btf) -> std::result::Result<Self, Missing> {
        let value_tag = format!("bpf_struct_ops_{}", OOM.ops);
        let structure = |tag: &str| {
            let id = btf.find(tag, |kind| matches!(kind, Kind::Struct { .. }))?;
            match btf.get(id)?.kind {
                Kind::Struct { size, members } => Some((id, size, members)),
                _ => None,
            }
        };
        let (ops_type, _, members) = structure(OOM.ops).ok_or_else(no_ops)?;
        let (value_type, value_size, fields) = structure(&value_tag).ok_or_else(|| Missing {
            what: format!(
                "this kernel has `struct {}` but cannot register one (no `struct {value_tag}`)",
                OOM.ops
            ),
            help: "it needs CONFIG_BPF_SYSCALL=y, CONFIG_BPF_JIT=y and CONFIG_MEMCG=y",
        })?;
        let data = fields.iter().find(|field| btf.resolve(field.ty).is_some_and(|(id, _)| id == ops_type));
        let callback = members.iter().position(|member| member.name == OOM.callback);
        let (Some(data), Some(callback)) = (data, callback) else {
            return Err(Missing {
                what: format!("this kernel's `struct {}` has no `{}`", OOM.ops, OOM.callback),
                help: "it has another version of the BPF OOM series",
            });
        };
        let data_at = data.bit_offset / 8;
        let profile = profile(btf).ok_or_else(|| Missing {
            what: "this kernel cannot attach a policy to a cgroup".to_owned(),
            help: "it has another version of the BPF OOM series",
        })?;
        let members = members
            .iter()
            .map(|member| {
                let size = btf.size_of(member.ty).unwrap_or(0);
                (member.name.to_owned(), data_at + member.bit_offset / 8, size)
            })
            .collect();
        Ok(Self { ops_type, value_type, value_size, callback: callback as u32, members, profile })
    }

    /// The value to register: the object's ops instance in the kernel's layout.
    fn value(&self, object: &Object, prog: u32) -> Result<Vec<u8>> {
        let mut value = vec![0; self.value_size as usize];
        let Some(Kind::Struct { members, .. }) = object.btf.get(object.ops.ty).map(|ty| ty.kind) else {
            return Err(Error::Object(object::Error::Broken(
                "the ops instance is not a structure".to_owned(),
            )));
        };
        let outside = || Error::Unexpected("the kernel's ops structure contradicts itself".to_owned());
        for member in members {
            let at = (member.bit_offset / 8) as usize;
            let size = object.btf.size_of(member.ty).unwrap_or(0);
            let bytes = object.ops.image.get(at..at + size as usize).unwrap_or_default();
            let theirs = self.members.iter().find(|(name, _, _)| name == member.name);
            match theirs {
                Some((name, offset, _)) if name == OOM.callback => {
                    let place = value.get_mut(*offset as usize..*offset as usize + 8).ok_or_else(outside)?;
                    place.copy_from_slice(&u64::from(prog).to_ne_bytes());
                }
                Some((_, offset, len)) if *len == size => {
                    let place = value.get_mut(*offset as usize..(*offset + *len) as usize);
                    let place = place.filter(|place| place.len() == bytes.len()).ok_or_else(outside)?;
                    place.copy_from_slice(bytes);
                }
                // A kernel that lacks it does what a zero asks for.
                _ if bytes.iter().all(|byte| *byte == 0) => {}
                _ => {
                    return Err(Error::Kernel(vec![Missing {
                        what: format!("this kernel's `struct {}` has no `{}`", OOM.ops, member.name),
                        help: "",
                    }]));
                }
            }
        }
        Ok(value)
    }

    /// The policy's name in a registered value.
    pub(crate) fn name_in(&self, value: &[u8]) -> Option<String> {
        let (_, at, size) = self.members.iter().find(|(name, _, _)| name == OOM.name_member)?;
        let name = crate::object::text_of(value.get(*at as usize..(*at + *size) as usize)?);
        (!name.is_empty()).then_some(name)
    }

    /// Creates the ops map and puts the program and the name in.
    pub(crate) fn create(
        &self,
        bpf: Bpf<'_>,
        object: &Object,
        btf: BorrowedFd<'_>,
        prog: u32,
    ) -> Result<OwnedFd> {
        let value = self.value(object, prog)?;
        let map = bpf.map_create(&MapAttr {
            kind: bpf_map_type::BPF_MAP_TYPE_STRUCT_OPS as u32,
            value_size: self.value_size,
            flags: BPF_F_LINK,
            // The kernel wants one here, whatever it holds.
            btf: Some(btf),
            kernel_value_type: self.value_type,
            ..MapAttr::array("oomc.ops")
        })?;
        bpf.map_update(map.as_fd(), &value, "oomc.ops")?;
        Ok(map)
    }

    /// Attaches. `Ok(None)`: the cgroup has a handler already.
    pub(crate) fn attach(
        &self,
        bpf: Bpf<'_>,
        map: BorrowedFd<'_>,
        cgroup: BorrowedFd<'_>,
        path: &str,
    ) -> Result<Option<OwnedFd>> {
        match bpf.raw(Syscall::LinkCreate { map, cgroup, flags: self.profile.flags() }) {
            Ok(Reply::Fd(link)) => Ok(Some(link)),
            Ok(other) => Err(unexpected(&other)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(source) => Err(Error::Call { call: "BPF_LINK_CREATE", object: path.to_owned(), source }),
        }
    }
}

/// None: neither way.
fn profile(btf: &Btf) -> Option<Profile> {
    let generic = btf.enumeration("cgroup_bpf_attach_type").and_then(|id| match btf.get(id)?.kind {
        Kind::Enum { values, .. } => Some(values.iter().any(|value| value.name == OOM.generic_attach)),
        _ => None,
    });
    if generic == Some(true) {
        return Some(Profile::Generic);
    }
    let link = btf.find("bpf_struct_ops_link", |kind| matches!(kind, Kind::Struct { .. }))?;
    let Kind::Struct { members, .. } = btf.get(link)?.kind else { return None };
    members.iter().any(|member| member.name == "cgroup").then_some(Profile::CgroupFlag)
}
