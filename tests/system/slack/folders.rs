//! The folders in which people may start projects by writing a path.

use std::{fs, os::unix::fs::symlink, path::Path};

use harness::slack::TEAM_CHANNEL;

use super::{
    rig::{Office, says},
    starting::planning,
};

const PLAN: &str =
    r#"{"version": 1, "title": "t", "tasks": [{"id": "one", "run": "true", "checks": ["true"], "approval": "auto"}]}"#;

#[tokio::test]
async fn a_path_is_taken_below_the_configured_folders_and_nowhere_else_links_followed() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let at = |path: &str| home.path().join(path);
    for folder in ["root/inside", "root-2/beside", "outside"] {
        fs::create_dir_all(at(folder)).expect("a folder");
        fs::write(at(folder).join("a.txt"), "a\n").expect("a file");
    }
    symlink(at("outside"), at("root/leads-out")).expect("a link");
    symlink(at("root/inside"), at("leads-in")).expect("a link");
    let (player, _) = planning(PLAN);
    let office = Office::played(&format!("folders = [{:?}]\n", at("root")), player).await;
    let mut told = 0;
    for refused in ["outside", "root/leads-out", "root/leads-out/deeper", "root-2/beside", "root/missing"] {
        order(&office, &at(refused)).await;
        says(&office.told("U0ANN", told).await.shown(), &["nothing was started", "folders"]);
        told += 1;
    }
    assert_eq!(office.client().projects().await.expect("projects"), []);
    for (number, taken) in ["root/inside", "leads-in"].into_iter().enumerate() {
        order(&office, &at(taken)).await;
        let projects = harness::wait::until("the project", super::rig::PATIENCE, || async {
            let projects = office.client().projects().await.ok()?;
            (projects.len() > number).then_some(projects)
        })
        .await;
        let folders: Vec<_> = projects.iter().filter_map(|view| fs::canonicalize(&view.folder).ok()).collect();
        assert!(
            folders.iter().all(|folder| *folder == at("root/inside").canonicalize().expect("it is there")),
            "{folders:?}"
        );
    }
    assert_eq!(office.slack.ephemerals_to("U0ANN").len(), told, "{:?}", office.slack.ephemerals_to("U0ANN"));
    office.slack.no_violations();
}

/// Ann writes a path into the form.
async fn order(office: &Office, folder: &Path) {
    let ann = office.slack.person("U0ANN");
    ann.slash(TEAM_CHANNEL, "/baton", "").acked().await;
    let view = office.slack.wait_for_view("U0ANN").await;
    let folder = folder.display().to_string();
    ann.submits(&view, &[("goal", &format!("Work in {folder}")), ("folder", &folder)]).acked().await;
    office.slack.wait_for_no_view("U0ANN").await;
}

#[tokio::test]
async fn without_folders_in_the_settings_no_path_is_taken() {
    let office = Office::open("").await;
    order(&office, &office.serve.folder()).await;
    says(&office.told("U0ANN", 0).await.shown(), &["nothing was started", "preset"]);
    assert_eq!(office.client().projects().await.expect("projects"), []);
    office.slack.no_violations();
}
