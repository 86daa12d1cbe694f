//! Finds the joins in the bodies of iterator loops at which the dead is cleared, because many ways meet there.
//!
//! Takes the blocks of a function, says of each whether the ways that lead to it from the last place where the
//! verifier's states became equal are many. Knows which calls make an iterator go on; knows nothing of what
//! registers hold.

use super::clear_dead::is_next;
use super::regalloc::Allocated;

/// So many ways through one body are still cheap to follow: such a function stays as it is, short and fast.
const CHEAP: u64 = 2_000;

/// In any other function, so many ways may meet before the dead is cleared.
const FEW: u64 = 4;

/// Of each block, whether many ways meet at its start.
pub(super) fn joins_to_split(blocks: &[Allocated]) -> Vec<bool> {
    let body = Body::new(blocks);
    if body.joins_beyond(CHEAP).contains(&true) { body.joins_beyond(FEW) } else { vec![false; blocks.len()] }
}

/// Rounds of a loop that no iterator bounds: the verifier follows each of them, and each may leave the loop.
const ROUNDS: u64 = 5;

/// The blocks, in an order in which ways can be counted.
struct Body<'a> {
    blocks: &'a [Allocated],
    order: Vec<usize>,
    /// Where in the order a block stands.
    place: Vec<usize>,
    /// Whether an iterator goes on in a block: there the states become equal.
    goes_on: Vec<bool>,
    /// Whether a block lies in a loop of an iterator.
    looping: Vec<bool>,
    /// Whether a loop begins in a block that no iterator bounds.
    counted: Vec<bool>,
}

impl<'a> Body<'a> {
    fn new(blocks: &'a [Allocated]) -> Self {
        let order = reverse_postorder(blocks);
        let goes_on: Vec<bool> = blocks.iter().map(|block| block.body.iter().any(is_next)).collect();
        let looping = looping(blocks, &goes_on);
        let mut place = vec![usize::MAX; blocks.len()];
        order.iter().enumerate().for_each(|(at, number)| place[*number] = at);
        let mut counted = vec![false; blocks.len()];
        for &number in &order {
            for to in blocks[number].end.targets().filter(|to| place[*to] <= place[number]) {
                counted[to] = !goes_on[to];
            }
        }
        Self { blocks, order, place, goes_on, looping, counted }
    }

    /// The blocks at which more than so many ways meet, if ways become one there.
    fn joins_beyond(&self, many: u64) -> Vec<bool> {
        let mut ways = vec![0_u64; self.blocks.len()];
        let mut came = vec![0_usize; self.blocks.len()];
        let mut split = vec![false; self.blocks.len()];
        for &number in &self.order {
            // Outside of loops dead registers are not compared.
            if !self.looping[number] || came[number] == 0 {
                ways[number] = 1;
            } else if came[number] > 1 && ways[number] > many {
                split[number] = true;
                ways[number] = 1;
            }
            if self.looping[number] && self.counted[number] {
                ways[number] = ways[number].saturating_mul(ROUNDS);
            }
            let out = if self.goes_on[number] { 1 } else { ways[number] };
            for to in self.blocks[number].end.targets() {
                if self.place[to] > self.place[number] {
                    ways[to] = ways[to].saturating_add(out);
                    came[to] += 1;
                }
            }
        }
        split
    }
}

/// Of each block, whether it lies in a loop of an iterator: on a way from a `next` back to it.
fn looping(blocks: &[Allocated], goes_on: &[bool]) -> Vec<bool> {
    let mut looping = vec![false; blocks.len()];
    for component in components(blocks) {
        let iterates = component.iter().any(|number| goes_on[*number]);
        let cycle = match component.as_slice() {
            [only] => blocks[*only].end.targets().any(|to| to == *only),
            _ => true,
        };
        if iterates && cycle {
            component.into_iter().for_each(|number| looping[number] = true);
        }
    }
    looping
}

/// The strongly connected components ("Depth-First Search and Linear Graph Algorithms", Tarjan).
fn components(blocks: &[Allocated]) -> Vec<Vec<usize>> {
    const DONE: usize = usize::MAX;
    // When a block was reached, from 1, and the earliest block that it leads back to.
    let mut reached = vec![0; blocks.len()];
    let mut lowest = vec![0; blocks.len()];
    let (mut clock, mut open, mut components) = (0, Vec::new(), Vec::new());
    let mut work: Vec<(usize, Vec<usize>)> = Vec::new();
    for first in 0..blocks.len() {
        if reached[first] != 0 {
            continue;
        }
        work.push((first, blocks[first].end.targets().collect()));
        while let Some((number, rest)) = work.last_mut() {
            let number = *number;
            if reached[number] == 0 {
                clock += 1;
                (reached[number], lowest[number]) = (clock, clock);
                open.push(number);
            }
            match rest.pop() {
                Some(to) if reached[to] == 0 => work.push((to, blocks[to].end.targets().collect())),
                Some(to) if reached[to] != DONE => lowest[number] = lowest[number].min(lowest[to]),
                Some(_) => {}
                None => {
                    work.pop();
                    if let Some((before, _)) = work.last() {
                        lowest[*before] = lowest[*before].min(lowest[number]);
                    }
                    if lowest[number] == reached[number] {
                        let mut component = Vec::new();
                        while let Some(member) = open.pop() {
                            reached[member] = DONE;
                            component.push(member);
                            if member == number {
                                break;
                            }
                        }
                        components.push(component);
                    }
                }
            }
        }
    }
    components
}

fn reverse_postorder(blocks: &[Allocated]) -> Vec<usize> {
    let mut order = Vec::new();
    let mut seen = vec![false; blocks.len()];
    let mut work = vec![(0, false)];
    while let Some((number, done)) = work.pop() {
        if done {
            order.push(number);
        } else if number < blocks.len() && !core::mem::replace(&mut seen[number], true) {
            work.push((number, true));
            work.extend(blocks[number].end.targets().map(|to| (to, false)));
        }
    }
    order.reverse();
    order
}

#[cfg(test)]
mod tests {
    use oomc_abi::kfuncs;

    use super::{Allocated, joins_to_split};
    use crate::bpf::RelocTarget;
    use crate::bpf::insn::{Callee, Insn, Reg, Src, Width};
    use crate::bpf::regalloc::{End, Placed};
    use crate::ir::Cond;
    use crate::source::Span;

    fn block(body: Vec<Placed>, end: End) -> Allocated {
        Allocated { body, end, end_span: Span::default() }
    }

    fn branch(then: usize, otherwise: usize) -> End {
        let b = Src::Imm(0);
        End::Branch { cond: Cond::Eq, width: Width::W64, a: Reg::FRAME, b, then, otherwise }
    }

    /// A loop whose body is so many conditions, each with two ways that meet again.
    fn body_of(conditions: usize) -> Vec<Allocated> {
        let next = Placed {
            insn: Insn::Call(Callee::Unresolved),
            span: Span::default(),
            reloc: Some(RelocTarget::Kfunc(kfuncs::ITER_CSS_NEXT)),
            core: None,
        };
        let end = 1 + 3 * conditions;
        let mut blocks = vec![block(vec![next], branch(1, end + 1))];
        for at in (1..end).step_by(3) {
            blocks.push(block(Vec::new(), branch(at + 1, at + 2)));
            blocks.extend([0, 1].map(|_| block(Vec::new(), End::Jump(at + 3))));
        }
        blocks.extend([block(Vec::new(), End::Jump(0)), block(Vec::new(), End::Exit)]);
        blocks
    }

    #[test]
    fn few_conditions_stay_as_they_are() {
        assert_eq!(joins_to_split(&body_of(10)), vec![false; 33]);
    }

    #[test]
    fn many_conditions_are_cut_into_short_pieces() {
        let blocks = joins_to_split(&body_of(12));
        let at: Vec<usize> = (0..blocks.len()).filter(|at| blocks.get(*at) == Some(&true)).collect();
        // Two conditions make four ways, the third eight.
        assert_eq!(at, [10, 19, 28, 37]);
    }
}
