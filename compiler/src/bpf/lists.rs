//! Lists by number, all in one piece of memory: the uses of each register, the predecessors of each block.

/// For each number below a bound, the items that belong to it, in the order in which they were given.
#[derive(Debug)]
pub(super) struct Lists<T> {
    items: Vec<T>,
    /// Where the items of each number end; they begin where those before end.
    ends: Vec<usize>,
}

impl<T: Copy> Lists<T> {
    /// Sorts items by their numbers, each below `count`.
    pub(super) fn new(count: usize, entries: &[(usize, T)]) -> Self {
        let mut ends = vec![0; count];
        entries.iter().for_each(|(number, _)| ends[*number] += 1);
        let mut end = 0;
        for place in &mut ends {
            end += core::mem::replace(place, end);
        }
        // Each place is now where the next item goes, and in the end where the items end.
        let mut items: Vec<T> = entries.iter().map(|(_, item)| *item).collect();
        for (number, item) in entries {
            items[ends[*number]] = *item;
            ends[*number] += 1;
        }
        Self { items, ends }
    }

    /// The items of a number.
    pub(super) fn get(&self, number: usize) -> &[T] {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.items[start..self.ends[number]]
    }
}

#[cfg(test)]
mod tests {
    use super::Lists;

    #[test]
    fn items_come_back_by_number_in_their_order() {
        let lists = Lists::new(4, &[(2, 'a'), (0, 'b'), (2, 'c'), (3, 'd')]);
        let all: Vec<String> = (0..4).map(|number| lists.get(number).iter().collect()).collect();
        assert_eq!(all, ["b", "", "ac", "d"]);
    }
}
