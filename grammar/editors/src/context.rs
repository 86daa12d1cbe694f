//! Words that may be names as well: what must stand beside them where they are words of the language.
//!
//! An editor that colours by regular expressions sees no grammar. For these words it looks at one neighbour. The rows hold
//! for each policy of the repository (`tests/editors.rs`); a name that stands where one of them says otherwise is coloured
//! as a word.

/// What stands before a word.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Before {
    /// Anything but a dot.
    Anything,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A colon.
    Colon,
    /// A number.
    Number,
}

/// What stands behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Behind {
    /// Anything.
    Anything,
    /// One of these words.
    Word(&'static [&'static str]),
    /// The beginning of a value: a name, a number, a sign, but no word that goes on with what stands before.
    Value,
    /// A string.
    Text,
    /// An opening brace.
    Brace,
    /// A path, and `of`.
    PathOf,
}

/// Words, and their neighbours.
pub(crate) type Row = (&'static [&'static str], Before, Behind);

/// Each word that may be a name, once.
pub(crate) const ROWS: &[Row] = &[
    (&["usage", "swap", "limit", "pressure", "system"], Before::Word(&["on"]), Behind::Anything),
    (&["oom"], Before::Word(&["on", "system"]), Behind::Anything),
    (&["some", "full"], Before::Word(&["pressure"]), Behind::Anything),
    (&["avg10", "avg60", "avg300", "above"], Before::Word(&["some", "full"]), Behind::Anything),
    (&["bool", "bytes", "percent", "duration", "counter"], Before::Colon, Behind::Anything),
    (&["root", "owner"], Before::Word(&["trust"]), Behind::Anything),
    (&["trust"], Before::Anything, Behind::Word(&["root", "owner", "any"])),
    (&["resets"], Before::Anything, Behind::Word(&["after"])),
    (&["per", "for", "after", "range", "has"], Before::Anything, Behind::Value),
    (&["kills"], Before::Number, Behind::Anything),
    (&["asked"], Before::Word(&["not"]), Behind::Anything),
    (&["given"], Before::Anything, Behind::Brace),
    (&["expect"], Before::Anything, Behind::Word(OUTCOMES)),
    (&["nobody"], Before::Word(&["kill"]), Behind::Anything),
    (&["candidates"], Before::Word(&["expect"]), Behind::Text),
    (&["max", "min"], Before::Anything, Behind::PathOf),
];

/// Words behind which a name stands that is declared.
pub(crate) const NAMING: [&str; 6] = ["const", "label", "mode", "param", "pick", "state"];

/// Words that go on with what stands before them: behind one of these words there is no value.
pub(crate) const GOES_ON: [&str; 16] = [
    "and", "asc", "at", "by", "desc", "else", "in", "now", "of", "or", "reason", "then", "to", "until", "up",
    "where",
];

/// Words with which an outcome begins.
const OUTCOMES: &[&str] =
    &["candidates", "defer", "freed", "kill", "not", "notify", "raise_limit", "reason", "reclaim", "wait"];
