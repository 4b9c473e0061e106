//! Messages that name secrets: what there is, what a task may use, what an agent asks for. None has room for a value.

use bus_schemas::{
    secrets::SecretBrief,
    v1::{
        agent::{AgentWork, AttemptPaused, Pause},
        ledger::Capability,
    },
};

use super::{agents::work, *};

fn program() -> Program {
    let brief = SecretBrief {
        name: "github".into(),
        about: "comments on issues".into(),
        hosts: vec!["api.github.com".into()],
        header: "authorization".into(),
    };
    Program::Agent(AgentWork { secrets: vec![brief], ..work() })
}

#[test]
fn names_of_secrets_travel() {
    let offer = Offer { program: program(), secrets: vec!["github".into()], ..offer() };
    holds("attempt.offered-secret", &Envelope::new(MessageId::from_uuid(id(9)), AT, offer.clone()));
    let secret_terms = BTreeMap::from([("github".into(), "authorization to api.github.com".into())]);
    let offer = Offer { secret_terms, ..offer };
    holds("attempt.offered-secret-terms", &Envelope::new(MessageId::from_uuid(id(9)), AT, offer));
    let capability = Capability::Secret { name: "github".into() };
    let pause = Pause::Capability { capability, reason: "to comment on the issue".into() };
    let paused = AttemptPaused { attempt: attempt(), nonce: nonce(), pause, saved_turn: 7, usage: usage() };
    holds("attempt.paused-secret", &Envelope::new(MessageId::from_uuid(id(9)), AT, paused));
    holds(
        "guest.assign-secret",
        &ToGuest::Assign(Assignment::Attempt(AttemptAssignment {
            task_key: "inventory".into(),
            title: "Take stock".into(),
            goal: "Know this folder".into(),
            attempt: 2,
            program: program(),
            env: env(),
            item: None,
            needs: BTreeMap::new(),
            notes: vec![],
            models: vec![],
            checks: vec![],
            network: vec![],
            secrets: vec!["github".into()],
            wall_ms: 1_800_000,
            output_bytes: 8_388_608,
            max_processes: 512,
        })),
    );
}
