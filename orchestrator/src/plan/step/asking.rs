//! What people ask the agent whose work a request is about. The answer is kept with the request and decides nothing.

use bus_schemas::id::{ApprovalId, TaskId};

use crate::plan::{
    change::Change,
    command::Command,
    event::{TaskKind, TaskSpec},
    policy::{self, NOTE_BYTES},
    rejected::Rejected,
    request::{Approval, Questioned, Subject},
    task::{Task, TaskState},
};

/// The most questions about one request.
pub(super) const QUESTIONS: usize = 5;

/// A question as it is put.
pub(super) struct Questioning<'a> {
    pub(super) by: &'a str,
    pub(super) channel: &'a str,
    pub(super) question: &'a str,
    pub(super) clarifier: &'a TaskSpec,
}

impl Change<'_> {
    /// The agent is asked again, where it stood when it handed on; its task goes on waiting for the decision.
    pub(super) fn approval_questioned(
        &mut self,
        approval_id: ApprovalId,
        questioning: &Questioning<'_>,
    ) -> Result<(), Rejected> {
        let Questioning { by, channel, question, clarifier } = *questioning;
        let approval = self.known(approval_id)?;
        if let Some(decision) = &approval.decision {
            return Err(Rejected::NotPending { approval_id, decision: Box::new(decision.clone()) });
        }
        if question.trim().is_empty() {
            return Err(Rejected::CannotAsk { approval_id, problem: "say what you want to know".to_owned() });
        }
        let base = self.check_question(approval, clarifier);
        let base = base.map_err(|problem| Rejected::CannotAsk { approval_id, problem })?;
        let number = self.add_task(clarifier, &base, |task| task.asked_for = Some(approval_id));
        let asked = Questioned {
            by: by.to_owned(),
            channel: channel.to_owned(),
            question: policy::bounded(question, NOTE_BYTES),
            at: self.at,
            clarifier: clarifier.task_id,
            answer: None,
        };
        if let Some(approval) = self.plan.approvals.get_mut(&approval_id) {
            approval.questions.push(asked);
        }
        self.make_ready(number, base);
        self.reshow(approval_id);
        Ok(())
    }

    /// The commit that the agent is asked about; else why it cannot be asked.
    fn check_question(&self, approval: &Approval, clarifier: &TaskSpec) -> Result<String, String> {
        let nobody = || "there is no agent that could be asked about it".to_owned();
        let asked = match approval.subject {
            Subject::Handoff { task_id, .. } => self.plan.task(task_id),
            Subject::Plan => self.plan.planner(),
            _ => None,
        };
        let agents = [TaskKind::Agent, TaskKind::Planner];
        let asked = asked.filter(|task| agents.contains(&task.spec.kind)).ok_or_else(nobody)?;
        let commit = asked.handoff.as_ref().map(|handed| handed.commit.clone()).ok_or_else(nobody)?;
        if let Some(open) = approval.open_question() {
            return Err(format!("a question of {} waits for its answer: ask again after that", open.by));
        }
        if approval.questions.len() >= QUESTIONS {
            return Err(format!("{QUESTIONS} questions were asked about it: decide, or request changes"));
        }
        self.check_clarifier(clarifier)?;
        if clarifier.needs != [asked.spec.task_id] {
            return Err(format!("{} cannot be added: it must need {} alone", clarifier.key, asked.spec.key));
        }
        Ok(commit)
    }

    /// A clarifier that a person's question made ended: its answer, or that there is none, is kept with the request.
    pub(super) fn answered(&mut self, approval_id: ApprovalId, clarifier: TaskId, answer: String) {
        let Some(approval) = self.plan.approvals.get_mut(&approval_id) else { return };
        let mut open = approval.questions.iter_mut().filter(|question| question.answer.is_none());
        let Some(question) = open.find(|question| question.clarifier == clarifier) else { return };
        question.answer = Some(answer);
        self.reshow(approval_id);
    }

    fn reshow(&mut self, approval_id: ApprovalId) {
        self.named(approval_id);
        self.command(Command::Reshow { approval_id });
    }
}

/// What a clarifier that ended answers, or that it does not.
pub(super) fn answer_of(task: &Task) -> String {
    let handed = task.handoff.as_ref().filter(|_| task.ended_well());
    let answer = handed.and_then(|handed| handed.answer.clone()).filter(|answer| !answer.trim().is_empty());
    let why = |task: &Task| match task.state {
        TaskState::Completed | TaskState::Unverified => "it says nothing".to_owned(),
        state => format!("{} is {state}", task.spec.key),
    };
    answer.unwrap_or_else(|| format!("there is no answer: {}", why(task)))
}
