//! The tables of `compiler/abi` against the kernel's BTF: a row that lies fails here.
//!
//! The embedded BTF of the reference kernel is always checked; under `cargo xtask test` the full BTF of the
//! kernel under test is checked too.

use oomc_abi::amounts;
use oomc_abi::btf::{Btf, INT_BOOL, INT_SIGNED, Kind, TypeId, print};
use oomc_abi::fields::{self, Owner, Recipe};
use oomc_abi::hooks::OOM;
use oomc_abi::kfuncs::{KFUNCS, KfuncId, Ret};
use oomc_abi::members;
use oomc_abi::model::{Class, Holds, SLOTS};
use oomc_abi::proto::{self, Base, CType};
use oomc_abi::resolve::{KernelView, Shape};

/// Every kernel at hand, by name.
fn kernels() -> Vec<(String, KernelView)> {
    let mut kernels = vec![("embedded".to_owned(), KernelView::embedded())];
    kernels.extend(oomc_tests::kernel_under_test());
    kernels
}

/// Whether a type of the kernel is what a prototype says.
fn same(btf: &Btf, id: TypeId, wanted: &CType<'_>) -> bool {
    let mut id = id;
    for _ in 0..wanted.pointers {
        match btf.resolve(id).map(|(_, ty)| ty.kind) {
            Some(Kind::Ptr(to)) => id = to,
            _ => return false,
        }
    }
    let mut constant = false;
    while let Some(ty) = btf.get(id) {
        match ty.kind.alias() {
            Some(to) => {
                constant |= matches!(ty.kind, Kind::Const(_));
                id = to;
            }
            None => break,
        }
    }
    let Some(ty) = btf.get(id) else { return false };
    let base = match (wanted.base, &ty.kind) {
        (Base::Void, Kind::Void) => true,
        (Base::Bool, Kind::Int { encoding, .. }) => encoding & INT_BOOL != 0,
        (Base::Char, Kind::Int { size, .. }) => *size == 1,
        (Base::Int { size: wanted, signed, .. }, Kind::Int { size, encoding, .. }) => {
            *size == wanted && (encoding & INT_SIGNED != 0) == signed
        }
        (Base::Struct(tag), Kind::Struct { .. }) => ty.name == tag,
        (Base::Enum(tag), Kind::Enum { .. }) => ty.name == tag,
        _ => false,
    };
    base && constant == wanted.constant
}

#[test]
fn prototypes_are_the_kernels() {
    let mut wrong = Vec::new();
    for (kernel, view) in kernels() {
        for row in KFUNCS {
            let proto = proto::parse(row.c).unwrap_or_else(|| panic!("cannot read `{}`", row.c));
            assert_eq!(proto.name, row.name);
            let id = KfuncId::by_name(row.name).and_then(|id| view.kfunc(id));
            let Some(id) = id else {
                if !row.flags.optional {
                    wrong.push(format!("{kernel}: no {}", row.name));
                }
                continue;
            };
            let btf = view.btf();
            let Some(Kind::Func { proto: kernels, .. }) = btf.get(id).map(|ty| ty.kind) else { continue };
            let Some(Kind::FuncProto { ret, params }) = btf.get(kernels).map(|ty| ty.kind) else { continue };
            // Names count: the verifier reads suffixes such as `__str` and `__nullable`.
            let equal = same(btf, ret, &proto.ret)
                && params.len() == proto.params.len()
                && params
                    .iter()
                    .zip(&proto.params)
                    .all(|(param, (name, ty))| same(btf, param.ty, ty) && param.name == *name);
            if !equal {
                wrong.push(format!("{kernel}: `{}` is {} there", row.c, print::type_name(btf, kernels)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rows_agree_with_their_prototypes() {
    for row in KFUNCS {
        let proto = proto::parse(row.c).unwrap_or_else(|| panic!("cannot read `{}`", row.c));
        assert_eq!(usize::from(row.args), proto.params.len(), "{}", row.name);
        let ret = match (proto.ret.pointers, proto.ret.base) {
            (0, Base::Void) => Ret::Void,
            (0, Base::Bool) => Ret::Bool,
            (0, Base::Int { size: 4, .. }) => Ret::Int,
            (0, Base::Int { size: 8, .. }) => Ret::Long,
            (1.., _) => Ret::Ptr,
            other => panic!("{}: {other:?}", row.name),
        };
        assert_eq!(row.ret, ret, "{}", row.name);
        assert!(!row.flags.ret_null || row.ret == Ret::Ptr, "{}", row.name);
        assert!(!row.flags.acquire || row.ret == Ret::Ptr, "{}", row.name);
        assert!(!row.flags.release || row.args == 1, "{}", row.name);
    }
}

#[test]
fn a_wrong_prototype_would_be_noticed() {
    let view = KernelView::embedded();
    let btf = view.btf();
    let of = |name: &str| match btf.function(name).and_then(|id| btf.get(id)).map(|ty| ty.kind) {
        Some(Kind::Func { proto, .. }) => match btf.get(proto).map(|ty| ty.kind) {
            Some(Kind::FuncProto { ret, params }) => (ret, params),
            _ => panic!("{name} has no prototype"),
        },
        _ => panic!("no {name}"),
    };
    let (ret, params) = of("bpf_oom_kill_process");
    for c in ["long f(struct oom_control *oc)", "unsigned int f(struct oom_control *oc)", "void f(void)"] {
        assert!(!same(btf, ret, &proto::parse(c).expect("C").ret), "{c}");
    }
    for (at, c) in [
        (0, "int f(struct task_struct *oc)"),
        (0, "int f(const struct oom_control *oc)"),
        (0, "int f(struct oom_control **oc)"),
        (2, "int f(char *message)"),
    ] {
        assert!(!same(btf, params[at].ty, &proto::parse(c).expect("C").params[0].1), "{c}");
    }
}

#[test]
fn fields_are_where_their_rows_say() {
    for (kernel, view) in kernels() {
        for id in fields::all() {
            let row = id.row();
            let container = match row.owner {
                Owner::Process => members::TASK,
                Owner::Cgroup => members::MEMCG,
                Owner::Event | Owner::Machine => members::EVENT,
            };
            let stat = |terms: &[fields::StatTerm]| {
                for term in terms {
                    let value = view.enumerator(term.enumeration, term.enumerator);
                    assert!(value.is_some(), "{kernel}: {}: no {}", row.name, term.enumerator);
                }
            };
            match row.recipe {
                Recipe::Member { path, .. } => {
                    let steps = view
                        .path_steps(container, path)
                        .unwrap_or_else(|missing| panic!("{kernel}: {}: {missing}", row.name));
                    let last = steps.last().expect("a path has a step");
                    assert_eq!(last.member.shape, Shape::Number, "{kernel}: {}", row.name);
                }
                Recipe::Mm(terms) | Recipe::Badness(terms) => {
                    for term in terms {
                        let member = view
                            .lookup("mm_struct", term.path)
                            .unwrap_or_else(|missing| panic!("{kernel}: {}: {missing}", row.name));
                        assert_eq!((member.size, member.signed), (8, true), "{kernel}: {}", term.path);
                    }
                }
                Recipe::Stat(terms)
                | Recipe::Usage(terms)
                | Recipe::UsageLess(terms)
                | Recipe::VmEvents(terms) => stat(terms),
                Recipe::MemoryEvents(term) => stat(&[term]),
                Recipe::Word { path, enumeration, words } => {
                    assert!(view.path_steps(container, path).is_ok(), "{kernel}: {}", row.name);
                    for (name, _) in words {
                        assert!(view.enumerator(enumeration, name).is_some(), "{kernel}: {name}");
                    }
                }
                Recipe::Pressure { state, window } => {
                    // `avg` has a row for each state and a column for each window.
                    let avg = view.lookup(members::PSI, "avg").expect("an array");
                    assert!(avg.size >= (3 * state + window + 1) * 8, "{kernel}: {}", row.name);
                    let name = if state % 2 == 0 { "PSI_MEM_SOME" } else { "PSI_MEM_FULL" };
                    assert_eq!(view.enumerator("psi_states", name), Some(i64::from(state)), "{kernel}");
                }
                Recipe::Machine(terms) => {
                    for term in terms {
                        let words = members::VARIABLES.iter().find(|(name, _)| *name == term.variable);
                        let words = words.unwrap_or_else(|| panic!("{}: no such variable", term.variable)).1;
                        let index = term.index.map(|(enumeration, name)| view.enumerator(enumeration, name));
                        let index = index.unwrap_or(Some(0)).and_then(|index| u32::try_from(index).ok());
                        assert!(index.is_some_and(|index| index < words), "{kernel}: {}", row.name);
                    }
                }
                Recipe::NsPid => {
                    let part = |path| view.lookup("upid", path).expect("a member");
                    assert_eq!((part("nr").offset, part("nr").size), (0, 4), "{kernel}");
                    assert_eq!(part("ns").offset + part("ns").size, oomc_abi::consts::UPID_SIZE, "{kernel}");
                }
                Recipe::Limit
                | Recipe::SwapLimit
                | Recipe::Path
                | Recipe::Scope
                | Recipe::Trigger
                | Recipe::NrProcesses
                | Recipe::IsLeaf
                | Recipe::Dying
                | Recipe::Age
                | Recipe::Comm
                | Recipe::Name => {}
            }
        }
    }
}

#[test]
fn members_and_enumerators_are_the_kernels() {
    for (kernel, view) in kernels() {
        for member in members::ALL {
            if let Err(missing) = view.path_steps(member.container, member.path) {
                panic!("{kernel}: {}.{}: {missing}", member.container, member.path);
            }
        }
        for walk in members::WALKS {
            assert!(view.enumerator(walk.enumeration, walk.name).is_some(), "{kernel}: no {}", walk.name);
        }
    }
}

#[test]
fn the_hook_is_the_kernels() {
    for (kernel, view) in kernels() {
        let callback = view.lookup(OOM.ops, OOM.callback).expect(OOM.callback);
        let name = view.lookup(OOM.ops, OOM.name_member).expect(OOM.name_member);
        assert_eq!(name.size as usize, oomc_abi::consts::OOM_NAME_MAX, "{kernel}");
        let btf = view.btf();
        let Some(Kind::Ptr(proto)) = btf.get(callback.type_id).map(|ty| ty.kind) else {
            panic!("no pointer")
        };
        let Some(Kind::FuncProto { ret, params }) = btf.get(proto).map(|ty| ty.kind) else {
            panic!("{kernel}: {} is no function", OOM.callback)
        };
        let wanted = proto::parse(OOM.c).expect("C");
        assert!(same(btf, ret, &wanted.ret), "{kernel}");
        assert!(same(btf, params[0].ty, &wanted.params[0].1), "{kernel}");
        assert_eq!(print::type_name(btf, params[0].ty), format!("struct {} *", OOM.event));
    }
}

#[test]
fn the_embedded_btf_says_what_the_full_one_says() {
    let all = kernels();
    let Some((_, full)) = all.get(1) else { return };
    let embedded = KernelView::embedded();
    let (reduced, missing) = oomc_abi::reference::reduce(full.btf());
    assert_eq!(missing, Vec::<String>::new());
    assert!(reduced == KernelView::embedded_btf(), "out of date: run `cargo xtask btf --from FILE`");
    let mut compared = 0;
    for name in embedded.btf().names().filter(|name| embedded.type_id(name).is_some()) {
        for member in embedded.members(name) {
            let (ours, theirs) = (embedded.lookup(name, &member), full.lookup(name, &member));
            match (ours, theirs) {
                (Ok(ours), Ok(theirs)) => {
                    assert_eq!(
                        (ours.offset, ours.size, ours.signed, ours.shape),
                        (theirs.offset, theirs.size, theirs.signed, theirs.shape),
                        "{name}.{member}"
                    );
                    compared += 1;
                }
                (Err(ours), Err(theirs)) => {
                    assert_eq!(core::mem::discriminant(&ours), core::mem::discriminant(&theirs));
                }
                (ours, theirs) => panic!("{name}.{member}: {ours:?} against {theirs:?}"),
            }
        }
    }
    assert!(compared > 1000, "{compared}");
}

#[test]
fn fixtures_lack_what_they_say_and_nothing_else() {
    use oomc_abi::reference::LACKING;
    for (name, lacks) in LACKING {
        let path = oomc_tests::root().join("tests/btf").join(name).with_extension("btf");
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let view = KernelView::from_btf(&bytes).expect("a BTF");
        assert_eq!(view.btf().by_name(lacks).count(), 0, "{name}");
        assert_eq!(view.has_hook(), *lacks != OOM.ops, "{name}");
        for row in KFUNCS.iter().filter(|row| row.name != *lacks) {
            let id = KfuncId::by_name(row.name).expect("the row's own name");
            assert!(view.kfunc(id).is_some(), "{name}: no {}", row.name);
        }
    }
}

/// What a model of a machine fills in is there to be filled, and holds what the kernel's types allow.
#[test]
fn a_model_can_be_laid_out() {
    let mut wrong = Vec::new();
    for (kernel, view) in kernels() {
        for slot in SLOTS {
            let tag = slot.class.tag();
            let Some(path) = slot.path_in(&view) else {
                wrong.push(format!("{kernel}: no controller of `{tag}.{}`", slot.path));
                continue;
            };
            match view.lookup(tag, &path) {
                Err(_) if view.bit_field(tag, &path).is_some() => {}
                // It is there under its other name.
                Err(_)
                    if SLOTS.iter().any(|other| {
                        (other.class, other.holds) == (slot.class, slot.holds)
                            && view.lookup(tag, other.path).is_ok()
                    }) => {}
                Err(missing) => wrong.push(format!("{kernel}: {missing}")),
                Ok(member) => {
                    // The memory controller's part of a cgroup is the beginning of its `mem_cgroup`.
                    let points_to = |class: Class| match member.pointee.as_deref() {
                        Some("cgroup_subsys_state") if class == Class::Memcg => true,
                        pointee => pointee == Some(class.tag()),
                    };
                    if let Holds::To(class) = slot.holds
                        && !points_to(class)
                    {
                        wrong.push(format!("{kernel}: `{tag}.{path}` does not point to a `{}`", class.tag()));
                    }
                }
            }
        }
        for (enumeration, name, _) in amounts::enumerators() {
            if view.enumerator(enumeration, name).is_none() {
                wrong.push(format!("{kernel}: no {name} in `enum {enumeration}`"));
            }
        }
        if let Err(lacking) = oomc_sim::Kernel::new(view) {
            wrong.push(format!("{kernel}: {lacking}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
