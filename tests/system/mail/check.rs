//! `baton mail check` against real servers.

use std::collections::BTreeMap;

use harness::mail::BATON;
use serde_json::Value;

use super::rig::Office;

/// What was looked at: whether it is well, and all that is said about it.
fn check(office: &Office) -> (bool, BTreeMap<String, (String, String)>) {
    let output = office.serve.baton(&["--json", "mail", "check"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    let word = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let parts = lines.map(|line| {
        let said = format!("{} {}", word(&line, "found"), word(&line, "mend")).to_lowercase();
        (word(&line, "name"), (word(&line, "health"), said))
    });
    (output.status.success(), parts.collect())
}

fn health<'a>(parts: &'a BTreeMap<String, (String, String)>, name: &str) -> &'a str {
    parts.get(name).map_or("not looked at", |(health, _)| health)
}

#[tokio::test]
async fn the_check_finds_nothing_where_all_is_well_and_names_what_is_not() {
    let office = Office::setup().closed().await;
    let (is_well, parts) = check(&office);
    assert!(is_well, "{parts:?}");
    for part in ["mx", "spf", "dmarc", "imap", "folder", "idle", "smtp", "round trip"] {
        assert_eq!(health(&parts, part), "ok", "{part}: {parts:?}");
    }

    office.mail.password(BATON, "another one");
    let (is_well, parts) = check(&office);
    assert!(!is_well && parts["imap"].1.contains("password") && parts["smtp"].1.contains("password"), "{parts:?}");
    office.mail.add_user(BATON);

    office.mail.stop_dovecot();
    let (is_well, parts) = check(&office);
    assert!(!is_well && parts["imap"].1.contains("refused"), "{parts:?}");
    office.mail.start_dovecot();

    office.dns.forget("_dmarc.orch.test");
    office.dns.txt("orch.test", "nothing about mail");
    let (_, parts) = check(&office);
    assert!(health(&parts, "dmarc") != "ok" && parts["dmarc"].1.contains("_dmarc.orch.test"), "{parts:?}");
    assert!(health(&parts, "spf") != "ok" && parts["spf"].1.contains("v=spf1"), "{parts:?}");
}
