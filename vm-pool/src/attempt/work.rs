//! The attempt itself.

use std::{fs::File, time::Duration};

use bus_schemas::{
    json::Json,
    v1::{
        agent::{AgentWork, Report},
        guest::{Assignment, AttemptAssignment, Finished},
        handoff::{Handoff, Usage},
        task::{FailureReason, Offer, Program, Stage},
    },
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{
    Desk, Failure, Job, LogPump, Outcome, Trace,
    agent::{self, Luggage},
    check::check,
    collect::{collect, commit, publish_commit},
    cut,
    desk::millis,
    fetch::{blocking, ensure},
    guest,
    services::Services,
};
use crate::{
    adapter::{
        session::{Session, Worked},
        workspace::Committed,
    },
    lease::{Leased, Leases},
    port::Vm,
};

/// Processes a program may have at once: enough for a parallel build, too few for a fork bomb.
const MAX_PROCESSES: u32 = 1_024;
/// What the guest's own time limit leaves of the attempt's, so that the guest can still say that it ran out.
const CLOSING_GRACE: Duration = Duration::from_secs(2);
/// The longest summary, in bytes.
const SUMMARY_BYTES: usize = 16 * 1024;
/// The most open questions.
const MAX_QUESTIONS: usize = 50;
/// The most connections named in a handoff.
const MAX_EGRESS: usize = 200;

/// Works on an offer until it hands on or pauses.
///
/// # Errors
/// [`Failure`].
pub async fn work<V: Vm>(desk: &Desk, leases: &Leases<V>, mut job: Job<'_>) -> Result<Outcome, Failure> {
    let Job { offer, stages, trace, .. } = job;
    let mut log = LogPump::new(desk.bus.clone(), offer.attempt, offer.limits.output_bytes.saturating_mul(2));
    let agent = match &offer.program {
        Program::Script { .. } => None,
        Program::Agent(work) => Some(work),
    };
    // Before a VM boots for nothing.
    let models = agent.map(|work| agent::models(desk, work)).transpose()?.unwrap_or_default();
    enter(stages, Stage::Booting).await;
    let luggage = async {
        match agent {
            Some(work) => agent::pack(desk, offer, work, models).await,
            None => Ok(Luggage::default()),
        }
    };
    let (leased, tree, luggage) = tokio::join!(lease(leases, offer, trace), base_tree(desk, offer), luggage);
    let (mut leased, luggage) = (leased?, luggage?);
    enter(stages, Stage::Preparing).await;
    luggage.remarks.iter().for_each(|remark| log.note(remark));
    log.catch_up().await;
    guest::prepare(&mut leased, tree?).await?;
    guest::attended(&mut leased, async |session| luggage.send(session).await).await?;
    enter(stages, Stage::Running).await;
    leases.started(leased.lease).await;
    let names = luggage.models.iter().map(|model| model.name.clone()).collect();
    let mut services = Services::open(desk, &job, names, luggage.resumed.as_ref(), &log);
    let worked = run(&mut leased, &mut job, luggage, &mut services, &mut log).await;
    services.close().await;
    log.catch_up().await;
    let finished = match worked? {
        Worked::Finished(finished) => *finished,
        Worked::Paused { pause, usage } => {
            trace.used(|used| add(used, &usage));
            end(leased, leases, trace).await;
            let pause = agent::checked_pause(pause, offer)?;
            return Ok(Outcome::Paused { pause, saved_turn: services.saved_turn() });
        }
        Worked::GaveUp { reason, detail, usage } => {
            trace.used(|used| add(used, &usage));
            return Err(Failure::new(reason, detail));
        }
    };
    trace.used(|used| {
        let tool_calls = u64::from(finished.used_tools);
        let Finished { wall_ms, cpu_ms, peak_kib, output_bytes, .. } = finished;
        let usage = Usage {
            program_wall_ms: wall_ms,
            program_cpu_ms: cpu_ms,
            program_peak_kib: peak_kib,
            output_bytes,
            tool_calls,
            ..Usage::default()
        };
        add(used, &usage);
    });
    judge(&finished, agent)?;
    enter(stages, Stage::Collecting).await;
    let tar = collect(desk, &mut leased, offer).await?;
    let result = typed_result(&finished)?;
    // The checks' VM is asked for while the changes are committed.
    let ((), committed, checker) = tokio::try_join!(
        async {
            end(leased, leases, trace).await;
            Ok(())
        },
        commit(desk, offer, tar),
        async {
            if offer.checks.is_empty() {
                return Ok(None);
            }
            lease(leases, offer, trace).await.map(Some)
        },
    )?;
    if let Some(work) = agent {
        show_work(work, &finished, &committed, offer)?;
    }
    // Other hosts need the commit once the handoff is out; the checks have it here.
    let (evidence, ()) = tokio::try_join!(
        async {
            let Some(checker) = checker else { return Ok(Vec::new()) };
            enter(stages, Stage::Checking).await;
            check(desk, leases, checker, offer, &committed.commit, &mut log, trace).await
        },
        publish_commit(desk, offer, &committed.commit),
    )?;
    let mut egress = services.egress();
    egress.truncate(MAX_EGRESS);
    let (report, words) = words(finished);
    Ok(Outcome::Handoff(Box::new(Handoff {
        summary: words.0,
        commit: committed.commit,
        base_commit: offer.base_commit.clone(),
        changed_paths: committed.changed,
        lines_added: committed.lines_added,
        lines_removed: committed.lines_removed,
        artifacts: Vec::new(),
        result,
        open_questions: words.1,
        report,
        egress,
        evidence,
        usage: trace.usage(),
        isolation: desk.isolation,
    })))
}

async fn enter(stages: &mpsc::Sender<Stage>, stage: Stage) {
    // The publisher of stages lives as long as the attempt; without it there is nobody to tell.
    let _ = stages.send(stage).await;
}

async fn lease<V: Vm>(leases: &Leases<V>, offer: &Offer, trace: &Trace) -> Result<Leased<V>, Failure> {
    let leased = leases.take(&offer.machine, |lease| trace.asked(lease)).await.map_err(Failure::from)?;
    trace.leased(leased.lease, leased.since);
    Ok(leased)
}

/// Kills the VM and says so.
pub(super) async fn end<V: Vm>(leased: Leased<V>, leases: &Leases<V>, trace: &Trace) {
    let Leased { lease, vm, session, since: _ } = leased;
    drop(session);
    vm.kill().await;
    leases.release(lease).await;
    trace.released(lease);
}

async fn base_tree(desk: &Desk, offer: &Offer) -> Result<File, Failure> {
    ensure(&desk.bus, &desk.store, &desk.scratch, offer.attempt.project_id, &offer.base_commit).await?;
    tree(desk, offer, offer.base_commit.clone(), offer.inputs.clone()).await
}

/// The tar of a commit.
pub(super) async fn tree(desk: &Desk, offer: &Offer, commit: String, inputs: Vec<String>) -> Result<File, Failure> {
    let (store, snapshots, project_id) = (desk.store.clone(), desk.snapshots.clone(), offer.attempt.project_id);
    blocking(move || snapshots.tar(&store.repo(project_id)?, &commit, &inputs)).await
}

/// Lets the program work, and serves it meanwhile.
async fn run<V: Vm>(
    leased: &mut Leased<V>,
    job: &mut Job<'_>,
    luggage: Luggage,
    services: &mut Services,
    log: &mut LogPump,
) -> Result<Worked, Failure> {
    let Job { offer, closes_at, trace, tells, .. } = job;
    let closes_at = *closes_at;
    let left = closes_at.saturating_duration_since(Instant::now());
    let wall = left.saturating_sub(CLOSING_GRACE).max(Duration::from_secs(1));
    let is_agent = matches!(offer.program, Program::Agent(_));
    let assignment = Assignment::Attempt(AttemptAssignment {
        task_key: offer.task_key.clone(),
        title: offer.title.clone(),
        goal: offer.goal.clone(),
        attempt: offer.attempt.number,
        program: offer.program.clone(),
        env: offer.env.clone(),
        item: offer.item.clone(),
        needs: offer.needs.clone(),
        notes: offer.notes.clone(),
        models: luggage.models,
        checks: if is_agent { offer.checks.clone() } else { Vec::new() },
        network: offer.network.clone(),
        secrets: offer.secrets.clone(),
        wall_ms: millis(wall),
        output_bytes: offer.limits.output_bytes,
        max_processes: MAX_PROCESSES,
    });
    let Some(mut wishes) = leased.session.take_wishes() else {
        return Err(Failure::new(FailureReason::HostError, "the guest was served already"));
    };
    talk(leased, log, trace, async |session| {
        session.assign(assignment).await?;
        let worked = async {
            if is_agent {
                session.worked(closes_at).await
            } else {
                session.finished(closes_at).await.map(|finished| Worked::Finished(Box::new(finished)))
            }
        };
        tokio::select! {
            worked = worked => worked.map_err(Failure::from),
            failure = services.serve(session, &mut wishes, tells) => Err(failure),
        }
    })
    .await
}

/// Waits for an answer while the output flows.
pub(super) async fn talk<V: Vm, T, E: Into<Failure>>(
    leased: &mut Leased<V>,
    log: &mut LogPump,
    trace: &Trace,
    answer: impl AsyncFnOnce(&Session) -> Result<T, E>,
) -> Result<T, Failure> {
    let Some(mut queue) = leased.session.take_output() else {
        return Err(Failure::new(FailureReason::HostError, "the guest's output was taken already"));
    };
    let (stop, stopped) = oneshot::channel();
    let answered = async {
        let answered = guest::attended(leased, answer).await;
        drop(stop);
        answered
    };
    let (answered, ()) = tokio::join!(answered, log.run(&mut queue, stopped, &trace.tail));
    answered
}

/// Adds what a guest says it used; VM time and money are the host's to count.
fn add(used: &mut Usage, by: &Usage) {
    used.program_wall_ms = used.program_wall_ms.saturating_add(by.program_wall_ms);
    used.program_cpu_ms = used.program_cpu_ms.saturating_add(by.program_cpu_ms);
    used.program_peak_kib = used.program_peak_kib.max(by.program_peak_kib);
    used.output_bytes = used.output_bytes.saturating_add(by.output_bytes);
    used.tool_calls = used.tool_calls.saturating_add(by.tool_calls);
}

/// Whether the program did what it was to do, as far as its end tells.
fn judge(finished: &Finished, agent: Option<&AgentWork>) -> Result<(), Failure> {
    if finished.timed_out {
        return Err(Failure::new(FailureReason::TimedOut, "the program ran into its time limit"));
    }
    match (finished.exit_code, finished.signal) {
        (Some(0), _) => {}
        (Some(code), _) => {
            return Err(Failure::new(FailureReason::ProgramFailed, format!("the program ended with exit code {code}")));
        }
        (None, Some(signal)) => {
            return Err(Failure::new(FailureReason::ProgramFailed, format!("signal {signal} ended the program")));
        }
        (None, None) if agent.is_some() => {}
        (None, None) => {
            return Err(Failure::new(FailureReason::ProgramFailed, "the program ended without an exit code"));
        }
    }
    if agent.is_some() && finished.report.is_none() {
        return Err(Failure::new(FailureReason::BadResult, "the agent handed on without a report"));
    }
    Ok(())
}

/// Words alone are no work: without a tool call, a change and a check that could prove something, nothing was done.
fn show_work(work: &AgentWork, finished: &Finished, committed: &Committed, offer: &Offer) -> Result<(), Failure> {
    let idle = !finished.used_tools && committed.changed.is_empty() && offer.checks.is_empty();
    if idle && agent::must_show_work(work) {
        let detail = "the agent handed on without a tool call, a change, or a check that proves something";
        return Err(Failure::new(FailureReason::NothingDone, detail));
    }
    Ok(())
}

fn typed_result(finished: &Finished) -> Result<Option<Json>, Failure> {
    let Some(text) = &finished.result_text else {
        return Ok(finished.report.as_ref().and_then(|report| report.result.clone()));
    };
    serde_json::from_str(text)
        .map(Some)
        .map_err(|e| Failure::new(FailureReason::BadResult, format!("result.json is not JSON: {e}")))
}

/// What a program says of its work: the report, and summary and open questions, which may be the report's.
fn words(finished: Finished) -> (Option<Report>, (String, Vec<String>)) {
    let report = finished.report.map(agent::checked_report);
    let (mut summary, mut open_questions) = (finished.summary, finished.open_questions);
    if let Some(report) = &report {
        if summary.is_empty() {
            summary.clone_from(&report.done);
        }
        if open_questions.is_empty() {
            open_questions.clone_from(&report.open_questions);
        }
    }
    open_questions.truncate(MAX_QUESTIONS);
    (report, (cut(summary, SUMMARY_BYTES), open_questions))
}
