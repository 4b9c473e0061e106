//! Effects: one that is asked for, and one nobody saw the end of.

use bus_schemas::v1::api::{ApprovalView, Capability, CapabilityView, EffectOrder, QuestionView, Risk};

use super::{capability, question};

/// Baton asks what became of an effect.
pub(crate) fn unknown() -> ApprovalView {
    let mut view = question();
    let question =
        "The effect deploy was started, and Baton was ended before it saw the end.\n\nIt ran: ./deploy.sh staging";
    let options = vec!["It happened.".to_owned(), "It did not happen.".to_owned()];
    view.question = Some(QuestionView { question: question.to_owned(), options, stuck: false, by_baton: true });
    view
}

/// Something is to be done outside, with arguments as an agent might choose them.
pub(crate) fn effect() -> ApprovalView {
    let mut view = capability();
    let arguments = [("environment", "staging"), ("tag", "v1 `id` <@U1> & \u{202e}x")];
    let arguments = arguments.map(|(name, value)| (name.to_owned(), value.to_owned()));
    view.capability = Some(CapabilityView {
        capability: Capability::Effect { name: "deploy".to_owned(), arguments: arguments.clone().into() },
        reason: "Every check passed. Please *hurry*.".to_owned(),
        secret: None,
        effect: Some(EffectOrder {
            name: "deploy".to_owned(),
            about: "Deploys the site.".to_owned(),
            argv: ["./deploy.sh".to_owned(), format!("--to={}", arguments[0].1), arguments[1].1.clone()].to_vec(),
            folder: Some("/srv/site".to_owned()),
            env: vec!["DEPLOY_TOKEN".to_owned()],
            timeout_ms: 600_000,
            definition: "d".repeat(64),
        }),
    });
    view.route.can_remember = false;
    view.route.risk = Risk::High;
    view.route.risk_reasons = vec!["the effect deploy acts outside, and nothing takes it back".to_owned()];
    view
}
