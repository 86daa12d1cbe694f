//! Bytes that are almost right: what a reader is given that must not believe them.
//!
//! Takes right bytes and gives changed ones, the same for the same number. Blind to what the bytes mean, but for numbers
//! in them, which become those that arithmetic trips over. No crate for fuzzing fits here: without a compiler that
//! counts branches (a nightly one) they give random bytes, which no reader here reads further than its magic number.

/// A sequence of numbers that a seed begins (splitmix64, Steele and others 2014).
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next one.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// One below a bound; 0 for none.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.draw() % (bound.max(1) as u64)) as usize
    }
}

/// Numbers that arithmetic trips over.
const EDGES: [u64; 12] = [
    0,
    1,
    7,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0xffff_ffff_ffff_ffff,
];

/// Words that a text may be given: deep, long, or no number.
const WORDS: [&str; 8] = [
    "[[[[[[[[",
    "{\"a\":",
    "1e999",
    "-9223372036854775809",
    "\\u0000",
    "18446744073709551616",
    "null",
    "\u{1b}[2J",
];

/// A changed copy; `other` lends pieces.
#[must_use]
pub fn mutated(seed: &[u8], other: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=numbers.below(4) {
        change(&mut bytes, other, numbers);
    }
    // No reader is given more than a few times what it was made of.
    bytes.truncate(seed.len() * 4 + 4096);
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], numbers: &mut Numbers) {
    let at = numbers.below(bytes.len());
    match numbers.below(9) {
        0 => put(bytes, at, &[1 << numbers.below(8)], |old, new| old ^ new),
        1 => put(bytes, at, &[numbers.draw() as u8], |_, new| new),
        // A number of 2, 4 or 8 bytes where numbers of this size lie.
        2 | 3 => {
            let size = 2 << numbers.below(3);
            let edge = EDGES.get(numbers.below(EDGES.len() + 2)).copied();
            let value =
                edge.unwrap_or(bytes.len() as u64).wrapping_add(numbers.below(3) as u64).wrapping_sub(1);
            put(bytes, at / size * size, value.to_le_bytes().get(..size).unwrap_or_default(), |_, new| new);
        }
        // A piece of it somewhere else in it, over what is there or between.
        4 | 5 => {
            let from = numbers.below(bytes.len());
            let piece = piece(bytes, from, numbers.below(64));
            if numbers.below(2) == 0 {
                put(bytes, at, &piece, |_, new| new);
            } else {
                bytes.splice(at..at, piece);
            }
        }
        6 => {
            let end = (at + numbers.below(64)).min(bytes.len());
            bytes.drain(at..end);
        }
        7 => {
            let piece = match numbers.below(2) {
                0 => piece(other, numbers.below(other.len()), numbers.below(256)),
                _ => WORDS.get(numbers.below(WORDS.len())).map_or(&b""[..], |word| word.as_bytes()).to_vec(),
            };
            bytes.splice(at..at, piece);
        }
        _ => bytes.truncate(at),
    }
}

fn piece(bytes: &[u8], from: usize, len: usize) -> Vec<u8> {
    bytes.iter().skip(from).take(len).copied().collect()
}

fn put(bytes: &mut [u8], at: usize, new: &[u8], how: impl Fn(u8, u8) -> u8) {
    for (old, new) in bytes.iter_mut().skip(at).zip(new) {
        *old = how(*old, *new);
    }
}
