//! The environment that programs and checks start with.

use std::{collections::BTreeMap, path::Path};

use crate::port::Layout;

/// Where programs are looked for.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `PATH`, `HOME`, `LANG`, `PYTHONDONTWRITEBYTECODE` (so that no `__pycache__` gets into the changes), then the task's own, which may replace
/// those, then `own`, which nothing replaces.
pub(super) fn environment(
    layout: &Layout,
    task: &BTreeMap<String, String>,
    own: impl IntoIterator<Item = (&'static str, String)>,
) -> BTreeMap<String, String> {
    let base = [
        ("PATH", PATH.to_string()),
        ("HOME", text(&layout.home)),
        ("LANG", "C.UTF-8".to_string()),
        ("PYTHONDONTWRITEBYTECODE", "1".to_string()),
    ];
    let mut all: BTreeMap<String, String> = base.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
    // What no program could be started with is left out.
    let usable =
        |(name, value): &(&String, &String)| !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0');
    all.extend(task.iter().filter(usable).map(|(name, value)| (name.clone(), value.clone())));
    all.extend(own.into_iter().map(|(name, value)| (name.to_string(), value.replace('\0', ""))));
    all
}

pub(super) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
