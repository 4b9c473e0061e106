//! What stands below an approval and may be read as a signature, a footer or a heading: no condition is lost there.

use crate::mail::reply::{Deciding, Kind, of_html, of_text};

/// Approvals.
const WORDS: &[&str] = &["approve", "Approved, thanks!", "Genehmigt.", "Approuvé", "批准", "承認します", "승인합니다"];

/// Conditions that look like a device's line, like where to get a program, like a name or like a disclaimer.
const CONDITIONS: &[&str] = &[
    "Only if Outlook iOS users get it",
    "But get it on Outlook iOS too",
    "Unless it was sent from my iPhone",
    "But not sent from my iPhone",
    "After you get Outlook for Android",
    "Not before Lea's phone is in, sent from my iPad",
    "Nur wenn es von meinem iPhone gesendet wird",
    "Aber Outlook für iOS holen",
    "Sobald mit der GMX Mail App gesendet",
    "Mais envoyé de mon iPhone d'abord",
    "Solo si enviado desde mi iPhone",
    "Mas só enviado do meu iPhone",
    "Ma solo inviato da iPhone",
    "Maar niet verstuurd vanaf mijn iPhone",
    "Ale nie wysłane z iPhone'a",
    "Men inte skickat från min iPhone",
    "Но не отправлено с iPhone",
    "Только если получить Outlook для Android",
    "但先发送到手机测试",
    "如果从我的 iPad 发送",
    "但先傳送到手機測試",
    "もしiPhoneから送信",
    "하지만 iPhone에서 보냄",
    "Nhưng gửi từ iPhone của tôi",
    "แต่ส่งจาก iPhone ของฉัน",
    "Tapi dikirim dari iPhone saya",
    "אבל נשלח מה-iPhone שלי",
    "لكن أُرسلت من الـ iPhone",
    "But only if the confidential attachment is not for the recipient of this message",
    "Only After Lea",
    "Not Yet",
];

/// What makes a signature, a footer or a heading of lines around it.
const AROUND: &[(&str, &str)] = &[
    ("", ""),
    ("\n", ""),
    ("- ", ""),
    ("\n— ", ""),
    ("\n-- \n", ""),
    ("\n--\n", "\nTom"),
    ("\nSent from my iPhone\n", ""),
    ("\nBest regards,\n", ""),
    ("\nBest regards,\nTom Ford\n", "\n+44 20 5550 1234"),
    ("\n", "\nSent from my iPhone"),
    ("\n", "\n\n-- \nTom"),
    ("\n", "\n\nOn Tue, Mar 3, 2026 at 9:12 AM Baton <b@works.example> wrote:\n> approve?"),
    ("\n", "\n03/05/2026 10:01 AM\n\nTo: Tom Ford/Works@WORKS\ncc:\nSubject: Plan\n\nreject"),
    ("\n_______________________________________________\n", "\nimporters mailing list"),
];

#[test]
fn no_ending_swallows_a_condition() {
    let mut wrong = Vec::new();
    for word in WORDS {
        for condition in CONDITIONS {
            for (above, below) in AROUND {
                let mail = format!("{word}\n{above}{condition}{below}\n");
                let reply = of_text(&mail);
                if !matches!(reply.decision(), Deciding::Ambiguous(_)) {
                    wrong.push(format!("{mail}{reply:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n---\n"));
    let html = of_html("approve<br><div class=\"gmail_signature\">But only on Friday</div>");
    assert!(matches!(html.decision(), Deciding::Ambiguous(_)), "{html:?}");
}

#[test]
fn no_signature_limits_an_approval() {
    let endings = include_str!("fixtures/endings.txt");
    let more = [
        "-- \nAli Hassan\nDar es Salaam",
        "—Jos",
        "-- \nTom Ford\nNo. 5 Mill Lane, Leeds",
        "Best regards,\nOm Prakash",
        "-- \n若林太郎",
        "-- \n안철수",
        "-- \nTom\nWorks Ltd\n1 Mill Lane\nLeeds\nwww.works.example\n+44 20 5550 1234\nOnly dead fish go with the flow",
        "If you are not the intended recipient of this confidential message, please delete it. Unauthorized use is prohibited.",
        "通过 Foxmail 发送",
        "使用我的手机发送",
        "Get Outlook for iOS and Android",
        "Get [Outlook for Android](https://works.example/get)",
        "Holen Sie sich Outlook für iOS",
    ];
    let mut wrong = Vec::new();
    for ending in endings.split("\n\n").map(|ending| ending.trim_matches('\n')).chain(more) {
        for word in WORDS {
            let reply = of_text(&format!("{word}\n\n{ending}\n"));
            if reply.decision() != Deciding::Approve || reply.text() != *word {
                wrong.push(format!("{word}\n\n{ending}\n{reply:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n---\n"));
}

#[test]
fn what_asks_for_something_is_no_device() {
    for own in ["先发送到手机测试", "Get Outlook iOS users to agree first", "Download it for Outlook iOS", "发送到手机"]
    {
        let reply = of_text(&format!("Please look at the plan.\n{own}\n"));
        assert_eq!(reply.of(Kind::Signature).count(), 0, "{reply:?}");
    }
}
