//! Members of kernel structures: their paths in the target's BTF, and what they may be compared with.

use oomc_abi::fields::Owner;
use oomc_abi::members;
use oomc_abi::raw::{self, Value};
use oomc_abi::resolve::Missing;

use super::errors;
use super::lower::Checker;
use super::{ExprId, ExprKind, Raw, Subject, Ty};
use crate::diag::codes;
use crate::diag::suggest::nearest;
use crate::source::Span;
use crate::syntax::ast::Path;
use crate::syntax::literal::Kind;

impl Checker<'_> {
    /// The member that a path names behind its first `head` segments.
    pub(super) fn raw(&mut self, path: &Path, subject: Subject, owner: Owner, head: usize) -> Option<ExprId> {
        let container = match owner {
            Owner::Process => members::TASK,
            Owner::Cgroup => members::MEMCG,
            Owner::Event | Owner::Machine => members::EVENT,
        };
        let mut parts = Vec::new();
        for (at, name) in path.segments.iter().enumerate() {
            let mut part = name.text.clone();
            for (_, index) in path.indices.iter().filter(|(of, _)| *of == at) {
                if index.kind != Kind::Count || u32::try_from(index.value).is_err() || at < head {
                    self.sink.push(errors::kernel::no_such_element(name, path.span));
                    return None;
                }
                part.push_str(&format!("[{}]", index.value));
            }
            if at >= head {
                parts.push(part);
            }
        }
        if parts.is_empty() {
            let (text, all) = (path.text(), self.view.members(container));
            self.sink.push(errors::kernel::whole_structure(
                (&text, container),
                all.first().map(AsRef::as_ref),
                path.span,
            ));
            return None;
        }
        let found = match self.members.get(&(container, parts.clone())) {
            Some(known) => Ok(known.clone()),
            None => raw::find(self.view, container, &parts),
        };
        match found {
            Ok(found) => {
                self.members.insert((container, parts), found.clone());
                let ty = match &found.value {
                    Value::Number { .. } | Value::Enum { .. } | Value::Bits { bool: false, .. } => Ty::Count,
                    Value::Bool | Value::Bits { bool: true, .. } => Ty::Bool,
                    Value::Chars(_) | Value::Text => Ty::Text,
                };
                let raw = self.policy.raws.push(Raw { container, path: found.path, value: found.value });
                Some(self.push(ExprKind::Raw(subject, raw), ty, path.span))
            }
            Err(missing) => {
                self.unreadable(path, &missing);
                None
            }
        }
    }

    fn unreadable(&mut self, path: &Path, missing: &Missing) {
        let text = path.text();
        let (code, label) = match missing {
            Missing::Member { .. } => (codes::UNKNOWN_FIELD, "no such member"),
            Missing::Index { .. } => (codes::UNKNOWN_FIELD, "no such element"),
            Missing::Type { .. } | Missing::Opaque { .. } => (codes::FIELD_MISSING, "not known"),
            _ => (codes::NOT_A_VALUE, "not a value"),
        };
        let message = match missing {
            Missing::Member { container, member, .. } => format!("`{container}` has no member `{member}`"),
            other => format!("`{text}` cannot be read: {other}"),
        };
        let help = match missing {
            Missing::Member { nearest, .. } if nearest.is_empty() => {
                "look its name up in the kernel's source".to_owned()
            }
            Missing::Member { nearest, .. } => {
                let names: Vec<String> = nearest.iter().map(|name| format!("`{name}`")).collect();
                format!("did you mean {}?", names.join(" or "))
            }
            Missing::Index { .. } => "elements are numbered from 0".to_owned(),
            Missing::Type { .. } | Missing::Opaque { .. } => {
                "build for a kernel that tells: `--btf /sys/kernel/btf/vmlinux`".to_owned()
            }
            Missing::Whole { .. } => "name one of its members".to_owned(),
            _ => "name a number, a truth value or a text".to_owned(),
        };
        self.sink.push(errors::kernel::unreadable_member((code, label), message, help, path.span));
    }

    /// Whether a string can be compared with a member; None: it is a number like any other.
    pub(super) fn raw_text(&mut self, value: ExprId, text: &str, span: Span) -> Option<Option<()>> {
        let Some(ExprKind::Raw(_, raw)) = self.policy.exprs.get(value).map(|expr| &expr.kind) else {
            return None;
        };
        match self.policy.raws.get(*raw).map(|raw| &raw.value)? {
            Value::Chars(_) | Value::Text => Some(Some(())),
            Value::Enum { tag } => {
                let names = self.view.enumerators(tag);
                if names.iter().any(|name| name == text) {
                    return Some(Some(()));
                }
                let help = match nearest(text, names.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None if names.is_empty() => "the enum has no name: compare with a number".to_owned(),
                    None => format!("its constants are {}", names.join(", ")),
                };
                self.sink.push(errors::kernel::unknown_constant(tag, text, help, span));
                Some(None)
            }
            _ => None,
        }
    }
}
