//! Mails that no program should write: whatever they are, exactly one thing becomes of each, and nothing is done that nobody said.

use proptest::{prelude::*, strategy::ValueTree as _};

use super::*;
use crate::mail::letter::{
    self,
    mutate::{lines_named, mails},
};

const TOKENED: u128 = 1;

fn to() -> String {
    format!("baton+{}@works.example", token::plus(&KEY, Uuid::from_u128(TOKENED)))
}

/// What was done about a mail that was kept.
struct Became {
    mail: InMail,
    /// Projects that were begun, and everything done to the one that is there.
    projects: usize,
    done: usize,
    said: Vec<(String, String)>,
    bounced: usize,
    is_kept_to_the_byte: bool,
}

fn became(raw: &[u8], is_genuine: bool) -> Became {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let rig = Rig::new();
        if !is_genuine {
            rig.says(Authentic::No("nothing says so".to_owned()));
        }
        let out = rig.asked("ann", &samples::request()).await;
        assert_eq!(out.id, Uuid::from_u128(TOKENED));
        let id = rig.desk.keep(Bytes::from(raw.to_vec()), Delivery::default(), samples::NOW).await.unwrap().0.id;
        rig.calm().await;
        let (projects, done) = rig.service.with(|known| {
            let done = known.decided.len() + known.told.len() + known.asked.len();
            (known.created.len(), done + known.delegated.len() + known.canceled.len())
        });
        Became {
            mail: rig.mail(&id).await,
            projects,
            done,
            said: rig.outlet.said(),
            bounced: rig.outlet.with(|recorded| recorded.bounces.len()),
            is_kept_to_the_byte: rig.desk.text(&id).await.unwrap().as_deref() == Some(raw),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn exactly_one_thing_becomes_of_a_broken_mail(
        (raw, harms) in prop_oneof![mails(ANN, to()), mails(ANN, OURS.to_owned()), mails("eve@evil.example", to())],
        is_genuine in any::<bool>(),
    ) {
        let became = became(&raw, is_genuine);
        let Verdict { state, outcome, trusted, from, person, .. } = &became.mail.verdict;
        let told = format!("{harms:?}: {state:?} {outcome:?} {:?}", String::from_utf8_lossy(&raw[..raw.len().min(2_000)]));
        // Finished, with a reason, whole, and without a stumble.
        prop_assert!(matches!(state, InState::Done | InState::Quarantined), "{}", told);
        prop_assert!(!outcome.is_empty() && !outcome.contains("error in Baton"), "{}", told);
        prop_assert!(became.is_kept_to_the_byte, "{}", told);
        // One of: begun, done, said only, put aside, or nothing at all.
        prop_assert!(became.projects + became.done <= 1 && became.said.len() <= 1, "{}", told);
        let has_effect = became.projects + became.done + became.said.len() > 0;
        if *state == InState::Quarantined {
            prop_assert!(!has_effect && became.bounced == 0 && !trusted, "{}", told);
        }
        if has_effect {
            // Only somebody who may, proven, in a mail to us with one writer and one of everything that decides.
            prop_assert!(is_genuine && *trusted && from == ANN && person == "ann", "{}", told);
            prop_assert!(became.said.iter().all(|(to, _)| to == ANN), "{}", told);
            for name in ["From", "To", "Cc", "Subject", "Message-ID", "In-Reply-To", "Content-Type"] {
                prop_assert!(lines_named(&raw, name) <= 1, "{} twice: {}", name, told);
            }
            let letter = letter::read(&raw);
            prop_assert!(letter.from.len() == 1 && letter.doubled().is_none(), "{}", told);
        }
    }
}

#[test]
fn whole_mails_do_what_they_say() {
    // The corpus itself: else the invariants above would hold for mails that all are put aside.
    let mut did = std::collections::BTreeSet::new();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..200 {
        let (raw, harms) = mails(ANN, to()).new_tree(&mut runner).unwrap().current();
        if harms.is_empty() {
            let became = became(&raw, true);
            assert_eq!(became.mail.verdict.state, InState::Done, "{}", became.mail.verdict.outcome);
            did.insert(if became.done > 0 {
                "decided"
            } else if became.said.is_empty() {
                "nothing"
            } else {
                "asked back"
            });
        }
    }
    assert!(did.contains("decided") && did.contains("asked back"), "{did:?}");
}
