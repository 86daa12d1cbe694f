//! Paths of cgroups, put together in the scratch value from the root down.
//!
//! A node knows its parent only, so names and ids are collected on the way up first. An index into them comes from
//! memory: it is compared with a constant and used at once, or the verifier would not know its range.

use oomc_abi::record::at;
use oomc_abi::{helpers, members, shapes};

use super::Read;
use super::text::{NAME_SIZE, PATH_SIZE, Text};
use crate::ir::{BinOp, Block, Cond, InstData, Operand, Size, Type, Value};
use crate::lower::emit::{Cell, Walks, imm};

/// Levels of the tree that a path can have; a deeper one is missing.
const MAX_LEVELS: i32 = 64;

/// Id of the root cgroup: the inode number of the mount (`kernfs_create_root()`, fs/kernfs/dir.c, 6.12).
const ROOT_ID: i64 = 1;

/// A path that is being put together.
#[derive(Clone, Copy, Debug)]
struct ComposedPath {
    /// The text so far.
    area: Cell,
    /// Where it ends.
    at: Cell,
    /// As in [`Text`].
    relative: Cell,
    /// How many levels are collected and not yet written: the next one is the last that was collected.
    levels: Cell,
    /// Where the name of each level lies in the kernel.
    names: Cell,
    ids: Cell,
}

impl Read<'_> {
    /// Puts a path together: `/a/b`, or `/` for the root.
    pub(super) fn compose_path(&mut self, node: Value, text: Text, missing: Block) {
        let Some(relative) = text.relative else {
            self.broken("a path has no cell for its relative part");
            return;
        };
        let (levels, at) = (self.cell(), self.cell());
        let (names, ids) = (self.area(MAX_LEVELS as u32 * 8), self.area(MAX_LEVELS as u32 * 8));
        let path = ComposedPath { area: text.area, at, relative, levels, names, ids };
        self.collect_levels(path, node, missing);
        self.begin_path(path);
        let failed = self.cell();
        self.put_imm(failed, 0);
        self.walk_numbers(MAX_LEVELS, |s, walk| {
            let left = s.get(levels);
            s.leave_if(Cond::Eq, left, imm(0), walk.done);
            let left = s.bin_imm(BinOp::Sub, left, 1);
            s.put(levels, left);
            let lost = s.b.create_block();
            s.append_level(path, lost);
            s.b.jump(walk.next, &[]);
            s.b.switch_to(lost);
            s.put_imm(failed, 1);
            s.b.jump(walk.done, &[]);
        });
        self.missing_if(failed, missing);
    }

    /// Collects the levels of a path from its node up to the root; missing if there are too many.
    fn collect_levels(&mut self, path: ComposedPath, node: Value, missing: Block) {
        let reached_root = self.cell();
        self.put_imm(path.levels, 0);
        self.put_imm(reached_root, 0);
        self.walk_numbers_with(MAX_LEVELS, &[node], |s, walk| {
            let node = s.only(&walk.carried);
            let (root, below) = (s.b.create_block(), s.b.create_block());
            let parent = s.shaped_pointer(node, &shapes::NODE_PARENT);
            s.b.branch(Cond::Eq, parent, imm(0), root, below);
            s.b.switch_to(root);
            s.put_imm(reached_root, 1);
            s.b.jump(walk.done, &[node]);
            s.b.switch_to(below);
            let over = s.b.create_block();
            let offset = s.level_offset(path, over);
            let name = s.pointer(node, members::NODE_NAME);
            let id = s.field(node, members::NODE_ID);
            for (area, value) in [(path.names, name), (path.ids, id)] {
                let slot = s.inside(area, offset);
                s.store_at(slot, 0, value);
            }
            s.bump(path.levels);
            s.b.jump(walk.next, &[parent]);
            s.b.switch_to(over);
            s.b.jump(walk.done, &[node]);
        });
        let reached = self.get(reached_root);
        self.leave_if(Cond::Eq, reached, imm(0), missing);
    }

    /// Where the name and the id of the present level lie in their areas; leaves to `over` if there is no room for
    /// them. The index comes from memory, is compared with a constant, and is used at once.
    fn level_offset(&mut self, path: ComposedPath, over: Block) -> Value {
        let index = self.get(path.levels);
        self.leave_if(Cond::Uge, index, imm(i64::from(MAX_LEVELS)), over);
        self.bin_imm(BinOp::Shl, index, 3)
    }

    /// The path of the root, to which the levels are appended.
    fn begin_path(&mut self, path: ComposedPath) {
        // The attached cgroup may be the root, of which every path is relative.
        let attached = self.noted(at::ATTACHED);
        self.put_imm(path.relative, -1);
        let (is_root, below) = (self.b.create_block(), self.b.create_block());
        self.b.branch(Cond::Eq, attached, imm(ROOT_ID), is_root, below);
        self.b.switch_to(is_root);
        self.put_imm(path.relative, 1);
        self.b.jump(below, &[]);
        self.b.switch_to(below);
        self.put_imm(path.at, 0);
        let start = self.area_addr(path.area);
        self.store_byte(start, 0, b'/');
        self.store_byte(start, 1, 0);
    }

    /// Appends the present level: a `/` and its name. Leaves to `lost` if there is no room, or no name.
    fn append_level(&mut self, path: ComposedPath, lost: Block) {
        let offset = self.level_offset(path, lost);
        let name = self.inside(path.names, offset);
        let name = self.b.value(InstData::Load { size: Size::B8, ptr: name, offset: 0 }, Type::Ptr);
        let id = self.inside(path.ids, offset);
        let id = self.load(Size::B8, id, 0);
        // Room for the `/`, the longest name and its end.
        let room = i64::from(PATH_SIZE - NAME_SIZE - 2);
        let here = self.get(path.at);
        self.leave_if(Cond::Ugt, here, imm(room), lost);
        let to = self.inside(path.area, here);
        self.store_byte(to, 0, b'/');
        let here = self.get(path.at);
        let here = self.bin_imm(BinOp::Add, here, 1);
        self.put(path.at, here);
        let here = self.get(path.at);
        self.leave_if(Cond::Ugt, here, imm(room + 1), lost);
        let to = self.inside(path.area, here);
        let size = self.int(i64::from(NAME_SIZE));
        let copied = self.helper(helpers::PROBE_READ_KERNEL_STR, &[to, size, name]);
        self.leave_if(Cond::Sle, copied, imm(0), lost);
        let here = self.get(path.at);
        let here = self.bin(BinOp::Add, here, copied);
        // Its end is overwritten by the next `/`.
        let here = self.bin_imm(BinOp::Sub, here, 1);
        self.put(path.at, here);
        self.note_relative(path, id);
    }

    /// Notes where the path is relative, if the level that was appended is the attached cgroup: behind the `/` that
    /// follows; of the attached cgroup itself, the empty text at its end.
    fn note_relative(&mut self, path: ComposedPath, id: Value) {
        let (found, go_on) = (self.b.create_block(), self.b.create_block());
        let attached = self.noted(at::ATTACHED);
        self.b.branch(Cond::Eq, id, Operand::Value(attached), found, go_on);
        self.b.switch_to(found);
        let here = self.get(path.at);
        let last = self.get(path.levels);
        let (own, below) = (self.b.create_block(), self.b.create_block());
        self.b.branch(Cond::Eq, last, imm(0), own, below);
        self.b.switch_to(own);
        self.put(path.relative, here);
        self.b.jump(go_on, &[]);
        self.b.switch_to(below);
        let behind = self.bin_imm(BinOp::Add, here, 1);
        self.put(path.relative, behind);
        self.b.jump(go_on, &[]);
        self.b.switch_to(go_on);
    }

    fn store_byte(&mut self, ptr: Value, offset: i32, byte: u8) {
        let value = Operand::Imm(i32::from(byte));
        self.b.effect(InstData::Store { size: Size::B1, ptr, offset, value });
    }
}
