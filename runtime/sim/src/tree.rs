//! What is worth knowing in advance of a machine's tree: orders of walks, sums, and who is where.
//!
//! Everything that a program asks for while it walks is found here without a search. Knows no addresses.

use crate::machine::{Amounts, CgroupIndex, Machine, ProcessIndex, ROOT};

/// A machine's tree of memory cgroups.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    /// The nearest memory cgroup above; none at the root. Cgroups without a memory controller have one, too.
    pub(crate) parent: Vec<Option<CgroupIndex>>,
    /// Parents first.
    pub(crate) pre: Vec<CgroupIndex>,
    /// Children first.
    pub(crate) post: Vec<CgroupIndex>,
    /// Where each stands in `pre`.
    pub(crate) at_pre: Vec<usize>,
    /// Where each stands in `post`.
    pub(crate) at_post: Vec<usize>,
    /// How many each has below, itself included.
    pub(crate) size: Vec<usize>,
    /// The orders of the unified hierarchy, in which every cgroup is.
    pub(crate) own: Orders,
    /// As `size`, in the unified hierarchy.
    pub(crate) own_size: Vec<usize>,
    /// Processes that are in each, with or without a memory controller.
    pub(crate) inside: Vec<Vec<ProcessIndex>>,
    /// What is charged to each and everything below.
    pub(crate) sums: Vec<Amounts>,
    /// Processes that count with each.
    pub(crate) members: Vec<Vec<ProcessIndex>>,
    /// Cgroups below each, those without a memory controller included: living, and removed.
    pub(crate) below: Vec<(i64, i64)>,
    /// Steps from the root.
    pub(crate) level: Vec<i64>,
}

/// Both orders of a tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Orders {
    /// Parents first.
    pub(crate) pre: Vec<CgroupIndex>,
    /// Children first.
    pub(crate) post: Vec<CgroupIndex>,
    /// Where each stands in `pre`.
    pub(crate) at_pre: Vec<usize>,
    /// Where each stands in `post`.
    pub(crate) at_post: Vec<usize>,
}

impl Tree {
    pub(crate) fn new(machine: &Machine) -> Self {
        let count = machine.cgroups.len();
        let mut tree = Self {
            parent: vec![None; count],
            size: vec![1; count],
            own_size: vec![1; count],
            inside: vec![Vec::new(); count],
            sums: machine.cgroups.iter().map(|cgroup| cgroup.own).collect(),
            members: vec![Vec::new(); count],
            below: vec![(0, 0); count],
            level: vec![0; count],
            ..Self::default()
        };
        let (mut children, mut own_children) = (vec![Vec::new(); count], vec![Vec::new(); count]);
        for (index, cgroup) in machine.cgroups.iter().enumerate() {
            let Some(parent) = cgroup.parent.filter(|parent| *parent < index) else { continue };
            let level = get(&tree.level, parent) + 1;
            set(&mut tree.level, index, level);
            let home = if machine.cgroup(parent).bare { get(&tree.parent, parent) } else { Some(parent) };
            set(&mut tree.parent, index, home);
            if let Some(list) = children.get_mut(parent).filter(|_| !cgroup.bare) {
                list.push(index);
            }
            if let Some(list) = own_children.get_mut(parent) {
                list.push(index);
            }
        }
        // Each stands behind its parent: from the end on, whoever is below is complete.
        for index in (1..count).rev() {
            let cgroup = machine.cgroup(index);
            let Some(parent) = cgroup.parent.filter(|parent| *parent < index) else { continue };
            let (living, removed) = get(&tree.below, index);
            if let Some(above) = tree.below.get_mut(parent) {
                above.0 += living + i64::from(!cgroup.removed);
                above.1 += removed + i64::from(cgroup.removed);
            }
            let own_size = get(&tree.own_size, index);
            if let Some(above) = tree.own_size.get_mut(parent) {
                *above += own_size;
            }
            if cgroup.bare {
                continue;
            }
            let (size, sums) = (get(&tree.size, index), get(&tree.sums, index));
            if let Some(above) = tree.size.get_mut(parent) {
                *above += size;
            }
            if let Some(above) = tree.sums.get_mut(parent) {
                above.add(&sums, 1);
            }
        }
        let Orders { pre, post, at_pre, at_post } = Orders::of(&children);
        (tree.pre, tree.post, tree.at_pre, tree.at_post) = (pre, post, at_pre, at_post);
        tree.own = Orders::of(&own_children);
        for (index, process) in machine.processes.iter().enumerate() {
            let here = process.cgroup;
            if let Some(list) = tree.inside.get_mut(here) {
                list.push(index);
            }
            let home = if machine.cgroup(here).bare { get(&tree.parent, here) } else { Some(here) };
            if let Some(list) = tree.members.get_mut(home.unwrap_or(ROOT)) {
                list.push(index);
            }
        }
        tree
    }

    /// The own share of a cgroup has changed: so have its sums and those above it.
    pub(crate) fn change(
        &mut self,
        chain: impl Iterator<Item = CgroupIndex>,
        before: &Amounts,
        now: &Amounts,
    ) {
        for index in chain {
            if let Some(sums) = self.sums.get_mut(index) {
                sums.add(now, 1);
                sums.add(before, -1);
            }
        }
    }
}

impl Orders {
    /// Without recursion: a tree may be as deep as it likes.
    fn of(children: &[Vec<CgroupIndex>]) -> Self {
        let count = children.len();
        let (at_pre, at_post) = (vec![usize::MAX; count], vec![usize::MAX; count]);
        let mut orders = Self { at_pre, at_post, ..Self::default() };
        let mut open = vec![(ROOT, 0)];
        while let Some((index, next)) = open.pop() {
            if next == 0 {
                set(&mut orders.at_pre, index, orders.pre.len());
                orders.pre.push(index);
            }
            match children.get(index).and_then(|list| list.get(next)) {
                Some(child) => open.extend([(index, next + 1), (*child, 0)]),
                None => {
                    set(&mut orders.at_post, index, orders.post.len());
                    orders.post.push(index);
                }
            }
        }
        orders
    }
}

/// An element of a list that has one for each cgroup.
pub(crate) fn get<T: Copy + Default>(list: &[T], at: usize) -> T {
    list.get(at).copied().unwrap_or_default()
}

fn set<T>(list: &mut [T], at: usize, value: T) {
    if let Some(place) = list.get_mut(at) {
        *place = value;
    }
}
