//! bpf(2), mount(2), fgetxattr(2), and calls on directories: the only unsafe code of the crate.
//!
//! Owns the shape of each call ([`Syscall`]) and of its answer ([`Reply`]). [`Linux`] passes them to the
//! kernel; tests put another [`Kernel`] in its place and see the order of calls, refuse some, and look what
//! is left. Knows nothing of objects, pins and policies.
//!
//! Fields and numbers are those of `include/uapi/linux/bpf.h`, 6.12, as generated in `aya-obj`.
#![expect(unsafe_code, reason = "system calls take pointers; this file is the only one that makes any")]

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::dirs;
pub use crate::dirs::{Entry, EntryKind, Facts, Lock};

use aya_obj::generated::{
    BPF_F_PATH_FD, BPF_F_REPLACE, bpf_attach_type, bpf_attr, bpf_btf_info, bpf_cmd, bpf_func_info,
    bpf_line_info, bpf_map_info, bpf_map_type, bpf_prog_info,
};

/// One call.
#[derive(Debug)]
pub enum Syscall<'a> {
    /// Types of the object. Gives a file descriptor.
    BtfLoad {
        /// A whole `.BTF` section.
        btf: &'a [u8],
        /// Where the kernel explains a refusal; may be empty.
        log: &'a mut [u8],
    },
    /// A map. Gives a file descriptor.
    MapCreate(&'a MapAttr<'a>),
    /// Sets an element, or the value of a struct_ops map.
    MapUpdate {
        /// The map.
        map: BorrowedFd<'a>,
        /// Which element; as long as the map's key size.
        key: &'a [u8],
        /// As long as the map's value size.
        value: &'a [u8],
    },
    /// Reads an element.
    MapLookup {
        /// The map.
        map: BorrowedFd<'a>,
        /// Which element.
        key: &'a [u8],
        /// As long as the map's value size.
        value: &'a mut [u8],
    },
    /// Removes an element.
    MapDelete {
        /// The map.
        map: BorrowedFd<'a>,
        /// Which element.
        key: &'a [u8],
    },
    /// The key behind another one, in an order of the kernel's own. ENOENT after the last.
    MapNextKey {
        /// The map.
        map: BorrowedFd<'a>,
        /// None: the first.
        after: Option<&'a [u8]>,
        /// As long as the map's key size.
        key: &'a mut [u8],
    },
    /// No more changes from user space.
    MapFreeze {
        /// The map.
        map: BorrowedFd<'a>,
    },
    /// A program. Gives a file descriptor.
    ProgLoad {
        /// What it is made of.
        prog: &'a ProgAttr<'a>,
        /// Where the verifier writes; empty: it does not.
        log: &'a mut [u8],
    },
    /// Runs a program that user space asks (`BPF_PROG_TEST_RUN`). Gives what it returns.
    ProgRun {
        /// The program.
        prog: BorrowedFd<'a>,
    },
    /// Registers a struct_ops map on a cgroup. Gives a file descriptor.
    LinkCreate {
        /// The struct_ops map.
        map: BorrowedFd<'a>,
        /// Directory of the cgroup.
        cgroup: BorrowedFd<'a>,
        /// `link_create.flags`.
        flags: u32,
        /// Only if nobody has changed the cgroup's handlers since; 0: always (`link_create.cgroup.expected_revision`).
        revision: u64,
    },
    /// Leads a link to another struct_ops map, if it still leads to this one.
    LinkUpdate {
        /// The link.
        link: BorrowedFd<'a>,
        /// Where it leads.
        from: BorrowedFd<'a>,
        /// Where it is to lead.
        to: BorrowedFd<'a>,
    },
    /// What of a struct_ops type is attached to a cgroup, those above left out. Gives handlers.
    Handlers {
        /// Directory of the cgroup.
        cgroup: BorrowedFd<'a>,
        /// The ops structure in the kernel's BTF.
        ops_type: u32,
        /// Where in `bpf_attr` that is said. Headers that are published do not know the member yet.
        type_id_at: u32,
    },
    /// Unregisters.
    LinkDetach {
        /// The link.
        link: BorrowedFd<'a>,
    },
    /// Gives an object a name in bpffs.
    Pin {
        /// A program, map or link.
        object: BorrowedFd<'a>,
        /// A directory of bpffs.
        dir: BorrowedFd<'a>,
        /// Must not exist there.
        name: &'a str,
    },
    /// Opens a pinned object. Gives a file descriptor.
    Pinned {
        /// A directory of bpffs.
        dir: BorrowedFd<'a>,
        /// The pin.
        name: &'a str,
    },
    /// What an object is. Gives a kind.
    KindOf {
        /// What bpf(2) gave.
        object: BorrowedFd<'a>,
    },
    /// Opens a directory; no component of the path may be a link. Gives a file descriptor.
    OpenDir {
        /// Below this directory and in the same file system; none: an absolute path.
        at: Option<BorrowedFd<'a>>,
        /// Which one.
        path: &'a Path,
    },
    /// Whose a directory is and in which file system. Gives facts.
    LookAt {
        /// The directory.
        dir: BorrowedFd<'a>,
    },
    /// What is in a directory. Gives entries.
    List {
        /// The directory.
        dir: BorrowedFd<'a>,
    },
    /// Makes a directory that only its owner may use.
    MakeDir {
        /// In this one.
        at: BorrowedFd<'a>,
        /// Must not exist.
        name: &'a OsStr,
    },
    /// Removes an empty directory.
    RemoveDir {
        /// From this one.
        at: BorrowedFd<'a>,
        /// Its name.
        name: &'a OsStr,
    },
    /// Removes a file, a pin or a link.
    RemoveFile {
        /// From this directory.
        at: BorrowedFd<'a>,
        /// Its name.
        name: &'a OsStr,
    },
    /// Takes the lock of a directory.
    Lock {
        /// The directory.
        dir: BorrowedFd<'a>,
        /// For what.
        lock: Lock,
        /// Wait for whoever has it; otherwise EWOULDBLOCK.
        wait: bool,
    },
    /// The next larger id of a link. Gives an id; ENOENT after the last.
    LinkNext {
        /// 0 for the first.
        after: u32,
    },
    /// Opens an object by its id. Gives a file descriptor.
    ById {
        /// Which kind.
        kind: IdKind,
        /// Its id.
        id: u32,
    },
    /// Facts of a link.
    LinkInfo {
        /// The link.
        link: BorrowedFd<'a>,
    },
    /// Facts of a map.
    MapInfo {
        /// The map.
        map: BorrowedFd<'a>,
    },
    /// Facts of a program.
    ProgInfo {
        /// The program.
        prog: BorrowedFd<'a>,
    },
    /// The bytes of a BTF. Gives their number, which may be larger than `data`.
    BtfData {
        /// The BTF.
        btf: BorrowedFd<'a>,
        /// As many as fit are written here.
        data: &'a mut [u8],
    },
    /// Mounts bpffs.
    MountBpf {
        /// A directory.
        place: &'a Path,
    },
    /// Reads an extended attribute. Gives the number of its bytes.
    Attribute {
        /// Of this file or directory.
        of: BorrowedFd<'a>,
        /// With its name space: `user.oom.tier`.
        name: &'a str,
        /// Where it is written.
        value: &'a mut [u8],
    },
}

impl Syscall<'_> {
    /// As the manual calls it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::BtfLoad { .. } => "BPF_BTF_LOAD",
            Self::MapCreate(_) => "BPF_MAP_CREATE",
            Self::MapUpdate { .. } => "BPF_MAP_UPDATE_ELEM",
            Self::MapLookup { .. } => "BPF_MAP_LOOKUP_ELEM",
            Self::MapDelete { .. } => "BPF_MAP_DELETE_ELEM",
            Self::MapNextKey { .. } => "BPF_MAP_GET_NEXT_KEY",
            Self::MapFreeze { .. } => "BPF_MAP_FREEZE",
            Self::ProgLoad { .. } => "BPF_PROG_LOAD",
            Self::ProgRun { .. } => "BPF_PROG_TEST_RUN",
            Self::LinkCreate { .. } => "BPF_LINK_CREATE",
            Self::LinkUpdate { .. } => "BPF_LINK_UPDATE",
            Self::Handlers { .. } => "BPF_PROG_QUERY",
            Self::LinkDetach { .. } => "BPF_LINK_DETACH",
            Self::Pin { .. } => "BPF_OBJ_PIN",
            Self::Pinned { .. } => "BPF_OBJ_GET",
            Self::LinkNext { .. } => "BPF_LINK_GET_NEXT_ID",
            Self::ById { kind: IdKind::Link, .. } => "BPF_LINK_GET_FD_BY_ID",
            Self::ById { kind: IdKind::Map, .. } => "BPF_MAP_GET_FD_BY_ID",
            Self::ById { kind: IdKind::Btf, .. } => "BPF_BTF_GET_FD_BY_ID",
            Self::LinkInfo { .. } | Self::MapInfo { .. } | Self::ProgInfo { .. } | Self::BtfData { .. } => {
                "BPF_OBJ_GET_INFO_BY_FD"
            }
            Self::MountBpf { .. } => "mount",
            Self::KindOf { .. } => "readlink",
            Self::OpenDir { .. } => "openat2",
            Self::LookAt { .. } => "fstat",
            Self::List { .. } => "getdents64",
            Self::MakeDir { .. } => "mkdirat",
            Self::RemoveDir { .. } | Self::RemoveFile { .. } => "unlinkat",
            Self::Lock { .. } => "flock",
            Self::Attribute { .. } => "fgetxattr",
        }
    }
}

/// What an id counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdKind {
    /// Links.
    Link,
    /// Maps.
    Map,
    /// BTFs.
    Btf,
}

/// What a descriptor of bpf(2) leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// A map.
    Map,
    /// A program.
    Prog,
    /// A link.
    Link,
    /// Something else.
    Other,
}

impl ObjectKind {
    /// As a sentence has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Map => "a map",
            Self::Prog => "a program",
            Self::Link => "a link",
            Self::Other => "no object of bpf(2)",
        }
    }
}

/// A map.
#[derive(Clone, Copy, Debug)]
pub struct MapAttr<'a> {
    /// Letters, digits, `_` and `.`; at most 15 bytes, the rest is cut off.
    pub name: &'a str,
    /// `enum bpf_map_type`.
    pub kind: u32,
    /// In bytes.
    pub key_size: u32,
    /// In bytes.
    pub value_size: u32,
    /// Elements; of a ring buffer, bytes.
    pub max_entries: u32,
    /// `map_flags`.
    pub flags: u32,
    /// The object's own types.
    pub btf: Option<BorrowedFd<'a>>,
    /// Type of the key in them; 0: none.
    pub key_type: u32,
    /// Type of the value in them; 0: none.
    pub value_type: u32,
    /// Type of the value in the kernel's BTF; 0: none.
    pub kernel_value_type: u32,
}

impl<'a> MapAttr<'a> {
    /// An array of one element, without types and of no size yet.
    #[must_use]
    pub fn array(name: &'a str) -> Self {
        Self {
            name,
            kind: bpf_map_type::BPF_MAP_TYPE_ARRAY as u32,
            key_size: KEY_SIZE,
            value_size: 0,
            max_entries: 1,
            flags: 0,
            btf: None,
            key_type: 0,
            value_type: 0,
            kernel_value_type: 0,
        }
    }
}

/// A program.
#[derive(Clone, Copy, Debug)]
pub struct ProgAttr<'a> {
    /// `enum bpf_prog_type`.
    pub kind: u32,
    /// As for maps.
    pub name: &'a str,
    /// Relocated instructions.
    pub code: &'a [u64],
    /// License; the kernel lets only programs under the GPL call its functions.
    pub license: &'a str,
    /// `prog_flags`.
    pub flags: u32,
    /// Of one that implements a member of a struct_ops type, the ops structure in the kernel's BTF; 0: it does not.
    pub ops_type: u32,
    /// Index of that member.
    pub member: u32,
    /// The object's own types.
    pub btf: BorrowedFd<'a>,
    /// Pairs of instruction and type.
    pub funcs: &'a [[u32; 2]],
    /// Instruction, file, text, and line and column as the kernel packs them.
    pub lines: &'a [[u32; 4]],
}

/// What a call gives.
#[derive(Debug)]
pub enum Reply {
    /// Nothing but success.
    Done,
    /// A new file descriptor, closed on exec.
    Fd(OwnedFd),
    /// A number: an id, or a count of bytes.
    Number(u32),
    /// What is attached to a cgroup.
    Handlers(Handlers),
    /// Facts of a link.
    Link(LinkInfo),
    /// Facts of a map.
    Map(MapInfo),
    /// Facts of a program.
    Prog(ProgInfo),
    /// What an object is.
    Kind(ObjectKind),
    /// Facts of a directory.
    Facts(Facts),
    /// What is in a directory.
    Entries(Vec<Entry>),
}

/// What is attached to a cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handlers {
    /// How many.
    pub count: u32,
    /// Grows with each change; never 0.
    pub revision: u64,
}

/// `struct bpf_link_info`, as far as it is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkInfo {
    /// `enum bpf_link_type`.
    pub kind: u32,
    /// Its id.
    pub id: u32,
    /// The struct_ops map; meaningful for struct_ops only.
    pub map_id: u32,
    /// The cgroup; 0: none, or it is gone. Meaningful for struct_ops only.
    pub cgroup_id: u64,
}

/// `struct bpf_map_info`, as far as it is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MapInfo {
    /// `enum bpf_map_type`.
    pub kind: u32,
    /// Its id.
    pub id: u32,
    /// In bytes.
    pub key_size: u32,
    /// In bytes.
    pub value_size: u32,
    /// Elements; of a ring buffer, bytes.
    pub max_entries: u32,
    /// Id of the BTF that describes it; 0: none.
    pub btf_id: u32,
    /// Type of the value in it.
    pub value_type: u32,
    /// Type of the value in the kernel's BTF.
    pub kernel_value_type: u32,
}

/// `struct bpf_prog_info`, as far as it is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgInfo {
    /// Its id.
    pub id: u32,
    /// Bytes of the program as the verifier left it.
    pub xlated_len: u32,
    /// Instructions that the verifier walked through.
    pub verified_insns: u32,
}

/// Whoever answers calls.
pub trait Kernel {
    /// Makes one call.
    ///
    /// # Errors
    /// The errno.
    fn call(&self, call: Syscall<'_>) -> io::Result<Reply>;
}

/// The running kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Linux;

/// Bytes of the key of an array.
pub(crate) const KEY_SIZE: u32 = 4;
/// Bytes of the buffer for `struct bpf_link_info`; kernels cut or fill what they know differently.
const LINK_INFO: usize = 256;

impl Kernel for Linux {
    fn call(&self, call: Syscall<'_>) -> io::Result<Reply> {
        let mut attr = zeroed();
        match call {
            Syscall::BtfLoad { btf, log } => {
                // SAFETY: writes to plain fields of a zeroed union.
                let fields = unsafe { &mut attr.__bindgen_anon_7 };
                fields.btf = address(btf);
                fields.btf_size = length(btf)?;
                if !log.is_empty() {
                    fields.btf_log_level = 1;
                    fields.btf_log_size = length(log)?;
                    fields.btf_log_buf = log.as_mut_ptr() as u64;
                }
                new_fd(bpf_cmd::BPF_BTF_LOAD, &mut attr)
            }
            Syscall::MapCreate(map) => {
                // SAFETY: as above.
                let fields = unsafe { &mut attr.__bindgen_anon_1 };
                fields.map_type = map.kind;
                fields.key_size = map.key_size;
                fields.value_size = map.value_size;
                fields.max_entries = map.max_entries;
                fields.map_flags = map.flags;
                put_name(&mut fields.map_name, map.name);
                if let Some(btf) = map.btf {
                    fields.btf_fd = raw(btf)?;
                    fields.btf_key_type_id = map.key_type;
                    fields.btf_value_type_id = map.value_type;
                }
                fields.btf_vmlinux_value_type_id = map.kernel_value_type;
                new_fd(bpf_cmd::BPF_MAP_CREATE, &mut attr)
            }
            Syscall::MapUpdate { map, key, value } => {
                // SAFETY: as above.
                let fields = unsafe { &mut attr.__bindgen_anon_2 };
                fields.map_fd = raw(map)?;
                fields.key = address(key);
                fields.__bindgen_anon_1.value = address(value);
                done(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr)
            }
            Syscall::MapLookup { map, key, value } => {
                // SAFETY: as above.
                let fields = unsafe { &mut attr.__bindgen_anon_2 };
                fields.map_fd = raw(map)?;
                fields.key = address(key);
                fields.__bindgen_anon_1.value = value.as_mut_ptr() as u64;
                done(bpf_cmd::BPF_MAP_LOOKUP_ELEM, &mut attr)
            }
            Syscall::MapDelete { map, key } => {
                // SAFETY: as above.
                let fields = unsafe { &mut attr.__bindgen_anon_2 };
                fields.map_fd = raw(map)?;
                fields.key = address(key);
                done(bpf_cmd::BPF_MAP_DELETE_ELEM, &mut attr)
            }
            Syscall::MapNextKey { map, after, key } => {
                // SAFETY: as above.
                let fields = unsafe { &mut attr.__bindgen_anon_2 };
                fields.map_fd = raw(map)?;
                fields.key = after.map_or(0, address);
                fields.__bindgen_anon_1.next_key = key.as_mut_ptr() as u64;
                done(bpf_cmd::BPF_MAP_GET_NEXT_KEY, &mut attr)
            }
            Syscall::MapFreeze { map } => {
                attr.__bindgen_anon_2.map_fd = raw(map)?;
                done(bpf_cmd::BPF_MAP_FREEZE, &mut attr)
            }
            Syscall::ProgLoad { prog, log } => prog_load(&mut attr, prog, log),
            Syscall::ProgRun { prog } => {
                attr.test.prog_fd = raw(prog)?;
                done(bpf_cmd::BPF_PROG_TEST_RUN, &mut attr)?;
                // SAFETY: the kernel has written this field.
                Ok(Reply::Number(unsafe { attr.test.retval }))
            }
            Syscall::LinkCreate { map, cgroup, flags, revision } => {
                link_create(&mut attr, raw(map)?, raw(cgroup)?, flags, revision);
                new_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr)
            }
            Syscall::LinkUpdate { link, from, to } => {
                link_update(&mut attr, raw(link)?, raw(from)?, raw(to)?);
                done(bpf_cmd::BPF_LINK_UPDATE, &mut attr)
            }
            Syscall::Handlers { cgroup, ops_type, type_id_at } => {
                query(&mut attr, raw(cgroup)?, ops_type, type_id_at)?;
                invoke(bpf_cmd::BPF_PROG_QUERY, &mut attr)?;
                // SAFETY: the kernel has written these fields.
                let (count, revision) = unsafe { (attr.query.__bindgen_anon_2.count, attr.query.revision) };
                Ok(Reply::Handlers(Handlers { count, revision }))
            }
            Syscall::LinkDetach { link } => {
                attr.link_detach.link_fd = raw(link)?;
                done(bpf_cmd::BPF_LINK_DETACH, &mut attr)
            }
            Syscall::Pin { object, dir, name } => {
                let name = CString::new(name)?;
                pin_attr(&mut attr, &name, dir);
                attr.__bindgen_anon_4.bpf_fd = raw(object)?;
                done(bpf_cmd::BPF_OBJ_PIN, &mut attr)
            }
            Syscall::Pinned { dir, name } => {
                let name = CString::new(name)?;
                pin_attr(&mut attr, &name, dir);
                new_fd(bpf_cmd::BPF_OBJ_GET, &mut attr)
            }
            Syscall::LinkNext { after } => {
                attr.__bindgen_anon_6.__bindgen_anon_1.start_id = after;
                invoke(bpf_cmd::BPF_LINK_GET_NEXT_ID, &mut attr)?;
                // SAFETY: the kernel has written this field.
                Ok(Reply::Number(unsafe { attr.__bindgen_anon_6.next_id }))
            }
            Syscall::ById { kind, id } => {
                // All of these ids share one place.
                attr.__bindgen_anon_6.__bindgen_anon_1.start_id = id;
                let command = match kind {
                    IdKind::Link => bpf_cmd::BPF_LINK_GET_FD_BY_ID,
                    IdKind::Map => bpf_cmd::BPF_MAP_GET_FD_BY_ID,
                    IdKind::Btf => bpf_cmd::BPF_BTF_GET_FD_BY_ID,
                };
                new_fd(command, &mut attr)
            }
            Syscall::LinkInfo { link } => {
                // Bytes instead of the generated structure, which is older than `cgroup_id`.
                let mut info = [0_u8; LINK_INFO];
                get_info(link, info.as_mut_ptr() as u64, LINK_INFO)?;
                Ok(Reply::Link(LinkInfo {
                    kind: word(&info, 0),
                    id: word(&info, 4),
                    map_id: word(&info, 16),
                    cgroup_id: u64::from(word(&info, 24)) | u64::from(word(&info, 28)) << 32,
                }))
            }
            Syscall::MapInfo { map } => {
                // SAFETY: a structure of numbers, for which zero is a value.
                let mut info: bpf_map_info = unsafe { std::mem::zeroed() };
                get_info(map, &raw mut info as u64, size_of::<bpf_map_info>())?;
                Ok(Reply::Map(MapInfo {
                    kind: info.type_,
                    id: info.id,
                    key_size: info.key_size,
                    value_size: info.value_size,
                    max_entries: info.max_entries,
                    btf_id: info.btf_id,
                    value_type: info.btf_value_type_id,
                    kernel_value_type: info.btf_vmlinux_value_type_id,
                }))
            }
            Syscall::ProgInfo { prog } => {
                // SAFETY: as above.
                let mut info: bpf_prog_info = unsafe { std::mem::zeroed() };
                get_info(prog, &raw mut info as u64, size_of::<bpf_prog_info>())?;
                Ok(Reply::Prog(ProgInfo {
                    id: info.id,
                    xlated_len: info.xlated_prog_len,
                    verified_insns: info.verified_insns,
                }))
            }
            Syscall::BtfData { btf, data } => {
                // SAFETY: as above.
                let mut info: bpf_btf_info = unsafe { std::mem::zeroed() };
                info.btf = data.as_mut_ptr() as u64;
                info.btf_size = length(data)?;
                get_info(btf, &raw mut info as u64, size_of::<bpf_btf_info>())?;
                Ok(Reply::Number(info.btf_size))
            }
            Syscall::MountBpf { place } => {
                let place = c_path(place)?;
                let data = c"mode=0700";
                // SAFETY: strings that end in NUL and live through the call.
                let result = unsafe {
                    libc::mount(c"bpf".as_ptr(), place.as_ptr(), c"bpf".as_ptr(), 0, data.as_ptr().cast())
                };
                if result == 0 { Ok(Reply::Done) } else { Err(io::Error::last_os_error()) }
            }
            Syscall::Attribute { of, name, value } => {
                let name = CString::new(name)?;
                // SAFETY: a string that ends in NUL, and a buffer with its own length, both alive.
                let result = unsafe {
                    libc::fgetxattr(of.as_raw_fd(), name.as_ptr(), value.as_mut_ptr().cast(), value.len())
                };
                u32::try_from(result).map(Reply::Number).map_err(|_| io::Error::last_os_error())
            }
            Syscall::KindOf { object } => dirs::kind_of(object).map(Reply::Kind),
            Syscall::OpenDir { at, path } => dirs::open(at, path).map(Reply::Fd),
            Syscall::LookAt { dir } => dirs::look_at(dir).map(Reply::Facts),
            Syscall::List { dir } => dirs::list(dir).map(Reply::Entries),
            Syscall::MakeDir { at, name } => dirs::make(at, name).map(|()| Reply::Done),
            Syscall::RemoveDir { at, name } => dirs::remove(at, name, true).map(|()| Reply::Done),
            Syscall::RemoveFile { at, name } => dirs::remove(at, name, false).map(|()| Reply::Done),
            Syscall::Lock { dir, lock, wait } => dirs::lock(dir, lock, wait).map(|()| Reply::Done),
        }
    }
}

/// A registration of a struct_ops map on a cgroup.
fn link_create(attr: &mut bpf_attr, map: u32, cgroup: u32, flags: u32, revision: u64) {
    // SAFETY: writes to plain fields of a zeroed union.
    let fields = unsafe { &mut attr.link_create };
    fields.__bindgen_anon_1.map_fd = map;
    fields.__bindgen_anon_2.target_fd = cgroup;
    fields.attach_type = bpf_attach_type::BPF_STRUCT_OPS as u32;
    fields.flags = flags;
    // `link_create.cgroup`, which the bindings lack, is laid out as that of netkit is: both are a descriptor to be
    // placed beside, and a revision (`include/uapi/linux/bpf.h`, 7.0).
    fields.__bindgen_anon_3.netkit.expected_revision = revision;
}

/// A link's way from one map to another.
fn link_update(attr: &mut bpf_attr, link: u32, from: u32, to: u32) {
    // SAFETY: as above.
    let fields = unsafe { &mut attr.link_update };
    fields.link_fd = link;
    fields.__bindgen_anon_1.new_map_fd = to;
    fields.flags = BPF_F_REPLACE;
    fields.__bindgen_anon_2.old_map_fd = from;
}

/// The question what of a type is attached to a cgroup. Without room for ids the kernel only counts.
fn query(attr: &mut bpf_attr, cgroup: u32, ops_type: u32, type_id_at: u32) -> io::Result<()> {
    // SAFETY: as above.
    let fields = unsafe { &mut attr.query };
    fields.__bindgen_anon_1.target_fd = cgroup;
    fields.attach_type = bpf_attach_type::BPF_STRUCT_OPS as u32;
    let at = type_id_at as usize;
    if !at.is_multiple_of(4) || at + 4 > size_of::<bpf_attr>() {
        let why = format!("the kernel has `bpf_attr.query.type_id` at {at}, where oomc has no room");
        return Err(io::Error::new(io::ErrorKind::Unsupported, why));
    }
    // SAFETY: it lies inside of the union, aligned as its type; each of its bytes is one of a number.
    unsafe { (&raw mut *attr).cast::<u8>().add(at).cast::<u32>().write(ops_type) };
    Ok(())
}

/// A name in a directory. The kernel takes one from 6.5 on, and none before has policies for OOM events.
fn pin_attr(attr: &mut bpf_attr, name: &CStr, dir: BorrowedFd<'_>) {
    // SAFETY: writes to plain fields of a zeroed union; who calls keeps the name until the call is over.
    let fields = unsafe { &mut attr.__bindgen_anon_4 };
    fields.pathname = name.as_ptr() as u64;
    fields.file_flags = BPF_F_PATH_FD;
    fields.path_fd = dir.as_raw_fd();
}

fn prog_load(attr: &mut bpf_attr, prog: &ProgAttr<'_>, log: &mut [u8]) -> io::Result<Reply> {
    let license = CString::new(prog.license)?;
    // SAFETY: writes to plain fields of a zeroed union.
    let fields = unsafe { &mut attr.__bindgen_anon_3 };
    fields.prog_type = prog.kind;
    fields.insn_cnt = length(prog.code)?;
    fields.insns = address(prog.code);
    fields.license = license.as_ptr() as u64;
    fields.prog_flags = prog.flags;
    put_name(&mut fields.prog_name, prog.name);
    fields.expected_attach_type = prog.member;
    fields.attach_btf_id = prog.ops_type;
    fields.prog_btf_fd = raw(prog.btf)?;
    if !prog.funcs.is_empty() {
        fields.func_info_rec_size = size_of::<bpf_func_info>() as u32;
        fields.func_info = address(prog.funcs);
        fields.func_info_cnt = length(prog.funcs)?;
    }
    if !prog.lines.is_empty() {
        fields.line_info_rec_size = size_of::<bpf_line_info>() as u32;
        fields.line_info = address(prog.lines);
        fields.line_info_cnt = length(prog.lines)?;
    }
    if !log.is_empty() {
        // Instructions, and the closing line of statistics.
        fields.log_level = 1 | 4;
        fields.log_size = length(log)?;
        fields.log_buf = log.as_mut_ptr() as u64;
    }
    new_fd(bpf_cmd::BPF_PROG_LOAD, attr)
}

/// Bytes in a page of this machine.
pub(crate) fn page_size() -> i64 {
    // SAFETY: takes a number and gives one; the kernel tells every process the size of its pages.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) }
}

fn zeroed() -> bpf_attr {
    // SAFETY: a union of structures of numbers, for which zero is a value; the kernel wants unused bytes zero.
    unsafe { std::mem::zeroed() }
}

/// How often an interrupted call is made again (as in libbpf).
const ATTEMPTS: u32 = 5;

fn invoke(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i64> {
    let mut attempts = 0;
    loop {
        // SAFETY: `attr` has the size given; the pointers in it were made from borrows that the caller of
        // `Kernel::call` holds through it, with their own lengths.
        let result = unsafe {
            libc::syscall(libc::SYS_bpf, command as libc::c_int, &raw mut *attr, size_of::<bpf_attr>())
        };
        if result >= 0 {
            return Ok(result);
        }
        let error = io::Error::last_os_error();
        attempts += 1;
        // The verifier gives up when a signal is waiting.
        let again = matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR));
        if !again || attempts == ATTEMPTS {
            return Err(error);
        }
    }
}

fn done(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<Reply> {
    invoke(command, attr).map(|_| Reply::Done)
}

fn new_fd(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<Reply> {
    let fd = invoke(command, attr)?;
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just given this descriptor to us alone; bpf(2) sets close-on-exec.
    Ok(Reply::Fd(unsafe { OwnedFd::from_raw_fd(fd) }))
}

fn get_info(object: BorrowedFd<'_>, info: u64, len: usize) -> io::Result<()> {
    let mut attr = zeroed();
    attr.info.bpf_fd = raw(object)?;
    attr.info.info_len = u32::try_from(len).map_err(io::Error::other)?;
    attr.info.info = info;
    invoke(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr).map(drop)
}

fn raw(fd: BorrowedFd<'_>) -> io::Result<u32> {
    u32::try_from(fd.as_fd().as_raw_fd()).map_err(io::Error::other)
}

fn address<T>(slice: &[T]) -> u64 {
    slice.as_ptr() as u64
}

fn length<T>(slice: &[T]) -> io::Result<u32> {
    u32::try_from(slice.len()).map_err(io::Error::other)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

fn put_name(place: &mut [core::ffi::c_char; 16], name: &str) {
    let bytes = name.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' => byte,
        // The kernel takes nothing else in a name.
        _ => b'_',
    });
    for (to, from) in place.iter_mut().take(15).zip(bytes) {
        *to = from as core::ffi::c_char;
    }
}

/// Lets a process that is being killed give its memory back at once (`mm/oom_kill.c`, 5.15).
///
/// # Errors
/// EINVAL when it is not being killed, ESRCH when its memory is gone already, ENOSYS before 5.15.
pub(crate) fn mrelease(process: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: no pointers; the descriptor is open as long as it is borrowed.
    match unsafe { libc::syscall(libc::SYS_process_mrelease, process.as_raw_fd(), 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Gives back to the kernel what the heap holds and nobody uses: glibc keeps what is freed (`malloc_trim(3)`). Where there
/// is another heap, nothing is done.
pub(crate) fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no pointers; it may be called at any time, by any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// A block of the heap that is this large lies by itself, and goes back to the kernel as soon as it is freed. Unless this
/// is said, glibc raises the bound to the largest such block that was ever freed, up to 32 MiB (`M_MMAP_THRESHOLD` in
/// `mallopt(3)`), and what a large policy needs for a moment stays between what is kept. Where there is another heap,
/// nothing is done.
pub fn large_blocks_lie_by_themselves() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no pointers; it may be called at any time, by any thread.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 << 10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of an attr as words of four, the zeros at its end left out.
    fn words(fill: impl FnOnce(&mut bpf_attr)) -> Vec<u32> {
        let mut attr = zeroed();
        fill(&mut attr);
        // SAFETY: a union of numbers, all of whose bytes were set to zero first; its size is a multiple of four.
        let bytes =
            unsafe { std::slice::from_raw_parts((&raw const attr).cast::<u8>(), size_of::<bpf_attr>()) };
        let mut words: Vec<u32> = (0..bytes.len() / 4).map(|at| word(bytes, at * 4)).collect();
        while words.last() == Some(&0) {
            words.pop();
        }
        words
    }

    /// `BPF_STRUCT_OPS` in `enum bpf_attach_type`.
    const STRUCT_OPS: u32 = 44;

    #[test]
    fn a_link_of_v3_has_a_flag_and_no_revision() {
        assert_eq!(words(|attr| link_create(attr, 5, 6, 0x80, 0)), [5, 6, STRUCT_OPS, 0x80]);
    }

    #[test]
    fn a_generic_link_has_no_flag_and_the_revision_that_was_seen() {
        let wide = 0x1_0000_0007;
        // map_fd, target_fd, attach_type, flags, relative_fd, a gap, expected_revision.
        let expected = [5, 6, STRUCT_OPS, 0, 0, 0, 7, 1];
        assert_eq!(words(|attr| link_create(attr, 5, 6, 0, wide)), expected);
    }

    #[test]
    fn a_link_is_led_elsewhere_only_from_where_it_was_seen_to_lead() {
        // link_fd, new_map_fd, flags (BPF_F_REPLACE), old_map_fd.
        assert_eq!(words(|attr| link_update(attr, 9, 5, 6)), [9, 6, 4, 5]);
    }

    #[test]
    fn a_question_for_handlers_says_the_type_where_the_kernel_has_it() {
        let ask = |at| words(|attr| query(attr, 6, 77, at).expect("it has room"));
        // target_fd, attach_type, then nothing but the type: no flags, no room for ids.
        assert_eq!(ask(28), [6, STRUCT_OPS, 0, 0, 0, 0, 0, 77]);
        assert_eq!((ask(64).len(), ask(64).last()), (17, Some(&77)));
        let mut attr = zeroed();
        for at in [30, 4096] {
            let error = query(&mut attr, 6, 77, at).expect_err("no room");
            assert!(error.to_string().contains("type_id"), "{error}");
        }
    }
}
