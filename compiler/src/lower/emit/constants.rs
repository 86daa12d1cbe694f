//! Constants that code points to: strings for the kernel, and tables that text is compared by.
//!
//! All lie in one read-only global, which is as long as what was asked for.

use super::Emit;
use super::cells::bytes;
use crate::ir::{Global, GlobalData, InstData, Type, Value};

impl Emit<'_> {
    /// The global of constant strings.
    fn strings(&mut self) -> Global {
        match self.globals.strings {
            Some(global) => global,
            None => {
                let name = format!("{}strings", self.target.row().prefix);
                let data = GlobalData { read_only: true, ..bytes(&name, ".rodata", Vec::new()) };
                let global = self.b.func.refs_mut().globals.push(data);
                self.globals.strings = Some(global);
                global
            }
        }
    }

    /// Constant bytes, filled up with zeros to a size; [`Self::bytes_address`] finds them.
    pub(in crate::lower) fn bytes_constant(&mut self, text: &[u8], size: u32) -> u32 {
        let offset = self.globals.string_bytes.len().next_multiple_of(8) as u32;
        self.strings();
        self.globals.string_bytes.resize(offset as usize, 0);
        self.globals.string_bytes.extend_from_slice(text);
        self.globals.string_bytes.resize((offset + size) as usize, 0);
        offset
    }

    /// The address of constant bytes.
    pub(in crate::lower) fn bytes_address(&mut self, offset: u32) -> Value {
        let global = self.strings();
        self.b.value(InstData::GlobalAddr { global, offset }, Type::Ptr)
    }

    /// The address of a constant string. A kfunc's `__str` argument has to lie in a frozen, read-only map.
    pub(in crate::lower) fn string(&mut self, text: &str) -> Value {
        let global = self.strings();
        let offset = match self.globals.string_offsets.get(text) {
            Some(offset) => *offset,
            None => {
                let offset = self.globals.string_bytes.len() as u32;
                self.globals.string_bytes.extend_from_slice(text.as_bytes());
                self.globals.string_bytes.push(0);
                self.globals.string_offsets.insert(text.to_owned(), offset);
                offset
            }
        };
        self.b.value(InstData::GlobalAddr { global, offset }, Type::Ptr)
    }
}
