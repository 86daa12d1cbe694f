//! The local types of an object: copies of kernel structures with just the members that relocations mention.

use std::collections::{BTreeMap, BTreeSet};

use oomc_abi::btf::write::Builder;
use oomc_abi::btf::{Enumerator, INT_BOOL, INT_SIGNED, Kind, Member, Param, SecEntry, TypeId};
use oomc_abi::proto::{Base, CType, Proto};
use oomc_abi::resolve::{KernelView, Part, element, find_member, flat_array, split};

use crate::ir;
use crate::object::Error;

/// A structure or union that gets a local copy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// By its number among the kernel's types, or behind them ([`KernelView::local`]).
    Kernel(TypeId),
    /// By its tag; the kernel compiled against lacks it.
    Absent(String),
}

/// A member that a local copy has, in the order of the copy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wanted {
    bit_offset: u32,
    /// Width of a bit-field, or 0.
    bits: u8,
    name: String,
    /// In the kernel's BTF; None: the kernel compiled against lacks the member.
    ty: Option<TypeId>,
}

/// A path as steps: each a member, or an element.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Member(Place, Wanted),
    Element(u32),
}

/// Local types under construction.
pub(super) struct Types<'v> {
    pub(super) view: &'v KernelView,
    pub(super) builder: Builder,
    wanted: BTreeMap<Place, BTreeSet<Wanted>>,
    copies: BTreeMap<Place, TypeId>,
}

impl<'v> Types<'v> {
    pub(super) fn new(view: &'v KernelView) -> Self {
        Self { view, builder: Builder::new(), wanted: BTreeMap::new(), copies: BTreeMap::new() }
    }

    pub(super) fn place(&self, tag: &str) -> Place {
        match self.view.type_id(tag) {
            Some(id) => Place::Kernel(id),
            None => Place::Absent(tag.to_owned()),
        }
    }

    /// Notes the members on a path. The kernel compiled against may lack the last one: then it counts as a
    /// pointer, the one kind of member whose size is known.
    pub(super) fn collect(&mut self, field: &ir::Field) -> Result<Vec<Step>, Error> {
        let bad = || Error::Path(format!("{}.{}", field.container, field.path));
        let parts = split(&field.path).ok_or_else(bad)?;
        let mut place = self.place(&field.container);
        let mut steps = Vec::new();
        // The member's type, until it is entered.
        let mut ty: Option<TypeId> = None;
        let btf = self.view.local();
        for (at, part) in parts.iter().enumerate() {
            match part {
                Part::Name(name) => {
                    if let Some(ty) = ty {
                        place = Place::Kernel(btf.resolve(ty).ok_or_else(bad)?.0);
                    }
                    let wanted = match self.wanted(&place, name) {
                        Some(wanted) => wanted,
                        None if at + 1 == parts.len() => {
                            Wanted { bit_offset: 0, bits: 0, name: (*name).to_owned(), ty: None }
                        }
                        None => {
                            let missing = self.view.lookup(&field.container, &field.path).err();
                            return Err(missing.map_or_else(bad, Error::Missing));
                        }
                    };
                    ty = wanted.ty;
                    self.wanted.entry(place.clone()).or_default().insert(wanted.clone());
                    steps.push(Step::Member(place.clone(), wanted));
                }
                Part::Index(index) => {
                    let deeper = matches!(parts.get(at + 1), Some(Part::Index(_)));
                    let (element, _) = element(btf, ty.ok_or_else(bad)?, deeper).ok_or_else(bad)?;
                    ty = Some(element);
                    steps.push(Step::Element(*index));
                }
            }
        }
        Ok(steps)
    }

    /// A member by its name; none if the kernel compiled against lacks it.
    fn wanted(&self, place: &Place, name: &str) -> Option<Wanted> {
        let Place::Kernel(id) = place else { return None };
        let found = find_member(self.view.local(), *id, name)?;
        Some(Wanted {
            bit_offset: found.bit_offset,
            bits: found.bits,
            name: name.to_owned(),
            ty: Some(found.ty),
        })
    }

    /// The path in numbers, and the offset in bytes.
    pub(super) fn access(&self, steps: &[Step]) -> Result<(String, u32), Error> {
        let btf = self.view.local();
        let mut access = "0".to_owned();
        let mut offset = 0;
        let mut ty = None;
        for (at, step) in steps.iter().enumerate() {
            let index = match step {
                Step::Member(place, wanted) => {
                    offset += wanted.bit_offset / 8;
                    ty = wanted.ty;
                    let members = self.wanted.get(place);
                    let index =
                        members.and_then(|members| members.iter().position(|member| member == wanted));
                    index.ok_or(Error::Internal("a member on a path was not noted"))?
                }
                Step::Element(index) => {
                    let deeper = matches!(steps.get(at + 1), Some(Step::Element(_)));
                    let element = ty.and_then(|ty| element(btf, ty, deeper)).map(|(element, _)| element);
                    ty = element;
                    let size = element.and_then(|element| btf.size_of(element));
                    offset += index * size.ok_or(Error::Internal("an element has no size"))?;
                    *index as usize
                }
            };
            access.push_str(&format!(":{index}"));
        }
        Ok((access, offset))
    }

    /// The local copy of a structure; it has no members if none are read.
    pub(super) fn copy(&mut self, place: &Place) -> Result<TypeId, Error> {
        if let Some(id) = self.copies.get(place) {
            return Ok(*id);
        }
        let id = self.builder.reserve();
        self.copies.insert(place.clone(), id);
        let mut members = Vec::new();
        for wanted in self.wanted.get(place).into_iter().flatten().cloned().collect::<Vec<_>>() {
            let ty = self.member_type(wanted.ty)?;
            members.push((wanted, ty));
        }
        let members = members
            .iter()
            .map(|(wanted, ty)| Member {
                name: &wanted.name,
                ty: *ty,
                bit_offset: wanted.bit_offset,
                bits: wanted.bits,
            })
            .collect::<Vec<_>>();
        let btf = self.view.local();
        let (tag, kind) = match place {
            Place::Absent(tag) => {
                (tag.as_str(), Kind::Struct { size: if members.is_empty() { 0 } else { 8 }, members })
            }
            Place::Kernel(kernel) => {
                let size = btf.size_of(*kernel).ok_or(Error::Internal("a structure has no size"))?;
                let kind = match btf.get(*kernel).map(|ty| ty.kind) {
                    Some(Kind::Union { .. }) => Kind::Union { size, members },
                    _ => Kind::Struct { size, members },
                };
                (btf.name(*kernel), kind)
            }
        };
        self.builder.set(id, tag, &kind);
        Ok(id)
    }

    /// The local type of a member; qualifiers and typedefs are dropped, as loaders drop them. What the kernel
    /// lacks counts as a pointer.
    fn member_type(&mut self, kernel: Option<TypeId>) -> Result<TypeId, Error> {
        let btf = self.view.local();
        let Some((id, ty)) = kernel.and_then(|id| btf.resolve(id)) else {
            return Ok(self.builder.intern("", &Kind::Ptr(0)));
        };
        match ty.kind {
            Kind::Int { size, encoding, .. } => Ok(self.int(size, ty.name, encoding)),
            Kind::Struct { .. } | Kind::Union { .. } => self.copy(&Place::Kernel(id)),
            Kind::Array { element, len, .. } => {
                // A kernel's array of arrays is one flat array to whoever reads it; the others say what they mean.
                let (element, len) = if id < self.view.btf().len() {
                    flat_array(btf, id).ok_or(Error::Internal("an array has no elements"))?
                } else {
                    (element, len)
                };
                let element = self.member_type(Some(element))?;
                Ok(self.array(element, len))
            }
            Kind::Enum { size, signed, wide, values } => {
                Ok(self.builder.intern(ty.name, &Kind::Enum { size, signed, wide, values }))
            }
            Kind::Ptr(to) => {
                let to = self.pointee(to)?;
                Ok(self.builder.intern("", &Kind::Ptr(to)))
            }
            _ => Ok(self.builder.intern("", &Kind::Ptr(0))),
        }
    }

    /// What a pointer member points to. A structure of which nothing is read is only declared: it may be no
    /// more than that in a reduced BTF, and the object should not show the difference.
    fn pointee(&mut self, kernel: TypeId) -> Result<TypeId, Error> {
        let Some((id, ty)) = self.view.local().resolve(kernel) else { return Ok(0) };
        let union = match ty.kind {
            Kind::Struct { .. } => false,
            Kind::Union { .. } => true,
            Kind::Fwd { union } => union,
            _ => return Ok(0),
        };
        let place = Place::Kernel(id);
        if self.wanted.contains_key(&place) {
            self.copy(&place)
        } else if ty.name.is_empty() {
            Ok(0)
        } else {
            Ok(self.builder.intern(ty.name, &Kind::Fwd { union }))
        }
    }

    pub(super) fn int(&mut self, size: u32, name: &str, encoding: u8) -> TypeId {
        self.builder.intern(name, &Kind::Int { size, bits: (size * 8) as u8, offset: 0, encoding })
    }

    pub(super) fn array(&mut self, element: TypeId, len: u32) -> TypeId {
        let index = self.int(4, "__ARRAY_SIZE_TYPE__", 0);
        self.builder.intern("", &Kind::Array { element, index, len })
    }

    /// A structure of 64-bit numbers.
    pub(super) fn words(&mut self, name: &str, members: &[String]) -> TypeId {
        let word = self.int(8, "long long unsigned int", 0);
        let size = members.len() as u32 * 8;
        let members = (0_u32..)
            .zip(members)
            .map(|(at, name)| Member { name, ty: word, bit_offset: at * 64, bits: 0 })
            .collect();
        self.builder.add(name, &Kind::Struct { size, members })
    }

    /// A number in a map's definition.
    pub(super) fn number_as_pointer(&mut self, number: u32) -> TypeId {
        let int = self.int(4, "int", INT_SIGNED);
        let array = self.array(int, number);
        self.builder.intern("", &Kind::Ptr(array))
    }

    /// An enumerator's value; 0 if the kernel compiled against lacks it, of which is asked only whether it exists.
    pub(super) fn enum_value(&self, tag: &str, name: &str) -> i64 {
        self.view.enumerator(tag, name).unwrap_or_default()
    }

    /// An enum with these enumerators. One that the kernel compiled against lacks is as wide as most are.
    pub(super) fn enumeration(&mut self, tag: &str, names: &BTreeSet<String>) -> TypeId {
        let btf = self.view.btf();
        let (size, signed, wide) = match btf.enumeration(tag).and_then(|id| btf.get(id)).map(|ty| ty.kind) {
            Some(Kind::Enum { size, signed, wide, .. }) => (size, signed, wide),
            _ => (4, false, false),
        };
        let values =
            names.iter().map(|name| Enumerator { name, value: self.enum_value(tag, name) }).collect();
        self.builder.add(tag, &Kind::Enum { size, signed, wide, values })
    }

    /// A type of a prototype. Structures are copies even if nothing of them is read: libbpf compares kinds,
    /// and a declaration is another kind than a structure.
    fn c_type(&mut self, ty: &CType<'_>) -> Result<TypeId, Error> {
        let mut id = match ty.base {
            Base::Void => 0,
            Base::Bool => self.int(1, "_Bool", INT_BOOL),
            Base::Char => self.int(1, "char", INT_SIGNED),
            Base::Int { name, size, signed } => self.int(size, name, if signed { INT_SIGNED } else { 0 }),
            Base::Struct(tag) => {
                let place = self.place(tag);
                self.copy(&place)?
            }
            Base::Enum(tag) => self.enumeration(tag, &BTreeSet::new()),
        };
        if ty.constant {
            id = self.builder.intern("", &Kind::Const(id));
        }
        for _ in 0..ty.pointers {
            id = self.builder.intern("", &Kind::Ptr(id));
        }
        Ok(id)
    }

    pub(super) fn prototype(&mut self, proto: &Proto<'_>) -> Result<TypeId, Error> {
        let ret = self.c_type(&proto.ret)?;
        let mut params = Vec::new();
        for (name, ty) in &proto.params {
            params.push(Param { name, ty: self.c_type(ty)? });
        }
        Ok(self.builder.intern("", &Kind::FuncProto { ret, params }))
    }

    pub(super) fn section(&mut self, name: &str, size: u32, entries: Vec<SecEntry>) {
        self.builder.add(name, &Kind::DataSec { size, entries });
    }
}
