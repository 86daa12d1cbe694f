//! The reference loader: the same objects through libbpf 1.7, to prove that they are ordinary
//! ones, and the questions to the kernel that a test asks independently of oomc's own runtime.
#![expect(unsafe_code, reason = "libbpf is a C library; kept in one file, test machine only")]

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::ptr;
use std::sync::OnceLock;

use libbpf_sys as sys;

use crate::tree;

/// `BPF_F_CGROUP_FD` of the kernel under test: the link's target is a cgroup's folder.
const CGROUP_FD: u32 = 1 << 7;

/// An object that libbpf has opened.
struct Object(*mut sys::bpf_object);

impl Drop for Object {
    fn drop(&mut self) {
        // SAFETY: it came from bpf_object__open_file and is closed once.
        unsafe { sys::bpf_object__close(self.0) };
    }
}

impl Object {
    fn open(path: &str) -> Result<Object, String> {
        let c_path = CString::new(path).map_err(|error| error.to_string())?;
        // SAFETY: the path ends in a zero byte; no options.
        let object = unsafe { sys::bpf_object__open_file(c_path.as_ptr(), ptr::null()) };
        if object.is_null() {
            return Err(format!("libbpf cannot open {path}: {}", io::Error::last_os_error()));
        }
        Ok(Object(object))
    }

    fn load(&self) -> Result<(), String> {
        // SAFETY: a live object.
        match unsafe { sys::bpf_object__load(self.0) } {
            0 => Ok(()),
            error => Err(format!("libbpf cannot load it: {}", io::Error::from_raw_os_error(-error))),
        }
    }

    fn programs(&self) -> Vec<*mut sys::bpf_program> {
        let mut programs = Vec::new();
        let mut program = ptr::null_mut();
        loop {
            // SAFETY: a live object, and null or the program given before.
            program = unsafe { sys::bpf_object__next_program(self.0, program) };
            if program.is_null() {
                return programs;
            }
            programs.push(program);
        }
    }

    /// The first struct_ops map.
    fn struct_ops(&self) -> Result<*mut sys::bpf_map, String> {
        let mut map = ptr::null_mut();
        loop {
            // SAFETY: a live object, and null or the map given before.
            map = unsafe { sys::bpf_object__next_map(self.0, map) };
            if map.is_null() {
                return Err("the object has no struct_ops map".to_owned());
            }
            // SAFETY: a live map.
            if unsafe { sys::bpf_map__type(map) } == sys::BPF_MAP_TYPE_STRUCT_OPS {
                return Ok(map);
            }
        }
    }
}

/// A loaded object.
pub(crate) struct Loaded {
    object: Object,
    /// What it is to the kernel, in words.
    pub(crate) sizes: String,
}

/// What is done with the calls that kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kills {
    /// They kill.
    Real,
    /// They answer that they have killed, and do nothing.
    Pretended,
}

impl Loaded {
    /// Loads an object that has one callback.
    pub(crate) fn new(path: &str, kills: Kills) -> Result<Loaded, String> {
        /// The verifier's figures alone (`BPF_LOG_STATS`), and besides them every instruction.
        const STATS: u32 = 4;
        const EVERYTHING: u32 = 1 | STATS;
        match Loaded::with_log(path, kills, STATS, 1 << 16) {
            Ok(loaded) => Ok(loaded),
            // Asked for after a refusal only: a long log can itself be the reason of one.
            Err(_) => Loaded::with_log(path, kills, EVERYTHING, 16 << 20),
        }
    }

    fn with_log(path: &str, kills: Kills, level: u32, size: usize) -> Result<Loaded, String> {
        let object = Object::open(path)?;
        if kills == Kills::Pretended {
            object.pretend_kills()?;
        }
        let mut log = vec![0u8; size];
        for program in object.programs() {
            // SAFETY: a live program; the buffer outlives its load, and nobody else writes there meanwhile.
            unsafe {
                sys::bpf_program__set_log_level(program, level);
                sys::bpf_program__set_log_buf(program, log.as_mut_ptr().cast(), log.len() as _);
            }
        }
        object.load().map_err(|error| format!("{error}\n{}", last_lines(&log)))?;
        let program = object.program()?;
        // SAFETY: a live, loaded program.
        let (count, fd) = unsafe { (sys::bpf_program__insn_cnt(program), sys::bpf_program__fd(program)) };
        let info = info(fd)?;
        let sizes = format!(
            "{path}: {count} instructions, {} processed by the verifier, {} after it, {} bytes of machine code, \
             stack depth {}",
            info.verified_insns,
            info.xlated_prog_len / 8,
            info.jited_prog_len,
            stack_depth(&String::from_utf8_lossy(&log)).ok_or("the verifier's log has no stack depth")?
        );
        Ok(Loaded { object, sizes })
    }

    /// Fills its labels and attaches it to this cgroup's folder, until the link is closed.
    pub(crate) fn attach(&self, cgroup: &Path) -> Result<OwnedFd, String> {
        self.object.fill_labels()?;
        let map = self.object.struct_ops()?;
        // libbpf 1.7 cannot attach to a cgroup. Its own attach function fills the map and then fails
        // to make a link, because this kernel wants a cgroup; the link is made here.
        // SAFETY: a loaded struct_ops map.
        let own = unsafe { sys::bpf_map__attach_struct_ops(map) };
        if !own.is_null() {
            return Err("the kernel attached the policy without a cgroup".to_owned());
        }
        let folder =
            File::open(cgroup).map_err(|error| format!("cannot open {}: {error}", cgroup.display()))?;
        let options = sys::bpf_link_create_opts {
            sz: size_of::<sys::bpf_link_create_opts>() as _,
            flags: CGROUP_FD,
            ..Default::default()
        };
        // SAFETY: both descriptors are open, the options say their own size.
        let link = unsafe {
            sys::bpf_link_create(
                sys::bpf_map__fd(map),
                folder.as_raw_fd(),
                sys::BPF_STRUCT_OPS,
                &raw const options,
            )
        };
        if link < 0 {
            return Err(format!("cannot attach it to {}: {}", cgroup.display(), io::Error::last_os_error()));
        }
        // SAFETY: just made, and nobody else's.
        Ok(unsafe { OwnedFd::from_raw_fd(link) })
    }

    /// How often its callback ran so far, and for how many nanoseconds in all.
    pub(crate) fn ran(&self) -> Result<(u64, u64), String> {
        // SAFETY: a live, loaded program.
        let info = info(unsafe { sys::bpf_program__fd(self.object.program()?) })?;
        Ok((info.run_cnt, info.run_time_ns))
    }
}

impl Object {
    /// The callback. What else libbpf lists is a function that it calls.
    fn program(&self) -> Result<*mut sys::bpf_program, String> {
        // SAFETY: live programs.
        let is_callback = |program: &*mut sys::bpf_program| unsafe {
            sys::bpf_program__type(*program) == sys::BPF_PROG_TYPE_STRUCT_OPS
        };
        self.programs().into_iter().find(is_callback).ok_or_else(|| "the object has no callback".to_owned())
    }

    /// Puts a helper that answers 0 in the place of each call of the kill kfunc: `bpf_get_numa_node_id()`, on a
    /// machine with one node. The verifier takes its result for any number, as it does that of the kfunc, so
    /// the rest of the program is what it would be.
    fn pretend_kills(&self) -> Result<(), String> {
        const CALL: u8 = 0x85;
        const KFUNC: u8 = 2;
        // SAFETY: a live object. Relocates it without loading its programs.
        let error = unsafe { sys::bpf_object__prepare(self.0) };
        if error != 0 {
            return Err(format!("libbpf cannot relocate it: {}", io::Error::from_raw_os_error(-error)));
        }
        let kill = kill_function()?;
        for program in self.programs() {
            // SAFETY: a live program; its instructions live as long as the object and are copied.
            let mut insns = unsafe {
                let count = usize::try_from(sys::bpf_program__insn_cnt(program)).unwrap_or(0);
                std::slice::from_raw_parts(sys::bpf_program__insns(program), count).to_vec()
            };
            for insn in &mut insns {
                if insn.code == CALL && insn.src_reg() == KFUNC && insn.imm == kill {
                    insn.set_src_reg(0);
                    insn.off = 0;
                    insn.imm = sys::BPF_FUNC_get_numa_node_id as i32;
                }
            }
            // SAFETY: a live program that is not yet loaded; libbpf copies the instructions.
            let error = unsafe { sys::bpf_program__set_insns(program, insns.as_mut_ptr(), insns.len() as _) };
            if error != 0 {
                return Err(format!("libbpf: set_insns: {}", io::Error::from_raw_os_error(-error)));
            }
        }
        Ok(())
    }

    /// Enters the labels of all cgroups, as the loader of oomc reads them: each cgroup's own, from its attribute. There
    /// is one label, `tier`, with the number 0.
    fn fill_labels(&self) -> Result<(), String> {
        // SAFETY: a live, loaded object and a constant name.
        let map = unsafe { sys::bpf_object__find_map_fd_by_name(self.0, c"labels".as_ptr()) };
        if map < 0 {
            return Ok(());
        }
        tree::each_label(&mut |id, value| {
            let (key, value) = ([id, 0u64], value);
            // SAFETY: a live map with keys of 16 and values of 8 bytes.
            let result =
                unsafe { sys::bpf_map_update_elem(map, key.as_ptr().cast(), (&raw const value).cast(), 0) };
            if result == 0 {
                Ok(())
            } else {
                Err(format!("cannot enter a label: {}", io::Error::last_os_error()))
            }
        })
    }
}

/// Number of the kill kfunc in the kernel's BTF, which is read once.
fn kill_function() -> Result<i32, String> {
    const FUNC: u32 = 12;
    static NUMBER: OnceLock<i32> = OnceLock::new();
    let number = *NUMBER.get_or_init(|| {
        // SAFETY: no arguments; what comes is live BTF or null, searched by a constant name and freed once.
        unsafe {
            let btf = sys::btf__load_vmlinux_btf();
            let id = if btf.is_null() {
                0
            } else {
                sys::btf__find_by_name_kind(btf, c"bpf_oom_kill_process".as_ptr(), FUNC)
            };
            sys::btf__free(btf);
            id
        }
    });
    if number > 0 { Ok(number) } else { Err("the kernel's BTF does not tell of the kill kfunc".to_owned()) }
}

/// Lets the kernel count how often each program runs and how long, until the descriptor is closed.
pub(crate) fn count_runs() -> Result<OwnedFd, String> {
    // SAFETY: no pointers.
    let fd = unsafe { sys::bpf_enable_stats(sys::BPF_STATS_RUN_TIME) };
    if fd < 0 {
        return Err(format!("cannot enable run statistics: {}", io::Error::last_os_error()));
    }
    // SAFETY: just made, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Loads what the hook needs of the object, attaches it, and ends: as little as a loader can do.
pub(crate) fn once(path: &str, cgroup: &str) -> Result<(), String> {
    let object = Object::open(path)?;
    let callback = object.program()?;
    for program in object.programs().into_iter().filter(|program| *program != callback) {
        // SAFETY: a live program that is not yet loaded. A function that a callback calls is none to libbpf.
        let error = unsafe { sys::bpf_program__set_autoload(program, false) };
        if error != 0 {
            return Err(format!("libbpf: set_autoload: {}", io::Error::from_raw_os_error(-error)));
        }
    }
    object.load()?;
    let loaded = Loaded { object, sizes: String::new() };
    loaded.attach(Path::new(cgroup)).map(drop)
}

/// Loads the object, attaches it to the cgroup, says `attached` and the sizes, and keeps the link until its
/// standard input ends.
pub(crate) fn attach(object: &str, cgroup: &str) -> Result<(), String> {
    let loaded = Loaded::new(object, Kills::Real)?;
    let _link = loaded.attach(Path::new(cgroup))?;
    crate::run::line(&format!("{ATTACHED}{}", loaded.sizes))?;
    let mut rest = Vec::new();
    io::stdin().read_to_end(&mut rest).map_err(|error| format!("cannot wait: {error}"))?;
    Ok(())
}

/// What [`attach`] says, before the sizes.
pub(crate) const ATTACHED: &str = "attached ";

/// Loads the object and prints what the verifier counted.
pub(crate) fn measure(path: &str) -> Result<(), String> {
    crate::run::line(&Loaded::new(path, Kills::Real)?.sizes)
}

/// The end of a log that is followed by zeros.
fn last_lines(log: &[u8]) -> String {
    const LINES: usize = 40;
    let text = String::from_utf8_lossy(log.split(|byte| *byte == 0).next().unwrap_or_default());
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default().join("\n")
}

/// The deepest of the functions, from `stack depth 296+0+16`: the loader has one program.
fn stack_depth(log: &str) -> Option<u32> {
    let (_, rest) = log.split_once("stack depth ")?;
    rest.split_whitespace()
        .next()?
        .split('+')
        .map(str::parse)
        .collect::<Result<Vec<u32>, _>>()
        .ok()?
        .into_iter()
        .max()
}

/// Compares the program of an object with the one that the kernel runs from this pin.
///
/// The verifier deletes code that it takes for dead, and it was seen to be wrong about that (an
/// iterator loop around a number that starts from a constant). So a program that came out shorter
/// than what can be reached in it is an error.
pub(crate) fn compare(path: &str, pin: &str) -> Result<(), String> {
    let object = Object::open(path)?;
    // SAFETY: a live object. Relocates it without loading its programs.
    let error = unsafe { sys::bpf_object__prepare(object.0) };
    if error != 0 {
        return Err(format!("libbpf cannot relocate it: {}", io::Error::from_raw_os_error(-error)));
    }
    let c_pin = CString::new(pin).map_err(|error| error.to_string())?;
    // SAFETY: the path ends in a zero byte.
    let fd = unsafe { sys::bpf_obj_get(c_pin.as_ptr()) };
    if fd < 0 {
        return Err(format!("cannot open {pin}: {}", io::Error::last_os_error()));
    }
    let info = info(fd)?;
    let program = *object.programs().first().ok_or("the object has no program")?;
    // SAFETY: a live program; its instructions are 8 bytes each and live as long as the object.
    let insns = unsafe {
        let count = usize::try_from(sys::bpf_program__insn_cnt(program)).unwrap_or(0);
        std::slice::from_raw_parts(sys::bpf_program__insns(program).cast::<u64>(), count)
    };
    let dead = oomc_vm::dead::count(insns);
    let after = usize::try_from(info.xlated_prog_len / 8).unwrap_or(0);
    let text = format!(
        "{} instructions, {dead} of them dead on this kernel, {after} after the verifier, which processed {}",
        insns.len(),
        info.verified_insns
    );
    if after + dead < insns.len() {
        return Err(format!("the verifier removed code: {text}"));
    }
    crate::run::line(&text)
}

/// How many maps there are, whoever made them.
pub(crate) fn maps() -> usize {
    let (mut id, mut count) = (0, 0);
    // SAFETY: the place for the next id outlives the call.
    while unsafe { sys::bpf_map_get_next_id(id, &raw mut id) } == 0 {
        count += 1;
    }
    count
}

/// How many struct_ops links are attached to a cgroup that exists, whoever made them.
pub(crate) fn links() -> usize {
    let (mut id, mut count) = (0, 0);
    // SAFETY: the place for the next id outlives the call.
    while unsafe { sys::bpf_link_get_next_id(id, &raw mut id) } == 0 {
        // SAFETY: no pointers.
        let fd = unsafe { sys::bpf_link_get_fd_by_id(id) };
        if fd < 0 {
            // It went away meanwhile.
            continue;
        }
        // `struct bpf_link_info`: type, id, prog_id, then for struct_ops map_id at 16 and, in the
        // kernel under test only, the cgroup's id 8 bytes further, which no header of libbpf has.
        let mut info = [0u64; 32];
        let mut size = u32::try_from(size_of_val(&info)).unwrap_or(0);
        // SAFETY: the kernel writes at most `size` bytes, all of them into `info`.
        let result = unsafe { sys::bpf_obj_get_info_by_fd(fd, (&raw mut info).cast(), &raw mut size) };
        // SAFETY: opened above and not used again.
        unsafe { libc::close(fd) };
        let [first, _, map, cgroup, ..] = info;
        // One that was detached leads to no map, though it may still name its cgroup.
        let attached = map as u32 != 0 && cgroup != 0;
        if result == 0 && first as u32 == sys::BPF_LINK_TYPE_STRUCT_OPS && attached {
            count += 1;
        }
    }
    count
}

fn info(fd: i32) -> Result<sys::bpf_prog_info, String> {
    let mut info = sys::bpf_prog_info::default();
    let mut size = u32::try_from(size_of_val(&info)).unwrap_or(0);
    // SAFETY: the kernel writes at most `size` bytes, all of them into `info`.
    match unsafe { sys::bpf_prog_get_info_by_fd(fd, &raw mut info, &raw mut size) } {
        0 => Ok(info),
        _ => Err(format!("cannot ask about a program: {}", io::Error::last_os_error())),
    }
}
