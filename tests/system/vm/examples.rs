//! The examples run as they are, in real VMs.

use std::{fs, path::Path, process::Command};

use harness::{paths, world::World};

async fn run_to_the_end(world: &World, plan: &str, folder: &Path) -> String {
    let plan = paths::root().join("examples").join(plan).join("plan.yaml").display().to_string();
    let id = world.run(&plan, folder);
    loop {
        let project = world.until_state(&id, &["completed", "failed", "working"]).await;
        if project["state"] != "working" {
            assert_eq!(project["state"], "completed", "{project:#}");
            break;
        }
        if let Some(approval) =
            project["pending_approvals"].as_array().and_then(|a| a.first()?.as_str().map(str::to_owned))
        {
            world.ok(&["approve", &approval]);
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    world.ok(&["apply", &id]);
    id
}

fn git(folder: &Path, arguments: &[&str]) {
    let done = Command::new("git")
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
        .args(arguments)
        .current_dir(folder)
        .status()
        .expect("git runs");
    assert!(done.success(), "git {arguments:?}");
}

#[tokio::test]
async fn repo_audit_finds_what_is_there() {
    let world = World::up().await;
    let folder = world.folder(
        "repository",
        &[
            ("src/main.py", "# TODO: greet properly\nprint('hello')\n"),
            ("LICENSE", "MIT License\n\nPermission is hereby granted, free of charge, to any person\n"),
            ("requirements.txt", "requests==2.31.0\nrich>=13\n"),
            ("config/settings.env", "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENGbPxRfiCYzQ3v9tKfLw0H\n"),
        ],
    );
    git(&folder, &["init", "-q"]);
    git(&folder, &["add", "-A"]);
    git(&folder, &["commit", "-qm", "first"]);
    run_to_the_end(&world, "repo-audit", &folder).await;
    let report = fs::read_to_string(folder.join("baton-report/report.html")).expect("the report");
    let markdown = fs::read_to_string(folder.join("baton-report/report.md")).expect("the report");
    for expected in ["greet properly", "requests", "MIT"] {
        assert!(markdown.contains(expected), "{expected} is not in the report: {markdown}");
    }
    assert!(report.contains("<svg"), "charts");
    for text in [&report, &markdown] {
        assert!(!text.contains("wJalrXUtnFEMIK7MDENGbPxRfiCYzQ3v9tKfLw0H"), "the secret itself is in the report");
    }
    assert!(markdown.contains("settings.env"), "the secret's place is not in the report");
}

#[tokio::test]
async fn data_report_cleans_and_counts() {
    let world = World::up().await;
    let source = paths::root().join("examples/data-report/data");
    let folder = world.folder("data", &[]);
    fs::create_dir_all(folder.join("data")).expect("data");
    for entry in fs::read_dir(source).expect("the example's data").flatten() {
        fs::copy(entry.path(), folder.join("data").join(entry.file_name())).expect("copy");
    }
    let id = run_to_the_end(&world, "data-report", &folder).await;
    let project = world.project(&id);
    let children = project["tasks"]
        .as_array()
        .expect("tasks")
        .iter()
        .filter(|t| t["key"].as_str().is_some_and(|k| k.contains('[')));
    assert!(children.count() >= 3, "foreach made one task per file");
    let reports: Vec<_> = walk(&folder).into_iter().filter(|p| p.ends_with(".svg") || p.ends_with(".html")).collect();
    assert!(reports.iter().any(|p| p.ends_with(".svg")) && reports.iter().any(|p| p.ends_with(".html")), "{reports:?}");
}

fn walk(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            files.extend(walk(&entry.path()));
        } else {
            files.push(entry.path().display().to_string());
        }
    }
    files
}
