//! A mailbox that is followed through everything a server may do.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    Access, ImapSettings, ImapState, Timing, run,
    testing::{Kit, PASSWORD, Server},
};
use crate::config::{Secret, Tls};

const ONE: &str = "Subject: one\r\n\r\nfirst\r\n";
const TWO: &str = "Subject: two\r\n\r\nsecond\r\n";
const THREE: &str = "Subject: three\r\n\r\nthird\r\n";

/// Short where something is to run out, long where it must not.
fn timing() -> Timing {
    let again = Duration::from_millis(1);
    let long = Duration::from_secs(600);
    Timing { command: long, fetch: long, idle: long, done: long, poll: again, again: (again, again), refused: again }
}

fn settings(server: &Server, tls: Tls) -> ImapSettings {
    ImapSettings {
        host: "localhost".to_owned(),
        port: server.port,
        tls,
        certificates: Arc::clone(&server.certificates),
        user: "baton".to_owned(),
        access: Access::Password(Secret::new(PASSWORD.to_owned())),
        folder: "INBOX".to_owned(),
        max_bytes: 1_000,
        piece: 16,
        timing: timing(),
    }
}

/// A mailbox being followed.
struct Followed {
    told: watch::Receiver<ImapState>,
    stop: CancellationToken,
    task: Option<AbortOnDropHandle<()>>,
    rung: watch::Receiver<u32>,
}

impl Followed {
    fn start(settings: ImapSettings, kit: &Kit) -> Self {
        let (tell, told) = watch::channel(ImapState::default());
        let (ring, rung) = watch::channel(0);
        let stop = CancellationToken::new();
        let bell = move || ring.send_modify(|count| *count += 1);
        let task = tokio::spawn(run(settings, kit.clone(), bell, tell, stop.clone()));
        Self { told, stop, task: Some(AbortOnDropHandle::new(task)), rung }
    }

    async fn open(&mut self) {
        self.told.wait_for(|state| matches!(state, ImapState::Open { .. })).await.unwrap();
    }

    async fn trouble(&mut self) -> String {
        let state = self.told.wait_for(|state| matches!(state, ImapState::Trouble(_))).await.unwrap().clone();
        let ImapState::Trouble(why) = state else { panic!("{state:?}") };
        why
    }

    async fn end(mut self) {
        self.stop.cancel();
        self.task.take().unwrap().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_there_and_what_comes_is_kept_once() {
    let server = Server::start(Tls::None).await;
    server.deliver(3, ONE);
    let kit = Kit::new();
    let mut followed = Followed::start(settings(&server, Tls::None), &kit);
    assert_eq!(kit.until(1).await, [ONE]);
    followed.open().await;
    assert_eq!(*followed.told.borrow(), ImapState::Open { is_told: true });
    server.deliver(5, TWO);
    assert_eq!(kit.until(2).await, [ONE, TWO]);
    server.deliver(9, THREE);
    assert_eq!(kit.until(3).await, [ONE, TWO, THREE]);
    followed.rung.wait_for(|count| *count >= 3).await.unwrap();
    followed.end().await;
    let position = kit.position.lock().unwrap().unwrap();
    assert_eq!((position.validity, position.uid), (7, 9));
    server.with(|state| assert!(state.seen.contains(&3) && state.seen.contains(&5)));
    // The next start asks only for what is new.
    server.deliver(12, "Subject: four\r\n\r\n");
    let followed = Followed::start(settings(&server, Tls::None), &kit);
    assert_eq!(kit.until(4).await.len(), 4);
    followed.end().await;
}

#[tokio::test]
async fn whatever_breaks_nothing_is_lost_and_nothing_comes_twice() {
    for at in ["CAPABILITY", "LOGIN", "SELECT", "UID SEARCH", "UID FETCH", "UID STORE", "IDLE"] {
        let server = Server::start(Tls::None).await;
        server.deliver(1, ONE);
        server.deliver(2, TWO);
        server.with(|state| state.hangs_up_at = Some(at));
        let kit = Kit::new();
        let mut followed = Followed::start(settings(&server, Tls::None), &kit);
        kit.until(2).await;
        followed.open().await;
        server.deliver(3, THREE);
        assert_eq!(kit.until(3).await, [ONE, TWO, THREE], "hung up at {at}");
        followed.end().await;
        server.with(|state| assert!(state.connections >= 2, "hung up at {at}"));
    }
}

#[tokio::test]
async fn a_silent_server_is_left() {
    for at in ["LOGIN", "SELECT", "UID SEARCH", "UID FETCH", "UID STORE", "IDLE"] {
        let server = Server::start(Tls::None).await;
        server.deliver(1, ONE);
        server.with(|state| state.is_silent_at = Some(at));
        let kit = Kit::new();
        let mut settings = settings(&server, Tls::None);
        let short = Duration::from_millis(300);
        (settings.timing.command, settings.timing.fetch) = (short, short);
        let mut followed = Followed::start(settings, &kit);
        kit.until(1).await;
        followed.open().await;
        server.deliver(2, TWO);
        assert_eq!(kit.until(2).await, [ONE, TWO], "silent at {at}");
        followed.end().await;
    }
}

#[tokio::test]
async fn a_dropped_connection_is_made_again() {
    let server = Server::start(Tls::None).await;
    let kit = Kit::new();
    let mut followed = Followed::start(settings(&server, Tls::None), &kit);
    followed.open().await;
    server.hang_up();
    followed.told.changed().await.unwrap();
    server.deliver(1, ONE);
    assert_eq!(kit.until(1).await, [ONE]);
    followed.end().await;
}

#[tokio::test]
async fn waiting_ends_by_itself() {
    let server = Server::start(Tls::None).await;
    let kit = Kit::new();
    let mut settings = settings(&server, Tls::None);
    settings.timing.idle = Duration::from_millis(5);
    let mut followed = Followed::start(settings, &kit);
    followed.open().await;
    // Nobody tells of this one.
    server.with(|state| state.mails.insert(1, ONE.as_bytes().to_vec()));
    assert_eq!(kit.until(1).await, [ONE]);
    followed.end().await;
}

#[tokio::test]
async fn what_comes_between_looking_and_waiting_is_seen() {
    let server = Server::start(Tls::None).await;
    server.deliver(1, ONE);
    server.with(|state| state.arrives_at_store = Some((2, TWO.as_bytes().to_vec())));
    let kit = Kit::new();
    let followed = Followed::start(settings(&server, Tls::None), &kit);
    assert_eq!(kit.until(2).await, [ONE, TWO]);
    followed.end().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_waits_for_a_timer_between_the_news_and_the_mail() {
    // Time stands still while this thread waits: whoever sleeps after the server told of a mail would sleep for ever.
    let (holds_time, ends) = std::sync::mpsc::channel::<()>();
    let held = tokio::task::spawn_blocking(move || ends.recv_timeout(Duration::from_secs(60)));
    let server = Server::start(Tls::None).await;
    let kit = Kit::new();
    let mut followed = Followed::start(settings(&server, Tls::None), &kit);
    followed.open().await;
    let begun = tokio::time::Instant::now();
    server.with(|state| assert!(state.mails.is_empty()));
    for (count, mail) in [ONE, TWO, THREE].into_iter().enumerate() {
        server.deliver(u32::try_from(count).unwrap() + 1, mail);
        kit.until(count + 1).await;
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    drop(holds_time);
    assert_eq!(held.await.unwrap(), Err(std::sync::mpsc::RecvTimeoutError::Disconnected), "it took no minute either");
    followed.end().await;
}

#[tokio::test]
async fn a_server_without_idle_is_asked() {
    let server = Server::start(Tls::None).await;
    server.with(|state| state.no_idle = true);
    let kit = Kit::new();
    let mut followed = Followed::start(settings(&server, Tls::None), &kit);
    followed.open().await;
    assert_eq!(*followed.told.borrow(), ImapState::Open { is_told: false });
    server.deliver(1, ONE);
    assert_eq!(kit.until(1).await, [ONE]);
    followed.end().await;
}

#[tokio::test]
async fn another_uidvalidity_means_from_the_start() {
    let server = Server::start(Tls::None).await;
    server.deliver(40, ONE);
    let kit = Kit::new();
    let followed = Followed::start(settings(&server, Tls::None), &kit);
    kit.until(1).await;
    followed.end().await;
    server.with(|state| {
        state.validity = 8;
        state.mails.clear();
    });
    server.deliver(1, TWO);
    server.deliver(2, ONE);
    let followed = Followed::start(settings(&server, Tls::None), &kit);
    assert_eq!(kit.until(3).await, [ONE, TWO, ONE], "the store knows by the digest which it has");
    followed.end().await;
    let position = kit.position.lock().unwrap().unwrap();
    assert_eq!((position.validity, position.uid), (8, 2));
}

#[tokio::test]
async fn of_a_mail_that_is_too_large_only_the_header_is_kept() {
    let server = Server::start(Tls::None).await;
    server.deliver(1, &format!("Subject: big\r\n\r\n{}", "x".repeat(2_000)));
    server.deliver(2, ONE);
    let kit = Kit::new();
    let followed = Followed::start(settings(&server, Tls::None), &kit);
    assert_eq!(kit.until(2).await, ["X-Baton-Too-Large: 2016\r\nSubject: big\r\n\r\n", ONE]);
    followed.end().await;
    server.with(|state| {
        let fetched = state.heard.iter().any(|command| command == "UID FETCH 1 (UID BODY.PEEK[])");
        assert!(!fetched, "it is not even asked for");
    });
}

#[tokio::test]
async fn a_mail_that_is_not_handed_out_does_not_hold_up_the_others_and_a_note_stands_in_its_place() {
    let server = Server::start(Tls::None).await;
    server.with(|state| state.keeps_back = Some(1));
    server.deliver(1, ONE);
    server.deliver(2, TWO);
    let kit = Kit::new();
    let mut followed = Followed::start(settings(&server, Tls::None), &kit);
    assert!(followed.trouble().await.contains("does not hand mail 1 out"));
    let kept = kit.until(2).await;
    let port = server.port;
    let stub = format!(
        "X-Baton-Unfetched: UID 1 of imap://baton@localhost:{port}/INBOX, validity 7, {} bytes: the server does not hand mail 1 \
         out\r\nFrom: ann@example.org\r\nSubject: the subject\r\nMessage-ID: <1@example.org>\r\n\r\n",
        ONE.len()
    );
    assert_eq!(kept, [stub.as_str(), TWO]);
    assert_eq!(*kit.stubs.lock().unwrap(), 1);
    followed.open().await;
    followed.end().await;
    server.with(|state| assert!(!state.seen.contains(&1) && state.seen.contains(&2), "it stays unread"));
}

#[tokio::test]
async fn a_mail_at_which_the_connection_breaks_is_noted_though_its_envelope_breaks_it_too() {
    let server = Server::start(Tls::None).await;
    server.with(|state| (state.breaks_at, state.has_no_envelopes) = (Some((1, 16)), true));
    server.deliver(1, ONE);
    server.deliver(2, TWO);
    let kit = Kit::new();
    let followed = Followed::start(settings(&server, Tls::None), &kit);
    let kept = kit.until(2).await;
    assert!(
        kept[0].starts_with("X-Baton-Unfetched: UID 1 of ") && kept[0].contains("the connection broke"),
        "{kept:?}"
    );
    assert_eq!((kept[0].matches("\r\n").count(), kept[1].as_str()), (2, TWO));
    followed.end().await;
}

#[tokio::test]
async fn a_network_that_breaks_off_again_and_again_loses_no_mail() {
    let server = Server::start(Tls::None).await;
    let long = format!("Subject: long\r\n\r\n{}\r\n", "a line of it\r\n".repeat(30));
    server.deliver(1, &long);
    server.with(|state| state.breaks_off = Some(0));
    let kit = Kit::new();
    let followed = Followed::start(settings(&server, Tls::None), &kit);
    assert_eq!(kit.until(1).await, [long]);
    followed.end().await;
    server.with(|state| assert!(state.connections > 20, "more often than a mail is asked for in vain"));
}

#[tokio::test]
async fn a_mail_that_comes_in_pieces_is_whole_when_it_is_as_long_as_was_said() {
    // Two pieces exactly; behind its end this server says nothing. And one whose pieces are shorter than was asked for.
    for (length, shortens_to) in [(32, None), (45, Some(7))] {
        let server = Server::start(Tls::None).await;
        let mail = format!("Subject: {:>1$}\r\n\r\n", "x", length - 13);
        assert_eq!(mail.len(), length);
        server.deliver(1, &mail);
        server.with(|state| {
            (state.breaks_off, state.ends_with_nothing, state.shortens_to) = (Some(0), true, shortens_to);
        });
        let kit = Kit::new();
        let followed = Followed::start(settings(&server, Tls::None), &kit);
        assert_eq!(kit.until(1).await, [mail.as_str()], "{length} bytes");
        followed.end().await;
    }
}

#[tokio::test]
async fn what_the_store_does_not_take_is_fetched_again() {
    let server = Server::start(Tls::None).await;
    server.deliver(1, ONE);
    let kit = Kit::new();
    *kit.troubles.lock().unwrap() = 2;
    let mut followed = Followed::start(settings(&server, Tls::None), &kit);
    assert!(followed.trouble().await.contains("no space left"));
    assert_eq!(kit.until(1).await, [ONE]);
    followed.open().await;
    followed.end().await;
}

#[tokio::test]
async fn connections_are_secret() {
    for tls in [Tls::Implicit, Tls::Starttls] {
        let server = Server::start(tls).await;
        server.deliver(1, ONE);
        let kit = Kit::new();
        let followed = Followed::start(settings(&server, tls), &kit);
        assert_eq!(kit.until(1).await, [ONE], "{tls:?}");
        followed.end().await;
        server.with(|state| {
            let first = state.heard.first().map(String::as_str);
            assert_eq!(first == Some("STARTTLS"), tls == Tls::Starttls);
        });
        // A certificate of another name is not believed, and nothing is said.
        let mut elsewhere = settings(&server, tls);
        elsewhere.host = "127.0.0.1".to_owned();
        server.with(|state| state.heard.clear());
        let mut followed = Followed::start(elsewhere, &Kit::new());
        assert!(followed.trouble().await.contains("no secret connection"));
        followed.end().await;
        server.with(|state| assert!(!state.heard.iter().any(|command| command.starts_with("LOGIN")), "{tls:?}"));
    }
}

#[tokio::test]
async fn who_is_not_let_in_is_told_why() {
    let server = Server::start(Tls::None).await;
    let wrong = |change: fn(&mut ImapSettings)| {
        let mut settings = settings(&server, Tls::None);
        change(&mut settings);
        settings
    };
    for (settings, said) in [
        (wrong(|settings| settings.access = Access::Password(Secret::new("no".to_owned()))), "BATON_MAIL_PASSWORD"),
        (wrong(|settings| settings.access = Access::Password(Secret::new("\u{fc}".to_owned()))), "AUTHENTICATE PLAIN"),
        (wrong(|settings| settings.folder = "Nowhere".to_owned()), "mail.folder (\"Nowhere\")"),
        (wrong(|settings| settings.port = 1), "localhost:1 cannot be reached"),
    ] {
        let mut followed = Followed::start(settings, &Kit::new());
        let why = followed.trouble().await;
        assert!(why.contains(said), "{why:?} should say {said:?}");
        assert!(!why.contains("secret"), "{why}");
        followed.end().await;
    }
    let accented = wrong(|settings| settings.access = Access::Password(Secret::new("caf\u{e9}".to_owned())));
    let mut followed = Followed::start(accented, &Kit::new());
    followed.open().await;
    followed.end().await;
}
