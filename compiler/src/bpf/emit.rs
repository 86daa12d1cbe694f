//! From allocated blocks to code: order of the blocks, jumps, relocations, source positions.

use super::insn::{Insn, Reg, Src, Width};
use super::limits::{self, Error};
use super::regalloc::{Allocated, End, Placed};
use super::{CoreReloc, LinePosition, Program, Reloc};
use crate::ir::Cond;
use crate::source::{Source, Span};

/// Emits the code of a function; block 0 is the entry.
///
/// # Errors
/// More instructions than the kernel takes.
pub fn emit(name: &str, blocks: &[Allocated], source: &Source) -> Result<Program, Error> {
    let ends = thread(blocks);
    let order = layout(&ends);
    let mut items = items(blocks, &ends, &order);
    let starts = relax(&mut items, blocks.len());
    let length = items.iter().map(|item| item.places() as usize).sum();
    limits::check_instructions(length)?;
    let code = Vec::with_capacity(length);
    let mut program = Program { name: name.into(), code, ..Program::default() };
    let mut lines = Lines { source, last: None };
    for item in &items {
        let at = program.code.len() as u32;
        lines.position(item.span(), at, &mut program);
        item.encode(at, &starts, &mut program)?;
    }
    Ok(program)
}

/// The end of each block, led past blocks that only jump on.
fn thread(blocks: &[Allocated]) -> Vec<End> {
    let last = |mut at: usize| {
        // As many steps as blocks: an empty loop stays one.
        for _ in 0..blocks.len() {
            match &blocks[at] {
                Allocated { body, end: End::Jump(to), .. } if body.is_empty() => at = *to,
                _ => break,
            }
        }
        at
    };
    let end = |block: &Allocated| match block.end {
        End::Jump(to) => End::Jump(last(to)),
        End::Branch { cond, width, a, b, then, otherwise } => {
            let (then, otherwise) = (last(then), last(otherwise));
            if then == otherwise {
                End::Jump(then)
            } else {
                End::Branch { cond, width, a, b, then, otherwise }
            }
        }
        End::Exit => End::Exit,
    };
    blocks.iter().map(end).collect()
}

/// The order of the blocks: each is followed by the target of its jump, if that has no place yet.
fn layout(ends: &[End]) -> Vec<usize> {
    let mut placed = vec![false; ends.len()];
    let mut reachable = vec![false; ends.len()];
    let mut stack = vec![0];
    while let Some(block) = stack.pop() {
        if block < ends.len() && !core::mem::replace(&mut reachable[block], true) {
            stack.extend(ends[block].targets());
        }
    }
    let mut order = Vec::new();
    for first in 0..ends.len() {
        let mut next = Some(first).filter(|first| reachable[*first] && !placed[*first]);
        while let Some(block) = next {
            placed[block] = true;
            order.push(block);
            // The nearest in the original order, which is the author's.
            next = ends[block]
                .targets()
                .filter(|to| !placed[*to])
                .min_by_key(|to| if *to > block { *to - block } else { usize::MAX });
        }
    }
    order
}

/// A piece of code whose length is known once the distances are.
enum Item<'a> {
    /// Where a block starts.
    Start(usize),
    Plain(&'a Placed),
    Exit(Span),
    /// `if a cond b goto block`
    If {
        cond: Cond,
        width: Width,
        a: Reg,
        b: Src<Reg>,
        to: usize,
        far: bool,
        span: Span,
    },
    /// `goto block`
    Goto {
        to: usize,
        far: bool,
        span: Span,
    },
}

fn items<'a>(blocks: &'a [Allocated], ends: &[End], order: &[usize]) -> Vec<Item<'a>> {
    let mut items = Vec::new();
    for (at, &number) in order.iter().enumerate() {
        let block = &blocks[number];
        let next = order.get(at + 1).copied();
        let span = block.end_span;
        items.push(Item::Start(number));
        items.extend(block.body.iter().map(Item::Plain));
        let goto = |to| Item::Goto { to, far: false, span };
        match ends[number] {
            End::Exit => items.push(Item::Exit(span)),
            End::Jump(to) if next == Some(to) => {}
            End::Jump(to) => items.push(goto(to)),
            End::Branch { cond, width, a, b, then, otherwise } => {
                let jump = |cond, to| Item::If { cond, width, a, b, to, far: false, span };
                match cond.inverse() {
                    _ if next == Some(otherwise) => items.push(jump(cond, then)),
                    Some(inverse) if next == Some(then) => items.push(jump(inverse, otherwise)),
                    _ => items.extend([jump(cond, then), goto(otherwise)]),
                }
            }
        }
    }
    items
}

/// Makes jumps long until every offset fits; gives the place where each block starts.
fn relax(items: &mut [Item<'_>], blocks: usize) -> Vec<i64> {
    loop {
        let mut starts = vec![0; blocks];
        let mut at = 0;
        for item in items.iter() {
            if let Item::Start(block) = item {
                starts[*block] = at;
            }
            at += i64::from(item.places());
        }
        let (mut at, mut changed) = (0, false);
        for item in items.iter_mut() {
            if let Item::If { to, far, .. } | Item::Goto { to, far, .. } = item
                && !*far
                && i16::try_from(starts[*to] - at - 1).is_err()
            {
                // Making it long moves all that follows; the next round measures again.
                (*far, changed) = (true, true);
            }
            at += i64::from(item.places());
        }
        if !changed {
            return starts;
        }
    }
}

impl Item<'_> {
    fn span(&self) -> Span {
        match self {
            Self::Start(_) => Span::default(),
            Self::Plain(placed) => placed.span,
            Self::Exit(span) | Self::If { span, .. } | Self::Goto { span, .. } => *span,
        }
    }

    fn places(&self) -> u32 {
        match self {
            Self::Start(_) => 0,
            Self::Plain(placed) => placed.insn.places(),
            Self::If { far: true, cond, .. } if cond.inverse().is_none() => 3,
            Self::If { far: true, .. } => 2,
            Self::Exit(_) | Self::If { .. } | Self::Goto { .. } => 1,
        }
    }

    fn encode(&self, at: u32, starts: &[i64], program: &mut Program) -> Result<(), Error> {
        let distance = |to: usize, from: u32| match starts.get(to) {
            Some(start) => Ok(start - i64::from(from) - 1),
            None => Err(Error::Internal("a jump leads to no block")),
        };
        let near = |to, from| {
            distance(to, from).and_then(|off| i16::try_from(off).map_err(|_| Error::Offset { offset: off }))
        };
        let far = |to, from| {
            distance(to, from).and_then(|off| i32::try_from(off).map_err(|_| Error::Offset { offset: off }))
        };
        let mut push = |insn: Insn| {
            let (first, second) = insn.encode();
            program.code.extend(core::iter::once(first).chain(second));
        };
        match *self {
            Self::Start(_) => {}
            Self::Exit(_) => push(Insn::Exit),
            Self::Plain(placed) => {
                push(placed.insn);
                program.relocs.extend(placed.reloc.map(|target| Reloc { insn: at, target }));
                program.core.extend(placed.core.map(|kind| CoreReloc { insn: at, kind }));
            }
            Self::Goto { to, far: false, .. } => push(Insn::Jump { off: near(to, at)? }),
            Self::Goto { to, far: true, .. } => push(Insn::JumpLong { off: far(to, at)? }),
            Self::If { cond, width, a, b, to, far: false, .. } => {
                push(Insn::JumpIf { cond, width, a, b, off: near(to, at)? });
            }
            Self::If { cond, width, a, b, to, far: true, .. } => match cond.inverse() {
                Some(cond) => {
                    push(Insn::JumpIf { cond, width, a, b, off: 1 });
                    push(Insn::JumpLong { off: far(to, at + 1)? });
                }
                None => {
                    push(Insn::JumpIf { cond, width, a, b, off: 1 });
                    push(Insn::Jump { off: 1 });
                    push(Insn::JumpLong { off: far(to, at + 2)? });
                }
            },
        }
        Ok(())
    }
}

/// Records a position wherever the line changes.
struct Lines<'a> {
    source: &'a Source,
    last: Option<u32>,
}

impl Lines<'_> {
    fn position(&mut self, span: Span, insn: u32, program: &mut Program) {
        // An instruction of the frame, not of the policy's text, belongs to the line before it. The first
        // instruction must have a position, or the kernel refuses the program.
        if span == Span::default() && self.last.is_some() {
            return;
        }
        let (line, column) = self.source.line_column(span.start);
        if self.last == Some(line) {
            return;
        }
        // A block start has no instruction of its own.
        if program.lines.last().is_some_and(|last| last.insn == insn) {
            program.lines.pop();
        }
        self.last = Some(line);
        program.lines.push(LinePosition { insn, line, column });
    }
}
