//! The reference loader: the same objects through libbpf 1.7, to prove that they are ordinary
//! ones, and the questions to the kernel that a test asks independently of oomc's own runtime.
#![expect(unsafe_code, reason = "libbpf is a C library; kept in one file, test machine only")]

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::ptr;

use libbpf_sys as sys;

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

/// Loads the object, attaches it to the cgroup, says `attached`, and keeps the link until its
/// standard input ends.
pub(crate) fn attach(object: &str, cgroup: &str) -> Result<(), String> {
    let object = Object::open(object)?;
    object.load()?;
    let map = object.struct_ops()?;
    // libbpf 1.7 cannot attach to a cgroup. Its own attach function fills the map and then fails
    // to make a link, because this kernel wants a cgroup; the link is made here.
    // SAFETY: a loaded struct_ops map.
    let own = unsafe { sys::bpf_map__attach_struct_ops(map) };
    if !own.is_null() {
        return Err("the kernel attached the policy without a cgroup".to_owned());
    }
    let folder = File::open(cgroup).map_err(|error| format!("cannot open {cgroup}: {error}"))?;
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
        return Err(format!("cannot attach it to {cgroup}: {}", io::Error::last_os_error()));
    }
    crate::run::line("attached")?;
    let mut rest = Vec::new();
    io::stdin().read_to_end(&mut rest).map_err(|error| format!("cannot wait: {error}"))?;
    Ok(())
}

/// Loads the object and prints what the verifier counted.
pub(crate) fn measure(path: &str) -> Result<(), String> {
    let object = Object::open(path)?;
    object.load()?;
    for program in object.programs() {
        // SAFETY: a live, loaded program.
        let (count, fd) = unsafe { (sys::bpf_program__insn_cnt(program), sys::bpf_program__fd(program)) };
        let info = info(fd)?;
        crate::run::line(&format!(
            "{path}: {count} instructions, {} processed by the verifier, {} after it",
            info.verified_insns,
            info.xlated_prog_len / 8
        ))?;
    }
    Ok(())
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
        let [first, _, _, cgroup, ..] = info;
        if result == 0 && first as u32 == sys::BPF_LINK_TYPE_STRUCT_OPS && cgroup != 0 {
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
