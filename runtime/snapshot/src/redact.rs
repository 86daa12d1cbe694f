//! Names that say nothing: for a snapshot that is given away.
//!
//! The same name gets the same replacement everywhere, in the order of appearance, so that the shape of the tree and
//! what is equal stay visible. Amounts, limits and ids stay as they are.

use std::collections::BTreeMap;

use crate::schema::Snapshot;

/// A replacement for each name.
struct Names {
    word: &'static str,
    found: BTreeMap<String, String>,
}

impl Names {
    fn new(word: &'static str) -> Self {
        Self { word, found: BTreeMap::new() }
    }

    fn get(&mut self, name: &str) -> String {
        let number = self.found.len() + 1;
        let word = self.word;
        self.found.entry(name.to_owned()).or_insert_with(|| format!("{word}-{number}")).clone()
    }

    fn path(&mut self, path: &str) -> String {
        let parts = path.split('/').filter(|part| !part.is_empty()).map(|part| self.get(part));
        format!("/{}", parts.collect::<Vec<_>>().join("/"))
    }
}

impl Snapshot {
    /// Replaces names of cgroups, command names, labels and user ids. User 0 stays: what is root's is no secret,
    /// and labels depend on it.
    pub fn redact(&mut self) {
        let (mut cgroups, mut comms, mut labels) =
            (Names::new("cgroup"), Names::new("task"), Names::new("label"));
        let mut users: BTreeMap<i64, i64> = BTreeMap::from([(0, 0)]);
        let mut user = |uid: i64| {
            let number = users.len() as i64;
            *users.entry(uid).or_insert(number)
        };
        self.top = cgroups.path(&self.top);
        self.kernel = None;
        for one in &mut self.cgroups {
            one.path = cgroups.path(&one.path);
            one.parent = one.parent.as_deref().map(|parent| cgroups.path(parent));
            one.owner = user(i64::from(one.owner)) as u32;
            let named = std::mem::take(&mut one.labels);
            one.labels = named.into_iter().map(|(name, text)| (labels.get(&name), text)).collect();
        }
        for one in &mut self.processes {
            one.cgroup = cgroups.path(&one.cgroup);
            one.comm = comms.get(&one.comm);
            one.uid = user(one.uid);
        }
    }
}
