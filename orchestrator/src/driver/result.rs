//! A project's result: what it changes is offered to people, and what they approved is put into the folder.

use std::sync::Arc;

use bus_schemas::{
    id::{ApprovalId, ProjectId},
    v1::api::ApplyOffer,
};

use super::{
    detail::Detail,
    outbox::Hands,
    perform::{Again, git, keep, stopped},
    room::Room,
    work::Act,
};
use crate::{
    digest,
    ledger::{Decided, Route},
    plan::event::{CommitId, Fact},
    planfile::lower::POLICY_ASK,
    port::{bus::Bus, journal::Journal},
};

/// The result of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The folder it is for.
    pub(super) folder: String,
    /// The commit the project began with.
    pub(super) base: CommitId,
    /// The commit that holds the result.
    pub(super) result: CommitId,
}

impl Outcome {
    fn of(room: &Room) -> Option<Self> {
        let result = room.plan.result_commit()?.to_owned();
        let (folder, base) = (room.details.project.folder.clone(), room.plan.base_commit().to_owned());
        Some(Self { folder, base, result })
    }
}

/// What [`crate::plan::Command::OfferResult`] takes.
pub(super) fn offer_act(room: &Room) -> Act {
    Outcome::of(room).map_or(Act::Nothing, |outcome| Act::OfferResult { outcome })
}

/// What [`crate::plan::Command::ApplyResult`] takes: nothing if somebody was faster.
pub(super) fn apply_act(room: &Room, approval_id: ApprovalId) -> Act {
    let decision = room.plan.approval(approval_id).and_then(|approval| approval.decision.as_ref());
    let approved = decision.filter(|decision| decision.verdict == Decided::Approved);
    let outcome = Outcome::of(room).filter(|_| room.plan.standing_apply().is_none());
    match (approved, outcome) {
        (Some(decision), Some(outcome)) => {
            let (by, channel) = (decision.by.clone(), decision.channel.clone());
            Act::ApplyResult { outcome, by, channel }
        }
        _ => Act::Nothing,
    }
}

/// Works out what the result changes.
pub(super) async fn offer<J: Journal, B: Bus>(
    hands: &Arc<Hands<J, B>>,
    project_id: ProjectId,
    outcome: &Outcome,
) -> Result<(Fact, Option<Detail>), Again> {
    keep(hands, project_id, &outcome.result).await?;
    let Outcome { folder, base, result } = outcome.clone();
    let changes = {
        let (base, result) = (base.clone(), result.clone());
        git(hands, move |shadow| shadow.changes(project_id, &base, &result)).await?
    };
    let offer = ApplyOffer {
        folder,
        base_commit: base,
        result_commit: result,
        changed_paths: changes.paths,
        lines_added: changes.lines_added,
        lines_removed: changes.lines_removed,
    };
    let digest = match digest::of(&offer) {
        Ok(digest) => digest,
        Err(error) => return Ok((Fact::ApplyRefused { detail: error.to_string() }, None)),
    };
    // Who is asked is worked out when the plan is told, as for every request.
    let route = Box::new(Route::anyone(POLICY_ASK));
    let fact = Fact::ApplyOffered { approval_id: ApprovalId::from_uuid(hands.ids.next()), digest, route };
    Ok((fact, Some(Detail::Apply(Box::new(offer)))))
}

/// Puts the result into the folder, as the `baton apply` of those who approved it over that channel would: what is in the way
/// refuses it, and nothing is written.
pub(super) async fn apply<J: Journal, B: Bus>(
    hands: &Arc<Hands<J, B>>,
    project_id: ProjectId,
    outcome: &Outcome,
    (by, channel): (&str, &str),
) -> Result<(Fact, Option<Detail>), Again> {
    keep(hands, project_id, &outcome.result).await?;
    let _turn = hands.folders.turn(&outcome.folder).await;
    let (port, Outcome { folder, base, result }) = (Arc::clone(&hands.folder), outcome.clone());
    let worked_out = tokio::task::spawn_blocking(move || port.work_out(project_id, &base, &result, &folder)).await;
    let fact = match worked_out.map_err(stopped)? {
        Ok((before_commit, after_commit)) => {
            let (by, channel) = (by.to_owned(), channel.to_owned());
            Fact::ApplyStarted { by, channel, before_commit, after_commit }
        }
        Err(detail) => Fact::ApplyRefused { detail },
    };
    Ok((fact, None))
}
