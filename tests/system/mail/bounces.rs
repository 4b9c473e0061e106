//! Mails that come back, and two programs that could answer each other for ever.

use harness::{
    mail::{ANN, BATON, BOB, Envelope},
    wait,
};

use super::{
    rig::{Office, PATIENCE, planner},
    written::Written,
};

#[tokio::test]
async fn a_request_that_bounces_goes_to_the_next_address() {
    let members = "
[members.ann]
email = [\"gone@team.test\", \"ann@team.test\"]
[members.carl]
";
    let office = Office::setup().members(members).played(planner().0).open().await;
    let project = office.project(super::rig::ONE).await;
    let approval = office.asked().await;
    let mail = office.request(ANN, 0).await;
    let bounced = wait::until("the bounce to be known", PATIENCE, || async {
        office.outbox().into_iter().find(|out| out["to"] == "gone@team.test" && out["state"] == "bounced")
    })
    .await;
    assert_eq!(bounced["approval_id"], approval.approval_id.to_string());
    office.replies(ANN, &mail, "approve");
    assert_eq!(office.decided(&approval).await.by, "ann");
    office.completed(&project).await;
}

/// A server's report that quotes nothing and names its recipient by another name.
fn report(to: &str) -> Vec<u8> {
    format!(
        "From: MAILER-DAEMON@exchange.team.test\r\nTo: {to}\r\nSubject: failure notice\r\nMIME-Version: 1.0\r\n\
         Message-ID: <{}@exchange.team.test>\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nIt did not go.\r\n\
         --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; exchange.team.test\r\n\r\n\
         Final-Recipient: rfc822; A.Smith@Exchange.Team.Test\r\nAction: failed\r\nStatus: 5.2.1\r\n\r\n--b--\r\n",
        uuid::Uuid::now_v7()
    )
    .into_bytes()
}

#[tokio::test]
async fn a_report_that_quotes_nothing_finds_its_mail_by_the_return_path_and_a_forged_one_nothing() {
    let home = "ann@home.team.test";
    let members = "
[members.ann]
email = [\"ann@team.test\", \"ann@home.team.test\"]
[members.carl]
";
    let office = Office::setup().members(members).played(planner().0).open().await;
    office.mail.add_user(home);
    let (_, approval, mail) = office.waiting().await;
    let path = mail.header("Return-Path").trim_matches(['<', '>']).to_owned();
    let (token, domain) = path.split_once('@').expect("a return path");
    assert!(token.starts_with("baton+") && domain == "orch.test", "{path}");
    assert_eq!(path, super::written::answer_address(&mail));
    let from_theirs = |to: &str| {
        let envelope = Envelope::new("", to).by("mx.elsewhere.test", "127.0.0.6");
        office.mail.deliver(&envelope, &report(to));
    };
    let last = if token.ends_with('a') { 'b' } else { 'a' };
    let forged = format!("{}{last}@{domain}", &token[..token.len() - 1]);
    for strange in [forged.as_str(), BATON] {
        from_theirs(strange);
    }
    let log = office.judged(2).await;
    assert!(log.iter().all(|letter| letter["outcome"] == "a bounce of no mail of ours"), "{log:?}");
    assert!(office.requests(home).is_empty());
    from_theirs(&path);
    office.request(home, 0).await;
    let outbox = office.outbox();
    let lost = outbox.iter().find(|out| out["to"] == ANN && out["kind"] == "request").expect("the first mail");
    let why = lost["error"].as_str().unwrap_or_default();
    assert!(why.contains("5.2.1") && why.to_lowercase().contains("a.smith@exchange.team.test"), "{why}");
    wait::until("who has it instead", PATIENCE, || async {
        let outbox = office.outbox();
        let lost = outbox.iter().find(|out| out["to"] == ANN && out["kind"] == "request")?;
        lost["error"].as_str()?.ends_with("instead: ann at ann@home.team.test").then_some(())
    })
    .await;
    office.replies(ANN, &mail, "approve");
    assert_eq!(office.decided(&approval).await.by, "ann");
}

#[tokio::test]
async fn a_request_nobody_got_goes_to_somebody_else() {
    let members = "
[members.ann]
email = [\"gone@team.test\"]
[members.bob]
email = [\"bob@team.test\"]
admin = true
[members.carl]
";
    // Only ann is asked.
    let policy = "
[policies.hers]
decide = { person = \"ann\" }
";
    let office = Office::setup().members(&format!("{members}{policy}")).played(planner().0).open().await;
    let plan = super::rig::ONE.replace("approval: ask", "approval: hers");
    office.project(&plan).await;
    let approval = office.asked().await;
    wait::until("bob to hear that ann cannot be reached", PATIENCE, || async {
        let mails = office.mail.mails(BOB);
        mails.into_iter().find(|mail| super::rig::says(mail, &["could not be reached"]))
    })
    .await;
    assert_eq!(office.request_now(&approval).await.decision, None);
}

#[tokio::test]
async fn a_full_mailbox_is_a_bounce_and_a_busy_server_is_not() {
    let office = Office::open().await;
    office.mail.quota(BOB, Some(10));
    office.mail.on_recipient(ANN, "450 4.2.1 busy");
    let project = office.project(super::rig::ONE).await;
    let approval = office.asked().await;
    wait::until("the bounce of bob's mail", PATIENCE, || async {
        office.outbox().into_iter().find(|out| out["to"] == BOB && out["state"] == "bounced")
    })
    .await;
    wait::until("the first try to reach ann", PATIENCE, || async {
        office
            .outbox()
            .into_iter()
            .find(|out| out["to"] == ANN && out["tries"].as_u64() > Some(0) && out["state"] == "queued")
    })
    .await;
    office.mail.is_well();
    let mail = office.request(ANN, 0).await;
    office.replies(ANN, &mail, "approve");
    office.decided(&approval).await;
    office.completed(&project).await;
    assert_eq!(office.requests(ANN).len(), 1, "tried again, never sent twice");
}

#[tokio::test]
async fn two_batons_do_not_talk_with_each_other() {
    let office = Office::setup().played(planner().0).keys("allow = [\"@other.test\"]\n").open().await;
    let theirs = "baton@other.test";
    office.mail.add_user(theirs);
    // A mail of the other one that carries no mark at all starts something; what is answered carries one.
    office.sends(&Written::new(theirs, BATON, "Ping", "Do something.\n"));
    office.only_project().await;
    let answer = office.told(theirs, &["Ping"], 0).await;
    assert!(["auto-replied", "auto-generated"].contains(&answer.header("Auto-Submitted").as_str()), "{answer:?}");
    // The other one answers as we would: with a mark, whatever it says.
    for number in 0..5 {
        let mirrored =
            Written::reply(theirs, &answer, &format!("Re {number}: approve")).header("Auto-Submitted", "auto-replied");
        office.sends(&mirrored);
        assert_eq!(office.outcome(&mirrored).await["state"], "done");
    }
    // And our own words, sent back to us by somebody who forwards everything.
    let own = office.mail.mails(theirs).first().expect("a mail").raw.clone();
    office.hands_on("ann@team.test", BATON, &own);
    office.judged(7).await;
    assert_eq!(office.projects().await, 1);
    let to_them = office.mail.mails(theirs).len();
    let request = office.request(BOB, 0).await;
    office.replies(BOB, &request, "approve");
    office.completed(&office.only_project().await).await;
    office.told(theirs, &["completed"], 0).await;
    assert!(office.mail.mails(theirs).len() <= to_them + 2, "the outcome and the result, and no answer to an answer");
}

#[tokio::test]
async fn a_thread_that_will_not_end_is_cut() {
    let office = Office::setup().played(planner().0).keys("per_thread = 5\n").open().await;
    let (_, approval, mail) = office.waiting().await;
    let mut last = None;
    for number in 0..12 {
        let written = Written::reply(ANN, &mail, &format!("hm {number}?"));
        office.sends(&written);
        last = Some(office.outcome(&written).await);
    }
    assert_eq!(last.expect("a mail")["state"], "done");
    assert!(office.mail.mails(ANN).len() <= 6, "{} mails", office.mail.mails(ANN).len());
    // What must be decided is decided all the same.
    office.replies(ANN, &mail, "approve");
    assert_eq!(office.decided(&approval).await.by, "ann");
}
