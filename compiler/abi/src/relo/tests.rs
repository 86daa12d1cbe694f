//! Values here follow libbpf 1.7, with which the resolver was compared on a program of clang's that has every
//! kind: all came out equal.

use super::*;
use crate::btf::write::Builder;
use crate::btf::{Enumerator, Member};

/// A member for a test: name, type, first bit, width of a bit-field.
type Row<'a> = (&'a str, Ty, u32, u8);

#[derive(Clone, Copy)]
enum Ty {
    I32,
    U32,
    U64,
    Ptr,
    /// This many `U32`.
    Array(u32),
}

fn add(b: &mut Builder, tag: &str, size: u32, rows: &[Row<'_>]) -> TypeId {
    let int = |b: &mut Builder, name, size: u32, encoding| {
        b.intern(name, &Kind::Int { size, bits: (size * 8) as u8, offset: 0, encoding })
    };
    let members = rows
        .iter()
        .map(|(name, ty, bit_offset, bits)| {
            let word = int(b, "unsigned int", 4, 0);
            let ty = match ty {
                Ty::I32 => int(b, "int", 4, INT_SIGNED),
                Ty::U32 => word,
                Ty::U64 => int(b, "unsigned long", 8, 0),
                Ty::Ptr => b.intern("", &Kind::Ptr(0)),
                Ty::Array(len) => b.intern("", &Kind::Array { element: word, index: word, len: *len }),
            };
            Member { name, ty, bit_offset: *bit_offset, bits: *bits }
        })
        .collect();
    b.add(tag, &Kind::Struct { size, members })
}

/// A BTF with one structure.
fn btf(tag: &str, size: u32, rows: &[Row<'_>]) -> Btf {
    let mut b = Builder::new();
    add(&mut b, tag, size, rows);
    Btf::parse(&b.finish()).expect("valid")
}

/// A BTF with one structure, its number, and a record about it at instruction 0.
fn object(tag: &str, size: u32, rows: &[Row<'_>], access: &str, kind: RelocKind) -> (Btf, CoreRelo) {
    let mut b = Builder::new();
    let type_id = add(&mut b, tag, size, rows);
    let access = b.string(access);
    (Btf::parse(&b.finish()).expect("valid"), CoreRelo { insn: 0, type_id, access, kind: kind as u32 })
}

fn values(target: &Btf, rows: &[Row<'_>], access: &str, kind: RelocKind) -> (i64, Option<i64>) {
    let (local, relo) = object("s", 32, rows, access, kind);
    let found = resolve(&local, &relo, target).expect("resolves");
    (found.local.value, found.target.map(|fact| fact.value))
}

#[test]
fn bit_fields_are_read_by_an_aligned_load_and_two_shifts() {
    let rows: &[Row<'_>] = &[("low", Ty::I32, 33, 3), ("high", Ty::U32, 36, 7)];
    let target = btf("s", 32, &[("high", Ty::U32, 70, 5), ("low", Ty::I32, 64, 6)]);
    let all = |access| {
        [
            RelocKind::FieldByteOffset,
            RelocKind::FieldByteSize,
            RelocKind::FieldSigned,
            RelocKind::FieldLshiftU64,
            RelocKind::FieldRshiftU64,
        ]
        .map(|kind| values(&target, rows, access, kind))
    };
    let low = [(4, Some(8)), (4, Some(4)), (1, Some(1)), (60, Some(58)), (61, Some(58))];
    let high = [(4, Some(8)), (4, Some(4)), (0, Some(0)), (53, Some(53)), (57, Some(59))];
    assert_eq!(all("0:0"), low);
    assert_eq!(all("0:1"), high);
}

#[test]
fn elements_and_sizes_are_the_targets() {
    let rows: &[Row<'_>] = &[("a", Ty::Array(4), 0, 0), ("b", Ty::I32, 128, 0)];
    let target = btf("s", 48, &[("b", Ty::U64, 0, 0), ("a", Ty::Array(3), 64, 0)]);
    assert_eq!(values(&target, rows, "0:0:2", RelocKind::FieldByteOffset), (8, Some(16)));
    assert_eq!(values(&target, rows, "0:0:3", RelocKind::FieldByteOffset), (12, None), "too short there");
    assert_eq!(values(&target, rows, "0:1", RelocKind::FieldByteSize), (4, Some(8)));
    assert_eq!(values(&target, rows, "0", RelocKind::TypeSize), (32, Some(48)));
    assert_eq!(values(&target, rows, "0", RelocKind::TypeExists), (1, Some(1)));
    assert_eq!(values(&btf("other", 8, &[]), rows, "0", RelocKind::TypeExists), (1, Some(0)));
    assert_eq!(values(&target, rows, "0:1", RelocKind::FieldExists), (1, Some(1)));
}

#[test]
fn a_member_of_another_kind_is_another_member() {
    let rows: &[Row<'_>] = &[("a", Ty::Ptr, 0, 0)];
    let target = btf("s", 8, &[("a", Ty::U64, 0, 0)]);
    assert_eq!(values(&target, rows, "0:0", RelocKind::FieldExists), (1, Some(0)));
    assert_eq!(values(&target, rows, "0:0", RelocKind::FieldByteOffset), (0, None));
}

/// `r1 = *(size *)(r1 + offset)`, or with opcode 0xb7 `r1 = imm`.
fn insn(opcode: u8, offset: u16, imm: u32) -> u64 {
    u64::from(opcode) | 0x1100 | u64::from(offset) << 16 | u64::from(imm) << 32
}

#[test]
fn a_load_takes_the_targets_width() {
    let (local, relo) = object("s___old", 8, &[("a", Ty::U32, 32, 0)], "0:0", RelocKind::FieldByteOffset);
    let target = btf("s", 32, &[("a", Ty::U64, 128, 0)]);
    let mut code = [insn(0x61, 4, 0)];
    assert_eq!(apply(&mut code, &local, &[relo], &target), Ok(Vec::new()));
    assert_eq!(code, [insn(0x79, 16, 0)]);

    // The upper half of a signed number would be lost or invented.
    let (local, relo) = object("s", 8, &[("a", Ty::I32, 32, 0)], "0:0", RelocKind::FieldByteOffset);
    let mut code = [insn(0x61, 4, 0)];
    let poisoned = apply(&mut code, &local, &[relo], &target).expect("applies");
    assert_eq!(poisoned, [Poisoned { insn: 0, record: 0, what: "s.a".to_owned(), one_way: false }]);
    assert_eq!(code, [0x0bad_2310_0000_0085]);
}

#[test]
fn broken_objects_are_refused() {
    let rows: &[Row<'_>] = &[("a", Ty::U32, 32, 0)];
    let target = btf("s", 8, rows);
    let with = |access: &str, kind, code: &mut [u64]| {
        let (local, relo) = object("s", 8, rows, access, kind);
        apply(code, &local, &[relo], &target).map_err(|error| error.to_string())
    };
    let offset = RelocKind::FieldByteOffset;
    let head = "CO-RE relocation 0 of instruction 0: ";
    let refused = |text: &str| Err(format!("{head}{text}"));
    assert_eq!(with("0:7", offset, &mut [insn(0x61, 4, 0)]), refused("the path `0:7` does not fit its type"));
    assert_eq!(with("", offset, &mut [insn(0x61, 4, 0)]), refused("the path `` does not fit its type"));
    assert_eq!(with("0:0", offset, &mut []), refused("there is no such instruction"));
    assert_eq!(with("0:0", offset, &mut [insn(0x61, 5, 0)]), refused("the instruction holds 5, not 4"));
    assert_eq!(
        with("0:0", offset, &mut [insn(0x95, 0, 0)]),
        refused("an instruction with opcode 0x95 holds no such value")
    );
    assert_eq!(
        with("4294967295:0", offset, &mut [0]),
        refused("the path `4294967295:0` does not fit its type")
    );
}

#[test]
fn types_that_disagree_are_ambiguous() {
    let mut b = Builder::new();
    add(&mut b, "s", 8, &[("a", Ty::U32, 0, 0)]);
    add(&mut b, "s", 16, &[("a", Ty::U32, 32, 0)]);
    let target = Btf::parse(&b.finish()).expect("valid");
    let (local, relo) = object("s", 8, &[("a", Ty::U32, 0, 0)], "0:0", RelocKind::FieldByteOffset);
    assert_eq!(resolve(&local, &relo, &target), Err(Reason::Ambiguous("s.a".to_owned())));
}

#[test]
fn enumerators_go_into_operations_and_wide_loads() {
    let make = |values: &[(&str, i64)]| {
        let mut b = Builder::new();
        let values = values.iter().map(|(name, value)| Enumerator { name, value: *value }).collect();
        let type_id = b.add("e", &Kind::Enum { size: 8, signed: false, wide: true, values });
        let access = b.string("1");
        (Btf::parse(&b.finish()).expect("valid"), CoreRelo { insn: 0, type_id, access, kind: 11 })
    };
    let (local, relo) = make(&[("A", 1), ("B", 2)]);
    let (target, _) = make(&[("B", 3)]);
    let mut code = [insn(0xb7, 0, 2)];
    assert_eq!(apply(&mut code, &local, &[relo], &target), Ok(Vec::new()));
    assert_eq!(code, [insn(0xb7, 0, 3)]);

    let (target, _) = make(&[("B", 0x1_2345_6789)]);
    let mut code = [insn(0x18, 0, 2), 0];
    assert_eq!(apply(&mut code, &local, &[relo], &target), Ok(Vec::new()));
    assert_eq!(code, [insn(0x18, 0, 0x2345_6789), 1 << 32]);
    let mut code = [insn(0xb7, 0, 2)];
    let error = apply(&mut code, &local, &[relo], &target).expect_err("too large");
    assert_eq!(error.reason, Reason::Range(0x1_2345_6789));

    let (target, _) = make(&[("A", 1)]);
    let mut code = [insn(0x18, 0, 2), 0];
    assert_eq!(apply(&mut code, &local, &[relo], &target).map(|poisoned| poisoned.len()), Ok(1));
    assert_eq!(code, [0x0bad_2310_0000_0085; 2], "both halves");
    let exists = CoreRelo { kind: 10, ..relo };
    let found = resolve(&local, &exists, &target).expect("resolves");
    assert_eq!(found.target.map(|fact| fact.value), Some(0));
}
