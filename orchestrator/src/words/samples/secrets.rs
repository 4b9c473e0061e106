//! A secret that is asked for.

use bus_schemas::{
    secrets::SecretBrief,
    v1::api::{ApprovalView, Capability, CapabilityView, Risk},
};

use super::capability;

/// An agent wants a secret used on its behalf.
pub(crate) fn secret() -> ApprovalView {
    let mut view = capability();
    view.capability = Some(CapabilityView {
        capability: Capability::Secret { name: "github".to_owned() },
        reason: "The issue wants an answer.".to_owned(),
        effect: None,
        secret: Some(SecretBrief {
            name: "github".to_owned(),
            about: "reads & comments on issues".to_owned(),
            hosts: vec!["api.github.com".to_owned(), "uploads.github.com:8443".to_owned()],
            header: "authorization".to_owned(),
        }),
    });
    view.route.risk = Risk::Medium;
    view.route.risk_reasons = vec!["reaches api.github.com".to_owned(), "uses the secret github".to_owned()];
    view
}
