//! Projects, spoken to.

use bus_schemas::v1::project::ProjectState;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_reply_about_a_project_is_a_note_once() {
    let mut rig = Rig::new();
    let out = rig.told("bob").await;
    rig.desk.with(|memory| memory.crashes = 1);
    let kept = rig.comes(&answer(BOB, &out, "Use tabs, please.\r\n\r\n> Started")).await;
    rig.restarted().await;
    is(&rig.mail(&kept.id).await, InState::Done, "noted");
    let told = rig.service.with(|known| known.told.clone());
    assert_eq!((told.len(), told[0].text.as_str(), told[0].by.as_str()), (1, "Use tabs, please.", BOB));
    assert!(rig.outlet.words().contains("Told now: report"), "{}", rig.outlet.words());
    // What was attached is not lost in silence.
    let with_file = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n";
    let parts = "--b\r\n\r\nAnd this.\r\n--b\r\nContent-Type: text/csv; name=a.csv\r\nContent-Disposition: attachment\r\n\r\n1,2\r\n--b--\r\n";
    rig.comes(&mail(BOB, &tokened(&out), with_file, parts)).await;
    assert!(rig.outlet.words().contains("files were not taken (a.csv)"), "{}", rig.outlet.words());
    // The same words in another mail are said again.
    rig.comes(&mail(BOB, &tokened(&out), "X-Other: 1\r\n", "Use tabs, please.")).await;
    assert_eq!(rig.service.with(|known| known.told.len()), 3);
}

#[tokio::test(start_paused = true)]
async fn who_has_no_part_in_it_says_nothing_to_it() {
    let rig = Rig::new();
    let out = rig.told("bob").await;
    is(&rig.comes(&answer(CARL, &out, "Use tabs.")).await, InState::Done, "sent to somebody else");
    is(&rig.comes(&answer(CARL, &out, "cancel")).await, InState::Done, "sent to somebody else");
    is(&rig.comes(&answer(ANN, &out, "Use tabs.")).await, InState::Done, "noted");
    assert_eq!(rig.service.with(|known| (known.told.len(), known.canceled.len())), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn it_is_stopped_by_who_began_it_or_looks_after_everything() {
    let rig = Rig::new();
    rig.service.with(|known| known.project.owner = "email:carl@partner.example".to_owned());
    let (bobs, anns) = (rig.told("bob").await, rig.told("ann").await);
    rig.comes(&answer(BOB, &bobs, "stop")).await;
    assert!(rig.outlet.words().starts_with("Nothing was stopped"), "{}", rig.outlet.words());
    is(&rig.comes(&answer(ANN, &anns, "Cancel.\r\n\r\nwrong page")).await, InState::Done, "stopped");
    let canceled = rig.service.with(|known| known.canceled.clone());
    assert_eq!((canceled.len(), canceled[0].by.as_str(), canceled[0].reason.as_str()), (1, ANN, "wrong page"));
}

#[tokio::test(start_paused = true)]
async fn its_status_is_sent_and_an_ended_one_takes_no_notes() {
    let rig = Rig::new();
    let out = rig.told("bob").await;
    rig.comes(&answer(BOB, &out, "status")).await;
    assert_eq!(rig.outlet.words(), "status");
    rig.comes(&answer(BOB, &out, "approve")).await;
    assert!(rig.outlet.words().contains("asks for no decision"));
    rig.service.with(|known| known.project.state = ProjectState::Completed);
    rig.comes(&answer(BOB, &out, "Use tabs.")).await;
    assert!(rig.outlet.words().contains("has ended"));
    assert_eq!(rig.service.with(|known| known.told.len()), 0);
}

#[tokio::test(start_paused = true)]
async fn thanks_for_an_answer_begin_nothing() {
    let rig = Rig::new();
    let out = rig.sent("ann", OutKind::Answer, None, None, "").await;
    is(&rig.comes(&answer(ANN, &out, "Thanks!")).await, InState::Done, "asks nothing");
    assert_eq!(rig.service.with(|known| known.created.len()), 0);
}
