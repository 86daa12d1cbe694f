//! The format: what is written is read back, what is broken is refused.

use super::write::Builder;
use super::*;
use crate::resolve::KernelView;

fn int(builder: &mut Builder) -> TypeId {
    builder.intern("int", &Kind::Int { size: 4, bits: 32, offset: 0, encoding: INT_SIGNED })
}

/// One type of each kind.
fn zoo() -> Vec<u8> {
    let mut b = Builder::new();
    let int = int(&mut b);
    let node = b.reserve();
    let next = b.add("", &Kind::Ptr(node));
    let array = b.add("", &Kind::Array { element: int, index: int, len: 3 });
    let member = |name, ty, bit_offset, bits| Member { name, ty, bit_offset, bits };
    let inner =
        b.add("", &Kind::Union { size: 4, members: vec![member("a", int, 0, 0), member("b", int, 0, 0)] });
    let members = vec![
        member("next", next, 0, 0),
        member("all", array, 64, 0),
        member("", inner, 160, 0),
        member("low", int, 192, 3),
        member("high", int, 195, 7),
    ];
    b.set(node, "node", &Kind::Struct { size: 32, members });
    let values = vec![Enumerator { name: "MINUS", value: -1 }, Enumerator { name: "TWO", value: 2 }];
    b.add("small", &Kind::Enum { size: 4, signed: true, wide: false, values });
    let values = vec![Enumerator { name: "HUGE", value: 1 << 40 }];
    b.add("large", &Kind::Enum { size: 8, signed: false, wide: true, values });
    b.add("far", &Kind::Fwd { union: true });
    let typedef = b.add("node_t", &Kind::Typedef(node));
    let constant = b.add("", &Kind::Const(typedef));
    let volatile = b.add("", &Kind::Volatile(constant));
    b.add("", &Kind::Restrict(next));
    b.add("user", &Kind::TypeTag(node));
    let params = vec![Param { name: "x", ty: int }, Param { name: "", ty: 0 }];
    let proto = b.add("", &Kind::FuncProto { ret: volatile, params });
    let func = b.add("f", &Kind::Func { proto, linkage: LINKAGE_EXTERN });
    let var = b.add("v", &Kind::Var { ty: int, linkage: 1 });
    let entries = vec![SecEntry { ty: var, offset: 0, size: 4 }, SecEntry { ty: func, offset: 4, size: 0 }];
    b.add(".data", &Kind::DataSec { size: 4, entries });
    b.add("double", &Kind::Float { size: 8 });
    b.add("mark", &Kind::DeclTag { ty: node, component: -1 });
    b.finish()
}

#[test]
fn every_kind_is_read_back_as_written() {
    let btf = Btf::parse(&zoo()).expect("the writer's own bytes are a BTF");
    let again = {
        let mut b = Builder::new();
        for id in btf.ids() {
            let ty = btf.get(id).expect("ids exist");
            b.add(ty.name, &ty.kind);
        }
        Btf::parse(&b.finish()).expect("the writer's own bytes are a BTF")
    };
    assert_eq!(btf.len(), 20);
    for id in btf.ids() {
        assert_eq!(btf.get(id), again.get(id));
    }
    let kinds: std::collections::HashSet<_> =
        btf.ids().filter_map(|id| btf.get(id)).map(|ty| core::mem::discriminant(&ty.kind)).collect();
    assert_eq!(kinds.len(), 18, "all kinds but void, the two enums as one");
}

#[test]
fn prints_like_c() {
    let text = print::print(&Btf::parse(&zoo()).expect("valid"));
    assert!(text.contains("    int all[3]; /* [4] at 8 */"), "{text}");
    assert!(text.contains("    int high : 7; /* [1] at 24 */"), "{text}");
    assert!(text.contains("] struct node *restrict\n"), "{text}");
    assert!(text.contains("extern volatile const node_t f(int x, ...) /* "), "{text}");
}

#[test]
fn broken_bytes_give_an_error_and_no_panic() {
    let good = zoo();
    for len in 0..good.len() {
        assert!(Btf::parse(&good[..len]).is_err(), "cut to {len} bytes");
    }
    // Every byte with every bit turned: either refused, or all types can still be walked.
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            if let Ok(btf) = Btf::parse(&bad) {
                let _ = print::print(&btf);
                for id in btf.ids() {
                    assert!(btf.get(id).is_some());
                    let _ = btf.size_of(id);
                }
            }
        }
    }
}

#[test]
fn an_endless_typedef_has_no_size() {
    let mut b = Builder::new();
    let first = b.reserve();
    let second = b.add("b", &Kind::Typedef(first));
    b.set(first, "a", &Kind::Typedef(second));
    let btf = Btf::parse(&b.finish()).expect("well-formed, if senseless");
    assert_eq!(btf.size_of(first), None);
    assert!(btf.resolve(first).is_none());
    let _ = print::print(&btf);
}

#[test]
fn the_errors_name_the_place() {
    let mut bytes = zoo();
    bytes[0] = 0;
    assert_eq!(
        Btf::parse(&bytes).expect_err("broken").to_string(),
        "invalid BTF at byte 0: it does not start with the magic number 0xeb9f"
    );
    assert_eq!(Btf::parse(&[0xeb, 0x9f, 1, 0]).expect_err("broken").reason, Reason::BigEndian);
    let mut b = Builder::new();
    b.add("", &Kind::Ptr(7));
    assert_eq!(Btf::parse(&b.finish()).expect_err("broken"), Error { offset: 24, reason: Reason::TypeId(7) });
}

#[test]
fn a_builder_says_what_is_wrong_with_its_types() {
    let mut b = Builder::new();
    let node = b.reserve();
    assert_eq!(b.fault(), Some("a type is reserved and not defined"));
    b.set(node, "node", &Kind::Fwd { union: false });
    assert_eq!(b.fault(), None);
    b.set(node, "node", &Kind::Fwd { union: false });
    assert_eq!(b.fault(), Some("a type is defined twice"));
    let mut b = Builder::new();
    b.set(1, "node", &Kind::Fwd { union: false });
    assert_eq!(b.fault(), Some("a type is defined that was not reserved"));
    let mut b = Builder::new();
    let values = vec![Enumerator { name: "A", value: 0 }; 0x1_0000];
    b.add("large", &Kind::Enum { size: 4, signed: false, wide: false, values });
    assert_eq!(b.fault(), Some("a type has more members than the format can count"));
}

#[test]
fn the_embedded_btf_is_whole_and_its_copies_share_it() {
    let view = KernelView::embedded();
    let btf = view.btf();
    assert!(btf.len() > 1000);
    assert!(btf.ids().all(|id| btf.get(id).is_some()));
    assert!(btf.names().is_sorted());
    assert!(std::sync::Arc::ptr_eq(&btf.bytes, &KernelView::embedded().btf().bytes));
}

#[test]
fn names_are_found_whatever_their_number() {
    let btf = Btf::parse(&zoo()).expect("valid");
    for id in btf.ids().filter(|id| !btf.name(*id).is_empty()) {
        assert!(btf.by_name(btf.name(id)).any(|found| found == id));
    }
    assert_eq!(btf.by_name("nod").count(), 0);
    assert_eq!(btf.by_name("zzz").count(), 0);
}

#[test]
fn flavors_are_cut_as_libbpf_cuts_them() {
    for (name, essential) in [
        ("task_struct", "task_struct"),
        ("task_struct___old", "task_struct"),
        ("a___b___c", "a___b"),
        ("___x", "___x"),
        ("x___", "x___"),
        ("x____y", "x____y"),
        ("", ""),
    ] {
        assert_eq!(essential_name(name), essential, "{name}");
    }
}

#[test]
fn ext_is_read_back_as_written() {
    let mut b = Builder::new();
    let int = int(&mut b);
    let section = b.string("struct_ops.s/f");
    let text = b.string("kill largest");
    let btf = Btf::parse(&b.finish()).expect("valid");
    let ext = ext::Ext {
        funcs: vec![ext::Section { name: section, records: vec![ext::FuncInfo { insn: 0, type_id: int }] }],
        lines: vec![ext::Section {
            name: section,
            records: vec![
                ext::LineInfo { insn: 0, file: text, text, line: 1, column: 7 },
                ext::LineInfo { insn: 3, file: text, text, line: 70_000, column: 1023 },
            ],
        }],
        relos: Vec::new(),
    };
    let bytes = ext::write(&ext);
    assert_eq!(ext::parse(&bytes, &btf), Ok(ext));
    for len in 0..bytes.len() {
        assert!(ext::parse(&bytes[..len], &btf).is_err(), "cut to {len} bytes");
    }
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << bit;
            let _ = ext::parse(&bad, &btf);
        }
    }
}

#[test]
fn a_reduced_btf_keeps_what_is_near_and_declares_what_is_far() {
    let mut b = Builder::new();
    let int = int(&mut b);
    let member = |name, ty, bit_offset| Member { name, ty, bit_offset, bits: 0 };
    let far = b.add("far", &Kind::Struct { size: 4, members: vec![member("x", int, 0)] });
    let to_far = b.add("", &Kind::Ptr(far));
    let near = b.add("near", &Kind::Struct { size: 8, members: vec![member("far", to_far, 0)] });
    let typedef = b.add("near_t", &Kind::Typedef(near));
    let constant = b.add("", &Kind::Const(typedef));
    let to_near = b.add("", &Kind::Ptr(constant));
    let inside = b.add("inside", &Kind::Struct { size: 4, members: vec![member("y", int, 0)] });
    let proto = b.add("", &Kind::FuncProto { ret: 0, params: vec![Param { name: "p", ty: to_far }] });
    let callback = b.add("", &Kind::Ptr(proto));
    let nameless = b.add("", &Kind::Struct { size: 4, members: vec![member("z", int, 0)] });
    let to_nameless = b.add("", &Kind::Ptr(nameless));
    let members = vec![
        member("near", to_near, 0),
        member("inside", inside, 64),
        member("callback", callback, 128),
        member("nameless", to_nameless, 192),
    ];
    b.add("root", &Kind::Struct { size: 32, members });
    b.add("unwanted", &Kind::Struct { size: 4, members: vec![member("x", int, 0)] });
    let full = Btf::parse(&b.finish()).expect("valid");

    let reduced = |pointers| {
        let mut wanted = minimize::Wanted::default();
        assert!(wanted.add(&full, "root", pointers));
        assert!(!wanted.add(&full, "nothing", pointers));
        Btf::parse(&minimize::minimize(&full, &wanted)).expect("valid")
    };
    let declared =
        |btf: &Btf, tag| btf.find(tag, |kind| matches!(kind, Kind::Fwd { union: false })).is_some();
    let none = reduced(0);
    assert!(none.composite("inside").is_some(), "inside the root: always whole");
    assert!(declared(&none, "near") && none.composite("near").is_none());
    assert_eq!(none.by_name("far").count() + none.by_name("unwanted").count(), 0);
    let view = KernelView::from_btf(&minimize::minimize(&full, &{
        let mut wanted = minimize::Wanted::default();
        wanted.add(&full, "root", 0);
        wanted
    }))
    .expect("valid");
    assert_eq!(view.member("root", "near").and_then(|near| near.pointee).as_deref(), Some("near"));
    assert_eq!(view.member("root", "nameless").map(|member| (member.size, member.pointee)), Some((8, None)));
    let one = reduced(1);
    assert!(one.composite("near").is_some() && declared(&one, "far"));
    assert!(reduced(2).composite("far").is_some());
}

/// What is read of a type without decoding it is what decoding gives.
#[test]
fn a_part_of_a_type_is_that_of_the_whole() {
    let btf = Btf::parse(KernelView::embedded_btf()).expect("types");
    let mut looked_at = 0;
    for id in btf.ids() {
        let whole = btf.get(id).expect("a type");
        assert_eq!(btf.name(id), whole.name);
        let next = whole.kind.alias();
        assert_eq!(btf.unalias(id), next.map_or(Some(id), |next| btf.unalias(next)), "{id}");
        let (Kind::Struct { size, members } | Kind::Union { size, members }) = whole.kind else {
            assert!(!btf.is_composite(id) && btf.members_called(id, "x").next().is_none(), "{id}");
            continue;
        };
        assert!(btf.is_composite(id) && btf.size_of(id) == Some(size), "{id}");
        for name in members.iter().map(|member| member.name).chain(["no_such_member"]) {
            let all = (0..).zip(members.iter().copied());
            let wanted: Vec<_> =
                all.filter(|(_, member)| member.name.is_empty() || member.name == name).collect();
            assert_eq!(btf.members_called(id, name).collect::<Vec<_>>(), wanted, "{id} {name}");
            looked_at += wanted.len();
        }
    }
    assert!(looked_at > 1_000, "{looked_at}");
}
