use proptest::prelude::*;

use super::*;
use crate::mail::letter;

const TOKEN: &str = "ageyhqd3vqaaoaeaaaarcrlhrgv6xy7dtq2w5n4c";

fn read_bounce(raw: &str) -> Option<Bounce> {
    let raw = raw.replace("TOKEN", TOKEN);
    read(raw.as_bytes(), &letter::read(raw.as_bytes()))
}

const POSTFIX: &str = "\
Return-Path: <>
From: MAILER-DAEMON@mx.works.example (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: baton+TOKEN@works.example
Auto-Submitted: auto-replied
Message-ID: <20261123.1@mx.works.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=\"b1\"

--b1
Content-Type: text/plain

I'm sorry to have to inform you that your message could not be delivered.
--b1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.works.example
Arrival-Date: Mon, 23 Nov 2026 00:00:00 +0000

Final-Recipient: rfc822; ann.real@example.org
Original-Recipient: rfc822;Ann@example.org
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 <ann@example.org>: Recipient address
    rejected: User unknown

Final-Recipient: rfc822; bob@example.org
Action: delayed
Status: 4.4.1
--b1
Content-Type: message/rfc822

Message-ID: <0193abcd@baton.works.example>
From: baton@works.example
Reply-To: baton+TOKEN@works.example
Subject: Please decide

Hello
--b1--
";

#[test]
fn a_report_names_recipients_and_the_mail() {
    let bounce = read_bounce(POSTFIX).unwrap();
    let [ann, bob] = bounce.recipients.as_slice() else { panic!("{bounce:?}") };
    assert_eq!((ann.address.as_str(), ann.action, ann.status.as_str()), ("ann@example.org", Action::Failed, "5.1.1"));
    assert_eq!(ann.diagnostic, "550 5.1.1 <ann@example.org>: Recipient address rejected: User unknown");
    assert_eq!((bob.address.as_str(), bob.action), ("bob@example.org", Action::Delayed));
    assert_eq!(bounce.about, ["0193abcd@baton.works.example"]);
    assert_eq!(bounce.tokens, [TOKEN]);
    assert!(bounce.is_failure());
}

#[test]
fn headers_alone_name_the_mail_too() {
    let raw = POSTFIX.replace("message/rfc822", "text/rfc822-headers");
    assert_eq!(read_bounce(&raw).unwrap().about, ["0193abcd@baton.works.example"]);
}

#[test]
fn a_delay_is_no_failure() {
    let raw = POSTFIX.replace("Action: failed", "Action: delayed").replace("Status: 5.1.1", "Status: 4.2.0");
    let bounce = read_bounce(&raw).unwrap();
    assert!(!bounce.is_failure() && bounce.recipients.iter().all(|one| one.action == Action::Delayed));
}

#[test]
fn servers_that_write_for_people_are_understood() {
    let qmail = "\
Return-Path: <>
From: MAILER-DAEMON@mx.example.org
Subject: failure notice

Hi. This is the qmail-send program at mx.example.org.
I'm afraid I wasn't able to deliver your message to the following addresses.

<ann@example.org>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.

Return-Path: <baton@works.example>
Message-ID: <0193@baton.works.example>
From: baton@works.example
To: somebody.else@example.org
";
    let exim = "\
Return-Path: <>
X-Failed-Recipients: ann@example.org
From: Mail Delivery System <Mailer-Daemon@mx.example.org>
Subject: Mail delivery failed: returning message to sender

This message was created automatically by mail delivery software.

  ann@example.org
    host mx.example.org: 550 5.7.1 Message refused

------ This is a copy of the message, including all the headers. ------

Message-ID: <0193@baton.works.example>
";
    let exchange = "\
Return-Path: <>
From: Microsoft Outlook <postmaster@example.org>
Auto-Submitted: auto-replied
Subject: Undeliverable: Please decide
In-Reply-To: <0193@baton.works.example>

Your message to ann@example.org couldn't be delivered.
Remote Server returned '550 5.1.10 RESOLVER.ADR.RecipientNotFound'

Original message headers:
To: ann@example.org
";
    for (name, raw, status) in [("qmail", qmail, "5.1.1"), ("exim", exim, "5.7.1"), ("exchange", exchange, "5.1.10")] {
        let bounce = read_bounce(raw).unwrap_or_else(|| panic!("{name}"));
        let [one] = bounce.recipients.as_slice() else { panic!("{name}: {bounce:?}") };
        assert_eq!(
            (one.address.as_str(), one.action, one.status.as_str()),
            ("ann@example.org", Action::Failed, status),
            "{name}"
        );
        assert_eq!(bounce.about, ["0193@baton.works.example"], "{name}");
        assert!(!one.diagnostic.is_empty(), "{name}");
    }
    let warning = exim
        .replace("Mail delivery failed: returning message to sender", "Warning: message 1x delayed 24 hours")
        .replace("550 5.7.1 Message refused", "Connection timed out. It has not yet been delivered.");
    assert!(!read_bounce(&warning).unwrap().is_failure());
}

#[test]
fn what_says_nothing_is_no_bounce() {
    assert_eq!(read_bounce("From: ann@example.org\nSubject: Re: Plan\n\napprove\n"), None);
    assert_eq!(read_bounce(""), None);
    let unknown =
        read_bounce("Return-Path: <>\nFrom: mailer-daemon@x.example\nSubject: Returned mail\n\nIt went wrong.\n");
    assert_eq!(unknown.unwrap().recipients[0].address, "");
}

proptest! {
    #[test]
    fn any_bytes_are_read(raw in proptest::collection::vec(any::<u8>(), 0..2000)) {
        drop(read(&raw, &letter::read(&raw)));
    }

    #[test]
    fn broken_reports_are_read(cut in 0..1_400_usize, at in 0..1_400_usize, byte in any::<u8>()) {
        let mut raw = POSTFIX.as_bytes().to_vec();
        raw.truncate(cut);
        if let Some(there) = raw.get_mut(at) {
            *there = byte;
        }
        drop(read(&raw, &letter::read(&raw)));
    }
}
