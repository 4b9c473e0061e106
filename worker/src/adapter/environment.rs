//! The environment that programs and checks start with.

use std::{collections::BTreeMap, net::SocketAddr, path::Path};

use bus_schemas::v1::guest::AttemptAssignment;

use crate::port::Layout;

/// Where programs are looked for.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `PATH`, `HOME`, `LANG`, `PYTHONDONTWRITEBYTECODE` (so that no `__pycache__` gets into the changes), then the task's own, which may replace
/// those, then `own`, which nothing replaces.
pub(crate) fn environment(
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

/// What an attempt's program starts with; `own` as in [`environment`]. With a network or a secret it is told where the proxy is, by every name
/// that programs know; the task's own variables may say otherwise.
pub(crate) fn of_attempt(
    layout: &Layout,
    attempt: &AttemptAssignment,
    proxy: Option<SocketAddr>,
    own: impl IntoIterator<Item = (&'static str, String)>,
) -> BTreeMap<String, String> {
    let mut task = BTreeMap::new();
    if let Some(proxy) = proxy.filter(|_| !attempt.network.is_empty() || !attempt.secrets.is_empty()) {
        let (proxy, around) = (format!("http://{proxy}"), "127.0.0.1,localhost,::1".to_string());
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            task.insert(name.to_string(), proxy.clone());
        }
        task.extend(["NO_PROXY", "no_proxy"].map(|name| (name.to_string(), around.clone())));
    }
    task.extend(attempt.env.clone());
    let attempts = [
        ("BATON_TASK", attempt.task_key.clone()),
        ("BATON_TITLE", attempt.title.clone()),
        ("BATON_GOAL", attempt.goal.clone()),
        ("BATON_ATTEMPT", attempt.attempt.to_string()),
        ("BATON_WORKSPACE", text(&layout.workspace)),
        ("BATON_EXCHANGE", text(&layout.exchange)),
    ];
    environment(layout, &task, attempts.into_iter().chain(own))
}

pub(crate) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
