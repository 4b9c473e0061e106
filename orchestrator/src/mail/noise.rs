//! Mail that no person wrote, and mail that must not be answered (RFC 3834): never acted on.

use super::{
    address::{domain, is_ours, normal},
    letter::{Delivery, Letter},
};

/// Mail that is not acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Noise {
    /// We sent it.
    Own,
    /// A machine answered; which header says so.
    Auto(String),
    /// It came over a list or to many; which header says so.
    List(String),
    /// A server says what became of a mail of ours.
    Bounce,
}

impl Noise {
    /// What it is, for people.
    #[must_use]
    pub fn said(&self) -> String {
        match self {
            Self::Own => "a mail of our own came back".to_owned(),
            Self::Auto(mark) => format!("a machine sent it ({mark})"),
            Self::List(mark) => format!("it was sent to a list ({mark})"),
            Self::Bounce => "a server says what became of a mail".to_owned(),
        }
    }
}

/// Headers that only machines write, unless their value is `no` or `none`.
const AUTO: [&str; 8] = [
    "x-auto-response-suppress",
    "x-autoreply",
    "x-autoreply-from",
    "x-auto-reply-from",
    "x-autorespond",
    "x-autoresponder",
    "x-mail-autoreply",
    "feedback-id",
];
/// Headers of lists and of mail to many.
const LIST: [&str; 6] =
    ["list-id", "list-unsubscribe", "list-unsubscribe-post", "list-post", "list-help", "x-mailing-list"];
/// How subjects of vacation notices begin, in small letters.
const AWAY: [&str; 43] = [
    "automatic reply",
    "auto reply",
    "auto-reply",
    "autoreply",
    "auto response",
    "automated reply",
    "automated response",
    "out of office",
    "out of the office",
    "out-of-office",
    "on vacation",
    "vacation reply",
    "i am out of",
    "i'm out of",
    "automatische antwort",
    "abwesenheitsnotiz",
    "abwesenheit",
    "abwesend",
    "nicht im büro",
    "réponse automatique",
    "reponse automatique",
    "absence du bureau",
    "absent du bureau",
    "respuesta automática",
    "respuesta automatica",
    "fuera de la oficina",
    "fuera de oficina",
    "resposta automática",
    "ausência temporária",
    "risposta automatica",
    "fuori sede",
    "fuori ufficio",
    "automatisch antwoord",
    "afwezig",
    "automatyczna odpowiedź",
    "autosvar",
    "automatiskt svar",
    "automaattinen vastaus",
    "automatická odpověď",
    "автоответ",
    "自动回复",
    "自動回覆",
    "自動応答",
];
/// Names of writers behind which nobody reads.
const NOBODY: [&str; 6] = ["noreply", "no-reply", "no_reply", "donotreply", "do-not-reply", "autoreply"];
/// Names of servers' own writers.
const SERVERS: [&str; 4] = ["mailer-daemon", "postmaster", "mail-daemon", "mailerdaemon"];

/// Whether a Baton, of whomever, gave a mail this id: a UUID of version 7 before `@baton.`.
fn is_batons(message_id: &str) -> bool {
    let Some((id, host)) = message_id.split_once('@') else { return false };
    let is_uuid = id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_uuid && id.as_bytes().get(12) == Some(&b'7') && host.starts_with("baton.")
}

/// Why a mail is not acted on; `None` for a person's. `ours` is our address.
#[must_use]
pub fn judge(letter: &Letter, delivery: &Delivery, ours: &str) -> Option<Noise> {
    if is_own(letter, ours) {
        return Some(Noise::Own);
    }
    let null_path = delivery.mail_from.as_deref() == Some("") || letter.return_path.as_deref() == Some("");
    if is_bounce(letter, null_path) {
        return Some(Noise::Bounce);
    }
    let auto = |mark: String| Some(Noise::Auto(mark));
    // One line that says a machine wrote it is enough, whatever the others say.
    let submitted = |value: &&str| !matches!(first_word(value).as_str(), "no" | "");
    if let Some(value) = letter.header("auto-submitted").find(submitted) {
        return auto(format!("Auto-Submitted: {}", first_word(value)));
    }
    // A gateway may take all those lines away, and two Batons would answer each other.
    if letter.message_id.as_deref().is_some_and(is_batons) {
        return auto("Message-ID of a Baton".to_owned());
    }
    for name in AUTO {
        if letter.header(name).any(|value| !matches!(first_word(value).as_str(), "no" | "none" | "")) {
            return auto(name.to_owned());
        }
    }
    for value in letter.header("precedence") {
        match first_word(value).as_str() {
            "list" => return Some(Noise::List("Precedence: list".to_owned())),
            word @ ("bulk" | "junk" | "auto_reply" | "auto-reply") => return auto(format!("Precedence: {word}")),
            _ => {}
        }
    }
    if let Some(name) = LIST.into_iter().find(|name| letter.header(name).next().is_some()) {
        return Some(Noise::List(name.to_owned()));
    }
    if null_path {
        return auto("Return-Path: <>".to_owned());
    }
    weak_mark(letter)
        .filter(|_| sounds_away(&letter.subject))
        .map(|mark| Noise::Auto(format!("{mark}, and its subject")))
}

/// Whether a subject is one that programs answer with when somebody is away. People may write such a subject, too.
#[must_use]
pub fn sounds_away(subject: &str) -> bool {
    let mut subject = subject.to_lowercase();
    for _ in 0..4 {
        let rest = ["re:", "aw:", "sv:", "fw:", "fwd:"].iter().find_map(|mark| subject.trim_start().strip_prefix(mark));
        match rest {
            Some(rest) => subject = rest.to_owned(),
            None => break,
        }
    }
    let subject = subject.trim();
    AWAY.iter().any(|words| subject.strip_prefix(words).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric)))
}

/// We wrote it, or something that carries one of our ids as its own.
fn is_own(letter: &Letter, ours: &str) -> bool {
    let own_ids = format!("baton.{}", domain(&normal(ours).unwrap_or_default()));
    letter.from.iter().any(|from| is_ours(ours, &from.address))
        || letter.message_id.as_deref().is_some_and(|id| domain(id).eq_ignore_ascii_case(&own_ids))
}

fn is_bounce(letter: &Letter, null_path: bool) -> bool {
    let kind = letter.header("content-type").next().unwrap_or_default().to_lowercase();
    let is_report = kind.starts_with("multipart/report")
        && ["delivery-status", "disposition-notification"].iter().any(|what| kind.contains(what));
    let local = letter.author().map_or("", |from| from.split('@').next().unwrap_or_default());
    let by_server = SERVERS.contains(&local) && (null_path || letter.header("auto-submitted").next().is_some());
    is_report || by_server || letter.header("x-failed-recipients").next().is_some()
}

/// What alone would not be enough.
fn weak_mark(letter: &Letter) -> Option<String> {
    let names = ["x-loop", "x-ms-exchange-inbox-rules-loop", "preference", "x-vacation", "x-autogenerated"];
    if let Some(name) = names.into_iter().find(|name| letter.header(name).next().is_some()) {
        return Some(name.to_owned());
    }
    let programs = ["vacation", "autorespon", "auto-respon", "autoreply", "auto-reply"];
    for name in ["x-mailer", "user-agent", "delivered-to"] {
        if letter.header(name).any(|value| programs.iter().any(|program| value.to_lowercase().contains(program))) {
            return Some(name.to_owned());
        }
    }
    let local = letter.author()?.split('@').next()?;
    NOBODY.contains(&local).then(|| format!("it comes from {local}"))
}

/// The first word of a value, in small letters, without comments and parameters.
fn first_word(value: &str) -> String {
    let word = value.trim().split([';', ' ', '(', ',', '\t']).next().unwrap_or_default();
    word.trim_matches('"').to_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mail::letter::read;

    const OURS: &str = "baton@works.example";

    fn judged(headers: &str) -> Option<Noise> {
        let raw =
            format!("From: Ann <ann@example.org>\nTo: baton@works.example\nSubject: Plan\n{headers}\n\napprove\n");
        judge(&read(raw.as_bytes()), &Delivery::default(), OURS)
    }

    #[test]
    fn machines_are_known_by_one_header() {
        for headers in [
            "Auto-Submitted: auto-replied",
            "Auto-Submitted: auto-generated (vacation)",
            "auto-submitted: AUTO-NOTIFIED; owner-email=\"x@example.org\"",
            "Auto-Submitted: no\nAuto-Submitted: auto-replied",
            "X-Auto-Response-Suppress: All",
            "X-Auto-Response-Suppress: DR, OOF, AutoReply",
            "X-Autoreply: yes",
            "X-Autorespond: vacation",
            "Feedback-ID: 1:2:3:esp",
            "Precedence: bulk",
            "Precedence: JUNK",
            "Precedence: auto_reply",
            "Return-Path: <>",
        ] {
            assert!(matches!(judged(headers), Some(Noise::Auto(_))), "{headers}");
        }
        for headers in ["List-Id: <dev.example.org>", "List-Unsubscribe: <mailto:x@example.org>", "Precedence: list"] {
            assert!(matches!(judged(headers), Some(Noise::List(_))), "{headers}");
        }
        let null = Delivery { mail_from: Some(String::new()), ..Delivery::default() };
        let letter = read(b"From: ann@example.org\n\nhello\n");
        assert_eq!(judge(&letter, &null, OURS), Some(Noise::Auto("Return-Path: <>".to_owned())));
    }

    #[test]
    fn people_are_no_machines() {
        for headers in [
            "X-Priority: 1",
            "Auto-Submitted: no",
            "Return-Path: <ann@example.org>",
            "Precedence: first-class",
            "X-Auto-Response-Suppress: none",
            "Subject-Extra: Out of office",
            "X-Mailer: Apple Mail (2.3)",
        ] {
            assert_eq!(judged(headers), None, "{headers}");
        }
        let raw = "From: ann@example.org\nSubject: Out of office hours for the shop\n\nPut them on the page.\n";
        assert_eq!(judge(&read(raw.as_bytes()), &Delivery::default(), OURS), None, "a subject alone says nothing");
    }

    #[test]
    fn a_vacation_subject_counts_with_another_mark() {
        let with = |from: &str, subject: &str, mark: &str| {
            let raw = format!("From: {from}\nSubject: {subject}\n{mark}\n\nI am away.\n");
            judge(&read(raw.as_bytes()), &Delivery::default(), OURS)
        };
        let away = |noise: Option<Noise>| matches!(noise, Some(Noise::Auto(_)));
        assert!(away(with("ann@example.org", "Automatic reply: Plan", "X-Loop: ann@example.org")));
        assert!(away(with("noreply@example.org", "Re: Abwesenheitsnotiz", "X-Y: z")));
        assert!(away(with(
            "ann@example.org",
            "=?utf-8?q?R=C3=A9ponse_automatique_=3A_Plan?=",
            "X-Mailer: vacation 1.2"
        )));
        assert!(!away(with("ann@example.org", "Re: Plan", "X-Loop: ann@example.org")));
        assert!(
            sounds_away("RE: Out of Office: Plan")
                && !sounds_away("Automatic replying service")
                && !sounds_away("Plan")
        );
    }

    #[test]
    fn our_own_mail_is_known() {
        let own = |headers: &str| judge(&read(format!("{headers}\n\nx\n").as_bytes()), &Delivery::default(), OURS);
        assert_eq!(own("From: Baton <Baton@Works.example>"), Some(Noise::Own));
        assert_eq!(own("From: baton+abc@works.example"), Some(Noise::Own));
        assert_eq!(own("From: ann@example.org\nMessage-ID: <0193@baton.works.example>"), Some(Noise::Own));
        assert_eq!(own("From: ann@example.org\nMessage-ID: <0193@baton.other.example>"), None);
        let id = "019c3f2a11d27a5c9d6e2b7f4c1a8e30";
        let batons = Some(Noise::Auto("Message-ID of a Baton".to_owned()));
        let with = |id: &str| own(&format!("From: b@other.example\nMessage-ID: <{id}>"));
        assert_eq!(with(&format!("{id}@baton.other.example")), batons, "two of us do not talk with each other");
        for persons in [format!("{id}@other.example"), format!("{}@baton.other.example", id.replacen('7', "4", 2))] {
            assert_eq!(with(&persons), None, "{persons}");
        }
        assert_eq!(own("From: ann@example.org\nIn-Reply-To: <0193@baton.works.example>"), None, "an answer to us");
    }

    #[test]
    fn servers_reports_are_bounces() {
        let of = |headers: &str| judge(&read(format!("{headers}\n\nx\n").as_bytes()), &Delivery::default(), OURS);
        for headers in [
            "From: MAILER-DAEMON@mx.example.org\nReturn-Path: <>",
            "From: Postmaster@example.org\nAuto-Submitted: auto-replied",
            "From: ann@example.org\nContent-Type: multipart/report; report-type=delivery-status; boundary=b",
            "From: x@example.org\nX-Failed-Recipients: bob@example.org",
        ] {
            assert_eq!(of(headers), Some(Noise::Bounce), "{headers}");
        }
        assert_eq!(of("From: postmaster@example.org"), None, "a postmaster is a person, too");
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(raw in proptest::collection::vec(any::<u8>(), 0..2000)) {
            drop(judge(&read(&raw), &Delivery::default(), OURS));
        }
    }
}
