//! What the folders of pins are: policies that are attached, policies that an engine asks, policies that are gone,
//! leftovers, and what oomc did not make; and which of them a command is about.
//!
//! Looks at the pins of links and ops and at the locks of engines, reads no map, changes nothing.

use std::os::fd::AsFd as _;

use aya_obj::generated::{bpf_link_type, bpf_map_type};

use crate::bpf::Bpf;
use crate::cgroup::{self, Target};
use crate::engine_pins;
use crate::error::{Error, Result};
use crate::pins::{self, Folder, FolderKind, Glance, Left, Pins};
use crate::status::Attached;
use crate::system::System;

/// A folder whose link is attached, or whose engine runs.
#[derive(Debug)]
pub(crate) struct Living {
    pub(crate) folder: Folder,
    /// 0: an engine has none.
    pub(crate) link_id: u32,
    /// Id of its `ops`, of this load of the policy over a rollback; of the settings of a policy that an engine asks.
    pub(crate) load_id: u32,
}

/// What the folders of pins are.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) living: Vec<Living>,
    /// Asked by an engine that runs.
    pub(crate) asked: Vec<Living>,
    /// What an engine left that runs no more.
    pub(crate) abandoned: Vec<Folder>,
    /// Whole, and detached.
    pub(crate) gone: Vec<Folder>,
    /// Without a link.
    pub(crate) unfinished: Vec<Folder>,
    /// What is not as oomc makes it.
    pub(crate) left: Vec<Left>,
}

impl Survey {
    /// The policy that is attached to this cgroup.
    pub(crate) fn on(&self, id: u64) -> Result<Option<&Living>> {
        self.readable(id)?;
        Ok(self.living.iter().find(|living| living.folder.id == id))
    }

    /// The policies of this cgroup: the one that is attached, and the one that an engine asks. Where both are there, they
    /// are one policy, of which the kernel asks some rules and the engine the others.
    pub(crate) fn all_on(&self, id: u64) -> Result<Vec<&Living>> {
        self.readable(id)?;
        Ok(self.present().filter(|living| living.folder.id == id).collect())
    }

    /// All that are attached, and all that are asked.
    pub(crate) fn present(&self) -> impl Iterator<Item = &Living> {
        self.living.iter().chain(&self.asked)
    }

    /// Refuses a cgroup whose folder of pins is not as oomc makes it.
    pub(crate) fn readable(&self, id: u64) -> Result<()> {
        match self.left.iter().find(|left| left.id == Some(id)) {
            Some(Left { place, why, .. }) => Err(Error::Place {
                call: "a look",
                place: place.clone(),
                why: why.clone(),
                help: "oomc did not make it so; look who did".to_owned(),
            }),
            None => Ok(()),
        }
    }
}

/// Looks at all pins, and changes nothing.
pub(crate) fn survey(bpf: Bpf<'_>, pins: &Pins<'_>) -> Result<Survey> {
    let (folders, left) = pins.folders()?;
    let mut survey = Survey { left, ..Survey::default() };
    for folder in folders {
        if folder.kind == FolderKind::Engine {
            match engine_pins::state(bpf, &folder) {
                Ok(engine_pins::State::Asked { load_id }) => {
                    survey.asked.push(Living { folder, link_id: 0, load_id });
                }
                Ok(engine_pins::State::Abandoned) => survey.abandoned.push(folder),
                Ok(engine_pins::State::Unfinished) => survey.unfinished.push(folder),
                Err(error) => survey.left.push(odd(&folder, &error)),
            }
            continue;
        }
        match state(bpf, &folder) {
            Ok(State::Attached { link_id, ops_id }) => {
                survey.living.push(Living { folder, link_id, load_id: ops_id });
            }
            Ok(State::Detached) => survey.gone.push(folder),
            Ok(State::Unfinished) => survey.unfinished.push(folder),
            Err(error) => survey.left.push(odd(&folder, &error)),
        }
    }
    Ok(survey)
}

pub(crate) fn odd(folder: &Folder, error: &Error) -> Left {
    let (place, why) = match error {
        Error::Place { place, why, .. } => (place.clone(), why.clone()),
        error => (folder.place(), error.to_string()),
    };
    Left { place, why, ours: false, id: Some(folder.id) }
}

/// What the folder of one policy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// By the link of this id, which leads to the `ops` of that one.
    Attached { link_id: u32, ops_id: u32 },
    /// Whole, and attached no more.
    Detached,
    /// Without a link, or not there.
    Unfinished,
}

pub(crate) fn state(bpf: Bpf<'_>, folder: &Folder) -> Result<State> {
    let Some(link) = folder.open(bpf, pins::LINK)? else { return Ok(State::Unfinished) };
    let wrong = |why: String| Error::Place {
        call: "BPF_OBJ_GET_INFO_BY_FD",
        place: folder.place().join(pins::LINK),
        why,
        help: String::new(),
    };
    let info = bpf.link_info(link.as_fd())?;
    if info.kind != bpf_link_type::BPF_LINK_TYPE_STRUCT_OPS as u32 {
        return Err(wrong(format!("it is a link of another kind ({})", info.kind)));
    }
    let ops = folder.open(bpf, pins::OPS)?.ok_or_else(|| wrong("there is no `ops` beside it".to_owned()))?;
    let ops = bpf.map_info(ops.as_fd(), pins::OPS)?;
    // A link that was detached leads to no map any more (bpf_struct_ops_map_link_detach, 6.12), though it may still
    // name its cgroup; one whose cgroup was removed names none.
    let strange = || wrong("it is not the link of the `ops` beside it".to_owned());
    if ops.kind != bpf_map_type::BPF_MAP_TYPE_STRUCT_OPS as u32 {
        return Err(strange());
    }
    if info.map_id != 0 && ops.id != info.map_id {
        // Where a link can be led from one version to the other, both versions of a cgroup have a pin of it.
        let Some(other) = folder.other().open(bpf, pins::OPS)? else { return Err(strange()) };
        let other = bpf.map_info(other.as_fd(), pins::OPS)?;
        return if other.id == info.map_id { Ok(State::Detached) } else { Err(strange()) };
    }
    match (info.map_id, info.cgroup_id) {
        (0, _) | (_, 0) => Ok(State::Detached),
        (_, id) if id == folder.id => Ok(State::Attached { link_id: info.id, ops_id: ops.id }),
        (_, id) => Err(wrong(format!("it is attached to cgroup {id}"))),
    }
}

/// The cgroup that a command is about, which may be gone.
pub(crate) struct Only {
    pub(crate) id: Option<u64>,
    path: String,
    /// Why it is none, if it is none.
    pub(crate) missing: Option<Error>,
}

impl Only {
    pub(crate) fn find(system: &System<'_>, target: Option<&Target>) -> Result<Option<Self>> {
        let Some(target) = target else { return Ok(None) };
        match cgroup::open(system, target) {
            Ok(cgroup) => Ok(Some(Self { id: Some(cgroup.id), path: cgroup.path, missing: None })),
            Err(Error::Cgroup { path, reason }) => {
                let missing = Some(Error::Cgroup { path: path.clone(), reason });
                Ok(Some(Self { id: None, path, missing }))
            }
            Err(error) => Err(error),
        }
    }

    /// What to say when there is nothing of ours on it.
    pub(crate) fn vacant(self) -> Error {
        self.missing.unwrap_or(Error::Vacant { cgroup: self.path })
    }
}

pub(crate) fn wants(only: Option<&Only>, id: u64) -> bool {
    only.is_none_or(|only| only.id == Some(id))
}

/// A policy that is attached is meant by its cgroup; by the path that this had where it was removed a moment ago, and the kernel
/// has not taken the policy away yet.
pub(crate) fn wants_living(only: Option<&Only>, id: u64, one: &Attached) -> bool {
    wants(only, id) || only.is_some_and(|only| only.id.is_none() && only.path == one.cgroup)
}

/// A detached policy is meant by the path that its cgroup had.
pub(crate) fn wants_gone(only: Option<&Only>, gone: &Attached) -> bool {
    only.is_none_or(|only| only.id == Some(gone.cgroup_id) || only.path == gone.cgroup)
}

/// What is left among the pins, as far as a command is about it.
pub(crate) fn relevant(survey: &mut Survey, only: Option<&Only>) -> Vec<Left> {
    let unfinished = survey.unfinished.iter().map(|folder| Left {
        place: folder.place(),
        why: "a command that was killed has left it".to_owned(),
        ours: true,
        id: Some(folder.id),
    });
    let all = std::mem::take(&mut survey.left).into_iter().chain(unfinished);
    all.filter(|left| only.is_none() || left.id.is_some_and(|id| wants(only, id))).collect()
}

/// Policies of ours that are attached, or asked by an engine, now.
#[derive(Debug)]
pub(crate) struct Present<'k> {
    /// Nobody changes anything as long as this is held.
    _pins: Option<Pins<'k>>,
    /// What each of them is told apart by: the id of its link, and of its load.
    pub(crate) ids: Vec<(u32, u32)>,
    /// Those that are asked for.
    pub(crate) wanted: Vec<Living>,
}

/// Who is attached; with `asked`, also who is asked. None: somebody changes something just now.
pub(crate) fn present<'k>(
    system: &System<'k>,
    only: Option<&Target>,
    asked: bool,
) -> Result<Option<Present<'k>>> {
    let only = Only::find(system, only)?;
    let pins = match Pins::glance(system)? {
        Glance::Busy => return Ok(None),
        Glance::Nothing => None,
        Glance::Pins(pins) => Some(pins),
    };
    let survey = pins.as_ref().map_or_else(|| Ok(Survey::default()), |pins| survey(system.bpf(), pins))?;
    let asked = survey.asked.into_iter().filter(|_| asked);
    let all: Vec<Living> = survey.living.into_iter().chain(asked).collect();
    let ids = all.iter().map(|living| (living.link_id, living.load_id)).collect();
    let wanted = all.into_iter().filter(|living| wants(only.as_ref(), living.folder.id)).collect();
    Ok(Some(Present { _pins: pins, ids, wanted }))
}
