//! HTML of the common clients.

use super::mails::cases;
use crate::mail::reply::{Kind, of_html};

#[test]
fn html_of_the_common_clients() {
    let mut wrong = Vec::new();
    for (name, mail, expected) in cases(include_str!("fixtures/html.txt")) {
        let reply = of_html(&mail);
        if reply.text() != expected {
            wrong.push(format!("--- {name}\n{:#?}", reply.fragments));
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn forwards_in_html_are_kept_apart() {
    for (name, mail, _) in
        cases(include_str!("fixtures/html.txt")).into_iter().filter(|(name, ..)| name.contains("forward"))
    {
        let reply = of_html(&mail);
        assert!(reply.forwarded().contains("It stops"), "{name}");
        assert_eq!(reply.of(Kind::Quoted).count(), 0, "{name}");
    }
}
