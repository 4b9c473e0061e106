//! How a request is decided, and how far it is, for people.

use std::time::Duration;

use bus_schemas::{
    time::UnixMs,
    v1::api::{AskedView, DelegationView, Risk as WireRisk, RouteView, VoteView},
};

use crate::{
    ledger::{AtDeadline, Risk, Who},
    plan::request::Approval,
};

/// A number of people, in words.
const NUMBERS: [&str; 7] = ["none", "one", "two", "three", "four", "five", "six"];

/// The whole of it, as it is now.
pub(super) fn view(approval: &Approval, now: UnixMs) -> RouteView {
    let request = &approval.request;
    let route = &request.route;
    let eligible = request.decision.is_none().then(|| request.eligible(now)).flatten();
    RouteView {
        rule: route.rule.clone().unwrap_or_default(),
        needs: request.who().map_or_else(|| "nobody: the policy decides".to_owned(), |who| needs(&who)),
        eligible: eligible.into_iter().flatten().collect(),
        excluded: route.excluded.clone(),
        risk: risk(route.risk),
        risk_reasons: route.risk_reasons.clone(),
        shadow: route.shadow.iter().map(|(rule, what)| format!("{rule}: {what}")).collect(),
        problem: route.problem.clone().unwrap_or_default(),
        at_deadline: request.expires_at.map(|_| at_deadline(&route.at_deadline).to_owned()).unwrap_or_default(),
        votes: request
            .votes
            .iter()
            .map(|vote| VoteView {
                by: vote.by.clone(),
                channel: vote.channel.clone(),
                note: vote.note.clone(),
                at: vote.at,
            })
            .collect(),
        delegations: request
            .delegations
            .iter()
            .map(|one| DelegationView { from: one.from.clone(), to: one.to.clone(), at: one.at })
            .collect(),
        questions: approval
            .questions
            .iter()
            .map(|one| AskedView {
                by: one.by.clone(),
                channel: one.channel.clone(),
                question: one.question.clone(),
                at: one.at,
                answer: one.answer.clone(),
            })
            .collect(),
        reminders: request.reminders,
        can_remember: route.asks() && request.asked.can_remember() && route.risk != Risk::High,
        batch: route.batch.clone().unwrap_or_default(),
    }
}

const fn risk(risk: Risk) -> WireRisk {
    match risk {
        Risk::Low => WireRisk::Low,
        Risk::Medium => WireRisk::Medium,
        Risk::High => WireRisk::High,
    }
}

const fn at_deadline(at_deadline: &AtDeadline) -> &'static str {
    match at_deadline {
        AtDeadline::Reject => "reject",
        AtDeadline::Approve => "approve",
        AtDeadline::Escalate { .. } => "escalate",
    }
}

/// Who must agree, as a sentence.
fn needs(who: &Who) -> String {
    match who {
        Who::Anyone => "anybody".to_owned(),
        Who::Person(name) => name.clone(),
        Who::Some { n, group, of } => {
            let number = NUMBERS.get(*n as usize).map_or_else(|| n.to_string(), |word| (*word).to_owned());
            format!("{number} of {group} ({})", of.join(", "))
        }
        Who::AnyOf(list) => joined(list, ", or "),
        Who::AllOf(list) => joined(list, ", and "),
        Who::After { wait_ms, who } => {
            let wait = Duration::from_millis(*wait_ms);
            format!("{} after {}", inner(who), span(wait))
        }
    }
}

fn joined(list: &[Who], with: &str) -> String {
    list.iter().map(inner).collect::<Vec<_>>().join(with)
}

/// As a part of something larger.
fn inner(who: &Who) -> String {
    match who {
        Who::AnyOf(list) | Who::AllOf(list) if list.len() > 1 => format!("({})", needs(who)),
        _ => needs(who),
    }
}

/// The largest unit that says it exactly.
fn span(wait: Duration) -> String {
    let seconds = wait.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "min")];
    let whole = units.into_iter().find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{seconds} s"), |(unit, name)| format!("{} {name}", seconds / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(n: u32) -> Who {
        Who::Some { n, group: "leads".to_owned(), of: vec!["ann".to_owned(), "bob".to_owned()] }
    }

    #[test]
    fn who_must_agree_is_a_sentence() {
        let carl = Who::Person("carl".to_owned());
        let later = Who::After { wait_ms: 7_200_000, who: Box::new(carl.clone()) };
        let either = Who::AnyOf(vec![leads(2), later]);
        assert_eq!(needs(&either), "two of leads (ann, bob), or carl after 2 h");
        let both = Who::AllOf(vec![either, Who::Anyone]);
        assert_eq!(needs(&both), "(two of leads (ann, bob), or carl after 2 h), and anybody");
        assert_eq!(needs(&Who::AnyOf(vec![carl])), "carl");
        assert_eq!(needs(&leads(12)), "12 of leads (ann, bob)");
        assert_eq!(span(Duration::from_secs(90)), "90 s");
    }
}
