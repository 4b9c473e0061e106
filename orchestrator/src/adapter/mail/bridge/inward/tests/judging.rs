//! What is not a person's, not genuine or not from somebody who may, does nothing and is not answered.

use super::*;

#[tokio::test(start_paused = true)]
async fn what_is_not_genuine_is_put_aside_and_never_answered() {
    let rig = Rig::new();
    let out = rig.asked("ann", &samples::request()).await;
    rig.says(Authentic::No("DMARC fails: no signature of example.org".to_owned()));
    let forged = rig.comes(&answer(ANN, &out, "approve")).await;
    is(&forged, InState::Quarantined, "ann@example.org may not have written it: DMARC fails");
    assert!(!forged.verdict.trusted && forged.verdict.person.is_empty());
    rig.comes(&mail(ANN, OURS, "", "Make a page")).await;
    assert_eq!(
        (rig.outlet.said(), rig.service.with(|known| known.decided.len() + known.created.len())),
        (Vec::new(), 0)
    );
}

#[tokio::test(start_paused = true)]
async fn strangers_are_put_aside_with_the_one_they_look_like() {
    let rig = Rig::new();
    is(&rig.comes(&mail("eve@elsewhere.net", OURS, "", "Make a page")).await, InState::Quarantined, "may not write");
    let like = rig.comes(&mail("carl@partner.exarnple", OURS, "", "Make a page")).await;
    is(&like, InState::Quarantined, "looks like @partner.example");
    assert_eq!((rig.outlet.said().len(), rig.service.with(|known| known.created.len())), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn whose_mail_it_is_is_written_down() {
    let rig = Rig::new();
    let of = async |raw: String| rig.comes(&raw).await.verdict.standing;
    assert_eq!(of(mail("eve@elsewhere.net", OURS, "", "Make a page")).await, Standing::Stranger);
    assert_eq!(of(mail("eve@elsewhere.net", OURS, "Precedence: bulk\r\n", "Buy")).await, Standing::Stranger);
    assert_eq!(
        of(mail(ANN, OURS, "Precedence: bulk\r\n", "Buy")).await,
        Standing::Claims,
        "nobody looked who wrote it"
    );
    assert_eq!(of(mail(ANN, OURS, "", "Make a page")).await, Standing::Known);
    rig.says(Authentic::No("nothing says so".to_owned()));
    assert_eq!(of(mail(ANN, OURS, "", "Make another page")).await, Standing::Claims);
}

#[tokio::test(start_paused = true)]
async fn mails_that_can_be_read_in_two_ways_are_put_aside() {
    let rig = Rig::new();
    let out = rig.asked("ann", &samples::request()).await;
    let to = tokened(&out);
    for (raw, why) in [
        (mail(ANN, &to, "From: eve@elsewhere.net\r\n", "approve"), "names 2 writers"),
        (mail("ann@example.org, eve@elsewhere.net", &to, "", "approve"), "names 2 writers"),
        (mail(ANN, &to, "Subject: x\r\nSubject: y\r\n", "approve"), "header subject twice"),
        (mail(ANN, &to, "To: else@example.org\r\n", "approve"), "header to twice"),
        (mail(ANN, &to, "In-Reply-To: <a@b>\r\nIn-Reply-To: <c@d>\r\n", "approve"), "header in-reply-to twice"),
        (mail(ANN, &to, "Content-Type: text/plain\r\nContent-Type: text/html\r\n", "approve"), "content-type twice"),
        (mail(ANN, "else@example.org", "", "approve"), "neither To nor Cc names our address"),
        (mail(ANN, "else@example.org", &format!("Delivered-To: {to}\r\n"), "approve"), "neither To nor Cc"),
        (mail(ANN, &to, "X-Baton-Too-Large: 99 MiB\r\n", "approve"), "too large"),
    ] {
        is(&rig.comes(&raw).await, InState::Quarantined, why);
    }
    assert_eq!((rig.outlet.said().len(), rig.service.with(|known| known.decided.len())), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_stands_for_a_mail_that_did_not_come_is_known_by_its_way_and_not_by_its_header() {
    let rig = Rig::new();
    let of = async |raw: String, delivery: Delivery| {
        let id = rig.kept(&raw, delivery).await;
        rig.calm().await;
        rig.mail(&id).await
    };
    let note = "X-Baton-Unfetched: UID 7 of imap://x, 9 bytes: it broke\r\n";
    let stub = of(format!("{note}\r\n"), Delivery { is_stub: true, ..Delivery::default() }).await;
    is(&stub, InState::Quarantined, "lies unread; look at it there (UID 7");
    assert_eq!(stub.verdict.standing, Standing::Known, "it counts against no limit");
    for source in [Source::Imap, Source::Postmark] {
        let said = of(
            mail("eve@elsewhere.net", OURS, note, &format!("{source:?}")),
            Delivery { source, ..Delivery::default() },
        )
        .await;
        is(&said, InState::Quarantined, "eve@elsewhere.net may not write");
        assert_eq!(said.verdict.standing, Standing::Stranger, "{source:?}");
        rig.says(Authentic::No("nothing says so".to_owned()));
        let said = of(mail(ANN, OURS, note, &format!("{source:?}")), Delivery { source, ..Delivery::default() }).await;
        is(&said, InState::Quarantined, "ann@example.org may not have written it");
        assert_eq!(said.verdict.standing, Standing::Claims, "{source:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn machines_are_heard_and_never_answered() {
    let rig = Rig::new();
    let out = rig.asked("ann", &samples::request()).await;
    let to = tokened(&out);
    for headers in [
        "Auto-Submitted: auto-replied\r\n",
        "List-Id: <x.example.org>\r\n",
        "Return-Path: <>\r\n",
        "Precedence: bulk\r\n",
    ] {
        is(&rig.comes(&mail(ANN, &to, headers, "approve")).await, InState::Done, "not acted on");
    }
    is(&rig.comes(&mail(OURS, &to, "", "approve")).await, InState::Done, "a mail of our own");
    let away =
        rig.comes(&mail(ANN, &to, "Subject: Automatic reply: Plan\r\n", "I am away; my deputy may approve.")).await;
    is(&away, InState::Done, "asked back");
    assert_eq!((rig.outlet.said().len(), rig.service.with(|known| known.decided.len())), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_came_back_goes_to_who_sends() {
    let rig = Rig::new();
    let out = rig.asked("ann", &samples::request()).await;
    let raw = format!(
        "Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example.org\r\nTo: {}\r\nSubject: Undelivered Mail Returned to Sender\r\n\r\nann@example.org: 550 5.1.1 user unknown\r\n",
        tokened(&out)
    );
    is(&rig.comes(&raw).await, InState::Done, "it came back");
    assert_eq!(rig.outlet.with(|recorded| recorded.bounces[0].recipients[0].address.clone()), "ann@example.org");
    assert!(rig.outlet.said().is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_checked_now_is_checked_later_for_an_hour() {
    let rig = Rig::new();
    rig.says(Authentic::Unknown("the name server does not answer".to_owned()));
    let id = rig.kept(&mail(ANN, OURS, "", "Make a page"), Delivery::default()).await;
    rig.calm().await;
    is(&rig.mail(&id).await, InState::Kept, "cannot be checked now (the name server does not answer)");
    rig.calm().await;
    assert_eq!(rig.service.with(|known| known.created.len()), 0, "its time has not come");
    rig.says(Authentic::Yes("DKIM".to_owned()));
    let rung = tokio::sync::Notify::new();
    let inward = rig.inward.clone();
    let keeps = inward.keep(|| rung.notified());
    let done = async {
        while rig.mail(&id).await.verdict.state == InState::Kept {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = keeps => {}
        () = done => {}
    }
    is(&rig.mail(&id).await, InState::Done, "started");
}

#[tokio::test(start_paused = true)]
async fn only_time_in_which_it_is_tried_counts_for_that_hour() {
    let mut rig = Rig::new();
    rig.says(Authentic::Unknown("the name server does not answer".to_owned()));
    let id = rig.kept(&mail(ANN, OURS, "", "Make a page"), Delivery::default()).await;
    // Nothing ran for a day.
    *lock(&rig.now) = UnixMs(samples::NOW.0 + 24 * 3_600_000);
    let begun = tokio::time::Instant::now();
    let mut waited = std::time::Duration::ZERO;
    rig.restarted().await;
    while rig.mail(&id).await.verdict.state == InState::Kept {
        assert!(rig.mail(&id).await.tries > 0 && waited < std::time::Duration::from_secs(5_000), "{waited:?}");
        // What is known of it outlasts the program.
        if rig.mail(&id).await.tries == 3 {
            rig.restarted().await;
            continue;
        }
        let next = rig.inward.line_up(false).await.unwrap().expect("it waits");
        tokio::time::sleep_until(next).await;
        waited = begun.elapsed();
        rig.calm().await;
    }
    is(&rig.mail(&id).await, InState::Quarantined, "for an hour, it could not be checked");
    assert_eq!(rig.mail(&id).await.verdict.standing, Standing::Unchecked);
    assert!(waited >= std::time::Duration::from_secs(3_600 - 120), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wake_looks_at_what_is_new_and_at_what_is_due_and_at_nothing_else() {
    let rig = Rig::new();
    rig.says(Authentic::Unknown("the name server does not answer".to_owned()));
    for number in 0..1_100 {
        rig.kept(&mail(ANN, OURS, "", &format!("Page {number}")), Delivery::default()).await;
    }
    rig.calm().await;
    assert_eq!(rig.desk.with(|memory| memory.listed), 1_100, "in several steps, each once");
    for _ in 0..10 {
        rig.calm().await;
    }
    let new = rig.kept(&mail(BOB, OURS, "", "Another page"), Delivery::default()).await;
    rig.calm().await;
    assert_eq!(rig.desk.with(|memory| memory.listed), 1_101);
    rig.says(Authentic::Yes("DKIM".to_owned()));
    tokio::time::sleep(std::time::Duration::from_secs(16)).await;
    rig.calm().await;
    assert_eq!(rig.desk.with(|memory| memory.listed), 1_101, "those that waited are known");
    is(&rig.mail(&new).await, InState::Done, "started");
}

#[tokio::test(start_paused = true)]
async fn too_many_mails_are_put_aside() {
    let rig = Rig::with(|settings| (settings.per_sender, settings.per_hour) = (2, 3));
    for number in 0..2 {
        is(&rig.comes(&mail(ANN, OURS, "", &format!("Page {number}"))).await, InState::Done, "started");
    }
    is(&rig.comes(&mail(ANN, OURS, "", "Page 3")).await, InState::Quarantined, "per_sender");
    is(&rig.comes(&mail(BOB, OURS, "", "Page 4")).await, InState::Done, "started");
    is(&rig.comes(&mail(CARL, OURS, "", "Page 5")).await, InState::Quarantined, "per_hour");
    *lock(&rig.now) = UnixMs(samples::NOW.0 + 3_600_001);
    is(&rig.comes(&mail(ANN, OURS, "", "Page 6")).await, InState::Done, "started");
}

#[tokio::test(start_paused = true)]
async fn an_admin_lets_a_mail_pass() {
    let rig = Rig::new();
    rig.says(Authentic::No("nothing says so".to_owned()));
    let aside = rig.comes(&mail(ANN, OURS, "", "Make a page")).await;
    assert!(rig.desk.judge(&aside.id, InState::Released, "root", samples::NOW).await.unwrap());
    rig.calm().await;
    is(&rig.mail(&aside.id).await, InState::Done, "started");
    assert_eq!(rig.service.with(|known| known.created.len()), 1);
}

#[tokio::test(start_paused = true)]
async fn one_mail_that_makes_it_stumble_is_put_aside_and_the_next_is_done() {
    let rig = Rig::new();
    let stumbles = rig.kept(&mail(ANN, OURS, "Subject: stumble\r\n", "x"), Delivery::default()).await;
    let next = rig.kept(&mail(ANN, OURS, "", "Make a page"), Delivery::default()).await;
    rig.calm().await;
    is(&rig.mail(&stumbles).await, InState::Quarantined, "error in Baton");
    is(&rig.mail(&next).await, InState::Done, "started");
}
