//! What people do with requests: decide, ask, hand on, remember. Every name that gets into the ledger passes [`Orchestrator::person`].

use std::collections::BTreeSet;

use bus_schemas::{
    id::{ApprovalId, ProjectId},
    v1::{
        api::{
            ApprovalView, AskRequest, AuditEntry, AuditReport, BatchItem, BatchOutcome, BatchRequest, DecisionRequest,
            DelegateRequest, Problem, Remember, RememberScope, RememberedView, RevokeRequest, Risk, ViewedRequest,
        },
        approval::{ApprovalSubject, Verdict as WireVerdict},
    },
};
use futures::{StreamExt as _, stream};

use super::{
    orchestrator::Orchestrator,
    problem::{hinted, of_refusal, problem},
    resolve,
    talking::short_enough,
};
use crate::{
    driver,
    plan::event::{Fact, RememberScope as Scope, RememberSpec, Verdict},
    port::Service as _,
};

/// Requests that are decided with one breath, at most.
const BATCH: usize = 1000;
/// Of them, those under way at the same time: they share commits.
const TOGETHER: usize = 64;

impl Orchestrator {
    /// Decides a request; the answer is how it looks now, decided or not.
    pub(super) async fn vote(&self, id: &str, request: DecisionRequest) -> Result<ApprovalView, Problem> {
        short_enough(&request.note)?;
        let view = self.approval_view(id).await?;
        let verdict = match request.verdict {
            WireVerdict::Approved => Verdict::Approved,
            WireVerdict::ChangesRequested => Verdict::ChangesRequested,
            WireVerdict::Rejected => Verdict::Rejected,
            WireVerdict::Expired => {
                return Err(problem("bad_verdict", 422, "nobody decides that a request expires: time does"));
            }
        };
        let remember = match request.remember {
            Some(wanted) => Some(self.remember(&view, verdict, &wanted)?),
            None => None,
        };
        let fact = Fact::ApprovalDecided {
            approval_id: view.approval_id,
            verdict,
            digest: request.digest,
            by: self.person(&request.channel, &request.by),
            channel: request.channel,
            note: request.note,
            remember,
        };
        self.handle.ask(view.project_id, fact, None).await.map_err(|e| of_refusal(&e))?;
        self.approval(&view.approval_id.to_string()).await
    }

    /// How a decision is remembered, if it can be.
    fn remember(&self, view: &ApprovalView, verdict: Verdict, wanted: &Remember) -> Result<RememberSpec, Problem> {
        let refuse = |detail: &str| Err(problem("not_rememberable", 422, detail));
        let is_kind = matches!(view.subject, ApprovalSubject::Handoff { .. } | ApprovalSubject::Capability { .. });
        if verdict != Verdict::Approved {
            return refuse("only an approval can be remembered");
        }
        if !is_kind {
            return refuse("only decisions about handoffs and about what agents ask for can be remembered");
        }
        if view.route.risk == Risk::High {
            return refuse("the risk is high: that is decided each time anew");
        }
        let most = self.rules.remember_max_ms();
        if wanted.for_ms == 0 || wanted.for_ms > most {
            let hours = most / 3_600_000;
            return refuse(&format!("a decision is remembered for up to {hours} hours, not {} ms", wanted.for_ms));
        }
        let scope = match wanted.scope {
            RememberScope::Project => Scope::Project,
            RememberScope::Folder => Scope::Folder,
        };
        Ok(RememberSpec { scope, until: self.clock.now().plus_ms(wanted.for_ms) })
    }

    /// Whether requests can be approved with one breath: only if they are alike and low in risk. Those that are not there are
    /// refused one by one.
    async fn are_alike(&self, requests: &[BatchItem]) -> Result<(), Problem> {
        let ids: BTreeSet<ApprovalId> = requests.iter().map(|item| item.approval_id).collect();
        if ids.len() < 2 {
            return Ok(());
        }
        let count = ids.len();
        let keys = self.read(self.store.batch_keys(ids.into_iter().collect()).await)?;
        let first = keys.first().cloned().flatten();
        if keys.is_empty() || (first.is_some() && keys.iter().all(|key| *key == first)) {
            return Ok(());
        }
        let detail = format!(
            "these {count} requests are not alike: only those about the same task, by the same policy and rule, and low in \
             risk are approved together"
        );
        Err(hinted("not_alike", 422, detail, "look at each and approve it by itself: `baton approve ID`"))
    }

    /// Decides several requests, each by itself.
    pub(super) async fn vote_on_all(&self, request: BatchRequest) -> Result<Vec<BatchOutcome>, Problem> {
        if request.requests.len() > BATCH {
            let detail = format!("{} requests; {BATCH} are the most with one breath", request.requests.len());
            return Err(problem("too_many", 422, detail));
        }
        if request.verdict == WireVerdict::Approved {
            self.are_alike(&request.requests).await?;
        }
        let BatchRequest { requests, verdict, by, channel, note } = request;
        let votes = requests.into_iter().map(|item| {
            let request = DecisionRequest {
                verdict,
                digest: item.digest,
                by: by.clone(),
                channel: channel.clone(),
                note: note.clone(),
                remember: None,
            };
            async move {
                let voted = self.vote(&item.approval_id.to_string(), request).await;
                BatchOutcome { approval_id: item.approval_id, problem: voted.err() }
            }
        });
        Ok(stream::iter(votes).buffered(TOGETHER).collect().await)
    }

    /// Hands somebody's say to somebody else.
    pub(super) async fn hand_on(&self, id: &str, request: DelegateRequest) -> Result<ApprovalView, Problem> {
        let view = self.approval_view(id).await?;
        self.known_member(&request.to)?;
        let fact = Fact::ApprovalDelegated {
            approval_id: view.approval_id,
            by: self.person(&request.channel, &request.by),
            to: request.to,
            channel: request.channel,
        };
        self.handle.ask(view.project_id, fact, None).await.map_err(|e| of_refusal(&e))?;
        self.approval(&view.approval_id.to_string()).await
    }

    /// Records that somebody saw a request; that they saw it before is fine.
    pub(super) async fn seen_by(&self, id: &str, request: ViewedRequest) -> Result<(), Problem> {
        let view = self.approval_view(id).await?;
        let by = self.insider(view.project_id, &request.channel, &request.by).await?;
        let fact = Fact::ApprovalViewed { approval_id: view.approval_id, by, channel: request.channel };
        self.handle.ask(view.project_id, fact, None).await.map_err(|e| of_refusal(&e)).map(drop)
    }

    /// Asks the agent about its work: a task of its own answers, from where the agent stopped.
    pub(super) async fn question(&self, id: &str, request: AskRequest) -> Result<ApprovalView, Problem> {
        if request.question.trim().is_empty() {
            return Err(problem("note_required", 422, "the question is empty"));
        }
        short_enough(&request.question)?;
        let view = self.approval_view(id).await?;
        let by = self.insider(view.project_id, &request.channel, &request.by).await?;
        let seen = self.seen(view.project_id).await?;
        let asked = driver::question(&seen, &view.subject, &request.question, self.ids.as_ref());
        let Some((clarifier, detail)) = asked else {
            let detail = "no agent can answer a question about this request";
            return Err(hinted("nobody_to_ask", 409, detail, "decide, or send it back with what you want to know"));
        };
        let fact = Fact::ApprovalQuestioned {
            approval_id: view.approval_id,
            by,
            channel: request.channel,
            question: request.question,
            clarifier: Box::new(clarifier),
        };
        self.handle.ask(view.project_id, fact, Some(detail)).await.map_err(|e| of_refusal(&e))?;
        self.approval(&view.approval_id.to_string()).await
    }

    /// Takes a remembered decision back.
    pub(super) async fn take_back_remembered(
        &self,
        id: &str,
        request: RevokeRequest,
    ) -> Result<RememberedView, Problem> {
        let approval_id = resolve::approval(&self.store, id).await?;
        let of_it = |all: Vec<RememberedView>| all.into_iter().find(|one| one.approval_id == approval_id);
        let known = of_it(self.read(self.store.remembered().await)?);
        let Some(known) = known else {
            return Err(problem("not_found", 404, format!("no decision about {id} is remembered")));
        };
        if let Some(by) = &known.revoked_by {
            return Err(problem("already_revoked", 409, format!("{by} took it back already")));
        }
        let by = self.insider(known.project_id, &request.channel, &request.by).await?;
        let fact = Fact::RememberedRevoked { approval_id, by, channel: request.channel };
        self.handle.ask(known.project_id, fact, None).await.map_err(|e| of_refusal(&e))?;
        Ok(of_it(self.read(self.store.remembered().await)?).unwrap_or(known))
    }

    pub(super) async fn audit_page(&self, after: u64, project: Option<&str>) -> Result<Vec<AuditEntry>, Problem> {
        let project_id = match project {
            Some(written) => Some(resolve::project(&self.store, written).await?),
            None => None,
        };
        self.read(self.store.audit(after, project_id).await)
    }

    pub(super) async fn verified(&self, head: Option<String>) -> Result<AuditReport, Problem> {
        let head = head.map(|head| head.trim().to_owned());
        if let Some(head) =
            head.as_deref().filter(|head| head.len() != 64 || !head.bytes().all(|b| b.is_ascii_hexdigit()))
        {
            return Err(problem(
                "bad_hash",
                422,
                format!("{head:?} is no hash: 64 hexadecimal digits, as verify prints them"),
            ));
        }
        self.read(self.store.verify_audit(driver::projector(), head).await)
    }

    /// Who somebody is: the one place where a name of a channel becomes a person.
    pub(super) fn person(&self, channel: &str, by: &str) -> String {
        self.rules.person(channel, by)
    }

    /// Who somebody is who changes how a project goes: where there are members one of them, or whoever started it.
    pub(super) async fn insider(&self, project_id: ProjectId, channel: &str, by: &str) -> Result<String, Problem> {
        let person = self.person(channel, by);
        let people = &self.rules.people;
        if !people.is_configured() || people.is_member(&person) {
            return Ok(person);
        }
        let head = self.read(self.store.project_head(project_id).await)?;
        if head.is_some_and(|head| head.owner == person) {
            return Ok(person);
        }
        let names = people.names().collect::<Vec<_>>().join(", ");
        let detail = format!("{person} is no member and did not start project {project_id}");
        let hint = format!("ask one of {names}, or add who you are to [members] in baton.toml");
        Err(hinted("no_member", 403, detail, hint))
    }

    /// Somebody who can be handed a say to.
    fn known_member(&self, name: &str) -> Result<(), Problem> {
        let people = &self.rules.people;
        if people.is_configured() && !people.is_member(name) {
            let names = people.names().collect::<Vec<_>>().join(", ");
            let detail = format!("there is no member {name:?} to hand it to");
            return Err(hinted("unknown_member", 422, detail, format!("baton.toml has {names}")));
        }
        Ok(())
    }
}
