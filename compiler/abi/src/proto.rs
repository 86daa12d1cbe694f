//! C prototypes, as the tables write them, as types.
//!
//! Takes one line of C with the few forms that kernel functions use: named structures, enums and numbers,
//! `const`, pointers. Function pointers and arrays do not occur.

/// A function's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proto<'a> {
    /// Its name.
    pub name: &'a str,
    /// Result.
    pub ret: CType<'a>,
    /// Parameters: name and type.
    pub params: Vec<(&'a str, CType<'a>)>,
}

/// A type: a base behind some pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CType<'a> {
    /// What is pointed to, or the value itself.
    pub base: Base<'a>,
    /// Whether the base is `const`.
    pub constant: bool,
    /// How many pointers lead to it.
    pub pointers: u32,
}

/// A type that is no pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Base<'a> {
    /// `void`.
    Void,
    /// `bool`.
    Bool,
    /// `char`.
    Char,
    /// A number of this many bytes, by the name that kernel BTF has for it.
    Int {
        /// `long unsigned int`.
        name: &'a str,
        /// In bytes.
        size: u32,
        /// Whether it has a sign.
        signed: bool,
    },
    /// `struct tag`.
    Struct(&'a str),
    /// `enum tag`.
    Enum(&'a str),
}

/// Reads a prototype. None: it has another form.
#[must_use]
pub fn parse(c: &str) -> Option<Proto<'_>> {
    let (head, rest) = c.split_once('(')?;
    let list = rest.trim_end().strip_suffix(')')?;
    let (name, ret) = declaration(head)?;
    let mut params = Vec::new();
    if list.trim() != "void" {
        for param in list.split(',') {
            params.push(declaration(param)?);
        }
    }
    Some(Proto { name, ret, params })
}

/// `const struct foo *bar`: the name and its type.
fn declaration(text: &str) -> Option<(&str, CType<'_>)> {
    let text = text.trim();
    let at = text.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_')? + 1;
    let (ty, name) = text.split_at(at);
    let pointers = ty.matches('*').count() as u32;
    let mut constant = false;
    let mut words = Vec::new();
    for word in ty.split(|c: char| c.is_whitespace() || c == '*').filter(|word| !word.is_empty()) {
        if word == "const" {
            constant = true;
        } else {
            words.push(word);
        }
    }
    let int = |name, size, signed| Base::Int { name, size, signed };
    let base = match words.as_slice() {
        ["void"] => Base::Void,
        ["bool"] => Base::Bool,
        ["char"] => Base::Char,
        ["int"] | ["s32"] => int("int", 4, true),
        ["unsigned", "int"] | ["u32"] => int("unsigned int", 4, false),
        ["unsigned", "long"] => int("long unsigned int", 8, false),
        ["long"] => int("long int", 8, true),
        ["u64"] => int("long long unsigned int", 8, false),
        ["s64"] => int("long long int", 8, true),
        ["struct", tag] => Base::Struct(tag),
        ["enum", tag] => Base::Enum(tag),
        _ => return None,
    };
    (!name.is_empty()).then_some((name, CType { base, constant, pointers }))
}
