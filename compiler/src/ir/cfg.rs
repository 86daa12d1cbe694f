//! The control-flow graph of a function: who jumps where, in which order, who dominates whom.
//!
//! A snapshot: recompute it after blocks or terminators change.

use cranelift_entity::SecondaryMap;
use cranelift_entity::packed_option::ReservedValue as _;

use super::{Block, Function};

/// Predecessors and reverse postorder.
#[derive(Debug, Default)]
pub struct Cfg {
    postorder: Vec<Block>,
    /// Position in reverse postorder, from 1; 0 is unreachable.
    position: SecondaryMap<Block, usize>,
    /// The predecessors of all blocks, and where those of each block lie in this list.
    preds: Vec<Block>,
    ranges: SecondaryMap<Block, (usize, usize)>,
}

impl Cfg {
    /// Analyses a function whose blocks all end in a terminator.
    #[must_use]
    pub fn new(func: &Function) -> Self {
        let mut cfg = Self { postorder: postorder(func), ..Self::default() };
        let count = cfg.postorder.len();
        for (index, block) in cfg.postorder.iter().enumerate() {
            cfg.position[*block] = count - index;
        }
        cfg.find_predecessors(func);
        cfg
    }

    fn find_predecessors(&mut self, func: &Function) {
        for &block in &self.postorder {
            successors(func, block).for_each(|succ| self.ranges[succ].1 += 1);
        }
        let mut end = 0;
        for &block in &self.postorder {
            let (start, count) = (end, self.ranges[block].1);
            end += count;
            // Filled below, from the start.
            self.ranges[block] = (start, start);
        }
        self.preds = vec![Block::reserved_value(); end];
        for &block in &self.postorder {
            for succ in successors(func, block) {
                let (_, end) = &mut self.ranges[succ];
                self.preds[*end] = block;
                *end += 1;
            }
        }
    }

    /// The blocks that jump here, one entry for each edge.
    #[must_use]
    pub fn predecessors(&self, block: Block) -> &[Block] {
        let (start, end) = self.ranges[block];
        &self.preds[start..end]
    }

    /// Whether the entry leads here.
    #[must_use]
    pub fn is_reachable(&self, block: Block) -> bool {
        self.position[block] != 0
    }

    /// The reachable blocks in the order of the layout.
    pub fn reachable<'a>(&'a self, func: &'a Function) -> impl Iterator<Item = Block> + 'a {
        func.layout.iter().copied().filter(|block| self.is_reachable(*block))
    }

    /// The reachable blocks, each before those it dominates.
    pub fn reverse_postorder(&self) -> impl Iterator<Item = Block> + '_ {
        self.postorder.iter().rev().copied()
    }
}

/// The reachable blocks, each behind those that it leads to, as far as there are no loops.
#[must_use]
pub fn postorder(func: &Function) -> Vec<Block> {
    let mut order = Vec::with_capacity(func.layout.len());
    let Some(entry) = func.entry() else { return order };
    let mut seen: SecondaryMap<Block, bool> = SecondaryMap::with_capacity(func.blocks.len());
    let mut stack = vec![(entry, successors(func, entry))];
    seen[entry] = true;
    while let Some((block, rest)) = stack.last_mut() {
        let block = *block;
        // Successors are taken from the back: in reverse postorder, `then` comes before `otherwise`.
        match rest.next_back() {
            Some(succ) if !seen[succ] => {
                seen[succ] = true;
                stack.push((succ, successors(func, succ)));
            }
            Some(_) => {}
            None => {
                order.push(block);
                stack.pop();
            }
        }
    }
    order
}

/// Who dominates whom.
#[derive(Debug, Default)]
pub struct Dominators {
    idom: SecondaryMap<Block, Option<Block>>,
    /// When a walk over the tree of dominators enters and leaves a block.
    walk: SecondaryMap<Block, (u32, u32)>,
}

impl Dominators {
    /// Of a graph with this entry.
    #[must_use]
    pub fn new(cfg: &Cfg, entry: Block) -> Self {
        let mut dominators = Self::default();
        dominators.dominate(cfg, entry);
        dominators.number(cfg, entry);
        dominators
    }

    /// "A Simple, Fast Dominance Algorithm", Cooper, Harvey and Kennedy.
    fn dominate(&mut self, cfg: &Cfg, entry: Block) {
        self.idom[entry] = Some(entry);
        let mut changed = true;
        while changed {
            changed = false;
            for block in cfg.reverse_postorder().filter(|block| *block != entry) {
                let preds = cfg.predecessors(block).iter().copied();
                let known = preds.filter(|pred| self.idom[*pred].is_some());
                let idom = known.reduce(|a, b| self.intersect(cfg, a, b));
                if idom.is_some() && self.idom[block] != idom {
                    self.idom[block] = idom;
                    changed = true;
                }
            }
        }
    }

    fn number(&mut self, cfg: &Cfg, entry: Block) {
        let mut children: SecondaryMap<Block, Vec<Block>> = SecondaryMap::new();
        for &block in &cfg.postorder {
            if let Some(idom) = self.immediate_dominator(block) {
                children[idom].push(block);
            }
        }
        let mut clock = 1;
        self.walk[entry].0 = clock;
        let mut stack = vec![entry];
        while let Some(&block) = stack.last() {
            clock += 1;
            if let Some(child) = children[block].pop() {
                self.walk[child].0 = clock;
                stack.push(child);
            } else {
                self.walk[block].1 = clock;
                stack.pop();
            }
        }
    }

    fn intersect(&self, cfg: &Cfg, mut a: Block, mut b: Block) -> Block {
        while a != b {
            let deeper = if cfg.position[a] > cfg.position[b] { &mut a } else { &mut b };
            match self.idom[*deeper] {
                Some(up) if up != *deeper => *deeper = up,
                _ => return a.min(b),
            }
        }
        a
    }

    /// The closest block that every path to `block` goes through; none for the entry.
    #[must_use]
    pub fn immediate_dominator(&self, block: Block) -> Option<Block> {
        self.idom[block].filter(|idom| *idom != block)
    }

    /// Whether every path to `block` goes through `by`. A block dominates itself.
    #[must_use]
    pub fn dominates(&self, by: Block, block: Block) -> bool {
        let ((enter, leave), (inner_enter, inner_leave)) = (self.walk[by], self.walk[block]);
        enter != 0 && enter <= inner_enter && inner_leave <= leave
    }
}

/// The blocks a block may go to, one entry for each edge.
pub fn successors(func: &Function, block: Block) -> impl DoubleEndedIterator<Item = Block> + '_ {
    func.terminator(block).into_iter().flat_map(|last| last.targets().map(|call| call.block))
}
