//! The ops map and its link: how a program becomes the handler of a cgroup.
//!
//! Takes the kernel's types for every size, offset and index: nothing about the layout is written here.
//! Two ways of attaching exist ([`Profile`]), and the kernel's types say which. With either a cgroup has one policy: where
//! a kernel would take several, it is asked first who is there, and attaches only if that is still so.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use aya_obj::generated::{BPF_F_LINK, bpf_map_type};
use oomc_abi::btf::{Btf, Kind, TypeId};
use oomc_abi::hooks::OOM;
use oomc_abi::profile;
pub use oomc_abi::profile::Profile;

use crate::bpf::{Bpf, unexpected};
use crate::error::{Error, Result};
use crate::object::{self, Object};
use crate::preflight::{Missing, kernel_types, no_ops};
use crate::status::foreign;
use crate::sys::{Handlers, MapAttr, Reply, Syscall};
use crate::system::System;

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
    /// Where the kernel is told whose handlers it is to list; none: it cannot be asked.
    query: Option<u32>,
}

/// What became of a link that was to lead to another map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Led {
    /// It does, from one event to the next, and keeps its place.
    Done,
    /// This kernel's links keep their map: the policy has to be detached and the new one attached, and events between
    /// the two are the kernel's.
    Unsupported,
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
        let profile = Profile::of(btf).map_err(|unclear| Missing {
            what: unclear.to_string(),
            help: "it has another version of the BPF OOM series",
        })?;
        let query = profile::query_type_id(btf);
        let members = members
            .iter()
            .map(|member| {
                let size = btf.size_of(member.ty).unwrap_or(0);
                (member.name.to_owned(), data_at + member.bit_offset / 8, size)
            })
            .collect();
        Ok(Self { ops_type, value_type, value_size, callback: callback as u32, members, profile, query })
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
        for _ in 0..ATTEMPTS {
            let revision = match self.profile {
                // The kernel refuses a second one itself.
                Profile::CgroupFlag => 0,
                Profile::Generic => match self.vacant(bpf, cgroup, path)? {
                    Some(revision) => revision,
                    None => return Ok(None),
                },
            };
            let flags = self.profile.link_flags();
            match bpf.raw(Syscall::LinkCreate { map, cgroup, flags, revision }) {
                Ok(Reply::Fd(link)) => return Ok(Some(link)),
                Ok(other) => return Err(unexpected(&other)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
                // Somebody attached or detached something since the look.
                Err(error) if error.raw_os_error() == Some(libc::ESTALE) && revision != 0 => {}
                Err(source) => {
                    return Err(Error::Call { call: "BPF_LINK_CREATE", object: path.to_owned(), source });
                }
            }
        }
        let source = io::Error::from_raw_os_error(libc::ESTALE);
        Err(Error::Call { call: "BPF_LINK_CREATE", object: path.to_owned(), source })
    }

    /// The number of the changes to the handlers of a cgroup that has none; 0: the kernel tells no such number. None:
    /// the cgroup has one.
    fn vacant(&self, bpf: Bpf<'_>, cgroup: BorrowedFd<'_>, path: &str) -> Result<Option<u64>> {
        let Some(type_id_at) = self.query else {
            let id = bpf.look_at(cgroup, Path::new(path))?.ino;
            let found = foreign(bpf, self)?;
            return Ok(found.iter().all(|one| one.cgroup_id != id).then_some(0));
        };
        match bpf.raw(Syscall::Handlers { cgroup, ops_type: self.ops_type, type_id_at }) {
            Ok(Reply::Handlers(Handlers { count: 0, revision })) => Ok(Some(revision)),
            Ok(Reply::Handlers(_)) => Ok(None),
            Ok(other) => Err(unexpected(&other)),
            Err(source) => Err(Error::Call { call: "BPF_PROG_QUERY", object: path.to_owned(), source }),
        }
    }

    /// Leads an attached link from one ops map to another that [`create`](Self::create) has made. Where another loader
    /// has led it elsewhere meanwhile, nothing happens, and the error is EPERM; where the cgroup is gone, ENOLINK.
    pub(crate) fn lead(
        &self,
        bpf: Bpf<'_>,
        link: BorrowedFd<'_>,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        path: &str,
    ) -> Result<Led> {
        if !self.profile.updates() {
            return Ok(Led::Unsupported);
        }
        match bpf.raw(Syscall::LinkUpdate { link, from, to }) {
            Ok(Reply::Done) => Ok(Led::Done),
            Ok(other) => Err(unexpected(&other)),
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(Led::Unsupported),
            Err(source) => {
                Err(Error::Call { call: "BPF_LINK_UPDATE", object: format!("the link on {path}"), source })
            }
        }
    }
}

/// Leads an attached link from one ops map to another, both made for this kernel.
///
/// # Errors
/// [`Error::Call`] with EPERM when the link leads elsewhere than it is said to, with ENOLINK when its cgroup is gone.
pub fn lead(
    system: &System<'_>,
    link: BorrowedFd<'_>,
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    path: &str,
) -> Result<Led> {
    let ops = KernelOps::find(&kernel_types(system)?).map_err(Error::Kernel)?;
    ops.lead(system.bpf(), link, from, to, path)
}

/// How often somebody else may change the handlers of a cgroup between a look and an attachment.
const ATTEMPTS: usize = 5;
