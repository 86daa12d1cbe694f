//! A policy that is asked from user space, on a kernel that asks no policy itself.
//!
//! Loads the program of an object that is for such kernels, with maps of its own, and runs it: a [`Question`] goes in,
//! an [`Answer`] comes out, and whoever asks does what it says ([`oomc_abi::request`]). Nothing is attached, and the
//! program is not pinned: it lives as long as the [`Decider`]. Its descriptors are close-on-exec and must stay with root:
//! whoever holds the program's can make it decide.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use aya::maps::{Map, MapData, RingBuf};
use oomc_abi::btf::Btf;
use oomc_abi::declared::Declared;
use oomc_abi::maps;
use oomc_abi::record::{KEPT, Record};
use oomc_abi::request::{self, Answer, Question};

use crate::error::{Error, Result};
use crate::load::{self, Program, Settings};
use crate::object::Object;
use crate::preflight::{self, Missing};
use crate::relocate::{self, Found, Symbols};
use crate::system::System;
use crate::{foreign, page};

/// What is read of the running kernel before a program is loaded into it.
#[derive(Debug)]
pub struct Read {
    btf: Btf,
    symbols: Symbols,
}

impl Read {
    /// Reads it.
    ///
    /// # Errors
    /// [`Error::Kernel`] when the kernel does not describe its types.
    pub fn of(system: &System<'_>) -> Result<Self> {
        let symbols = Symbols::new(system.paths.kallsyms.clone());
        Ok(Self { btf: preflight::kernel_types(system)?, symbols })
    }

    /// The kernel's types.
    #[must_use]
    pub fn types(&self) -> &Btf {
        &self.btf
    }
}

/// A ring buffer that is emptied.
struct Drained(RingBuf<MapData>);

impl std::fmt::Debug for Drained {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RingBuf")
    }
}

/// A policy in the kernel, ready to be asked.
#[derive(Debug)]
pub struct Decider {
    /// Names of all maps, as [`maps`] has them, with their descriptors.
    maps: Vec<(String, OwnedFd)>,
    prog: OwnedFd,
    /// The ring buffer of decisions, once one was made.
    ring: Option<Drained>,
    policy: String,
    declared: Declared,
    program: Program,
    absent: Vec<String>,
}

impl Decider {
    /// Loads a policy's program for kernels without the hook.
    ///
    /// # Errors
    /// [`Error::Kernel`] with what is missing, in the object or in this kernel; [`Error::Verifier`] when the kernel
    /// refuses the program; [`Error::Setting`] when the policy does not take a setting.
    pub fn load(system: &System<'_>, object: &Object, settings: &Settings<'_>) -> Result<Self> {
        Self::load_into(&Read::of(system)?, system, object, settings)
    }

    /// As [`load`](Self::load), into a kernel whose types were read before: for whoever loads many.
    ///
    /// # Errors
    /// As there.
    pub fn load_into(
        kernel: &Read,
        system: &System<'_>,
        object: &Object,
        settings: &Settings<'_>,
    ) -> Result<Self> {
        foreign::admit(system, object, settings.foreign)?;
        page::check(object)?;
        let declared = object.meta.declared();
        let object = object.asked().ok_or_else(|| Error::Kernel(vec![no_program()]))?;
        let object = load::with_settings(&object, &declared, settings)?;
        preflight::privilege(system, false)?;
        let Read { btf, symbols } = kernel;
        let mut missing = Vec::new();
        let found = preflight::functions(&object, btf, symbols, &mut missing)?;
        if !missing.is_empty() {
            missing.push(too_old());
            return Err(Error::Kernel(missing));
        }
        let bpf = system.bpf();
        let made = load::make_maps(bpf, &object)?;
        let fitted = relocate::apply(&object, btf, &found, &made.fds())?;
        let prog = load::prog_load(bpf, &object, None, &fitted, &made.btf)?;
        let info = bpf.prog_info(prog.as_fd())?;
        let absent = object.externs.iter().zip(&found).filter(|(_, found)| **found == Found::Absent);
        let absent = absent.map(|(ext, _)| ext.name.clone());
        let absent = absent.chain(fitted.absent()).collect();
        let globals = object.globals.iter().map(|global| global.map_name().to_owned()).zip(made.globals);
        let others = object.maps.iter().map(|map| map.name.clone()).zip(made.maps);
        Ok(Self {
            maps: globals.chain(others).collect(),
            prog,
            ring: None,
            policy: object.ops_name(),
            declared,
            program: Program {
                insns: fitted.code.len() as u32,
                xlated: info.xlated_len / 8,
                verified: info.verified_insns,
            },
            absent,
        })
    }

    /// Asks one step of a decision. One step at a time: the value that question and answer share is one.
    ///
    /// # Errors
    /// When a system call fails, or what comes back is no answer.
    pub fn ask(&mut self, system: &System<'_>, question: &Question) -> Result<Answer> {
        let bpf = system.bpf();
        let map = self.map_or_broken(maps::REQUEST)?;
        bpf.map_update(map, &question.bytes(), maps::REQUEST)?;
        bpf.prog_run(self.prog.as_fd())?;
        let mut value = vec![0; request::BYTES as usize];
        bpf.element(map, 0, &mut value, maps::REQUEST)?;
        Answer::read(&value).ok_or_else(|| Error::Unexpected("the program gave no answer".to_owned()))
    }

    /// Writes a number of [`maps::SAMPLES`], or removes it.
    ///
    /// # Errors
    /// When a system call fails. That the map is full is none: what finds no room is missing.
    pub(crate) fn sample(&self, system: &System<'_>, key: &[u8], value: Option<i64>) -> Result<()> {
        let map = self.map_or_broken(maps::SAMPLES)?;
        let bpf = system.bpf();
        let Some(value) = value else { return bpf.element_delete(map, key, maps::SAMPLES).map(drop) };
        match bpf.element_update(map, key, &value.to_ne_bytes(), maps::SAMPLES) {
            Err(Error::Call { source, .. }) if source.raw_os_error() == Some(libc::E2BIG) => Ok(()),
            result => result,
        }
    }

    /// The last decisions, the oldest first.
    ///
    /// # Errors
    /// When a system call fails.
    pub fn records(&self, system: &System<'_>) -> Result<Vec<Record>> {
        let map = self.map_or_broken(maps::RECORDS)?;
        let mut records = Vec::new();
        for slot in 0..KEPT {
            let mut value = vec![0; oomc_abi::record::BYTES as usize];
            system.bpf().element(map, slot, &mut value, maps::RECORDS)?;
            records.extend(Record::read(&value));
        }
        records.sort_by_key(|record| record.number);
        Ok(records)
    }

    /// Empties the ring buffer of new decisions, which nobody else reads: a full one would count decisions as lost, which
    /// are in the array.
    ///
    /// # Errors
    /// When it cannot be mapped.
    pub(crate) fn drain(&mut self) -> Result<()> {
        let broken = |error: &dyn std::fmt::Display| {
            Error::Unexpected(format!("cannot read the ring buffer: {error}"))
        };
        if self.ring.is_none() {
            let map = self.map_or_broken(maps::EVENTS)?;
            let map = map.try_clone_to_owned().map_err(|error| broken(&error))?;
            let data = MapData::from_fd(map).map_err(|error| broken(&error))?;
            let ring = RingBuf::try_from(Map::RingBuf(data)).map_err(|error| broken(&error))?;
            self.ring = Some(Drained(ring));
        }
        if let Some(Drained(ring)) = &mut self.ring {
            while ring.next().is_some() {}
        }
        Ok(())
    }

    /// A map by its name, as [`maps`] has it: settings, counters, labels, records, the ring buffer of events.
    #[must_use]
    pub fn map(&self, name: &str) -> Option<BorrowedFd<'_>> {
        self.maps.iter().find(|(known, _)| known == name).map(|(_, map)| map.as_fd())
    }

    fn map_or_broken(&self, name: &str) -> Result<BorrowedFd<'_>> {
        self.map(name).ok_or_else(|| Error::Unexpected(format!("the program has no map `{name}`")))
    }

    /// The program; whoever holds it can run it.
    #[must_use]
    pub fn prog(&self) -> BorrowedFd<'_> {
        self.prog.as_fd()
    }

    /// `name@hash`.
    #[must_use]
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// What the policy declares.
    #[must_use]
    pub fn declared(&self) -> &Declared {
        &self.declared
    }

    /// The program before and after the verifier.
    #[must_use]
    pub fn program(&self) -> Program {
        self.program
    }

    /// What this kernel lacks and the policy can do without.
    #[must_use]
    pub fn absent(&self) -> &[String] {
        &self.absent
    }
}

/// Behind what a kernel lacks.
fn too_old() -> Missing {
    Missing {
        what: "policies are asked on Linux 6.12 and later".to_owned(),
        help: "boot a newer kernel; which one runs, `uname -r` says",
    }
}

fn no_program() -> Missing {
    Missing {
        what: "the object has no program for kernels without the hook".to_owned(),
        help: "an older oomc built it, or the policy is too large for one: `oomc inspect` says where it runs",
    }
}
