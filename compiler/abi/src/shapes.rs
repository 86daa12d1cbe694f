//! THE table of members that kernels declare in two ways or only some of them have, and the local types by which an object
//! asks for each.
//!
//! Generated code asks which way this kernel has (`FIELD_EXISTS`) and reads that; the other branch is dead there. The local
//! types are flavors (`struct mm_struct___word` is a variant of `struct mm_struct`, libbpf), made here and not taken
//! from a kernel: none has both. [`KernelView`](crate::resolve::KernelView) knows them behind those of its kernel.

use crate::btf::write::Builder;
use crate::btf::{Btf, Kind, Member as BtfMember, TypeId, essential_name};
use crate::members::{self, Member};
use crate::relo;
use crate::resolve::split;

/// A member in both ways, the older one first.
pub type Shapes = [Member; 2];

/// Bits such as `MMF_OOM_SKIP`: a number up to 6.17, then an array of numbers (`include/linux/mm_types.h`, 6.12 and 6.18).
pub const MM_FLAGS: Shapes = [
    Member { container: "mm_struct___word", path: "flags" },
    Member { container: "mm_struct___words", path: "flags.__mm_flags[0]" },
];

/// The node above: `parent` up to 6.14, then `__parent` (`include/linux/kernfs.h`, 6.12 and 6.15).
pub const NODE_PARENT: Shapes = [
    Member { container: "kernfs_node___parent", path: "parent" },
    Member { container: "kernfs_node___hidden", path: "__parent" },
];

/// Running averages of pressure: of each state one of each window, one behind the other in the BTF of 6.12 and 6.18, in rows
/// in that of 7.2 (`include/linux/psi_types.h`).
pub const AVERAGES: Shapes = [
    Member { container: "psi_group___flat", path: "avg" },
    Member { container: "psi_group___rows", path: "avg" },
];

/// All rows.
pub const ALL: &[Shapes] = &[MM_FLAGS, NODE_PARENT, AVERAGES];

/// The cgroup that a link belongs to: only where policies are attached by such links
/// ([`Profile::CgroupFlag`](crate::profile::Profile::CgroupFlag)).
pub const LINK_CGROUP: Member = Member { container: "bpf_struct_ops_link___cgroup", path: "cgroup" };

/// Windows of an average: 10, 60 and 300 seconds.
pub(crate) const WINDOWS: u32 = 3;
/// States with averages (`NR_PSI_STATES - 1`, `include/linux/psi_types.h`, 6.12); some kernels have one more.
const STATES: u32 = 6;

/// Where an average stands in each way, behind the container.
#[must_use]
pub fn average(state: u32, window: u32) -> [String; 2] {
    [format!("avg[{}]", WINDOWS * state + window), format!("avg[{state}][{window}]")]
}

/// Adds the local types behind those of a kernel.
pub(crate) fn declare(out: &mut Builder) {
    let word = out.add("unsigned long", &Kind::Int { size: 8, bits: 64, offset: 0, encoding: 0 });
    let index = out.add("unsigned int", &Kind::Int { size: 4, bits: 32, offset: 0, encoding: 0 });
    let array = |out: &mut Builder, element, len| out.add("", &Kind::Array { element, index, len });

    composite(out, "mm_struct___word", "flags", word, 8);
    let words = array(out, word, 1);
    let flags = composite(out, "", "__mm_flags", words, 8);
    composite(out, "mm_struct___words", "flags", flags, 8);

    let [visible, hidden] = NODE_PARENT;
    for (member, to) in [(visible, "kernfs_node"), (hidden, "kernfs_node"), (LINK_CGROUP, members::CGROUP)] {
        let target = out.add(to, &Kind::Fwd { union: false });
        let pointer = out.add("", &Kind::Ptr(target));
        composite(out, member.container, member.path, pointer, 8);
    }

    let size = 8 * STATES * WINDOWS;
    let flat = array(out, word, STATES * WINDOWS);
    composite(out, "psi_group___flat", "avg", flat, size);
    let row = array(out, word, WINDOWS);
    let rows = array(out, row, STATES);
    composite(out, "psi_group___rows", "avg", rows, size);
}

/// A structure with one member.
fn composite(out: &mut Builder, tag: &str, name: &str, ty: TypeId, size: u32) -> TypeId {
    let members = vec![BtfMember { name, ty, bit_offset: 0, bits: 0 }];
    out.add(tag, &Kind::Struct { size, members })
}

/// Which way a kernel has a member; none: it lacks it, or has it in a way that is not known.
#[must_use]
pub fn of<'s>(kernel: &Btf, shapes: &'s Shapes) -> Option<&'s Member> {
    let mut out = Builder::new();
    declare(&mut out);
    let local = Btf::parse(&out.finish()).ok()?;
    shapes.iter().find(|shape| {
        // Each has one member, and that one element at least.
        let steps = split(shape.path).map_or(0, |parts| parts.len());
        let ty = local.composite(shape.container);
        ty.is_some_and(|ty| relo::has(&local, ty, &vec![0; steps + 1], kernel))
    })
}

/// What a kernel lacks for a member, as a clause; `None`: it has it in one of the ways.
#[must_use]
pub fn lacks(kernel: &Btf, shapes: &Shapes) -> Option<String> {
    let [old, _] = shapes;
    of(kernel, shapes).is_none().then(|| {
        format!("its `struct {}` has no `{}` of a known kind", essential_name(old.container), old.path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::generic;
    use crate::resolve::KernelView;

    #[test]
    fn the_reference_kernel_has_the_older_way() {
        let view = KernelView::embedded();
        for shapes in ALL {
            assert_eq!(of(view.btf(), shapes), shapes.first(), "{shapes:?}");
        }
    }

    #[test]
    fn the_next_kernel_has_the_newer_way() {
        let reference = Btf::parse(KernelView::embedded_btf()).expect("types");
        let next = Btf::parse(&generic(&reference).expect("the next kernel")).expect("its types");
        for shapes in ALL {
            assert_eq!(of(&next, shapes), shapes.last(), "{shapes:?}");
            assert_eq!(lacks(&next, shapes), None);
        }
    }

    #[test]
    fn what_is_declared_otherwise_is_lacking() {
        let mut out = Builder::new();
        composite(&mut out, "mm_struct", "flags", 0, 0);
        let strange = Btf::parse(&out.finish()).expect("types");
        let said = lacks(&strange, &MM_FLAGS);
        assert_eq!(said.as_deref(), Some("its `struct mm_struct` has no `flags` of a known kind"));
    }
}
