//! The colours, and the rules of a style sheet that bring them onto shapes.
//!
//! They are never the only sign: whatever has a colour has a word or a symbol, too.

/// One scheme.
#[derive(Debug)]
pub(crate) struct Colors {
    /// Behind everything.
    pub(crate) paper: &'static str,
    /// Behind what stands apart from the paper.
    pub(crate) panel: &'static str,
    pub(crate) ink: &'static str,
    /// Text that comes second.
    pub(crate) quiet: &'static str,
    /// Lines that divide; who does not see them misses nothing.
    pub(crate) line: &'static str,
    /// What may be used.
    pub(crate) track: &'static str,
    /// Around it.
    pub(crate) edge: &'static str,
    /// What is used, by nobody in particular.
    pub(crate) plain: &'static str,
    pub(crate) candidate: &'static str,
    pub(crate) victim: &'static str,
    pub(crate) protected: &'static str,
}

/// For bright rooms, and for paper.
pub(crate) const LIGHT: Colors = Colors {
    paper: "#ffffff",
    panel: "#f6f7f9",
    ink: "#1b2027",
    quiet: "#56606d",
    line: "#dde1e7",
    track: "#e9edf2",
    edge: "#868f9b",
    plain: "#6f7d90",
    candidate: "#2a5db0",
    victim: "#b3261e",
    protected: "#17694a",
};

/// For dark ones.
pub(crate) const DARK: Colors = Colors {
    paper: "#14171c",
    panel: "#1c2027",
    ink: "#e7eaef",
    quiet: "#a6afbb",
    line: "#2d333c",
    track: "#262c35",
    edge: "#737e8c",
    plain: "#8f9cb0",
    candidate: "#82adf7",
    victim: "#ff8079",
    protected: "#62c596",
};

/// The rules for a drawing, for both schemes.
pub(crate) fn drawing() -> String {
    format!("{}@media (prefers-color-scheme: dark){{{}}}", shapes(&LIGHT), shapes(&DARK))
}

/// Written out for each class: not every viewer of drawings knows variables of style sheets.
fn shapes(colors: &Colors) -> String {
    let Colors { paper, panel, ink, quiet, line, track, edge, plain, candidate, victim, protected } = colors;
    format!(
        ".oomc .paper{{fill:{paper}}}.oomc .panel{{fill:{panel}}}.oomc .ink{{fill:{ink}}}\
         .oomc .quiet{{fill:{quiet}}}.oomc .line{{stroke:{line};fill:none}}\
         .oomc .guide{{stroke:{edge};fill:none}}.oomc .track{{fill:{track};stroke:{edge}}}\
         .oomc .mark{{stroke:{ink}}}.oomc .plain{{fill:{plain}}}.oomc .candidate{{fill:{candidate}}}\
         .oomc .victim{{fill:{victim}}}.oomc .protected{{fill:{protected}}}\
         .oomc .on{{fill:{paper}}}.oomc .cross{{stroke:{paper}}}.oomc .tick{{stroke:{paper};fill:none}}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance of `#rrggbb`, as WCAG 2.2 defines it.
    fn luminance(color: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&color[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn black_on_white_has_the_contrast_that_wcag_says() {
        assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 0.001);
        assert!((contrast("#777777", "#ffffff") - 4.478).abs() < 0.001);
    }

    #[test]
    fn texts_and_shapes_can_be_told_from_what_is_behind_them() {
        for colors in [&LIGHT, &DARK] {
            for behind in [colors.paper, colors.panel] {
                for text in [colors.ink, colors.quiet, colors.candidate, colors.victim, colors.protected] {
                    assert!(contrast(text, behind) >= 4.5, "{text} on {behind}");
                }
                assert!(contrast(colors.edge, behind) >= 3.0, "{} on {behind}", colors.edge);
            }
            for bar in [colors.plain, colors.candidate, colors.victim, colors.protected, colors.ink] {
                assert!(contrast(bar, colors.track) >= 3.0, "{bar} on {}", colors.track);
            }
        }
    }
}
