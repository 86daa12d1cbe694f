//! Types of a kernel that does not exist yet: the reference kernel's, as if policies were attached by the generic link
//! of cgroups ([`Profile::Generic`](crate::profile::Profile::Generic)), with the newer ways in which kernels declare members
//! ([`crate::shapes`]).
//!
//! Takes a BTF and gives one with the same numbers and, behind them, what is new. Tests run the loader and the simulator
//! with it, because no kernel with this way of attaching can be had.

use crate::btf::write::Builder;
use crate::btf::{Btf, Enumerator, Kind, Member, TypeId};
use crate::hooks::OOM;
use crate::members;
use crate::resolve::{find_member, flat_array};
use crate::shapes;

/// The types of the next kernel. None: these are not those of a kernel with the hook of v3.
#[must_use]
pub fn generic(btf: &Btf) -> Option<Vec<u8>> {
    let proto = callback(btf)?;
    let attach_types = btf.enumeration(members::ATTACH_TYPES)?;
    let link = btf.find(members::LINK, |kind| matches!(kind, Kind::Struct { .. }))?;
    let cgroup = btf.composite(members::CGROUP)?;
    let mut out = Builder::new();
    for _ in btf.ids() {
        out.reserve();
    }
    let to_cgroup = out.add("", &Kind::Ptr(cgroup));
    let newer = Newer::new(btf, &mut out)?;
    for id in btf.ids() {
        let ty = btf.get(id)?;
        let mut kind = ty.kind;
        match &mut kind {
            Kind::FuncProto { params, .. } if id == proto => params.get_mut(1)?.ty = to_cgroup,
            Kind::Enum { values, .. } if id == attach_types => with_policies(values)?,
            Kind::Struct { members, .. } if id == link => {
                // Nothing of v3's patch is there.
                members.retain(|member| !member.name.starts_with("cgroup"));
            }
            Kind::Struct { members, .. } | Kind::Union { members, .. } => newer.declare(id, members),
            _ => {}
        }
        out.set(id, ty.name, &kind);
    }
    attr(btf, &mut out);
    out.fault().is_none().then(|| out.finish())
}

/// Members as newer kernels declare them: of the same size at the same place.
struct Newer {
    /// Of each: the structures that may have it, its name, and what it is then.
    rows: [(Vec<TypeId>, &'static str, Change); 3],
}

enum Change {
    Name(&'static str),
    Type(TypeId),
}

impl Newer {
    fn new(btf: &Btf, out: &mut Builder) -> Option<Self> {
        let word = number(btf, out, "long unsigned int", 8);
        let index = number(btf, out, "unsigned int", 4);
        let words = out.add("", &Kind::Array { element: word, index, len: 1 });
        let inside = vec![Member { name: "__mm_flags", ty: words, bit_offset: 0, bits: 0 }];
        let flags = out.add("", &Kind::Struct { size: 8, members: inside });
        let group = btf.composite(members::PSI)?;
        let averages = find_member(btf, group, "avg")?;
        let (_, len) = flat_array(btf, averages.ty)?;
        let row = out.add("", &Kind::Array { element: word, index, len: shapes::WINDOWS });
        let averages = out.add("", &Kind::Array { element: row, index, len: len / shapes::WINDOWS });
        let node = btf.composite("kernfs_node")?;
        Some(Self {
            rows: [
                (seen_through(btf, btf.composite(members::MM)?), "flags", Change::Type(flags)),
                (seen_through(btf, node), "parent", Change::Name("__parent")),
                (seen_through(btf, group), "avg", Change::Type(averages)),
            ],
        })
    }

    fn declare(&self, id: TypeId, members: &mut [Member<'_>]) {
        for (structures, name, change) in &self.rows {
            if !structures.contains(&id) {
                continue;
            }
            for member in members.iter_mut().filter(|member| member.name == *name) {
                match change {
                    Change::Name(name) => member.name = name,
                    Change::Type(ty) => member.ty = *ty,
                }
            }
        }
    }
}

/// A structure and the nameless ones inside.
fn seen_through(btf: &Btf, id: TypeId) -> Vec<TypeId> {
    let mut all = vec![id];
    let mut at = 0;
    while let Some(id) = all.get(at).copied() {
        at += 1;
        let Some(Kind::Struct { members, .. } | Kind::Union { members, .. }) = btf.get(id).map(|ty| ty.kind)
        else {
            continue;
        };
        let nameless = members.iter().filter(|member| member.name.is_empty());
        all.extend(nameless.filter_map(|member| Some(btf.resolve(member.ty)?.0)));
    }
    all
}

/// The type of the callback.
fn callback(btf: &Btf) -> Option<TypeId> {
    let ops = btf.find(OOM.ops, |kind| matches!(kind, Kind::Struct { .. }))?;
    let Kind::Struct { members, .. } = btf.get(ops)?.kind else { return None };
    let member = members.iter().find(|member| member.name == OOM.callback)?;
    let Kind::Ptr(to) = btf.resolve(member.ty)?.1.kind else { return None };
    Some(btf.resolve(to)?.0)
}

/// Before the last enumerator, which counts them.
fn with_policies(values: &mut Vec<Enumerator<'_>>) -> Option<()> {
    let last = values.last_mut()?;
    let value = last.value;
    last.value += 1;
    values.insert(values.len() - 1, Enumerator { name: OOM.generic_attach, value });
    Some(())
}

/// `query` in `union bpf_attr` (`include/uapi/linux/bpf.h`), as far as types tell it apart from 6.12's: it can be asked
/// for the maps of a struct_ops. Where `type_id` lies is made up here; the loader looks where it is.
fn attr(btf: &Btf, out: &mut Builder) {
    let word = number(btf, out, "unsigned int", 4);
    let wide = number(btf, out, "long long unsigned int", 8);
    let rows = [
        ("target_fd", word, 0),
        ("attach_type", word, 4),
        ("query_flags", word, 8),
        ("attach_flags", word, 12),
        ("prog_ids", wide, 16),
        ("count", word, 24),
        ("prog_attach_flags", wide, 32),
        ("link_ids", wide, 40),
        ("link_attach_flags", wide, 48),
        ("revision", wide, 56),
        ("type_id", word, 64),
    ];
    let members = rows.map(|(name, ty, at)| Member { name, ty, bit_offset: at * 8, bits: 0 }).to_vec();
    let query = out.add("", &Kind::Struct { size: 72, members });
    let members = vec![Member { name: "query", ty: query, bit_offset: 0, bits: 0 }];
    out.add(members::BPF_ATTR, &Kind::Union { size: 152, members });
}

fn number(btf: &Btf, out: &mut Builder, name: &str, size: u32) -> TypeId {
    let known = btf.find(name, |kind| matches!(kind, Kind::Int { .. }));
    let kind = Kind::Int { size, bits: (size * 8) as u8, offset: 0, encoding: 0 };
    known.unwrap_or_else(|| out.add(name, &kind))
}
