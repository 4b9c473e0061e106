//! The house's import rules, held by a test and not by goodwill (ARCHITECTURE.md, "Who may import whom").

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).expect("tests/ has a parent")
}

/// Every `.rs` file below `folder`, with its text stripped of comments.
fn sources(folder: &str) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("readable entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).expect("readable source");
                let code: Vec<&str> =
                    text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code)).collect();
                found.insert(path.strip_prefix(root()).expect("below the root").to_path_buf(), code.join("\n"));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has no sources: the test looks in the wrong place");
    found
}

/// Whether `code` names the crate `name` as a path (`name::`) or imports it.
fn names(code: &str, name: &str) -> bool {
    code.match_indices(&format!("{name}::")).any(|(at, _)| {
        !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
            && !code[..at].ends_with("crate::")
            && !code[..at].ends_with("super::")
    })
}

/// The modules of its own crate that `code` names: `crate::a::…` and `crate::{a::…, b}`.
fn own_modules(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, marker) in code.match_indices("crate::") {
        let rest = &code[at + marker.len()..];
        let mut depth = 0;
        // At the beginning, and behind each comma of the outermost group, a module's name begins.
        let mut name = Some(String::new());
        for c in rest.chars() {
            if c.is_alphanumeric() || c == '_' {
                name.iter_mut().for_each(|name| name.push(c));
                continue;
            }
            found.extend(name.take_if(|name| !name.is_empty()));
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => name = Some(String::new()),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
}

#[test]
fn modules_are_found_in_groups_and_alone() {
    let code = "use crate::{\n    driver::{A, b::c},\n    plan,\n    port::bus::X,\n};\nlet x = crate::cli::y(1, two);";
    let wanted = ["cli", "driver", "plan", "port"].map(str::to_owned);
    assert_eq!(own_modules(code), BTreeSet::from(wanted));
}

#[test]
fn inside_a_crate_imports_point_inwards() {
    let rules: [(&str, &[&str]); 8] = [
        ("orchestrator/src/adapter", &["driver", "service", "cli", "supervise"]),
        ("vm-pool/src/adapter", &["driver", "attempt", "cli"]),
        ("worker/src/adapter", &["driver", "harness", "cli"]),
        ("orchestrator/src/port", &["adapter", "driver", "service", "cli", "supervise"]),
        ("orchestrator/src/words", &["adapter", "driver", "service", "cli", "supervise", "port", "config"]),
        ("orchestrator/src/driver", &["adapter", "service", "cli", "supervise"]),
        ("orchestrator/src/planfile", &["adapter", "driver", "service", "cli", "supervise", "port"]),
        ("orchestrator/src/service", &["cli", "supervise"]),
    ];
    for (folder, banned) in rules {
        // Tests put a core or a driver together with real adapters.
        for (path, code) in sources(folder).into_iter().filter(|(path, _)| !path.ends_with("tests.rs")) {
            let named = own_modules(&code);
            for module in banned {
                assert!(!named.contains(*module), "{}: must not name {module}", path.display());
            }
        }
    }
}

#[test]
fn crates_form_a_star() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let ours: BTreeSet<&str> = packages.iter().filter_map(|p| p["name"].as_str()).collect();
    let allowed = BTreeMap::from([
        ("bus-schemas", vec![]),
        ("skills", vec![]),
        ("orchestrator", vec!["bus-schemas", "skills"]),
        ("worker", vec!["bus-schemas", "skills"]),
        ("vm-pool", vec!["bus-schemas"]),
        ("xtask", vec![]),
        ("system-tests", vec!["bus-schemas", "skills", "orchestrator", "worker", "vm-pool"]),
    ]);
    assert_eq!(ours, allowed.keys().copied().collect(), "a crate joined or left: update ARCHITECTURE.md and this test");
    for package in packages {
        let name = package["name"].as_str().expect("name");
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let dependency = dependency["name"].as_str().expect("dependency name");
            assert!(
                !ours.contains(dependency) || allowed[name].contains(&dependency),
                "{name} must not depend on {dependency}"
            );
        }
    }
}

#[test]
fn cores_are_pure() {
    // The agent's core names serde_json, too: calls of tools and their schemas are JSON, and so is its transcript.
    for core in [
        "orchestrator/src/ledger",
        "orchestrator/src/plan",
        "vm-pool/src/pool",
        "vm-pool/src/governor",
        "worker/src/agent",
    ] {
        for (path, code) in sources(core) {
            for banned in [
                "tokio",
                "async_nats",
                "rusqlite",
                "reqwest",
                "axum",
                "tracing",
                "jiff",
                "getrandom",
                "futures",
                "std::time",
                "std::fs",
                "std::net",
                "std::process",
                "std::env",
                "std::thread",
                "crate::adapter",
                "crate::driver",
                "crate::port",
                "crate::cli",
                "bus_schemas::v1",
                "bus_schemas::nats",
            ] {
                let named = if banned.contains("::") { code.contains(banned) } else { names(&code, banned) };
                assert!(!named, "{}: a core must not name {banned}", path.display());
            }
            assert!(!code.contains("async fn"), "{}: a core does not wait", path.display());
        }
    }
}

#[test]
fn only_adapters_touch_the_world() {
    let worldly = [
        "async_nats",
        "rusqlite",
        "reqwest",
        "slack_morphism",
        "tokio_tungstenite",
        "lettre",
        "axum",
        "hyper",
        "hyper_rustls",
        "hyper_util",
        "rustls",
    ];
    for service in ["orchestrator", "worker", "vm-pool"] {
        for (path, code) in sources(&format!("{service}/src")) {
            let worldly_room =
                |part: std::path::Component<'_>| part.as_os_str() == "adapter" || part.as_os_str() == "tests";
            if path.components().any(worldly_room) {
                continue;
            }
            for name in worldly {
                assert!(!names(&code, name), "{}: only adapters name {name}", path.display());
            }
        }
    }
    for (path, code) in sources("bus-schemas/src") {
        if !path.ends_with("nats.rs") {
            assert!(!names(&code, "async_nats"), "{}: only nats.rs names async_nats", path.display());
        }
    }
}

#[test]
fn adapters_do_not_reach_into_each_others_services() {
    for (service, others) in [
        ("orchestrator", ["vm_pool", "worker"]),
        ("worker", ["orchestrator", "vm_pool"]),
        ("vm-pool", ["orchestrator", "worker"]),
    ] {
        for (path, code) in sources(&format!("{service}/src")) {
            for other in others {
                assert!(!code.contains(&format!("use {other}::")), "{}: services share words only", path.display());
            }
        }
    }
}

#[test]
fn no_subject_is_put_together_outside_bus_schemas() {
    for folder in ["orchestrator/src", "worker/src", "vm-pool/src"] {
        for (path, code) in sources(folder) {
            assert!(!code.contains("\"baton.v1"), "{}: subjects come from bus_schemas::subject", path.display());
        }
    }
}

#[test]
fn children_of_a_host_start_without_its_environment() {
    for (path, code) in sources("vm-pool/src").into_iter().filter(|(path, _)| !path.ends_with("adapter/child.rs")) {
        let tested = path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs");
        let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        assert!(tested || !code.contains("Command::new("), "{}: use adapter/child.rs", path.display());
    }
}

#[test]
fn every_path_of_the_code_map_exists() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let mut seen = 0;
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let path = line.trim_start_matches("| `").split('`').next().unwrap_or_default();
        assert!(root().join(path).exists(), "ARCHITECTURE.md names {path}, which does not exist");
        seen += 1;
    }
    assert!(seen > 15, "the code map has {seen} rows: is it still a table of `paths`?");
}

#[test]
fn no_file_has_grown_out_of_hand() {
    for folder in ["bus-schemas/src", "orchestrator/src", "worker/src", "vm-pool/src", "skills/src", "deploy/xtask/src"]
    {
        for path in sources(folder).into_keys() {
            let lines = fs::read_to_string(root().join(&path)).expect("readable").lines().count();
            assert!(lines <= 500, "{} has {lines} lines: split it by idea", path.display());
        }
    }
}
