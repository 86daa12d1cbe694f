//! Text to IR: the inverse of [`super::write`].
//!
//! Takes any text and gives a [`Module`] in which every reference is declared, or the first thing that is
//! wrong, with its place. What is read need not be valid: that is for [`super::verify`] to say. Values and
//! blocks keep their numbers, so that writing what was read gives the same text. A `;` begins a comment, and
//! so does a `#` at the start of a line.

use core::fmt;
use core::str::FromStr;
use std::borrow::Cow;
use std::sync::Arc;

use cranelift_entity::{EntityRef, PrimaryMap, SecondaryMap};
use oomc_abi::helpers;
use oomc_abi::kfuncs::KfuncId;

use super::opcodes::{Kind, Opcode, Part};
use super::{
    BinOp, Block, BlockCall, BlockData, Cond, Enumerator, Field, FieldFact, Function, GlobalData, InstData,
    MapData, MapKind, Module, Operand, Param, Refs, Signature, Size, SlotData, Type, Value,
};

/// Why a text is no IR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1, in bytes.
    pub column: u32,
    /// What is wrong.
    pub message: String,
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

/// Largest number of a value, block or byte that a text may mention: so that a short text cannot ask for all
/// of the memory.
const MAX_NUMBER: u32 = 1 << 20;
/// Most parameters of a function: the registers that arguments are handed over in.
const MAX_PARAMS: usize = 5;

/// Reads a module.
///
/// # Errors
/// The first thing that is wrong.
pub fn read(text: &str) -> Result<Module, Error> {
    let mut reader = Reader::default();
    let mut end = 1;
    for (number, line) in (1..).zip(text.lines()) {
        end = number;
        let mut line = Line { number, text: line, at: 0 };
        if !line.text.starts_with('#') {
            reader.line(&mut line)?;
        }
    }
    let message = match (&reader.open, reader.functions.is_empty()) {
        (Some(_), _) => "the function has no `}`",
        (None, true) => "there is no function",
        (None, false) => return Ok(Module::new(Arc::new(reader.refs), reader.functions)),
    };
    Err(Error { line: end, column: 1, message: message.into() })
}

type Result<T, E = Error> = core::result::Result<T, E>;

/// A line, and how far it has been read.
struct Line<'t> {
    number: u32,
    text: &'t str,
    at: usize,
}

impl<'t> Line<'t> {
    fn error<T>(&self, message: impl Into<String>) -> Result<T> {
        self.error_at(self.at, message)
    }

    fn error_at<T>(&self, at: usize, message: impl Into<String>) -> Result<T> {
        let column = u32::try_from(at + 1).unwrap_or(u32::MAX);
        Err(Error { line: self.number, column, message: message.into() })
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
        if self.rest().starts_with(';') {
            self.at = self.text.len();
        }
    }

    fn is_end(&mut self) -> bool {
        self.space();
        self.rest().is_empty()
    }

    fn end(&mut self) -> Result<()> {
        if self.is_end() { Ok(()) } else { self.error("the line should end here") }
    }

    /// Takes a mark if it comes next.
    fn eat(&mut self, mark: &str) -> bool {
        self.space();
        let found = self.rest().starts_with(mark);
        if found {
            self.at += mark.len();
        }
        found
    }

    fn expect(&mut self, mark: &str) -> Result<()> {
        if self.eat(mark) { Ok(()) } else { self.error(format!("`{mark}` should stand here")) }
    }

    /// The characters up to the next that is no part of a word; may be none.
    fn word(&mut self) -> &'t str {
        self.space();
        let rest = self.rest();
        let end = rest.find(|c: char| c.is_whitespace() || "(),:=;{}\"".contains(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or("")
    }

    fn name(&mut self) -> Result<&'t str> {
        match self.word() {
            "" => self.error("a name should stand here"),
            word => Ok(word),
        }
    }

    fn number<N: FromStr>(&mut self) -> Result<N> {
        self.space();
        let before = self.at;
        let word = self.word();
        word.parse().or_else(|_| self.error_at(before, format!("`{word}` is no number that fits here")))
    }

    /// The number of a reference: `v12` with the prefix `v`.
    fn index(&mut self, prefix: &str) -> Result<u32> {
        self.space();
        let before = self.at;
        let word = self.word();
        let index = word.strip_prefix(prefix).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
        match index.and_then(|digits| digits.parse::<u32>().ok()) {
            Some(index) if index <= MAX_NUMBER => Ok(index),
            Some(_) => self.error_at(before, format!("the numbers end at {MAX_NUMBER}")),
            None => self.error_at(before, format!("`{word}` should be `{prefix}` and a number")),
        }
    }

    /// Text in quotes, with the escapes of [`u8::escape_ascii`].
    fn quoted(&mut self) -> Result<Vec<u8>> {
        self.expect("\"")?;
        let mut bytes = Vec::new();
        loop {
            let mut rest = self.rest().bytes();
            self.at += 1;
            match rest.next() {
                None => return self.error("the text has no end"),
                Some(b'"') => return Ok(bytes),
                Some(b'\\') => {
                    self.at += 1;
                    match rest.next() {
                        Some(b't') => bytes.push(b'\t'),
                        Some(b'n') => bytes.push(b'\n'),
                        Some(b'r') => bytes.push(b'\r'),
                        Some(mark @ (b'\\' | b'\'' | b'"')) => bytes.push(mark),
                        Some(b'x') => {
                            let digits = self.rest().get(..2).unwrap_or("");
                            let Ok(byte) = u8::from_str_radix(digits, 16) else {
                                return self.error("two hexadecimal digits should stand here");
                            };
                            bytes.push(byte);
                            self.at += 2;
                        }
                        _ => return self.error("no such escape"),
                    }
                }
                Some(byte) if byte.is_ascii() => bytes.push(byte),
                Some(_) => return self.error("a byte beyond ASCII is written `\\x`"),
            }
        }
    }
}

/// The function being read.
struct Open {
    func: Function,
    /// The block that takes instructions.
    block: Option<Block>,
    placed: SecondaryMap<Block, bool>,
}

#[derive(Default)]
struct Reader {
    refs: Refs,
    functions: Vec<Function>,
    open: Option<Open>,
}

impl Reader {
    fn line(&mut self, line: &mut Line<'_>) -> Result<()> {
        if line.is_end() {
            return Ok(());
        }
        let Some(mut open) = self.open.take() else {
            self.open = Some(self.head(line)?);
            return line.end();
        };
        if line.eat("}") {
            line.end()?;
            self.functions.push(open.func);
            return Ok(());
        }
        if line.rest().starts_with("block") {
            block(&mut open, line)?;
        } else {
            match open.block {
                None => self.declaration(&mut open.func, line)?,
                Some(block) => self.instruction(&mut open.func, block, line)?,
            }
        }
        self.open = Some(open);
        line.end()
    }

    /// `function %name(…) {`
    fn head(&self, line: &mut Line<'_>) -> Result<Open> {
        line.expect("function")?;
        let Signature { name, params } = signature(line)?;
        line.expect("{")?;
        let func = Function::with_params(name, params);
        Ok(Open { func, block: None, placed: SecondaryMap::new() })
    }

    /// `fd0 = …`
    fn declaration(&mut self, func: &mut Function, line: &mut Line<'_>) -> Result<()> {
        let start = line.at;
        let prefix: String = line.rest().chars().take_while(char::is_ascii_alphabetic).collect();
        if !["fd", "en", "ty", "ks", "fn", "gl", "map", "ss"].contains(&prefix.as_str()) {
            return line.error("neither a declaration nor a block");
        }
        let index = line.index(&prefix)? as usize;
        line.expect("=")?;
        let refs = &mut self.refs;
        let count = match prefix.as_str() {
            "fd" => {
                let (container, path) = member(line)?;
                refs.fields.push(Field { container, path });
                refs.fields.len()
            }
            "en" => {
                line.expect("enum")?;
                let (enumeration, name) = member(line)?;
                refs.enums.push(Enumerator { enumeration, name });
                refs.enums.len()
            }
            "ty" => {
                line.expect("type")?;
                refs.types.push(line.name()?.into());
                refs.types.len()
            }
            "ks" => {
                line.expect("ksym")?;
                refs.ksyms.push(line.name()?.into());
                refs.ksyms.len()
            }
            "fn" => {
                line.expect("function")?;
                refs.functions.push(signature(line)?);
                refs.functions.len()
            }
            "map" => {
                refs.maps.push(map(line)?);
                refs.maps.len()
            }
            "gl" => {
                refs.globals.push(global(line)?);
                refs.globals.len()
            }
            _ => {
                line.expect("stack")?;
                func.slots.push(SlotData { size: line.number()? });
                func.slots.len()
            }
        };
        if count != index + 1 {
            return line.error_at(start, format!("the next one is {prefix}{}", count - 1));
        }
        Ok(())
    }

    /// `v1: ptr = load64 v0+8`
    fn instruction(&self, func: &mut Function, block: Block, line: &mut Line<'_>) -> Result<()> {
        let mut result = None;
        if is_reference(line.rest(), "v") {
            let value = value(func, line)?;
            let pointer = pointer_mark(line)?;
            line.expect("=")?;
            result = Some((value, pointer));
        }
        line.space();
        let start = line.at;
        let data = self.data(func, line)?;
        let inst = func.insts.push(data);
        if let Some((value, pointer)) = result {
            let ty = if pointer { Some(Type::Ptr) } else { func.result_type(&func.insts[inst]) };
            match ty {
                Some(ty) => func.values[value] = ty,
                None => return line.error_at(start, "the operation has no result"),
            }
            func.set_result(inst, value);
        }
        func.blocks[block].insts.push(inst);
        Ok(())
    }

    /// An instruction without its result, by the row of its opcode.
    fn data(&self, func: &mut Function, line: &mut Line<'_>) -> Result<InstData> {
        line.space();
        let start = line.at;
        let word = line.word();
        let named = Opcode::ALL.iter().find_map(|opcode| Some((*opcode, in_name(*opcode, word)?)));
        let Some((opcode, mut parts)) = named else {
            return line.error_at(start, format!("`{word}` is no operation"));
        };
        let opcode = if word == CALL { self.called(line) } else { opcode };
        let mut kinds = opcode.row().operands.iter().copied().skip(parts.len()).peekable();
        let mut first = true;
        while let Some(kind) = kinds.next() {
            match kind {
                Kind::Condition | Kind::Arguments | Kind::Byte => {}
                Kind::Object => {
                    let object = if line.eat(",") { Some(value(func, line)?) } else { None };
                    parts.push(Part::Object(object));
                    continue;
                }
                _ if first => first = false,
                _ => line.expect(",")?,
            }
            if kind == Kind::Pointer && kinds.next_if_eq(&Kind::Offset).is_some() {
                let (ptr, offset) = address(func, line)?;
                parts.extend([Part::Value(ptr), Part::I32(offset)]);
            } else {
                parts.push(self.part(kind, func, line)?);
            }
        }
        match opcode.build(parts) {
            Some(data) => Ok(data),
            None => line.error_at(start, format!("`{word}` has other operands")),
        }
    }

    /// Which of the opcodes named `call` it is, by the callee that comes next.
    fn called(&self, line: &mut Line<'_>) -> Opcode {
        line.space();
        let before = line.at;
        let name = line.word();
        line.at = before;
        if is_reference(name, "fn") {
            Opcode::CallFunc
        } else if KfuncId::by_name(name).is_some() {
            Opcode::Call
        } else {
            Opcode::CallHelper
        }
    }

    /// An operand that stands by itself.
    fn part(&self, kind: Kind, func: &mut Function, line: &mut Line<'_>) -> Result<Part<'static>> {
        let refs = &self.refs;
        line.space();
        let start = line.at;
        Ok(match kind {
            Kind::Operator | Kind::Width | Kind::Fact | Kind::Offset | Kind::Object => {
                return line.error("an operand of the name stands here");
            }
            Kind::Condition => {
                let word = line.word();
                let cond = Cond::ALL.iter().find(|cond| format!("{cond:?}").eq_ignore_ascii_case(word));
                match cond {
                    Some(cond) => Part::Cond(*cond),
                    None => return line.error_at(start, format!("`{word}` is no condition")),
                }
            }
            Kind::Constant => Part::I64(line.number()?),
            Kind::Word | Kind::Parameter | Kind::Point => Part::U32(line.number()?),
            Kind::Byte => {
                line.expect("+")?;
                Part::U32(line.number()?)
            }
            Kind::Pointer | Kind::Number | Kind::Compared => Part::Value(value(func, line)?),
            Kind::NumberOrImm | Kind::Stored | Kind::ComparedWith => Part::Operand(operand(func, line)?),
            Kind::Field => Part::Field(declared(line, "fd", &refs.fields)?),
            Kind::Enumerator => Part::Enumerator(declared(line, "en", &refs.enums)?),
            Kind::Type => Part::Type(declared(line, "ty", &refs.types)?),
            Kind::Ksym => Part::Ksym(declared(line, "ks", &refs.ksyms)?),
            Kind::Slot => Part::Slot(declared(line, "ss", &func.slots)?),
            Kind::Map => Part::Map(declared(line, "map", &refs.maps)?),
            Kind::Function => Part::Function(declared(line, "fn", &refs.functions)?),
            Kind::Global => {
                // Its number ends where the byte begins.
                let plus = line.rest().find('+').unwrap_or(0);
                let mut name = Line { text: line.text.get(..line.at + plus).unwrap_or(""), ..*line };
                let global = declared(&mut name, "gl", &refs.globals)?;
                line.at = name.at;
                Part::Global(global)
            }
            Kind::Kfunc => {
                let name = line.word();
                match KfuncId::by_name(name) {
                    Some(kfunc) => Part::Kfunc(kfunc),
                    None => return line.error_at(start, format!("there is no function `{name}`")),
                }
            }
            Kind::Helper => {
                let name = line.word();
                match helpers::ALL.iter().find(|helper| helper.name == name) {
                    Some(helper) => Part::Helper(*helper),
                    None => return line.error_at(start, format!("there is no function `{name}`")),
                }
            }
            Kind::Arguments => Part::Arguments(arguments(func, line)?.into()),
            Kind::Target => Part::Target(Cow::Owned(target(func, line)?)),
        })
    }
}

/// The name that three opcodes share.
const CALL: &str = "call";

/// The operands that an instruction's name tells, if the name is that of the opcode.
fn in_name(opcode: Opcode, word: &str) -> Option<Vec<Part<'static>>> {
    let row = opcode.row();
    let rest = word.strip_prefix(row.name)?;
    let part = match row.operands.first() {
        Some(Kind::Operator) => {
            Part::BinOp(*BinOp::ALL.iter().find(|op| format!("{op:?}").eq_ignore_ascii_case(rest))?)
        }
        Some(Kind::Width) => {
            Part::Size(*Size::ALL.iter().find(|size| (size.bytes() * 8).to_string() == rest)?)
        }
        Some(Kind::Fact) => Part::Fact(*FieldFact::ALL.iter().find(|fact| fact.spelling() == rest)?),
        _ => return rest.is_empty().then(Vec::new),
    };
    Some(vec![part])
}

/// `block1(v3, v4: ptr):`
fn block(open: &mut Open, line: &mut Line<'_>) -> Result<()> {
    let start = line.at;
    let block = block_ref(&mut open.func, line)?;
    if core::mem::replace(&mut open.placed[block], true) {
        return line.error_at(start, format!("{block} is there already"));
    }
    if line.eat("(") {
        loop {
            let param = value(&mut open.func, line)?;
            let ty = if pointer_mark(line)? { Type::Ptr } else { Type::I64 };
            open.func.values[param] = ty;
            open.func.add_param(block, param);
            if !line.eat(",") {
                break;
            }
        }
        line.expect(")")?;
    }
    open.func.layout.push(block);
    open.block = Some(block);
    line.expect(":")
}

fn signature(line: &mut Line<'_>) -> Result<Signature> {
    line.expect("%")?;
    let name = line.name()?.to_owned();
    let mut params = Vec::new();
    if line.eat("(") {
        loop {
            line.space();
            let start = line.at;
            params.push(match line.word() {
                "number" => Param::Number,
                "ptr" => Param::Trusted(line.name()?.to_owned()),
                word => return line.error_at(start, format!("`{word}` is no kind of parameter")),
            });
            if params.len() > MAX_PARAMS {
                return line.error_at(start, format!("a function has at most {MAX_PARAMS} parameters"));
            }
            if !line.eat(",") {
                break;
            }
        }
        line.expect(")")?;
    }
    Ok(Signature { name, params })
}

/// `mm_struct.rss_stat[1].count`
fn member(line: &mut Line<'_>) -> Result<(String, String)> {
    let name = line.name()?;
    match name.split_once('.') {
        Some((container, path)) => Ok((container.to_owned(), path.to_owned())),
        None => line.error("a name with a `.` should stand here"),
    }
}

/// `.bss.stats stats, 16 bytes { invocations kills }`
fn global(line: &mut Line<'_>) -> Result<GlobalData> {
    let section = line.name()?.to_owned();
    let name = line.name()?.to_owned();
    line.expect(",")?;
    let size: u32 = line.number()?;
    if size > MAX_NUMBER {
        return line.error(format!("a global has at most {MAX_NUMBER} bytes"));
    }
    line.expect("bytes")?;
    let read_only = line.eat("read-only");
    let members = if line.eat("{") { names(line)? } else { Vec::new() };
    let mut data = vec![0; size as usize];
    if line.rest().trim_start().starts_with('"') {
        let text = line.quoted()?;
        if text.len() != data.len() {
            return line.error(format!("the text has {} bytes, not {size}", text.len()));
        }
        data = text;
    }
    Ok(GlobalData { name, section, members, data, read_only })
}

/// Names up to a `}`.
fn names(line: &mut Line<'_>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    while !line.eat("}") {
        names.push(line.name()?.to_owned());
    }
    Ok(names)
}

/// `hash labels, 100 key { cgroup label } value { number }`
fn map(line: &mut Line<'_>) -> Result<MapData> {
    line.space();
    let start = line.at;
    let word = line.word();
    let Some(&kind) = MapKind::ALL.iter().find(|kind| kind.spelling() == word) else {
        return line.error_at(start, format!("`{word}` is no kind of map"));
    };
    let name = line.name()?.to_owned();
    line.expect(",")?;
    let max_entries = line.number()?;
    let (mut key, mut value, mut value_bytes) = (Vec::new(), Vec::new(), 0);
    if line.eat("key") {
        line.expect("{")?;
        key = names(line)?;
    }
    if line.eat("value") {
        if line.eat("{") {
            value = names(line)?;
        } else {
            value_bytes = line.number()?;
        }
    }
    Ok(MapData { name, kind, key, value, value_bytes, max_entries })
}

/// Whether a text begins with a reference of this kind.
fn is_reference(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Whether `: ptr` comes next.
fn pointer_mark(line: &mut Line<'_>) -> Result<bool> {
    let marked = line.eat(":");
    if marked {
        line.expect("ptr")?;
    }
    Ok(marked)
}

/// A reference to something declared before.
fn declared<K: EntityRef, V>(line: &mut Line<'_>, prefix: &str, map: &PrimaryMap<K, V>) -> Result<K> {
    line.space();
    let start = line.at;
    let index = line.index(prefix)? as usize;
    if index >= map.len() {
        return line.error_at(start, format!("{prefix}{index} is not declared"));
    }
    Ok(K::new(index))
}

fn value(func: &mut Function, line: &mut Line<'_>) -> Result<Value> {
    let index = line.index("v")?;
    Ok(value_of(func, index))
}

/// A value by its number; its type is known when its definition has been read.
fn value_of(func: &mut Function, index: u32) -> Value {
    while func.values.len() <= index as usize {
        func.values.push(Type::I64);
    }
    Value::from_u32(index)
}

fn block_ref(func: &mut Function, line: &mut Line<'_>) -> Result<Block> {
    let index = line.index("block")?;
    while func.blocks.len() <= index as usize {
        func.blocks.push(BlockData::default());
    }
    Ok(Block::from_u32(index))
}

fn operand(func: &mut Function, line: &mut Line<'_>) -> Result<Operand> {
    line.space();
    if is_reference(line.rest(), "v") {
        return Ok(Operand::Value(value(func, line)?));
    }
    Ok(Operand::Imm(line.number()?))
}

/// `v3+8`
fn address(func: &mut Function, line: &mut Line<'_>) -> Result<(Value, i32)> {
    line.space();
    let start = line.at;
    let word = line.word();
    let sign = word.find(['+', '-']).unwrap_or(word.len());
    let (index, offset) = word.split_at(sign);
    let index = index.strip_prefix('v').and_then(|index| index.parse::<u32>().ok());
    match (index, offset.parse::<i32>()) {
        (Some(index), Ok(offset)) if index <= MAX_NUMBER => Ok((value_of(func, index), offset)),
        _ => line.error_at(start, format!("`{word}` is no address")),
    }
}

fn arguments(func: &mut Function, line: &mut Line<'_>) -> Result<Vec<Value>> {
    line.expect("(")?;
    let mut args = Vec::new();
    if line.eat(")") {
        return Ok(args);
    }
    loop {
        args.push(value(func, line)?);
        if !line.eat(",") {
            break;
        }
    }
    line.expect(")")?;
    Ok(args)
}

fn target(func: &mut Function, line: &mut Line<'_>) -> Result<BlockCall> {
    let block = block_ref(func, line)?;
    let args = if line.rest().starts_with('(') { arguments(func, line)? } else { Vec::new() };
    Ok(BlockCall { block, args: args.into() })
}
