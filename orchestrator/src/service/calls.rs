//! Calls of hosts, answered.

use std::{collections::BTreeMap, sync::Arc};

use bus_schemas::{
    id::{ApprovalId, AttemptRef, ClaimNonce, MessageId, TaskId},
    v1::{
        agent::Spend,
        api::{Finding, PlanSource, Severity},
        call::{Answer, Call, GuestAnswer, GuestCall, HostAnswer, HostCall, PlanPatch},
        skill::SkillReview,
    },
};
use serde::Serialize;

use super::{create::blocking, orchestrator::Orchestrator};
use crate::{
    digest,
    driver::{Detail, PatchDetail, Refusal, Seen, SeenTask, adopt, resource_word},
    plan::{
        Amount, Rejected, TaskState,
        event::{Fact, PatchSpec, TaskKind},
    },
    planfile::{lower::lower_again, patch},
    port::{
        bus::HostCalls,
        journal::JournalError,
        skills::{NotKept, SkillShelf as _},
    },
};

/// The longest plan an agent may have checked, in bytes.
const PLAN_BYTES: usize = 1 << 20;

impl HostCalls for Orchestrator {
    async fn answer(&self, id: MessageId, call: HostCall) -> HostAnswer {
        let HostCall { attempt, nonce, call } = call;
        let answer = match call {
            Call::Reserve { call_id, estimate, vm_ms } => {
                let AttemptRef { task_id, number, .. } = attempt;
                let amount = amount(&estimate);
                let fact = Fact::SpendReserved { task_id, number, nonce, call_id, amount, vm_ms };
                match self.handle.ask(attempt.project_id, fact, None).await {
                    Ok(_) => Answer::Granted,
                    Err(refusal) => self.denied(attempt, &refusal).await,
                }
            }
            Call::Settle { call_id, actual, vm_ms } => {
                let AttemptRef { task_id, number, .. } = attempt;
                let amount = amount(&actual);
                let fact = Fact::SpendSettled { task_id, number, nonce, call_id, amount, vm_ms };
                match self.handle.ask(attempt.project_id, fact, Some(Detail::Spend(actual))).await {
                    Ok(_) => Answer::Settled,
                    Err(refusal) => not_taken(&refusal),
                }
            }
            Call::Guest(call) => self.guest(id, attempt, nonce, call).await,
        };
        HostAnswer { answer }
    }
}

const fn amount(spend: &Spend) -> Amount {
    Amount { usd_nanos: spend.usd_nanos, tokens: spend.tokens.total(), calls: spend.calls }
}

/// What did not happen: now, or never.
fn not_taken(refusal: &Refusal) -> Answer {
    match refusal {
        Refusal::Rejected(Rejected::Reserved { .. }) => Answer::Busy { detail: refusal.to_string() },
        Refusal::Journal(JournalError::Malformed { .. }) | Refusal::Rejected(_) | Refusal::NoProject(_) => {
            Answer::Stale
        }
        Refusal::Journal(_) | Refusal::Stopped => Answer::Busy { detail: refusal.to_string() },
    }
}

fn refused(detail: impl Into<String>) -> Answer {
    Answer::Guest(GuestAnswer::Refused { detail: detail.into() })
}

fn unsound(findings: Vec<Finding>) -> Answer {
    Answer::Guest(GuestAnswer::Unsound { findings })
}

impl Orchestrator {
    async fn denied(&self, attempt: AttemptRef, refusal: &Refusal) -> Answer {
        let Refusal::Rejected(Rejected::OverBudget { task_id, resource, used, limit }) = refusal else {
            return not_taken(refusal);
        };
        let task_key = match task_id {
            None => String::new(),
            Some(task_id) => match self.store.task_key(*task_id).await {
                Ok(key) => key.unwrap_or_else(|| task_id.to_string()),
                Err(error) => return Answer::Busy { detail: error.to_string() },
            },
        };
        tracing::info!(%attempt, task_key, %resource, used, limit, "model call denied: the budget is used up");
        Answer::Denied { task_key, resource: resource_word(*resource), used: *used, limit: *limit }
    }

    async fn guest(&self, id: MessageId, attempt: AttemptRef, nonce: ClaimNonce, call: GuestCall) -> Answer {
        let seen = match self.handle.look(attempt.project_id).await {
            Ok(Some(seen)) => seen,
            Ok(None) => return Answer::Stale,
            Err(refusal) => return not_taken(&refusal),
        };
        // A call may be faster than the claim, which comes over the stream.
        let holds = |task: &SeenTask| task.nonce.is_none_or(|claimed| claimed == nonce);
        let current = |task: &&SeenTask| {
            let is_it = task.task_id == attempt.task_id && task.attempt == attempt.number;
            is_it && matches!(task.state, TaskState::Submitted | TaskState::Working) && holds(task)
        };
        let Some(task) = seen.tasks.iter().find(current).cloned() else { return Answer::Stale };
        match call {
            GuestCall::CheckPlan { text } => self.check(&seen, text).await,
            GuestCall::ProposePatch { patch } => self.patch(id, attempt, nonce, &seen, &task, patch).await,
            GuestCall::ProposeSkill { files } => self.skill(id, attempt, nonce, files).await,
        }
    }

    async fn check(&self, seen: &Seen, text: String) -> Answer {
        if text.len() > PLAN_BYTES {
            return refused(format!("a plan of {} bytes is too long", text.len()));
        }
        let source = PlanSource {
            file: "the plan".to_owned(),
            text,
            scripts: BTreeMap::new(),
            folder: Some(seen.project.folder.clone()),
        };
        let (shelf, models, rules) = (Arc::clone(&self.shelf), Arc::clone(&self.models), Arc::clone(&self.rules));
        let folder = seen.project.folder.clone();
        let planner = seen.tasks.iter().find(|task| task.kind == TaskKind::Planner).map(|task| task.key.clone());
        // As when the plan is adopted: what passes here is not sent back there.
        let checked = blocking(move || {
            adopt::examined(&source, &shelf.catalog(Some(&folder)), (&models, &rules), planner.as_deref())
        });
        match checked.await {
            Ok(Ok((_, findings))) => Answer::Guest(GuestAnswer::Sound { findings }),
            Ok(Err(findings)) => unsound(findings),
            Err(problem) => Answer::Busy { detail: problem.detail },
        }
    }

    async fn patch(
        &self,
        id: MessageId,
        attempt: AttemptRef,
        nonce: ClaimNonce,
        seen: &Seen,
        task: &SeenTask,
        patch: PlanPatch,
    ) -> Answer {
        // The message's id names the request: a call that is repeated proposes nothing new.
        let approval_id = ApprovalId::from_uuid(id.as_uuid());
        if let Some(answer) = self.proposed(approval_id).await {
            return answer;
        }
        let plan = &seen.project.plan;
        let document = crate::planfile::lower::task_of(plan, &task.key);
        if !document.and_then(|task| task.agent.as_ref()).is_some_and(|agent| agent.may_replan) {
            return refused("this task may not propose changes of the plan (`may_replan` in the plan says which may)");
        }
        if patch::widens(plan, &patch) {
            return refused(
                "new tasks may reach only hosts, and use only secrets, that some task of the plan has already; ask a person",
            );
        }
        let is_open = |key: &str| {
            let found = seen.tasks.iter().find(|task| task.key == key);
            found.is_some_and(|task| task.attempt == 0 && !task.state.is_final())
        };
        let after = match patch::apply(plan, &patch, &is_open) {
            Ok(after) => after,
            Err(findings) => return unsound(findings),
        };
        match self.lowered(seen, &patch, after).await {
            Err(answer) => answer,
            Ok((spec, asks, detail, digest)) => {
                // The core asks whom the plan names: nobody, here.
                if let Some(why) = patch::needs_person(plan, &patch, &self.rules).filter(|_| !asks) {
                    return refused(format!(
                        "a person must decide about this change ({why}), and the plan's `replan` policy asks nobody; \
                         ask a person, or propose a change without it"
                    ));
                }
                let AttemptRef { project_id, task_id, number } = attempt;
                let fact =
                    Fact::PatchProposed { task_id, number, nonce, patch: spec, approval_id, digest, route: None };
                self.propose(project_id, approval_id, fact, Detail::Patch(Box::new(detail))).await
            }
        }
    }

    /// A change as the core needs it, checked as the plan is that it makes; and whether a person will decide about it.
    async fn lowered(
        &self,
        seen: &Seen,
        patch: &PlanPatch,
        after: bus_schemas::v1::plan::Plan,
    ) -> Result<(PatchSpec, bool, PatchDetail, String), Answer> {
        #[derive(Serialize)]
        struct Shown<'a> {
            plan_before: &'a bus_schemas::v1::plan::Plan,
            patch: &'a PlanPatch,
        }
        let busy = |detail: String| Answer::Busy { detail };
        let text = serde_json::to_string_pretty(&after).map_err(|e| busy(e.to_string()))?;
        let folder = seen.project.folder.clone();
        let source = PlanSource {
            file: "the plan as it would be".to_owned(),
            text,
            scripts: seen.project.scripts.clone(),
            folder: Some(folder.clone()),
        };
        let (shelf, models, rules) = (Arc::clone(&self.shelf), Arc::clone(&self.models), Arc::clone(&self.rules));
        let checked = blocking(move || {
            let catalog = shelf.catalog(Some(&folder));
            let plan = adopt::sound(&source, &catalog, (&models, &rules), None).map_err(unsound)?;
            let kept = shelf.keep(&folder, &catalog, &adopt::skill_names(&plan, &catalog));
            let kept = kept.map_err(|error| match error {
                NotKept::Unusable(detail) => refused(detail),
                NotKept::Host(detail) => Answer::Busy { detail },
            });
            Ok((plan, kept?))
        });
        let (plan, kept) = checked.await.map_err(|problem| busy(problem.detail))??;
        let known: BTreeMap<String, TaskId> = seen.tasks.iter().map(|task| (task.key.clone(), task.task_id)).collect();
        let ids = &mut || TaskId::from_uuid(self.ids.next());
        let lowered =
            lower_again(&plan, &known, ids, &seen.project.scripts, &self.rules).map_err(|e| refused(e.to_string()))?;
        let is_new = |key: &str| patch.add.iter().any(|task| task.id == key);
        let needs_of = |key: &str| lowered.tasks.iter().find(|task| task.key == key).map(|task| task.needs.clone());
        let spec = PatchSpec {
            add: lowered.tasks.iter().filter(|task| is_new(&task.key)).cloned().collect(),
            drop: patch.drop.iter().filter_map(|key| known.get(key).copied()).collect(),
            needs: patch.needs.keys().filter_map(|key| Some((*known.get(key)?, needs_of(key)?))).collect(),
        };
        let shown = Shown { plan_before: &seen.project.plan, patch };
        let digest = digest::of(&shown).map_err(|e| busy(e.to_string()))?;
        // Skills that were approved stay as they were; new ones come as they are now.
        let mut skills = seen.project.skills.clone();
        let is_new = |new: &SkillReview| !seen.project.skills.iter().any(|old| old.name == new.name);
        let fresh = adopt::admitted(&plan, kept, false).into_iter().filter(is_new);
        for skill in fresh {
            if skill.needs_approval() {
                return Err(refused(format!("the skill {} must be admitted by a person first", skill.name)));
            }
            skills.push(skill);
        }
        Ok((spec, lowered.replan_policy.asks, PatchDetail { patch: patch.clone(), plan, skills }, digest))
    }

    async fn skill(
        &self,
        id: MessageId,
        attempt: AttemptRef,
        nonce: ClaimNonce,
        files: BTreeMap<String, String>,
    ) -> Answer {
        let approval_id = ApprovalId::from_uuid(id.as_uuid());
        if let Some(answer) = self.proposed(approval_id).await {
            return answer;
        }
        let shelf = Arc::clone(&self.shelf);
        let skill = match blocking(move || shelf.examine(files)).await {
            Ok(Ok(skill)) => skill,
            Ok(Err(findings)) => return unsound(findings),
            Err(problem) => return Answer::Busy { detail: problem.detail },
        };
        if let Some(worst) = skill.findings.iter().find(|finding| finding.severity == Severity::Error) {
            return refused(worst.message.clone());
        }
        let digest = match digest::of(&skill) {
            Ok(digest) => digest,
            Err(error) => return refused(error.to_string()),
        };
        let AttemptRef { project_id, task_id, number } = attempt;
        let name = skill.name.clone();
        let fact = Fact::SkillProposed { task_id, number, nonce, name, approval_id, digest, route: None };
        self.propose(project_id, approval_id, fact, Detail::Skill(Box::new(skill))).await
    }

    async fn propose(
        &self,
        project_id: bus_schemas::id::ProjectId,
        approval_id: ApprovalId,
        fact: Fact,
        detail: Detail,
    ) -> Answer {
        match self.handle.ask(project_id, fact, Some(detail)).await {
            Ok(_) => {
                let answer = self.proposed(approval_id).await;
                answer.unwrap_or_else(|| Answer::Busy { detail: "it was proposed; ask again".to_owned() })
            }
            Err(Refusal::Rejected(rejected)) => match rejected {
                Rejected::StaleAttempt { .. } | Rejected::WrongNonce { .. } => Answer::Stale,
                other => refused(other.to_string()),
            },
            Err(refusal) => not_taken(&refusal),
        }
    }

    /// What became of a request, if it is there.
    async fn proposed(&self, approval_id: ApprovalId) -> Option<Answer> {
        match self.store.approval(approval_id).await {
            Ok(None) => None,
            Ok(Some(view)) => {
                let accepted = view
                    .decision
                    .is_some_and(|decision| decision.verdict == bus_schemas::v1::approval::Verdict::Approved);
                Some(Answer::Guest(GuestAnswer::Proposed { approval_id, accepted }))
            }
            Err(error) => Some(Answer::Busy { detail: error.to_string() }),
        }
    }
}
