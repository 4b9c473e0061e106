//! Two projects record by record: what the audit log has of them, that it can be derived again, and what the projections say.

use std::collections::{BTreeMap, HashMap};

use bus_schemas::{
    id::{ApprovalId, ClaimNonce, HostId, ProjectId, TaskId},
    time::UnixMs,
    v1::{
        api::AuditEntry,
        plan,
        skill::{SkillAdmission, SkillReview, SkillStatus},
    },
};
use uuid::Uuid;

use super::super::{
    detail::{Detail, ProjectDetail},
    projector,
    room::{NotTaken, Room, parse_detail},
};
use super::Store;
use crate::{
    ledger::{Route, Ruling, Who},
    plan::{
        BudgetSpec,
        event::{Event, Fact, ProjectCreated, RememberScope, RememberSpec, Verdict},
    },
    planfile::lower::lower,
    policy::Rules,
    port::journal::{Batch, Change, Journal, Record},
};

const PLAN: ApprovalId = ApprovalId::from_uuid(Uuid::from_u128(100));
const HANDOFF: ApprovalId = ApprovalId::from_uuid(Uuid::from_u128(200));
const LATER: ApprovalId = ApprovalId::from_uuid(Uuid::from_u128(300));
const HOUR: u64 = 3_600_000;

/// The journal and the rooms over it, without a driver.
pub(super) struct Log {
    pub(super) store: Store,
    pub(super) rooms: HashMap<ProjectId, Room>,
    seq: u64,
    _dir: tempfile::TempDir,
}

impl Log {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Uuid::nil()).unwrap();
        store.rebuild(projector()).await.unwrap();
        Self { store, rooms: HashMap::new(), seq: 0, _dir: dir }
    }

    /// A project of one task, whose plan is asked about as `route` says.
    pub(super) async fn project(&mut self, number: u128, approval_id: ApprovalId, route: Route) -> (ProjectId, TaskId) {
        let project_id = ProjectId::from_uuid(Uuid::from_u128(number));
        let text = r#"{"version":1,"title":"t","tasks":[{"id":"one","run":"true","approval":"ask"}]}"#;
        let plan: plan::Plan = serde_json::from_str(text).unwrap();
        let mut ids = || TaskId::from_uuid(Uuid::from_u128(number + 1000));
        let lowered = lower(&plan, &mut ids, &BTreeMap::new(), &Rules::default()).unwrap();
        let task_id = lowered.tasks[0].task_id;
        let created = ProjectCreated {
            project_id,
            tasks: lowered.tasks,
            base_commit: "0".repeat(40),
            plan_digest: "plan".to_owned(),
            plan_policy: lowered.plan_policy,
            approval_id,
            budget: lowered.budget,
            planning: None,
            replan_policy: None,
            route: Some(Box::new(route)),
            offers_result: false,
        };
        let detail = ProjectDetail { skills: vec![tidy()], ..ProjectDetail::new("/f", "dan", plan) };
        let detail = Detail::Project(Box::new(detail));
        self.happen(project_id, 0, Fact::ProjectCreated(created), Some(detail)).await;
        (project_id, task_id)
    }

    async fn happen(&mut self, project_id: ProjectId, at: i64, fact: Fact, detail: Option<Detail>) {
        let happened = self.tries(project_id, at, fact, detail).await.unwrap();
        assert!(happened, "record {} changes nothing", self.seq + 1);
    }

    /// Whether anything happened; what the core says if it rejects it. Then nothing is written, as in the driver.
    pub(super) async fn tries(
        &mut self,
        project_id: ProjectId,
        at: i64,
        fact: Fact,
        detail: Option<Detail>,
    ) -> Result<bool, NotTaken> {
        let (mut record, changes) = self.moves(project_id, at, fact, detail.as_ref())?;
        if changes.is_empty() {
            return Ok(false);
        }
        self.seq += 1;
        record.detail = detail.map(|detail| serde_json::to_string(&detail).unwrap());
        self.store.commit(Batch { records: vec![record], changes, ..Batch::default() }).await.unwrap();
        Ok(true)
    }

    /// The room moves, and nothing is written.
    pub(super) fn moves(
        &mut self,
        project_id: ProjectId,
        at: i64,
        fact: Fact,
        detail: Option<&Detail>,
    ) -> Result<(Record, Vec<Change>), NotTaken> {
        let (seq, event) = (self.seq + 1, Event { at: UnixMs(at), fact });
        let mut record = Record { seq, project_id, version: 1, event, detail: None };
        let changes = match self.rooms.get_mut(&project_id) {
            Some(room) => {
                record.version = room.version + 1;
                room.take(&record, detail)?.changes
            }
            None => {
                let (room, taken) = Room::create(&record, detail)?;
                self.rooms.insert(project_id, room);
                taken.changes
            }
        };
        Ok((record, changes))
    }

    /// Forgets what is in memory and folds it again from the journal, as after a restart or a transaction that failed.
    pub(super) async fn restarts(&mut self, project_id: ProjectId) {
        self.rooms.remove(&project_id);
        for record in self.store.records(project_id).await.unwrap() {
            let detail = parse_detail(&record).unwrap();
            match self.rooms.get_mut(&project_id) {
                Some(room) => drop(room.take(&record, detail.as_ref()).unwrap()),
                None => drop(self.rooms.insert(project_id, Room::create(&record, detail.as_ref()).unwrap().0)),
            }
        }
    }

    /// The task's handoff is there, asked about as `route` says.
    async fn handed(&mut self, (project_id, task_id): (ProjectId, TaskId), approval_id: ApprovalId, route: Route) {
        let nonce = ClaimNonce::from_uuid(Uuid::from_u128(1));
        self.happen(project_id, 10_000, Fact::AttemptOffered { task_id, number: 1 }, None).await;
        let host_id = HostId::from_uuid(Uuid::from_u128(2));
        self.happen(project_id, 10_001, Fact::AttemptClaimed { task_id, number: 1, nonce, host_id }, None).await;
        let fact = Fact::HandoffReceived {
            task_id,
            number: 1,
            nonce,
            commit: "0".repeat(40),
            proven: true,
            digest: "handoff".to_owned(),
            approval_id,
            vm_ms: 5,
            answer: None,
            route: Some(Box::new(route)),
        };
        self.happen(project_id, 10_002, fact, None).await;
    }

    pub(super) async fn entries(&self, approval_id: ApprovalId) -> Vec<AuditEntry> {
        let all = self.store.audit(0, None).await.unwrap();
        // The first one is about the log itself.
        all.into_iter().skip(1).filter(|entry| entry.approval_id == approval_id).collect()
    }

    /// `kind by actor over channel` of each entry.
    async fn said(&self, approval_id: ApprovalId) -> Vec<String> {
        let said = |entry: AuditEntry| format!("{} {} {}", entry.kind, entry.actor, entry.channel);
        self.entries(approval_id).await.into_iter().map(said).collect()
    }

    /// The log is whole, and the projections are what the journal says.
    pub(super) async fn is_sound(&self) {
        let report = self.store.verify_audit(projector(), None).await.unwrap();
        assert_eq!(report.findings, []);
        assert_eq!(self.store.rebuild(projector()).await.unwrap().differences, 0);
        let again = self.store.verify_audit(projector(), Some(report.head.clone())).await.unwrap();
        assert_eq!(again, report, "rebuilding leaves the log alone");
    }
}

/// A skill that the lockfile names.
fn tidy() -> SkillReview {
    SkillReview {
        name: "tidy".to_owned(),
        description: String::new(),
        source: "project".to_owned(),
        sha256: "5".repeat(64),
        bytes: 1,
        status: SkillStatus::Locked,
        changed: Vec::new(),
        new_scripts: Vec::new(),
        findings: Vec::new(),
        admitted: Some(SkillAdmission { by: "eve".to_owned(), at: "2026-11-22T10:00:00Z".to_owned() }),
    }
}

fn two_leads() -> Route {
    let of = ["ann", "bob", "eve"].map(str::to_owned).into();
    let mut route = Route::anyone("careful");
    route.ruling = Ruling::Ask(Who::Some { n: 2, group: "leads".to_owned(), of });
    route.rule = Some("big".to_owned());
    route.reminder_ms = Some(HOUR);
    route.excluded = vec!["dan".to_owned()];
    route
}

fn approve(approval_id: ApprovalId, digest: &str, by: &str, remember: Option<RememberSpec>) -> Fact {
    Fact::ApprovalDecided {
        approval_id,
        verdict: Verdict::Approved,
        digest: digest.to_owned(),
        by: by.to_owned(),
        channel: "slack".to_owned(),
        note: "fine".to_owned(),
        remember,
    }
}

#[tokio::test]
async fn every_word_about_a_request_is_an_entry() {
    let mut log = Log::new().await;
    let (project_id, _) = log.project(1, PLAN, two_leads()).await;
    let (by, channel) = ("eve".to_owned(), "cli".to_owned());
    let viewed = Fact::ApprovalViewed { approval_id: PLAN, by: by.clone(), channel: channel.clone() };
    log.happen(project_id, 1, viewed, None).await;
    log.happen(project_id, 2, approve(PLAN, "plan", "ann", None), None).await;
    let hour = i64::try_from(HOUR).unwrap();
    log.happen(project_id, hour, Fact::ApprovalDue { approval_id: PLAN }, None).await;
    let delegated = Fact::ApprovalDelegated { approval_id: PLAN, by, to: "carl".to_owned(), channel };
    log.happen(project_id, hour + 1, delegated, None).await;
    log.happen(project_id, hour + 2, approve(PLAN, "plan", "carl", None), None).await;
    assert_eq!(
        log.said(PLAN).await,
        [
            "skill.admitted eve lockfile",
            "request.asked policy:careful policy",
            "request.viewed eve cli",
            "vote.taken ann slack",
            "request.reminded orchestrator policy",
            "request.delegated eve cli",
            "vote.taken carl slack",
            "decision.made ann, carl slack",
        ]
    );
    let entries = log.entries(PLAN).await;
    let asked = serde_json::to_string(&entries[1].detail).unwrap();
    assert!(asked.contains(r#""rule":"big""#) && asked.contains(r#""excluded":["dan"]"#), "{asked}");
    assert_eq!(entries[6].detail.get("counts_as").and_then(|who| who.as_text()), Some("eve"));
    assert_eq!(entries[7].detail.get("verdict").and_then(|word| word.as_text()), Some("approved"));
    log.is_sound().await;
}

#[tokio::test]
async fn what_a_policy_decides_alone_is_recorded_with_its_rule() {
    let mut log = Log::new().await;
    let mut route = Route::auto("lenient");
    route.rule = Some("small".to_owned());
    log.project(1, PLAN, route).await;
    assert_eq!(
        log.said(PLAN).await,
        ["skill.admitted eve lockfile", "request.asked policy:lenient policy", "decision.made policy:lenient policy"]
    );
    let rule = log.entries(PLAN).await[2].detail.get("rule").cloned().unwrap_or_default();
    assert_eq!(rule.as_text(), Some("small"));
    log.is_sound().await;
}

#[tokio::test]
async fn a_request_that_falls_away_is_void_and_says_so() {
    let mut log = Log::new().await;
    let (project_id, _) = log.project(1, PLAN, two_leads()).await;
    let canceled = Fact::CancelRequested {
        task_id: None,
        by: "dan".to_owned(),
        channel: String::new(),
        reason: "enough".to_owned(),
    };
    log.happen(project_id, 5, canceled, None).await;
    let said = log.said(PLAN).await;
    assert!(said.len() == 3 && said[2].starts_with("request.voided"), "{said:?}");
    log.is_sound().await;
    let fatigue = log.store.fatigue().await.unwrap();
    assert_eq!((fatigue.finished_projects, fatigue.prompts, fatigue.approved_permille), (1, 1, 0));
}

#[tokio::test]
async fn a_remembered_decision_counts_later_is_counted_and_taken_back() {
    let mut log = Log::new().await;
    // The later project's id sorts first: deriving anew sees its records before those of the other.
    let first = log.project(5, PLAN, Route::auto("lenient")).await;
    log.handed(first, HANDOFF, Route::anyone("careful")).await;
    let spec = RememberSpec { scope: RememberScope::Folder, until: UnixMs(1_000_000) };
    log.happen(first.0, 20_002, approve(HANDOFF, "handoff", "ann", Some(spec)), None).await;
    assert_eq!(
        log.said(HANDOFF).await,
        ["request.asked policy:careful policy", "decision.made ann slack", "decision.remembered ann slack"]
    );
    let second = log.project(4, ApprovalId::from_uuid(Uuid::from_u128(101)), Route::auto("lenient")).await;
    let mut route = Route::anyone("careful");
    route.remembered = vec![("ann".to_owned(), HANDOFF)];
    log.handed(second, LATER, route).await;
    assert_eq!(log.said(LATER).await, ["request.asked policy:careful policy", "decision.made ann remembered"]);
    let [known] = log.store.remembered().await.unwrap().try_into().unwrap();
    assert_eq!((known.by.as_str(), known.subject.as_str(), known.used), ("ann", "one", 1));
    assert_eq!((known.folder.as_str(), known.revoked_by), ("/f", None));
    let revoked = Fact::RememberedRevoked { approval_id: HANDOFF, by: "bob".to_owned(), channel: "cli".to_owned() };
    log.happen(first.0, 30_000, revoked, None).await;
    assert_eq!(log.store.remembered().await.unwrap()[0].revoked_by.as_deref(), Some("bob"));
    assert_eq!(log.said(HANDOFF).await.last().map(String::as_str), Some("decision.revoked bob cli"));
    log.is_sound().await;
    // One prompt of four requests: the plans' policies and the remembered decision asked nobody.
    let listed = log.store.approvals(true).await.unwrap();
    assert_eq!(listed.len(), 4);
    assert!(listed.iter().all(|one| one.handoff.is_none()), "a list has no bodies");
    let fatigue = log.store.fatigue().await.unwrap();
    assert_eq!((fatigue.finished_projects, fatigue.prompts, fatigue.automatic), (2, 1, 3), "{fatigue:?}");
}

#[tokio::test]
async fn what_changes_what_people_approved_is_an_entry_though_nobody_was_asked() {
    let mut log = Log::new().await;
    let (project_id, task_id) = log.project(1, PLAN, Route::auto("lenient")).await;
    let (by, channel) = (|| "ann".to_owned(), || "slack".to_owned());
    let budget = BudgetSpec { tokens: Some(7), ..BudgetSpec::default() };
    let raised = |task_id| Fact::BudgetRaised { task_id, budget, by: by(), channel: channel() };
    log.happen(project_id, 1, raised(None), None).await;
    log.happen(project_id, 2, raised(Some(task_id)), None).await;
    log.handed((project_id, task_id), HANDOFF, Route::auto("lenient")).await;
    let (before_commit, after_commit) = ("2".repeat(40), "3".repeat(40));
    let started = Fact::ApplyStarted { by: by(), channel: channel(), before_commit, after_commit };
    log.happen(project_id, 20_001, started, None).await;
    log.happen(project_id, 20_002, Fact::ApplyStalled { detail: "full".to_owned() }, None).await;
    log.happen(project_id, 20_003, Fact::ApplyResumed { by: by(), channel: channel() }, None).await;
    log.happen(project_id, 20_004, Fact::ApplyFinished, None).await;
    log.happen(project_id, 20_005, Fact::ApplyUndone { by: by(), channel: channel() }, None).await;
    let (project_id, task_id) = log.project(2, LATER, two_leads()).await;
    let canceled =
        Fact::CancelRequested { task_id: Some(task_id), by: by(), channel: channel(), reason: "enough".to_owned() };
    log.happen(project_id, 1, canceled, None).await;
    let none = ApprovalId::from_uuid(Uuid::nil());
    let told: Vec<(String, String)> =
        log.entries(none).await.into_iter().map(|entry| (entry.kind, entry.subject)).collect();
    let told: Vec<(&str, &str)> = told.iter().map(|(kind, subject)| (kind.as_str(), subject.as_str())).collect();
    assert_eq!(
        told,
        [
            ("budget.raised", "project"),
            ("budget.raised", "task one"),
            ("result.applied", "result"),
            ("result.resumed", "result"),
            ("result.undone", "result"),
            ("task.canceled", "task one"),
        ]
    );
    assert!(log.said(none).await.iter().all(|said| said.ends_with(" ann slack")));
    let budget = log.entries(none).await[0].detail.get("tokens").cloned();
    assert_eq!(budget, Some(bus_schemas::json::Json::Int(7)));
    let skill = &log.entries(PLAN).await[0];
    assert_eq!((skill.subject.as_str(), skill.digest.as_str()), ("skill tidy", "5".repeat(64).as_str()));
    log.is_sound().await;
}

#[tokio::test]
async fn an_edit_of_a_plan_is_an_entry_with_the_new_digest() {
    let mut log = Log::new().await;
    let (project_id, _) = log.project(1, PLAN, two_leads()).await;
    let text = r#"{"version":1,"title":"t","tasks":[{"id":"two","run":"true"}]}"#;
    let plan: plan::Plan = serde_json::from_str(text).unwrap();
    let mut ids = || TaskId::from_uuid(Uuid::from_u128(4000));
    let lowered = lower(&plan, &mut ids, &BTreeMap::new(), &Rules::default()).unwrap();
    let fact = Fact::PlanProposed {
        task_id: None,
        tasks: lowered.tasks,
        plan_digest: "edited".to_owned(),
        policy: lowered.plan_policy,
        approval_id: LATER,
        budget: lowered.budget,
        replan_policy: lowered.replan_policy,
        by: "ann".to_owned(),
        channel: "cli".to_owned(),
        route: Some(Box::new(two_leads())),
        offers_result: Some(false),
        instead_of: String::new(),
    };
    let detail = Detail::Project(Box::new(ProjectDetail::new("/f", "dan", plan)));
    log.happen(project_id, 5, fact, Some(detail)).await;
    assert_eq!(log.said(LATER).await, ["plan.edited ann cli", "request.asked policy:careful policy"]);
    assert_eq!(log.entries(LATER).await[0].digest, "edited");
    log.is_sound().await;
}
