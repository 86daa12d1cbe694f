//! What was counted about one program.

use super::forests::Forest;

/// One of the three programs of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    /// What oomc makes.
    Ours,
    /// The C program that decides alike.
    Twin,
    /// The same without the look for victims in flight and without the order of ties.
    Lean,
}

pub(super) const VARIANTS: [Variant; 3] = [Variant::Ours, Variant::Twin, Variant::Lean];

impl Variant {
    /// The object's name in the machine.
    pub(super) fn object(self, policy: &str) -> String {
        format!("{policy}-{}.o", self.name())
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Variant::Ours => "ours",
            Variant::Twin => "twin",
            Variant::Lean => "lean",
        }
    }
}

/// What an object is to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) instructions: u64,
    pub(super) processed: u64,
    pub(super) machine_code: u64,
    pub(super) stack: u64,
}

impl Size {
    /// Reads `N instructions, N processed by the verifier, N after it, N bytes of machine code, stack depth N`.
    pub(super) fn read(text: &str) -> Result<Size, String> {
        let before = |word: &str| {
            let (before, _) = text.split_once(word)?;
            before.split_whitespace().next_back()?.parse().ok()
        };
        let stack = || text.split_once("stack depth ")?.1.split_whitespace().next()?.parse().ok();
        let size = || {
            Some(Size {
                instructions: before(" instructions")?,
                processed: before(" processed")?,
                machine_code: before(" bytes of machine code")?,
                stack: stack()?,
            })
        };
        size().ok_or_else(|| format!("no sizes in `{text}`"))
    }
}

/// One program.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    pub(super) policy: String,
    pub(super) variant: Variant,
    pub(super) size: Option<Size>,
    decisions: Vec<(Forest, u64)>,
}

impl Counted {
    pub(super) fn new(policy: &str, variant: Variant) -> Counted {
        Counted { policy: policy.to_owned(), variant, size: None, decisions: Vec::new() }
    }

    /// Takes the events of one forest. The shortest counts: in the others the interrupt of the clock came in between, every
    /// 4 million instructions.
    pub(super) fn count(&mut self, forest: &Forest, events: &str) -> Result<(), String> {
        let events: Result<Vec<u64>, _> = events.split_whitespace().map(str::parse).collect();
        let least = events.ok().and_then(|events| events.into_iter().min());
        self.decisions.push((*forest, least.ok_or("no events")?));
        Ok(())
    }

    /// Instructions of a decision on this forest.
    pub(super) fn on(&self, forest: &Forest) -> Option<u64> {
        self.decisions.iter().find(|(of, _)| of == forest).map(|(_, count)| *count)
    }
}

/// The geometric mean; none of nothing.
pub(super) fn geometric_mean(ratios: &[f64]) -> Option<f64> {
    let sum: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
    (!ratios.is_empty()).then(|| (sum / ratios.len() as f64).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_from_what_the_guest_says() {
        let text = "243 instructions, 811 processed by the verifier, 240 after it, 1302 bytes of machine code, stack depth 176";
        let size = Size { instructions: 243, processed: 811, machine_code: 1302, stack: 176 };
        assert_eq!(Size::read(text), Ok(size));
        assert!(Size::read("243 instructions").is_err());
    }

    #[test]
    fn the_shortest_event_counts() {
        let mut counted = Counted::new("headline", Variant::Twin);
        let forest = Forest { cgroups: 20, processes: 1, threads: 1 };
        counted.count(&forest, "17012 16646 16646").expect("three events");
        assert_eq!(counted.on(&forest), Some(16_646));
        assert_eq!(counted.on(&Forest { threads: 50, ..forest }), None);
        assert!(counted.count(&forest, "").is_err());
    }

    #[test]
    fn the_mean_of_a_double_and_a_half_is_one() {
        let mean = geometric_mean(&[2.0, 0.5]).expect("two ratios");
        assert!((mean - 1.0).abs() < 1e-12, "{mean}");
        assert_eq!(geometric_mean(&[]), None);
    }
}
