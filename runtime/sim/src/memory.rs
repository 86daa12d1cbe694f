//! The memory that a program can address: objects of the model, its own stack, and its maps.
//!
//! An address says where it points: bits 40–46 are a region, then comes the number of an object and a place in it.
//! Of an object only the bytes are kept that somebody fills; all others are 0, and reading them is noted. So a
//! process costs as many bytes as a policy can learn of it, not the kernel's ten kilobytes. Knows nothing of what
//! the bytes mean.

use std::collections::BTreeSet;

use oomc_abi::model::Class;
use oomc_abi::world::Fault;

/// What all addresses begin with.
const BASE: u64 = 0xffff_8000_0000_0000;
/// Where the number of the region stands.
const REGION_SHIFT: u32 = 40;
const REGION_MASK: u64 = 0x7f;
/// A byte that nobody fills.
const UNFILLED: u32 = u32::MAX;
/// Addresses below are taken for null with an offset.
const NULL_PAGE: u64 = 4096;

/// Bytes of a stack frame (`MAX_BPF_STACK`, `include/linux/filter.h`, 6.12).
pub(crate) const FRAME: u64 = 512;

/// A region by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RegionId(u8);

impl RegionId {
    /// Frames, the outermost first.
    pub(crate) const STACK: Self = Self(32);
    /// The arguments of the callback.
    pub(crate) const CONTEXT: Self = Self(33);
    /// Texts that objects point to.
    pub(crate) const TEXTS: Self = Self(34);
    /// Variables of the kernel.
    pub(crate) const VARIABLES: Self = Self(35);
    /// Numbers that iterators point to.
    pub(crate) const NUMBERS: Self = Self(36);
    /// What stands for a map itself; cannot be read.
    const HANDLES: Self = Self(37);
    const FIRST_MAP: u8 = 64;

    pub(crate) const fn of_class(class: Class) -> Self {
        Self(class as u8 + 1)
    }

    /// The values of a map.
    pub(crate) const fn of_map(map: usize) -> Self {
        Self(Self::FIRST_MAP + map as u8)
    }

    /// Most maps of a policy.
    pub(crate) const MAPS: usize = 64;

    fn base(self) -> u64 {
        BASE | u64::from(self.0) << REGION_SHIFT
    }

    fn of(address: u64) -> Option<Self> {
        (address >> 47 == BASE >> 47).then_some(Self((address >> REGION_SHIFT & REGION_MASK) as u8))
    }
}

/// The address that stands for a map.
pub(crate) fn handle(map: usize) -> u64 {
    RegionId::HANDLES.base() + map as u64
}

/// The map that an address stands for.
pub(crate) fn map_of(address: u64) -> Result<usize, Fault> {
    match RegionId::of(address) {
        Some(RegionId::HANDLES) => Ok((address & 0xffff) as usize),
        _ => Err(Fault(format!("{address:#x} is no map"))),
    }
}

/// Objects of one kind, one behind the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Region {
    /// Bytes of an object as the program sees it.
    size: u64,
    /// Two to this power is the distance between two objects.
    shift: u32,
    /// Where each byte of an object is kept; empty: all are, in order.
    kept: Vec<u32>,
    /// Bytes of an object that are kept.
    record: usize,
    data: Vec<u8>,
    writable: bool,
}

impl Region {
    /// Objects whose bytes are all kept.
    pub(crate) fn whole(size: u64, count: usize, writable: bool) -> Self {
        let record = size as usize;
        Self { size, shift: shift(size), kept: Vec::new(), record, data: vec![0; record * count], writable }
    }

    /// Objects of which some members are kept: offset and size of each.
    pub(crate) fn sparse(size: u64, members: impl Iterator<Item = (u32, u32)>) -> Self {
        let mut kept = vec![UNFILLED; size as usize];
        let mut record = 0;
        for (offset, bytes) in members {
            for byte in offset..offset.saturating_add(bytes) {
                if let Some(place) = kept.get_mut(byte as usize).filter(|place| **place == UNFILLED) {
                    *place = record;
                    record += 1;
                }
            }
        }
        Self { size, shift: shift(size), kept, record: record as usize, data: Vec::new(), writable: false }
    }

    /// Room for so many objects, all of them 0.
    pub(crate) fn resize(&mut self, count: usize) {
        self.data.clear();
        self.data.resize(self.record * count, 0);
    }

    /// One more object, all of it 0; its number.
    pub(crate) fn push(&mut self) -> usize {
        let number = self.data.len().checked_div(self.record).unwrap_or(0);
        self.data.resize(self.data.len() + self.record, 0);
        number
    }

    pub(crate) fn data(&self) -> &[u8] {
        &self.data
    }

    pub(crate) fn data_mut(&mut self) -> &mut Vec<u8> {
        &mut self.data
    }

    /// Where an object's bytes begin that start at an offset, if they are kept in one piece.
    #[inline]
    fn find(&self, rest: u64, bytes: u64) -> Found {
        let (object, offset) = (rest >> self.shift, rest & ((1 << self.shift) - 1));
        if offset + bytes > self.size {
            return Found::Outside;
        }
        let at = if self.kept.is_empty() {
            offset as usize
        } else {
            let first = self.kept.get(offset as usize).copied().unwrap_or(UNFILLED);
            let last = self.kept.get((offset + bytes - 1) as usize).copied().unwrap_or(UNFILLED);
            if first == UNFILLED || last == UNFILLED || u64::from(last) != u64::from(first) + bytes - 1 {
                return Found::Pieces { object, offset };
            }
            first as usize
        };
        match (object as usize).checked_mul(self.record) {
            Some(start) if start + self.record <= self.data.len() => Found::At(start + at),
            _ => Found::Outside,
        }
    }
}

enum Found {
    At(usize),
    /// Not all bytes are kept.
    Pieces {
        object: u64,
        offset: u64,
    },
    Outside,
}

/// The distance between two objects; one more byte, so that the end of one is not the start of the next.
fn shift(size: u64) -> u32 {
    (size + 1).next_power_of_two().trailing_zeros()
}

/// All of it.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    regions: Vec<Region>,
    /// Members that were read and that nobody fills: region and offset.
    unfilled: BTreeSet<(RegionId, u64)>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { regions: vec![Region::default(); REGION_MASK as usize + 1], unfilled: BTreeSet::new() }
    }
}

impl Memory {
    #[expect(clippy::indexing_slicing, reason = "there are as many regions as a place has values")]
    pub(crate) fn region(&self, place: RegionId) -> &Region {
        &self.regions[usize::from(place.0)]
    }

    #[expect(clippy::indexing_slicing, reason = "there are as many regions as a place has values")]
    pub(crate) fn region_mut(&mut self, place: RegionId) -> &mut Region {
        &mut self.regions[usize::from(place.0)]
    }

    /// The address of a byte of an object.
    pub(crate) fn address(&self, place: RegionId, object: usize, offset: u64) -> u64 {
        place.base() + ((object as u64) << self.region(place).shift) + offset
    }

    /// The number of the object that begins at an address, if it is one of this kind.
    pub(crate) fn object(&self, place: RegionId, address: u64) -> Option<usize> {
        let region = self.region(place);
        if RegionId::of(address) != Some(place) {
            return None;
        }
        let rest = address - place.base();
        let object = (rest >> region.shift) as usize;
        let whole = rest & ((1 << region.shift) - 1) == 0;
        (whole && (object + 1).saturating_mul(region.record) <= region.data.len()).then_some(object)
    }

    /// The object and the offset in it, of an address that need not be a beginning.
    pub(crate) fn inside(&self, place: RegionId, address: u64) -> Option<(usize, u64)> {
        let region = self.region(place);
        if RegionId::of(address) != Some(place) {
            return None;
        }
        let rest = address - place.base();
        Some(((rest >> region.shift) as usize, rest & ((1 << region.shift) - 1)))
    }

    /// Whether an address lies on the stack.
    pub(crate) fn is_stack(address: u64) -> bool {
        RegionId::of(address) == Some(RegionId::STACK)
    }

    /// Whether the program may write at an address.
    pub(crate) fn is_writable(&self, address: u64) -> bool {
        RegionId::of(address).is_some_and(|place| self.region(place).writable)
    }

    /// A number of at most eight bytes.
    #[inline]
    pub(crate) fn load(&mut self, address: u64, bytes: u64) -> Result<u64, Fault> {
        let Some(place) = RegionId::of(address) else { return Err(wild("reads", address)) };
        let region = self.region(place);
        let rest = address - place.base();
        match region.find(rest, bytes) {
            Found::At(at) => {
                let mut number = [0; 8];
                let (Some(from), Some(to)) =
                    (region.data.get(at..at + bytes as usize), number.get_mut(..bytes as usize))
                else {
                    return Err(wild("reads", address));
                };
                to.copy_from_slice(from);
                Ok(u64::from_le_bytes(number))
            }
            Found::Pieces { object, offset } => self.pieces(place, object, offset, bytes),
            Found::Outside => Err(wild("reads", address)),
        }
    }

    /// A number of which not all bytes are kept.
    fn pieces(&mut self, place: RegionId, object: u64, offset: u64, bytes: u64) -> Result<u64, Fault> {
        let region = self.region(place);
        let start = (object as usize).saturating_mul(region.record);
        if start.saturating_add(region.record) > region.data.len() {
            return Err(Fault(format!("the program reads an object that is not there, at byte {offset}")));
        }
        let (mut number, mut filled) = (0, false);
        for byte in (0..bytes).rev() {
            let kept = region.kept.get((offset + byte) as usize).copied().unwrap_or(UNFILLED);
            let value = if kept == UNFILLED { None } else { region.data.get(start + kept as usize).copied() };
            filled |= value.is_some();
            number = number << 8 | u64::from(value.unwrap_or(0));
        }
        if !filled {
            self.unfilled.insert((place, offset));
        }
        Ok(number)
    }

    /// Writes at most eight bytes where the program may.
    #[inline]
    pub(crate) fn store(&mut self, address: u64, bytes: u64, number: u64) -> Result<(), Fault> {
        let Some(place) = RegionId::of(address) else { return Err(wild("writes", address)) };
        let region = self.region_mut(place);
        let rest = address - place.base();
        if !region.writable && !region.data.is_empty() {
            return Err(Fault(format!("the program writes at {address:#x}, where it may only read")));
        }
        let Found::At(at) = region.find(rest, bytes) else { return Err(wild("writes", address)) };
        let number = number.to_le_bytes();
        match (region.data.get_mut(at..at + bytes as usize), number.get(..bytes as usize)) {
            (Some(to), Some(from)) => {
                to.copy_from_slice(from);
                Ok(())
            }
            _ => Err(wild("writes", address)),
        }
    }

    /// Reads bytes.
    pub(crate) fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), Fault> {
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = self.load(address.wrapping_add(at as u64), 1)? as u8;
        }
        Ok(())
    }

    /// Writes bytes where the program may.
    pub(crate) fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Fault> {
        for (at, byte) in bytes.iter().enumerate() {
            self.store(address.wrapping_add(at as u64), 1, u64::from(*byte))?;
        }
        Ok(())
    }

    /// Fills a member of an object, whoever may write there.
    pub(crate) fn fill(&mut self, place: RegionId, object: usize, offset: u32, bytes: &[u8]) {
        let region = self.region_mut(place);
        let start = object * region.record;
        for (at, byte) in (offset..).zip(bytes) {
            let kept = match region.kept.get(at as usize) {
                Some(kept) => *kept as usize,
                None => at as usize,
            };
            if let Some(to) = region.data.get_mut(start + kept) {
                *to = *byte;
            }
        }
    }

    /// Members that were read although nobody fills them: the structure and the offset.
    pub(crate) fn unfilled(&self) -> impl Iterator<Item = (Class, u64)> + '_ {
        let class =
            |place: RegionId| Class::ALL.iter().copied().find(|class| RegionId::of_class(*class) == place);
        self.unfilled.iter().filter_map(move |(place, offset)| Some((class(*place)?, *offset)))
    }

    /// Forgets what was read.
    pub(crate) fn forget_unfilled(&mut self) {
        self.unfilled.clear();
    }

    /// Bytes that objects of a class take.
    pub(crate) fn bytes_of(&self, class: Class) -> usize {
        self.region(RegionId::of_class(class)).data.len()
    }
}

fn wild(what: &str, address: u64) -> Fault {
    if address < NULL_PAGE {
        return Fault(format!("the program {what} through a null pointer, at byte {address}"));
    }
    Fault(format!("the program {what} at {address:#x}, where nothing is"))
}
