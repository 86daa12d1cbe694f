//! What can be changed while a policy is attached, or asked by an engine: its params and its mode.
//!
//! Both lie in one small map, `config`, whose members are named by its own types. The ranges stand in what the
//! object says of itself. Knows nothing of the language: who calls brings a reader of its literals.

use std::os::fd::{AsFd as _, OwnedFd};

use oomc_abi::amount::exact;
use oomc_abi::btf::Btf;
use oomc_abi::declared::{Declared, Param};
use oomc_abi::fields::Measure;
use oomc_abi::maps::{AUDIT, CONFIG, EPOCH};

use crate::bpf::Bpf;
use crate::cgroup::{self, Target};
use crate::error::{Error, Result};
use crate::object::Object;
use crate::object::named_words;
use crate::pins::{Folder, Pins};
use crate::preflight;
use crate::status;
use crate::survey::{Living, survey};
use crate::system::System;

/// Reads a value as the language writes it.
///
/// # Errors
/// A sentence about what is wrong with it.
pub type Literal<'a> = &'a dyn Fn(&str) -> std::result::Result<(Measure, i64), String>;

/// Whether a policy acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    Enforce,
    /// It only records what it would do.
    Audit,
}

impl Mode {
    /// As the language writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Audit => "audit",
        }
    }
}

/// A name and the value that it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Of a param or label.
    pub name: String,
    /// As the language writes it.
    pub value: String,
}

impl std::str::FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() && !value.trim().is_empty() => {
                Ok(Self { name: name.trim().to_owned(), value: value.trim().to_owned() })
            }
            _ => Err("write `name=value`".to_owned()),
        }
    }
}

/// A param that was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The param.
    pub param: Param,
    /// What it was.
    pub from: i64,
    /// What it is now.
    pub to: i64,
}

/// What was changed, and of which policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed<T> {
    /// Path of the cgroup that the policy is attached to.
    pub cgroup: String,
    /// `name@hash`.
    pub policy: String,
    /// What was changed.
    pub what: T,
}

/// Sets params of the policy of a cgroup: all or none.
///
/// # Errors
/// [`Error::Setting`] when the policy has no such param or its range excludes the value.
pub fn set(
    system: &System<'_>,
    target: &Target,
    assignments: &[Assignment],
    literal: Literal<'_>,
) -> Result<Changed<Vec<Change>>> {
    change(system, target, |config, declared| {
        assignments.iter().map(|one| config.assign(declared, one, literal)).collect()
    })
}

/// Switches the mode of the policy of a cgroup. Gives the mode before.
///
/// # Errors
/// [`Error::Vacant`] when the cgroup has no policy of ours.
pub fn mode(system: &System<'_>, target: &Target, mode: Mode) -> Result<Changed<Mode>> {
    change(system, target, |config, _| {
        let before = config.mode()?;
        config.switch(mode)?;
        Ok(before)
    })
}

fn change<T>(
    system: &System<'_>,
    target: &Target,
    change: impl Fn(&mut Config, &Declared) -> Result<T>,
) -> Result<Changed<T>> {
    let cgroup = cgroup::open(system, target)?;
    preflight::privilege(system, true)?;
    let bpf = system.bpf();
    let vacant = || Error::Vacant { cgroup: cgroup.path.clone() };
    let pins = Pins::lock_existing(system)?.ok_or_else(vacant)?;
    let survey = survey(bpf, &pins)?;
    // What one of them does not take is written to none.
    let (mut told, mut changed) = (None, Vec::new());
    for Living { folder, .. } in survey.all_on(cgroup.id)? {
        let meta = status::meta(bpf, folder)?;
        let (mut config, map) = Config::pinned(bpf, folder)?
            .ok_or_else(|| Error::Setting("the policy has no map of its settings".to_owned()))?;
        let before = config.value.clone();
        let what = change(&mut config, &meta.declared())?;
        if config.value != before {
            changed.push((config.value, map));
        }
        told.get_or_insert_with(|| (status::name_of(&meta), what));
    }
    let (policy, what) = told.ok_or_else(vacant)?;
    for (value, map) in changed {
        bpf.map_update(map.as_fd(), &value, CONFIG)?;
    }
    Ok(Changed { policy, cgroup: cgroup.path, what })
}

/// The map's value and the places of its members.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    value: Vec<u8>,
    /// Name and offset of each member.
    places: Vec<(String, usize)>,
}

impl Config {
    /// Of an attached policy. None: it has none.
    pub(crate) fn pinned(bpf: Bpf<'_>, folder: &Folder) -> Result<Option<(Self, OwnedFd)>> {
        let Some(map) = folder.open(bpf, CONFIG)? else { return Ok(None) };
        let info = bpf.map_info(map.as_fd(), CONFIG)?;
        if info.btf_id == 0 {
            return Ok(None);
        }
        let value = bpf.map_value(map.as_fd(), CONFIG)?;
        let types = Btf::read(bpf.btf_data(info.btf_id)?).map_err(|error| {
            Error::Unexpected(format!("the types of the settings cannot be read: {error}"))
        })?;
        let places = named_words(&types, info.value_type);
        Ok(Some((Self { value, places }, map)))
    }

    /// Changes what an object is loaded with.
    pub(crate) fn in_object(object: &mut Object, change: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let types = &object.btf;
        let global = object.globals.iter_mut().find(|global| global.map_name() == CONFIG);
        let global = global.ok_or_else(|| Error::Setting("the policy has no settings".to_owned()))?;
        let places = named_words(types, global.ty);
        let mut config = Self { value: std::mem::take(&mut global.data), places };
        let result = change(&mut config);
        global.data = config.value;
        result
    }

    fn word(&mut self, name: &str) -> Result<&mut [u8; 8]> {
        let at = self.places.iter().find(|(found, _)| found == name).map(|(_, at)| *at);
        at.and_then(|at| self.value.get_mut(at..at + 8)?.try_into().ok())
            .ok_or_else(|| Error::Unexpected(format!("the settings of the policy have no `{name}`")))
    }

    fn number(&mut self, name: &str) -> Result<i64> {
        self.word(name).map(|word| i64::from_ne_bytes(*word))
    }

    pub(crate) fn mode(&mut self) -> Result<Mode> {
        self.number(AUDIT).map(|audit| if audit == 0 { Mode::Enforce } else { Mode::Audit })
    }

    pub(crate) fn switch(&mut self, mode: Mode) -> Result<()> {
        if self.mode()? == mode {
            return Ok(());
        }
        *self.word(AUDIT)? = i64::from(mode == Mode::Audit).to_ne_bytes();
        let epoch = self.number(EPOCH)?.wrapping_add(1);
        *self.word(EPOCH)? = epoch.to_ne_bytes();
        Ok(())
    }

    /// The params as they are now.
    pub(crate) fn params(&mut self, declared: &Declared) -> Vec<(Param, i64)> {
        let params = declared.params.iter();
        params.filter_map(|param| Some((param.clone(), self.number(&param.name).ok()?))).collect()
    }

    /// Sets a param of this name; the value is one that it takes.
    pub(crate) fn put(&mut self, name: &str, value: i64) -> Result<()> {
        *self.word(name)? = value.to_ne_bytes();
        Ok(())
    }

    pub(crate) fn assign(
        &mut self,
        declared: &Declared,
        assignment: &Assignment,
        literal: Literal<'_>,
    ) -> Result<Change> {
        let (param, to) = wanted(declared, assignment, literal)?;
        let from = self.number(&param.name)?;
        self.put(&param.name, to)?;
        Ok(Change { param: param.clone(), from, to })
    }
}

/// The param that is meant, and the value that it is to get.
///
/// # Errors
/// [`Error::Setting`] when the policy has no such param or its range excludes the value.
pub fn wanted<'a>(
    declared: &'a Declared,
    assignment: &Assignment,
    literal: Literal<'_>,
) -> Result<(&'a Param, i64)> {
    let Assignment { name, value } = assignment;
    let param = declared.param(name).ok_or_else(|| {
        let names: Vec<String> = declared.params.iter().map(|param| format!("`{}`", param.name)).collect();
        Error::Setting(match names.as_slice() {
            [] => format!("the policy has no param `{name}`; it has none at all"),
            _ => format!("the policy has no param `{name}`; it has {}", names.join(", ")),
        })
    })?;
    let range = format!("{} .. {}", exact(param.unit, param.least), exact(param.unit, param.most));
    let wrong = |why: String| Error::Setting(format!("{why}; `{name}` is within {range}"));
    let to = read(param.unit, value, literal).map_err(wrong)?;
    if to < param.least || to > param.most {
        return Err(Error::Setting(format!("`{name}` is within {range}, and {value} is not")));
    }
    Ok((param, to))
}

/// A value of this unit.
pub(crate) fn read(unit: Measure, text: &str, literal: Literal<'_>) -> std::result::Result<i64, String> {
    let (found, value) = literal(text)?;
    if found == unit {
        return Ok(value);
    }
    let example = match unit {
        Measure::Bytes => "bytes such as `64MiB`",
        Measure::Ratio => "a percent such as `25%`",
        Measure::Duration => "a duration such as `30s`",
        Measure::Count => "a plain number such as `3`",
        Measure::Bool => "`true` or `false`",
        Measure::Text => "a text",
    };
    Err(format!("`{text}` is not {example}"))
}
