//! What other OOM killers are told, as policies of oomc.
//!
//! Takes the text of a configuration, gives a policy, its tests, and what of the original the policy does not do. Each
//! format has a module, whose first paragraph names the manual that says what the original means. Knows neither files nor
//! the compiler: whoever calls checks what comes out.
//!
//! Two rules hold for all formats. Nothing is dropped without a word: what has no counterpart is a [`Lost`], which also
//! stands as a comment in the policy. And a policy never kills where the original would not: a condition that cannot be
//! expressed takes its rule with it.

mod draft;
mod earlyoom;
mod ini;
mod kubelet;
mod nohang;
mod oomd;
mod oomrule;
mod pattern;
mod quantity;
mod scene;
mod unit;

pub use draft::Lost;

use draft::Draft;

/// Whose configuration a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Facebook's daemon.
    Oomd,
    /// Rulesets of systemd-oomd.
    Oomrule,
    /// What units say of systemd-oomd.
    Systemd,
    /// By its arguments.
    Earlyoom,
    /// By its settings.
    Nohang,
    /// Its eviction thresholds.
    Kubelet,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Oomd, Self::Oomrule, Self::Systemd, Self::Earlyoom, Self::Nohang, Self::Kubelet];

    /// Its word on a command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Oomd => "oomd",
            Self::Oomrule => "oomrule",
            Self::Systemd => "systemd",
            Self::Earlyoom => "earlyoom",
            Self::Nohang => "nohang",
            Self::Kubelet => "kubelet",
        }
    }

    /// Which file it is.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::Oomd => "oomd's rulesets, in JSON",
            Self::Oomrule => "A ruleset of systemd-oomd: NAME.oomrule",
            Self::Systemd => "`ManagedOOM…=` of a unit or a drop-in, and oomd.conf",
            Self::Earlyoom => "/etc/default/earlyoom, or the arguments alone",
            Self::Nohang => "nohang.conf",
            Self::Kubelet => "KubeletConfiguration, in YAML",
        }
    }

    /// Whose configuration this file is, by its name and by words that only one of them has.
    #[must_use]
    pub fn guess(name: &str, text: &str) -> Option<Self> {
        let ends = |end: &str| name.ends_with(end);
        let has = |word: &str| text.lines().any(|line| line.trim_start().starts_with(word));
        Some(match () {
            () if ends(".oomrule") || has("[Rule]") => Self::Oomrule,
            () if has("ManagedOOM") || has("[OOM]") => Self::Systemd,
            () if has("EARLYOOM_ARGS") || text.contains("/earlyoom ") => Self::Earlyoom,
            () if has("soft_threshold_min_mem") || has("hard_threshold_min_mem") => Self::Nohang,
            () if text.contains("KubeletConfiguration") => Self::Kubelet,
            () if text.contains("\"rulesets\"") => Self::Oomd,
            () => return None,
        })
    }
}

/// A policy in the place of a configuration.
#[derive(Debug)]
pub struct Converted {
    /// The policy.
    pub policy: String,
    /// Its tests, for a file beside it.
    pub tests: String,
    /// What the original does and the policy does not.
    pub lost: Vec<Lost>,
}

/// Why a text is not what its format asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused(pub String);

/// Converts a configuration; `name` is the name of its file, with or without a path.
///
/// # Errors
/// The text is not of this format.
pub fn convert(format: Format, name: &str, text: &str) -> Result<Converted, Refused> {
    let stem = stem(name);
    let mut draft = Draft::new(&stem, format.word());
    match format {
        Format::Oomd => oomd::convert(&mut draft, text)?,
        Format::Oomrule => oomrule::convert(&mut draft, text)?,
        Format::Systemd => unit::convert(&mut draft, name, text)?,
        Format::Earlyoom => earlyoom::convert(&mut draft, text)?,
        Format::Nohang => nohang::convert(&mut draft, text)?,
        Format::Kubelet => kubelet::convert(&mut draft, text)?,
    }
    Ok(draft.finish())
}

/// The name of a policy: the file's, without what a name cannot hold.
fn stem(name: &str) -> String {
    let file = name.rsplit('/').next().unwrap_or(name);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let stem: String = stem
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' })
        .collect();
    let stem = stem.trim_matches('-').to_owned();
    if stem.is_empty() { "converted".to_owned() } else { stem.chars().take(40).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_name_or_its_words() {
        let guess = |name: &str, text: &str| Format::guess(name, text).map(Format::word);
        assert_eq!(guess("a.oomrule", ""), Some("oomrule"));
        assert_eq!(guess("x.conf", "[Slice]\nManagedOOMSwap=kill\n"), Some("systemd"));
        assert_eq!(guess("oomd.conf", "[OOM]\n"), Some("systemd"));
        assert_eq!(guess("earlyoom", "EARLYOOM_ARGS=\"-m 5\"\n"), Some("earlyoom"));
        assert_eq!(guess("nohang.conf", "soft_threshold_min_mem = 5 %\n"), Some("nohang"));
        assert_eq!(guess("config.yaml", "kind: KubeletConfiguration\n"), Some("kubelet"));
        assert_eq!(guess("oomd.json", "{ \"rulesets\": [] }"), Some("oomd"));
        assert_eq!(guess("a.txt", "hello"), None);
    }

    #[test]
    fn a_policy_has_the_name_of_the_file() {
        assert_eq!(stem("/etc/oomd/desk top.json"), "desk-top");
        assert_eq!(stem("\"\u{1b}"), "converted");
    }
}
