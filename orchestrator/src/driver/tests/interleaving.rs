//! Whatever people on whatever channel, duplicates, deadlines, delegations, edits, crashes and restarts do in whatever order:
//! each request has exactly one outcome, the same wherever a channel reads it, and the audit log is whole.

use std::collections::BTreeMap;

use bus_schemas::{
    id::{ApprovalId, ProjectId, TaskId},
    v1::{api::ApprovalView, approval, plan},
};
use proptest::{collection::vec, prelude::*};
use uuid::Uuid;

use super::{
    super::{
        detail::{Detail, ProjectDetail},
        words,
    },
    audit::Log,
};
use crate::{
    ledger::{AtDeadline, Risk, Route, Ruling, Who},
    plan::event::{Fact, Verdict},
    planfile::lower::lower,
    policy::Rules,
};

const PEOPLE: [&str; 5] = ["ann", "bob", "eve", "carl", "dan"];
const CHANNELS: [&str; 3] = ["slack", "email", "cli"];
const HOUR: i64 = 3_600_000;

/// Something that happens. `of` says of which request: the newest, or one that an edit took the place of.
#[derive(Clone, Debug)]
enum Op {
    Says {
        by: usize,
        channel: usize,
        verdict: u8,
        of: u8,
        is_other: bool,
    },
    /// An earlier word once more, as a channel delivers it twice.
    Again {
        which: usize,
    },
    Delegates {
        by: usize,
        to: usize,
        channel: usize,
        of: u8,
    },
    Views {
        by: usize,
        channel: usize,
    },
    Due {
        of: u8,
    },
    Passes {
        ms: i64,
    },
    Edits {
        by: usize,
        channel: usize,
    },
    Restarts,
    /// Somebody says yes, and the transaction fails.
    Lost {
        by: usize,
        channel: usize,
    },
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let person = || 0..PEOPLE.len();
    let channel = || 0..CHANNELS.len();
    let one = prop_oneof![
        10 => (person(), channel(), any::<u8>(), any::<u8>(), 0..10_u8)
            .prop_map(|(by, channel, verdict, of, other)| Op::Says { by, channel, verdict, of, is_other: other == 0 }),
        5 => any::<usize>().prop_map(|which| Op::Again { which }),
        3 => (person(), person(), channel(), any::<u8>())
            .prop_map(|(by, to, channel, of)| Op::Delegates { by, to, channel, of }),
        1 => (person(), channel()).prop_map(|(by, channel)| Op::Views { by, channel }),
        4 => any::<u8>().prop_map(|of| Op::Due { of }),
        4 => (1..HOUR).prop_map(|ms| Op::Passes { ms }),
        2 => (person(), channel()).prop_map(|(by, channel)| Op::Edits { by, channel }),
        2 => Just(Op::Restarts),
        2 => (person(), channel()).prop_map(|(by, channel)| Op::Lost { by, channel }),
    ];
    vec(one, 1..30)
}

fn group(n: u32) -> Who {
    Who::Some { n, group: "leads".to_owned(), of: ["ann", "bob", "eve"].map(str::to_owned).into() }
}

fn routes() -> impl Strategy<Value = Route> {
    let person = |name: &str| Who::Person(name.to_owned());
    let who = prop_oneof![
        Just(Who::Anyone),
        (1..4_u32).prop_map(group),
        Just(Who::AllOf(vec![group(1), person("carl")])),
        Just(Who::AnyOf(vec![person("ann"), Who::After { wait_ms: 1_800_000, who: Box::new(group(1)) }])),
    ];
    let end = prop_oneof![
        Just(AtDeadline::Reject),
        Just(AtDeadline::Approve),
        Just(AtDeadline::Escalate { to: person("dan"), for_ms: 3_600_000 }),
    ];
    (who, end, 1..7_200_000_u64, any::<bool>(), any::<bool>()).prop_map(
        |(who, at_deadline, deadline, excludes, low)| Route {
            ruling: Ruling::Ask(who),
            deadline_ms: Some(deadline),
            reminder_ms: Some(900_000),
            at_deadline,
            risk: if low { Risk::Low } else { Risk::Medium },
            excluded: if excludes { vec!["dan".to_owned()] } else { Vec::new() },
            ..Route::anyone("careful")
        },
    )
}

/// One project, and what is known of its requests.
struct Case {
    log: Log,
    project_id: ProjectId,
    now: i64,
    route: Route,
    /// The requests, with the digest of what each shows.
    asked: Vec<(ApprovalId, String)>,
    /// What was said, and whether it was taken.
    said: Vec<(Fact, bool)>,
    outcomes: BTreeMap<ApprovalId, approval::Decision>,
}

fn id(number: usize) -> ApprovalId {
    ApprovalId::from_uuid(Uuid::from_u128(100 + number as u128))
}

const fn word(verdict: u8) -> Verdict {
    match verdict % 8 {
        0 => Verdict::Rejected,
        1 => Verdict::ChangesRequested,
        _ => Verdict::Approved,
    }
}

impl Case {
    async fn new(route: Route) -> Self {
        let mut log = Log::new().await;
        let (project_id, _) = log.project(1, id(0), route.clone()).await;
        let asked = vec![(id(0), "plan".to_owned())];
        Self { log, project_id, now: 0, route, asked, said: Vec::new(), outcomes: BTreeMap::new() }
    }

    /// The newest request as a rule.
    fn of(&self, of: u8) -> (ApprovalId, String) {
        let newest = self.asked.len() - 1;
        let place = if of.is_multiple_of(4) { usize::from(of / 4) % self.asked.len() } else { newest };
        self.asked[place].clone()
    }

    fn decision(
        &self,
        (approval_id, digest): (ApprovalId, String),
        by: usize,
        channel: usize,
        verdict: Verdict,
    ) -> Fact {
        Fact::ApprovalDecided {
            approval_id,
            verdict,
            digest,
            by: PEOPLE[by].to_owned(),
            channel: CHANNELS[channel].to_owned(),
            note: "because".to_owned(),
            remember: None,
        }
    }

    async fn says(&mut self, fact: Fact, detail: Option<Detail>) -> bool {
        let decided = self.outcomes.clone();
        let taken = matches!(self.log.tries(self.project_id, self.now, fact.clone(), detail).await, Ok(true));
        self.look().await;
        if let Fact::ApprovalDecided { approval_id, verdict, by, channel, .. } = &fact {
            let fresh = self.outcomes.get(approval_id).filter(|_| !decided.contains_key(approval_id));
            if let Some(decision) = fresh {
                assert!(taken, "who is refused decides nothing: {fact:?}: {decision:?}");
                let wanted = match verdict {
                    Verdict::Approved => approval::Verdict::Approved,
                    Verdict::ChangesRequested => approval::Verdict::ChangesRequested,
                    Verdict::Rejected => approval::Verdict::Rejected,
                };
                assert_eq!((decision.verdict, &decision.channel), (wanted, channel), "{fact:?}");
                assert!(decision.by.split(", ").any(|one| one == by), "{fact:?}: {decision:?}");
            }
        }
        taken
    }

    async fn does(&mut self, op: &Op) {
        match *op {
            Op::Says { by, channel, verdict, of, is_other } => {
                let (approval_id, digest) = self.of(of);
                let digest = if is_other { "another".to_owned() } else { digest };
                let fact = self.decision((approval_id, digest), by, channel, word(verdict));
                let taken = self.says(fact.clone(), None).await;
                assert!(!(taken && is_other), "nobody decides about what they did not see");
                self.said.push((fact, taken));
            }
            Op::Again { which } => {
                let Some((fact, was_taken)) = self.said.get(which % self.said.len().max(1)).cloned() else { return };
                let taken = self.says(fact.clone(), None).await;
                let is_vote = matches!(fact, Fact::ApprovalDecided { .. });
                assert!(!(is_vote && was_taken && taken), "{fact:?} counts twice");
                if taken {
                    self.said.push((fact, true));
                }
            }
            Op::Delegates { by, to, channel, of } => {
                let (by, to, channel) = (PEOPLE[by].to_owned(), PEOPLE[to].to_owned(), CHANNELS[channel].to_owned());
                let fact = Fact::ApprovalDelegated { approval_id: self.of(of).0, by, to, channel };
                let taken = self.says(fact.clone(), None).await;
                self.said.push((fact, taken));
            }
            Op::Views { by, channel } => {
                let (by, channel) = (PEOPLE[by].to_owned(), CHANNELS[channel].to_owned());
                self.says(Fact::ApprovalViewed { approval_id: self.of(1).0, by, channel }, None).await;
            }
            Op::Due { of } => {
                let approval_id = self.of(of).0;
                self.says(Fact::ApprovalDue { approval_id }, None).await;
            }
            Op::Passes { ms } => self.now += ms,
            Op::Edits { by, channel } => self.edits(by, channel).await,
            Op::Restarts => {
                self.log.restarts(self.project_id).await;
                self.look().await;
            }
            Op::Lost { by, channel } => {
                let fact = self.decision(self.of(1), by, channel, Verdict::Approved);
                drop(self.log.moves(self.project_id, self.now, fact, None));
                self.log.restarts(self.project_id).await;
                // It never happened: what is known is still what is so, and nothing is known in addition.
                let before = self.outcomes.len();
                self.look().await;
                assert_eq!(self.outcomes.len(), before);
            }
        }
    }

    async fn edits(&mut self, by: usize, channel: usize) {
        let number = self.asked.len();
        let text = format!(r#"{{"version":1,"title":"t","tasks":[{{"id":"edit{number}","run":"true"}}]}}"#);
        let plan: plan::Plan = serde_json::from_str(&text).unwrap();
        let mut ids = || TaskId::from_uuid(Uuid::from_u128(4000 + number as u128));
        let lowered = lower(&plan, &mut ids, &BTreeMap::new(), &Rules::default()).unwrap();
        let plan_digest = format!("edited {number}");
        let fact = Fact::PlanProposed {
            task_id: None,
            tasks: lowered.tasks,
            plan_digest: plan_digest.clone(),
            policy: lowered.plan_policy,
            approval_id: id(number),
            budget: lowered.budget,
            replan_policy: lowered.replan_policy,
            by: PEOPLE[by].to_owned(),
            channel: CHANNELS[channel].to_owned(),
            route: Some(Box::new(self.route.clone())),
            offers_result: Some(false),
            instead_of: String::new(),
        };
        let detail = Detail::Project(Box::new(ProjectDetail::new("/f", "dan", plan)));
        if self.says(fact, Some(detail)).await {
            self.asked.push((id(number), plan_digest));
        }
    }

    /// What the core has, what the store has, and what was known before agree.
    async fn look(&mut self) {
        for (approval_id, _) in &self.asked {
            let kept = self.log.store.approval(*approval_id).await.unwrap().unwrap().decision;
            let room = &self.log.rooms[&self.project_id];
            let live = room.plan.approval(*approval_id).and_then(words::decision);
            assert_eq!(live, kept, "the core and the store differ");
            let known = self.outcomes.get(approval_id);
            assert!(known.is_none() || known == kept.as_ref(), "another outcome: {known:?}, then {kept:?}");
            if let Some(decision) = kept {
                self.outcomes.insert(*approval_id, decision);
            }
        }
    }

    /// Time passes until nothing is open; then everything is compared.
    async fn ends(mut self) {
        for _ in 0..8 {
            self.now += HOUR;
            for (approval_id, _) in self.asked.clone() {
                self.says(Fact::ApprovalDue { approval_id }, None).await;
            }
        }
        self.log.restarts(self.project_id).await;
        self.look().await;
        let views = self.log.store.approvals(true).await.unwrap();
        let json = self.log.store.approvals_json(true).await.unwrap();
        assert_eq!(serde_json::from_slice::<Vec<ApprovalView>>(&json).unwrap(), views, "over HTTP it is the same");
        assert_eq!(views.len(), self.asked.len());
        assert!(self.log.store.approvals(false).await.unwrap().is_empty(), "nothing waits");
        for view in views {
            let entries = self.log.entries(view.approval_id).await;
            let is_outcome = |kind: &str| matches!(kind, "decision.made" | "request.voided");
            let mut outcomes = entries.iter().filter(|entry| is_outcome(&entry.kind));
            let (Some(entry), None) = (outcomes.next(), outcomes.next()) else {
                panic!("one outcome in the audit log: {entries:?}")
            };
            let decision = view.decision.expect("an outcome");
            assert_eq!((&entry.actor, &entry.channel), (&decision.by, &decision.channel), "{entry:?}");
            assert_eq!(self.outcomes.get(&view.approval_id), Some(&decision));
        }
        self.log.is_sound().await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn in_any_order_each_request_has_one_outcome_that_everybody_reads(route in routes(), ops in ops()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut case = Case::new(route).await;
            for op in &ops {
                case.does(op).await;
            }
            case.ends().await;
        });
    }
}
