//! The pure function: a plan and an event in, a changed plan and commands out. No clock, no randomness, no input or
//! output: time and ids are in the event.
//!
//! ```text
//!               2           3               4               5                     10
//!    blocked ─────► ready ─────► submitted ─────► working ─────► input_required ─────► completed | unverified
//!      │ │ │          ▲             │  │            │  │             │   │
//!      │ │ │          ├────6, 14────┘  │            │  │             │   ├──12──► rejected
//!      │ │ │          ├────6, 14───────┼────────────┘  │             │   └──15──► failed
//!      │ │ │          └──11, 15, 18────┼───────────────┼─────────────┘
//!      │ │ │                           └───────9───────┴──────► failed
//!      │ │ └──8──► failed
//!      │ └────1──► skipped
//!      └──────7──► working (foreach) ──7──► completed | unverified | failed
//!
//!    submitted ──5──► input_required     ready ──9──► failed     any state that is not final ──13──► canceled
//!    ready, submitted, working ──15──► input_required            submitted, working ──16──► blocked ──16──► ready
//!    blocked, ready ──19──► skipped      ready ──19──► blocked
//!    a planner: submitted, working, input_required ──17──► blocked ──17──► ready | failed | input_required
//! ```
//!
//! 1. *blocked → skipped*: something it needs ended as failed, canceled, rejected, or was skipped for such a reason; the
//!    reason names the root. Or its own `when` was false: then what needs it goes on without it.
//! 2. *blocked → ready*: the plan is approved and all it needs is completed, unverified or skipped by `when`. With one
//!    distinct parent commit, no `when` and no `foreach`, at once; else after [`Command::Prepare`](super::Command)
//!    was answered by `TaskPrepared`.
//! 3. *ready → submitted*: `AttemptOffered` with the next number, not before the backoff has passed. The number fences:
//!    from here on nothing about an earlier attempt is heard.
//! 4. *submitted → working*: the first claim wins; the same claim again changes nothing; another is rejected. Any later
//!    message of the attempt that overtook its claim counts as the claim.
//! 5. *submitted, working → input_required*: `HandoffReceived`. Where the policy does not ask, the decision is recorded as
//!    the policy's and arrow 10 follows in the same step. A second handoff is stale.
//! 6. *submitted, working → ready*: the attempt failed in a way that may end differently, ran out of time or lost its host,
//!    and attempts are left: again after the backoff, with a note that says what happened. An offer nobody took within
//!    schedule-to-start comes again at once and costs no attempt.
//! 7. *blocked → working (foreach)*: `TaskExpanded`; its children are worked on, it takes no slot itself. When all are
//!    final it is failed if one ended badly, else completed (unverified if a child is) with the merge of what they handed
//!    on. It has no handoff of its own and asks nobody; its children do.
//! 8. *blocked → failed*: `PrepareFailed`. Also a `foreach` whose children's commits do not merge.
//! 9. *submitted, working → failed*: no attempts left, or no use in another one. And from ready, submitted or working:
//!    schedule-to-close passed.
//! 10. *input_required → completed | unverified*: approved. Completed only if there is evidence and all of it passed.
//! 11. *input_required → ready*: changes requested. The note goes to the next attempt, which does not count against
//!     the limit, and the time a person took does not count against schedule-to-close.
//! 12. *input_required → rejected*: rejected with a reason, or expired.
//! 13. *→ canceled*: `CancelRequested`, for the task, the `foreach` task it came from, or the project; or the plan was
//!     refused. What a host still says about it is stale. The exception is what model calls did cost (`SpendSettled`).
//!
//! Pauses, all by `AttemptPaused`: the attempt is over and its number stays used, but it counts as no try, and the time
//! until the task is ready again does not count against schedule-to-close.
//!
//! 14. *submitted, working → ready*: the provider is busy; ready again when it lets calls through. Also a pause for a budget
//!     that was raised meanwhile.
//! 15. *ready, submitted, working → input_required*: a question to a person, a host or a secret that people must grant, or a limit of a
//!     budget (from ready: `BudgetReached`, where an offer was rejected as over its budget). Tasks that wait for the same
//!     limit share one request. Answered, the host or the secret granted or not, or the limit raised (by the decision or by
//!     `BudgetRaised`): *→ ready*. A question nobody wants to answer: arrow 12. A limit nobody wants to raise: *→ failed*,
//!     and whoever reaches that limit later fails, too. A host or a secret that was refused is not asked about again, and
//!     nobody is asked about a secret that there is not: the task goes on at once, with a note that says no.
//!     An effect that is allowed: arrow 20.
//! 16. *submitted, working → blocked → ready*: the handoff of a needed task goes back with a question. A clarifier, a new
//!     task for the agent of the needed one, answers; when it ends, well or badly, the task goes on with its answer as a
//!     note. Once per needed task; a question that cannot be put is a failed attempt (arrow 6).
//!
//! 20. *input_required → blocked → ready*: an effect its agent asked for was allowed and is done outside; the task waits until
//!     that is over (`EffectEnded`) or given up before it began (`EffectVoided`). *blocked → input_required*: it was started and
//!     its end was not seen (`EffectUnknown`): it is not run again, a person says what became of it, as for any question.
//!
//! Requests: every one is the [ledger](crate::ledger)'s, which says who decides, when, and once. A vote, a delegation, a
//! reminder moves no task; the decision does, in the same step. Whoever waits for a decision can ask the agent whose handoff
//! or plan it is about (`ApprovalQuestioned`): a clarifier answers while the task goes on waiting, and ends with the decision.
//! It is offered in *awaiting_approval*, too. A decision that people want to be remembered is kept so (`Approval::remembered`)
//! until somebody takes that back; whether it counts for a later request is in that request's route.
//!
//! Planning, for the one task of a project that begins with a planner:
//!
//! 17. *submitted, working, input_required → blocked*: its handoff is accepted and checked (`AdoptPlan`). `PlanUnusable`:
//!     *→ ready* with the reasons, the third time *→ failed*. `PlanProposed`: *→ input_required* until the plan is decided, at
//!     once *→ completed | unverified* if nobody is asked.
//! 18. *input_required → ready*: changes of the plan requested. Approved: *→ completed | unverified*.
//!
//! Changes of a running plan (`PatchProposed`), once approved, if they still fit:
//!
//! 19. *blocked, ready → skipped*: dropped; nothing needs it any more, and nothing is skipped for it. *ready → blocked*: it
//!     needs other tasks now. Only tasks that were never offered.
//!
//! The project: *planning* (only if it begins with a planner) → *awaiting_approval* (only if the plan's policy asks) →
//! *working* → when every task is final and no change of the plan waits for a decision: *failed* if one ended badly, else
//! the commits no other task built on are merged → *completed* (or *failed*). Planners and clarifiers are no part of
//! this. A plan that is refused makes the project *rejected*; one that is to be changed goes back to its planner
//! (*awaiting_approval* → *planning*), or, without one, makes the project *rejected*, too: a new plan is a new project.
//! Until a plan is approved, `PlanProposed` can put another in its place. A planner that ends badly makes the project
//! *failed*. Results are applied and undone only in *completed*. Where the project says so, people are asked first
//! (`OfferResult`, answered by `ApplyOffered`): approved, the result is applied (`ApplyResult`); else nothing is written and
//! the project keeps the reason. Somebody who applies it by hand closes the request.

mod apply;
mod approval;
mod asking;
mod attempt;
mod budget;
mod cancel;
mod capability;
mod effect;
mod limit;
mod patch;
mod pause;
mod planning;
mod prepare;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bus_schemas::id::ApprovalId;

use self::{
    approval::Deciding,
    asking::Questioning,
    attempt::{Failing, Handing},
    budget::Calling,
    patch::Offering,
    pause::Pausing,
    planning::Proposing,
};
use super::{
    budget::{Ledger, Stopwatch},
    change::{Change, Outcome},
    event::{Event, Fact, ProjectCreated},
    graph::TaskGraph,
    policy::{self, NOTE_BYTES},
    rejected::Rejected,
    request::{Asking, Subject},
    state::{Plan, ProjectState},
    task::{Note, Task},
};
use crate::ledger::Route;

/// Takes an event into the plan. Costs time in proportion to the tasks it changes.
///
/// # Errors
/// [`Rejected`] if the event does not belong to the plan's state: the plan is as it was. That is no failure: stale facts
/// are part of life.
pub fn step(plan: &mut Plan, event: &Event) -> Result<Outcome, Rejected> {
    let mut change = Change::new(plan, event.at, event.fact.kind());
    take(&mut change, &event.fact)?;
    Ok(change.finish())
}

fn take(change: &mut Change<'_>, fact: &Fact) -> Result<(), Rejected> {
    match fact {
        Fact::ProjectCreated(_) => Err(Rejected::AlreadyCreated),
        Fact::ApprovalDecided { .. }
        | Fact::ApprovalDelegated { .. }
        | Fact::ApprovalViewed { .. }
        | Fact::ApprovalQuestioned { .. }
        | Fact::ApprovalDue { .. }
        | Fact::RememberedRevoked { .. } => take_said(change, fact),
        Fact::TaskPrepared { task_id, base_commit, when } => change.task_prepared(*task_id, base_commit, *when),
        Fact::TaskExpanded { task_id, base_commit, children } => change.task_expanded(*task_id, base_commit, children),
        Fact::PrepareFailed { task_id, reason } => change.prepare_failed(*task_id, reason),
        Fact::ChildrenMerged { task_id, commit } => change.children_merged(*task_id, commit),
        Fact::AttemptOffered { task_id, number } => change.attempt_offered(*task_id, *number),
        Fact::AttemptClaimed { task_id, number, nonce, host_id } => {
            change.attempt_claimed(*task_id, *number, *nonce, *host_id)
        }
        Fact::AttemptStaged { task_id, number, nonce, stage } => {
            change.attempt_staged(*task_id, *number, *nonce, stage)
        }
        Fact::HandoffReceived { task_id, number, nonce, commit, proven, digest, approval_id, vm_ms, answer, route } => {
            let (asking, answer) = (asking(*approval_id, digest, route.as_deref()), answer.as_deref());
            let handing = Handing { commit, proven: *proven, asking, answer, vm_ms: *vm_ms };
            change.handoff_received(*task_id, *number, *nonce, &handing)
        }
        Fact::AttemptFailed { task_id, number, nonce, reason, detail, retryable, vm_ms } => {
            let failing = Failing { reason, detail, retryable: *retryable, vm_ms: Some(*vm_ms) };
            change.attempt_failed(*task_id, *number, *nonce, &failing)
        }
        Fact::AttemptPaused { task_id, number, nonce, pause, approval_id, digest, vm_ms, saved_turn, route } => {
            let asking = asking(*approval_id, digest, route.as_deref());
            let pausing = Pausing { pause, asking, vm_ms: *vm_ms, saved_turn: *saved_turn };
            change.attempt_paused(*task_id, *number, *nonce, &pausing)
        }
        Fact::SpendReserved { task_id, number, nonce, call_id, amount, vm_ms } => {
            let calling = Calling { number: *number, nonce: *nonce, call_id: *call_id, amount: *amount, vm_ms: *vm_ms };
            change.spend_reserved(*task_id, &calling)
        }
        Fact::SpendSettled { task_id, number, nonce, call_id, amount, vm_ms } => {
            let calling = Calling { number: *number, nonce: *nonce, call_id: *call_id, amount: *amount, vm_ms: *vm_ms };
            change.spend_settled(*task_id, &calling)
        }
        Fact::BudgetReached { task_id, approval_id, digest, route } => {
            change.budget_reached(*task_id, &asking(*approval_id, digest, route.as_deref()))
        }
        Fact::BudgetRaised { task_id, budget, by, channel } => change.budget_raised(*task_id, budget, by, channel),
        Fact::NoteTold { task_id, note_id, from, text } => {
            let text = policy::bounded(text, NOTE_BYTES);
            change.note_told(*task_id, &Note { id: note_id.clone(), from: from.clone(), text })
        }
        Fact::PlanProposed {
            task_id,
            tasks,
            plan_digest,
            policy,
            approval_id,
            budget,
            replan_policy,
            by,
            route,
            offers_result,
            instead_of,
            ..
        } => {
            let asking = asking(*approval_id, plan_digest, route.as_deref());
            let (task_id, offers_result) = (*task_id, *offers_result);
            change.plan_proposed(&Proposing {
                task_id,
                tasks,
                asking,
                policy,
                offers_result,
                budget,
                replan_policy,
                by,
                instead_of,
            })
        }
        Fact::PlanUnusable { task_id, reason } => change.plan_unusable(*task_id, reason),
        Fact::PatchProposed { task_id, number, nonce, patch, approval_id, digest, route } => {
            let asking = asking(*approval_id, digest, route.as_deref());
            change.patch_proposed(*task_id, patch, &Offering { number: *number, nonce: *nonce, asking })
        }
        Fact::SkillProposed { task_id, number, nonce, name, approval_id, digest, route } => {
            let asking = asking(*approval_id, digest, route.as_deref());
            change.skill_proposed(*task_id, name, &Offering { number: *number, nonce: *nonce, asking })
        }
        Fact::EffectStarted(started) => change.effect_started(started.approval_id),
        Fact::EffectVoided(voided) => change.effect_voided(voided.approval_id, &voided.reason),
        Fact::EffectEnded(ended) => change.effect_ended(ended),
        Fact::EffectUnknown(unknown) => change.effect_unknown(unknown),
        Fact::LimitReached { task_id, number, limit } => change.limit_reached(*task_id, *number, *limit),
        Fact::CancelRequested { task_id, by, reason, .. } => change.cancel_requested(*task_id, by, reason),
        Fact::ResultMerged { commit } => change.result_merged(commit),
        Fact::ResultMergeFailed { reason } => change.result_merge_failed(reason),
        Fact::ApplyOffered { approval_id, digest, route } => {
            change.apply_offered(&asking(*approval_id, digest, Some(route)))
        }
        Fact::ApplyWanted { .. } => change.apply_wanted(),
        Fact::ApplyRefused { detail } => change.apply_refused(detail),
        Fact::ApplyStarted { by, before_commit, after_commit, .. } => {
            change.apply_started(by, before_commit, after_commit)
        }
        Fact::ApplyFinished => change.apply_finished(),
        Fact::ApplyStopped { detail } => change.apply_stopped(detail),
        Fact::ApplyStalled { detail } => change.apply_stalled(detail),
        Fact::ApplyResumed { .. } => change.apply_resumed(),
        Fact::ApplyUndone { by, .. } => change.apply_undone(by),
    }
}

/// What is said about a request.
fn take_said(change: &mut Change<'_>, fact: &Fact) -> Result<(), Rejected> {
    match fact {
        Fact::ApprovalDecided { approval_id, verdict, digest, by, channel, note, remember } => {
            let (verdict, remember) = (*verdict, remember.as_ref());
            change.approval_decided(*approval_id, &Deciding { verdict, digest, by, channel, note, remember })
        }
        Fact::ApprovalDelegated { approval_id, by, to, .. } => change.approval_delegated(*approval_id, by, to),
        Fact::ApprovalViewed { approval_id, by, channel } => change.approval_viewed(*approval_id, by, channel),
        Fact::ApprovalQuestioned { approval_id, by, channel, question, clarifier } => {
            change.approval_questioned(*approval_id, &Questioning { by, channel, question, clarifier })
        }
        Fact::ApprovalDue { approval_id } => change.approval_due(*approval_id),
        Fact::RememberedRevoked { approval_id, by, channel } => change.remembered_revoked(*approval_id, by, channel),
        _ => Err(Rejected::NotFirst { event: fact.kind() }),
    }
}

const fn asking<'a>(approval_id: ApprovalId, digest: &'a str, route: Option<&'a Route>) -> Asking<'a> {
    Asking { approval_id, digest, route }
}

impl Plan {
    /// Makes the plan of a new project from its first event. `touched` names every task.
    ///
    /// # Errors
    /// [`Rejected::NotFirst`] for any other event, [`Rejected::BadPlan`] if the tasks make no graph.
    pub fn create(event: &Event) -> Result<(Self, Outcome), Rejected> {
        let Fact::ProjectCreated(created) = &event.fact else {
            return Err(Rejected::NotFirst { event: event.fact.kind() });
        };
        let mut plan = Self::blank(event, created)?;
        let mut change = Change::new(&mut plan, event.at, event.fact.kind());
        change.touch_project();
        for number in 0..change.plan.tasks.len() {
            change.touch(number);
        }
        let planned = created.planning.is_some();
        let planners = created.tasks.iter().filter(|spec| spec.kind.is_helper()).count();
        if planners != usize::from(planned) || (planned && created.tasks.len() != 1) {
            return Err(Rejected::NoPlanner);
        }
        let asking = asking(created.approval_id, &created.plan_digest, created.route.as_deref());
        if planned {
            change.plan();
        } else if !change.request(&asking, Subject::Plan, &created.plan_policy) {
            change.start();
        }
        let outcome = change.finish();
        Ok((plan, outcome))
    }

    fn blank(event: &Event, created: &ProjectCreated) -> Result<Self, Rejected> {
        let graph = TaskGraph::of(&created.tasks)?;
        let specs = created.tasks.iter().enumerate();
        let tasks: Vec<Task> =
            specs.map(|(number, spec)| Task::new(spec.clone(), graph.needs_count(number), event.at)).collect();
        let numbers: HashMap<_, _> =
            tasks.iter().enumerate().map(|(number, task)| (task.spec.task_id, number)).collect();
        Ok(Self {
            project_id: created.project_id,
            state: ProjectState::AwaitingApproval,
            reason: String::new(),
            created_at: event.at,
            changed_at: event.at,
            base_commit: created.base_commit.clone(),
            plan_digest: created.plan_digest.clone(),
            result_commit: None,
            planning: created.planning.clone(),
            given_budget: created.budget,
            proposed_budget: None,
            replan_policy: created.replan_policy.clone(),
            ledger: Ledger::new(created.budget),
            wall: Stopwatch::default(),
            budget_waits: BTreeMap::new(),
            budgets_asked: BTreeMap::new(),
            patches: BTreeMap::new(),
            skills: BTreeMap::new(),
            effects: BTreeMap::new(),
            running_effects: BTreeSet::new(),
            merging_result: false,
            applies: Vec::new(),
            offers_result: created.offers_result,
            offering_result: false,
            open: tasks.len(),
            graph,
            tasks,
            numbers,
            approvals: BTreeMap::new(),
            ready: BTreeSet::new(),
            timers: BTreeSet::new(),
            pending: BTreeSet::new(),
            outstanding: 0,
        })
    }

    /// The plan that a journal's events make.
    ///
    /// # Errors
    /// The first [`Rejected`]: a journal holds only events that were taken.
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> Result<Self, Rejected> {
        let mut events = events.into_iter();
        let (mut plan, _) = Self::create(events.next().ok_or(Rejected::NoEvents)?)?;
        for event in events {
            step(&mut plan, event)?;
        }
        Ok(plan)
    }
}
