//! Members of kernel structures that an author names: `task.signal.nr_threads`.
//!
//! Takes a structure and names as C writes them, except that `.` stands for `->`, too. Gives the path with its
//! pointers, and what the kernel's BTF says of the value at its end, or a [`Missing`].

use crate::btf::{Btf, INT_BOOL, Kind, TypeId};
use crate::resolve::{BitField, KernelView, Member, Missing, Shape};

/// A member that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// C path, with `->` where a pointer is followed.
    pub path: String,
    /// What is at its end.
    pub value: Value,
}

/// A value that can be read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// A number.
    Number {
        /// It can be larger than a signed number of 64 bits.
        large: bool,
        /// It can be below 0.
        signed: bool,
    },
    /// A truth value.
    Bool,
    /// One of an enum's constants; of a nameless enum, its tag is empty.
    Enum {
        /// The enum's tag.
        tag: String,
    },
    /// Bits of a number.
    Bits {
        /// The highest one is its sign.
        signed: bool,
        /// It is a truth value.
        bool: bool,
    },
    /// A text of at most so many bytes, inside the structure.
    Chars(u32),
    /// A pointer to a text.
    Text,
}

/// Finds a member. Each part is a name with its indices: `rlim[3]`.
///
/// # Errors
/// What the kernel lacks, or why the value cannot be read.
pub fn find(view: &KernelView, container: &str, parts: &[String]) -> Result<Raw, Missing> {
    let mut container = container.to_owned();
    let (mut followed, mut inside) = (String::new(), String::new());
    for (at, part) in parts.iter().enumerate() {
        if !inside.is_empty() {
            inside.push('.');
        }
        inside.push_str(part);
        if at + 1 == parts.len() {
            break;
        }
        let Some(member) = pointer(view, &container, &inside)? else { continue };
        let next =
            member.pointee.ok_or_else(|| Missing::NotPointer { path: format!("{container}.{inside}") })?;
        followed.push_str(&inside);
        followed.push_str("->");
        container = next;
        inside.clear();
    }
    let path = format!("{followed}{inside}");
    if let Some(BitField { signed, bool, .. }) = view.bit_field(&container, &inside) {
        return Ok(Raw { path, value: Value::Bits { signed, bool } });
    }
    let member = view.lookup(&container, &inside)?;
    let value = value(view.btf(), &member);
    let so_far = format!("{container}.{inside}");
    value.map(|value| Raw { path, value }).ok_or_else(|| match (member.shape, member.pointee) {
        (Shape::Pointer, Some(tag)) => Missing::Whole { path: so_far, members: view.members(&tag) },
        (Shape::Pointer, None) => Missing::NoValue { path: so_far },
        _ => match aggregate(view.btf(), member.type_id) {
            Some(members) => Missing::Whole { path: so_far, members },
            None => Missing::NoValue { path: so_far },
        },
    })
}

/// A member on the way, if it is a pointer. What is a bit-field has nothing inside, and `lookup` says so later.
fn pointer(view: &KernelView, container: &str, path: &str) -> Result<Option<Member>, Missing> {
    if view.bit_field(container, path).is_some() {
        return Err(Missing::NotInside { path: format!("{container}.{path}") });
    }
    let member = view.lookup(container, path)?;
    if member.shape != Shape::Pointer {
        return Ok(None);
    }
    match mark(view.btf(), member.type_id) {
        // The kernel reads these in ways of its own.
        Some(mark) if mark == "percpu" || mark == "user" => {
            Err(Missing::Elsewhere { path: format!("{container}.{path}"), mark: mark.to_owned() })
        }
        _ => Ok(Some(member)),
    }
}

/// The first mark on what a pointer points to.
fn mark(btf: &Btf, pointer: TypeId) -> Option<&str> {
    let Kind::Ptr(mut to) = btf.get(pointer)?.kind else { return None };
    while let Some(ty) = btf.get(to) {
        match ty.kind {
            Kind::TypeTag(_) => return Some(ty.name),
            kind => to = kind.alias()?,
        }
    }
    None
}

fn value(btf: &Btf, member: &Member) -> Option<Value> {
    let ty = btf.get(member.type_id)?;
    match ty.kind {
        Kind::Int { encoding, size, .. } if matches!(size, 1 | 2 | 4 | 8) => {
            Some(match encoding & INT_BOOL {
                0 => Value::Number { large: size == 8 && !member.signed, signed: member.signed },
                _ => Value::Bool,
            })
        }
        Kind::Enum { .. } => Some(Value::Enum { tag: ty.name.to_owned() }),
        Kind::Ptr(to) if is_char(btf, to) => Some(Value::Text),
        Kind::Array { element, len, .. } if len > 0 && is_char(btf, element) => Some(Value::Chars(len)),
        _ => None,
    }
}

fn is_char(btf: &Btf, id: TypeId) -> bool {
    btf.resolve(id).is_some_and(|(_, ty)| ty.name == "char" && matches!(ty.kind, Kind::Int { size: 1, .. }))
}

/// Names of the members of a structure; None: it is none.
fn aggregate(btf: &Btf, id: TypeId) -> Option<Vec<String>> {
    match btf.resolve(id)?.1.kind {
        Kind::Struct { members, .. } | Kind::Union { members, .. } => Some(
            members
                .iter()
                .filter(|member| !member.name.is_empty())
                .map(|member| member.name.to_owned())
                .collect(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(container: &str, path: &str) -> Result<Raw, String> {
        let parts: Vec<String> = path.split('.').map(str::to_owned).collect();
        find(&KernelView::embedded(), container, &parts).map_err(|missing| missing.to_string())
    }

    #[test]
    fn values_of_every_kind() {
        let found = |container, path| of(container, path).map(|raw| (raw.path, raw.value));
        let number = |large| Value::Number { large, signed: !large };
        let path = |text: &str, value| Ok((text.to_owned(), value));
        assert_eq!(found("task_struct", "signal.nr_threads"), path("signal->nr_threads", number(false)));
        assert_eq!(found("mem_cgroup", "css.serial_nr"), path("css.serial_nr", number(true)));
        assert_eq!(found("mem_cgroup", "css.cgroup.kn.id"), path("css.cgroup->kn->id", number(true)));
        assert_eq!(found("mem_cgroup", "oom_group"), path("oom_group", Value::Bool));
        assert_eq!(
            found("task_struct", "signal.rlim[3].rlim_cur"),
            path("signal->rlim[3].rlim_cur", number(true))
        );
        assert_eq!(
            found("oom_control", "constraint"),
            path("constraint", Value::Enum { tag: "oom_constraint".to_owned() })
        );
        assert_eq!(found("task_struct", "comm"), path("comm", Value::Chars(16)));
        assert_eq!(found("mem_cgroup", "css.cgroup.kn.name"), path("css.cgroup->kn->name", Value::Text));
        assert_eq!(
            found("task_struct", "in_execve"),
            path("in_execve", Value::Bits { signed: false, bool: false })
        );
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let say = |container, path| of(container, path).expect_err("no value");
        assert_eq!(
            say("task_struct", "signal.nr_thread"),
            "this kernel's `signal_struct` has no member `nr_thread`; did you mean `nr_threads`?"
        );
        assert!(
            say("task_struct", "signal")
                .starts_with("`task_struct.signal` is a whole structure; its members are ")
        );
        assert!(
            say("mem_cgroup", "css")
                .starts_with("`mem_cgroup.css` is a whole structure; its members are `cgroup`, ")
        );
        assert_eq!(say("task_struct", "pid.x"), "`task_struct.pid` has no members or elements");
        assert_eq!(say("task_struct", "in_execve.x"), "`task_struct.in_execve` has no members or elements");
        assert_eq!(
            say("task_struct", "signal.rlim[99].rlim_cur"),
            "`signal_struct.rlim` has only 16 elements"
        );
        assert_eq!(say("task_struct", "stack"), "`task_struct.stack` is neither a number nor a text");
    }
}
