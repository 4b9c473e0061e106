//! The attempt itself.

use std::{
    collections::BTreeMap,
    fs::File,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bus_schemas::{
    id::LeaseId,
    json::Json,
    v1::{
        guest::{Assignment, AttemptAssignment, Finished},
        handoff::{CheckEvidence, Handoff, Isolation, Usage},
        task::{FailureReason, Offer, Stage},
    },
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{
    Failure, LogPump,
    fetch::{blocking, ensure, patiently},
    guest,
    output::Tail,
};
use crate::{
    adapter::{
        bus::HostBus,
        session::{Session, SessionError},
        workspace::{Committed, Globs, ImportRequest, Snapshots, Store, import},
    },
    driver::now,
    lease::{Leased, Leases},
    port::Vm,
};

/// Processes a program may have at once: enough for a parallel build, too few for a fork bomb.
const MAX_PROCESSES: u32 = 1_024;
/// What the guest's own time limit leaves of the attempt's, so that the guest can still say that it ran out.
const CLOSING_GRACE: Duration = Duration::from_secs(2);
/// To hand the changes over.
const COLLECT_WAIT: Duration = Duration::from_secs(600);
/// Headers, padding and the list of deletions come on top of the data in a tar.
const TAR_OVERHEAD_BYTES: u64 = 64 * 1024 * 1024;
/// What checks may take beyond the sum of their own limits.
const CHECKS_GRACE: Duration = Duration::from_secs(60);
/// Paths named when outputs are violated.
const NAMED_PATHS: usize = 20;
/// The longest summary, in bytes.
const SUMMARY_BYTES: usize = 16 * 1024;
/// The most open questions.
const MAX_QUESTIONS: usize = 50;

/// What every attempt of a host works with.
#[derive(Clone, Debug)]
pub struct Desk {
    /// The bus.
    pub bus: HostBus,
    /// The bare repositories.
    pub store: Store,
    /// The tars of trees.
    pub snapshots: Snapshots,
    /// A folder for files that live as long as an attempt.
    pub scratch: PathBuf,
    /// How strongly VMs are isolated here.
    pub isolation: Isolation,
}

/// What is seen of an attempt while it is worked on: what a failure still reports.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The end of the output.
    pub tail: Tail,
    /// What it used so far.
    pub usage: Arc<Mutex<Usage>>,
    /// Every lease it asked for.
    pub leases: Arc<Mutex<Vec<LeaseId>>>,
}

impl Trace {
    fn used(&self, add: impl FnOnce(&mut Usage)) {
        add(&mut self.usage.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn note(&self, lease: LeaseId) {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner).push(lease);
    }
}

/// Works on an offer until its handoff. `closes_at` is when the caller will drop it.
///
/// # Errors
/// [`Failure`].
pub async fn work<V: Vm>(
    desk: &Desk,
    leases: &Leases<V>,
    offer: &Offer,
    closes_at: Instant,
    stages: &mpsc::Sender<Stage>,
    trace: &Trace,
) -> Result<Handoff, Failure> {
    let mut log = LogPump::new(desk.bus.clone(), offer.attempt, offer.limits.output_bytes.saturating_mul(2));
    enter(stages, Stage::Booting).await;
    let (leased, tree) = tokio::join!(lease(leases, offer, trace), base_tree(desk, offer));
    let finished = {
        let mut leased = leased?;
        enter(stages, Stage::Preparing).await;
        guest::prepare(&mut leased, tree?).await?;
        enter(stages, Stage::Running).await;
        leases.started(leased.lease).await;
        let finished = run(&mut leased, offer, closes_at, &mut log, trace).await?;
        judge(&finished)?;
        enter(stages, Stage::Collecting).await;
        let tar = collect(desk, &mut leased, offer).await?;
        (finished, tar, leased)
    };
    let (finished, tar, leased) = finished;
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
    // Other hosts need the commit once the handoff is out; the checks have it here.
    let (evidence, ()) = tokio::try_join!(
        async {
            let Some(checker) = checker else { return Ok(Vec::new()) };
            enter(stages, Stage::Checking).await;
            check(desk, leases, checker, offer, &committed.commit, &mut log, trace).await
        },
        publish_commit(desk, offer, &committed.commit),
    )?;
    let usage = trace.usage.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Handoff {
        summary: cut(finished.summary, SUMMARY_BYTES),
        commit: committed.commit,
        base_commit: offer.base_commit.clone(),
        changed_paths: committed.changed,
        artifacts: Vec::new(),
        report: finished.report,
        egress: Vec::new(),
        result,
        open_questions: finished.open_questions.into_iter().take(MAX_QUESTIONS).collect(),
        evidence,
        usage,
        isolation: desk.isolation,
    })
}

async fn enter(stages: &mpsc::Sender<Stage>, stage: Stage) {
    // The publisher of stages lives as long as the attempt; without it there is nobody to tell.
    let _ = stages.send(stage).await;
}

async fn lease<V: Vm>(leases: &Leases<V>, offer: &Offer, trace: &Trace) -> Result<Leased<V>, Failure> {
    leases.take(&offer.machine, |lease| trace.note(lease)).await.map_err(Failure::from)
}

async fn end<V: Vm>(leased: Leased<V>, leases: &Leases<V>, trace: &Trace) {
    let Leased { lease, vm, session, since } = leased;
    drop(session);
    vm.kill().await;
    leases.release(lease).await;
    trace.used(|usage| usage.vm_ms += millis(since.elapsed()));
}

async fn base_tree(desk: &Desk, offer: &Offer) -> Result<File, Failure> {
    ensure(&desk.bus, &desk.store, &desk.scratch, offer.attempt.project_id, &offer.base_commit).await?;
    tree(desk, offer, offer.base_commit.clone(), offer.inputs.clone()).await
}

async fn tree(desk: &Desk, offer: &Offer, commit: String, inputs: Vec<String>) -> Result<File, Failure> {
    let (store, snapshots, project_id) = (desk.store.clone(), desk.snapshots.clone(), offer.attempt.project_id);
    blocking(move || snapshots.tar(&store.repo(project_id)?, &commit, &inputs)).await
}

async fn run<V: Vm>(
    leased: &mut Leased<V>,
    offer: &Offer,
    closes_at: Instant,
    log: &mut LogPump,
    trace: &Trace,
) -> Result<Finished, Failure> {
    let left = closes_at.saturating_duration_since(Instant::now());
    let wall = left.saturating_sub(CLOSING_GRACE).max(Duration::from_secs(1));
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
        models: Vec::new(),
        checks: Vec::new(),
        network: offer.network.clone(),
        wall_ms: millis(wall),
        output_bytes: offer.limits.output_bytes,
        max_processes: MAX_PROCESSES,
    });
    let finished = talk(leased, log, trace, async |session| {
        session.assign(assignment).await?;
        session.finished(closes_at).await
    })
    .await?;
    trace.used(|usage| {
        usage.program_wall_ms += finished.wall_ms;
        usage.program_cpu_ms += finished.cpu_ms;
        usage.program_peak_kib = usage.program_peak_kib.max(finished.peak_kib);
        usage.output_bytes += finished.output_bytes;
    });
    Ok(finished)
}

/// Waits for an answer while the output flows.
async fn talk<V: Vm, T>(
    leased: &mut Leased<V>,
    log: &mut LogPump,
    trace: &Trace,
    answer: impl AsyncFnOnce(&Session) -> Result<T, SessionError>,
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

/// Whether the program did what it was to do, as far as its end tells.
fn judge(finished: &Finished) -> Result<(), Failure> {
    if finished.timed_out {
        return Err(Failure::new(FailureReason::TimedOut, "the program ran into its time limit"));
    }
    match (finished.exit_code, finished.signal) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => {
            Err(Failure::new(FailureReason::ProgramFailed, format!("the program ended with exit code {code}")))
        }
        (None, Some(signal)) => {
            Err(Failure::new(FailureReason::ProgramFailed, format!("signal {signal} ended the program")))
        }
        (None, None) => Err(Failure::new(FailureReason::ProgramFailed, "the program ended without an exit code")),
    }
}

fn typed_result(finished: &Finished) -> Result<Option<Json>, Failure> {
    let Some(text) = &finished.result_text else { return Ok(None) };
    serde_json::from_str(text)
        .map(Some)
        .map_err(|e| Failure::new(FailureReason::BadResult, format!("result.json is not JSON: {e}")))
}

/// Copies the tar of changes into a file.
async fn collect<V: Vm>(desk: &Desk, leased: &mut Leased<V>, offer: &Offer) -> Result<File, Failure> {
    let full = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::FileTooLarge => Failure::new(FailureReason::ChangesTooLarge, e.to_string()),
        std::io::ErrorKind::TimedOut | std::io::ErrorKind::UnexpectedEof => {
            Failure::new(FailureReason::GuestLost, e.to_string())
        }
        _ => Failure::host(&e, "take the changes out of the VM"),
    };
    let file = tempfile::tempfile_in(&desk.scratch).map_err(|e| Failure::host(&e, "create a file for the changes"))?;
    let mut file = tokio::fs::File::from_std(file);
    let limit = offer.limits.changes_bytes.saturating_add(TAR_OVERHEAD_BYTES);
    let session = &leased.session;
    let copy = async {
        let mut changes = session.collect(limit, Instant::now() + COLLECT_WAIT).await?;
        tokio::io::copy(&mut changes, &mut file).await.map_err(full)?;
        tokio::io::AsyncWriteExt::flush(&mut file).await.map_err(full)
    };
    tokio::select! {
        copied = copy => copied?,
        reason = leased.vm.exited() => {
            return Err(Failure::new(FailureReason::GuestLost, format!("the VM ended: {reason}")));
        }
    }
    Ok(file.into_std().await)
}

/// Validates the changes and commits them.
async fn commit(desk: &Desk, offer: &Offer, mut tar: File) -> Result<Committed, Failure> {
    let (store, project_id) = (desk.store.clone(), offer.attempt.project_id);
    let base = offer.base_commit.clone();
    let limit_bytes = offer.limits.changes_bytes;
    let message = format!("{}\n\nTask {}, attempt {}.\n", one_line(&offer.title), offer.task_key, offer.attempt.number);
    let at_s = now().0 / 1_000;
    let scratch = desk.scratch.clone();
    let committed = blocking(move || {
        let request = ImportRequest { base: &base, limit_bytes, message: &message, at_s, scratch: &scratch };
        import(&store.repo(project_id)?, &mut tar, &request)
    })
    .await?;
    let outputs = Globs::new(&offer.outputs)?;
    let mut foreign: Vec<&str> = committed
        .changed
        .iter()
        .filter(|change| !outputs.matches(change.path.as_bytes()))
        .map(|change| change.path.as_str())
        .collect();
    if !foreign.is_empty() {
        let more = foreign.len().saturating_sub(NAMED_PATHS);
        foreign.truncate(NAMED_PATHS);
        let and = if more > 0 { format!(" and {more} more") } else { String::new() };
        let detail = format!("changed outside its outputs: {}{and}", foreign.join(", "));
        return Err(Failure::new(FailureReason::OutputsViolated, detail));
    }
    Ok(committed)
}

/// Puts the commit where other hosts find it.
async fn publish_commit(desk: &Desk, offer: &Offer, commit: &str) -> Result<(), Failure> {
    if commit == offer.base_commit {
        return Ok(());
    }
    let file = tempfile::NamedTempFile::new_in(&desk.scratch)
        .map_err(|e| Failure::host(&e, "create a file for a bundle"))?
        .into_temp_path();
    let (store, project_id, path) = (desk.store.clone(), offer.attempt.project_id, file.to_path_buf());
    let (id, parents) = (commit.to_owned(), vec![offer.base_commit.clone()]);
    blocking(move || store.bundle(project_id, &id, &parents, &path)).await?;
    let name = format!("commit/{commit}");
    patiently(|| desk.bus.store_object(&name, &offer.base_commit, &file)).await;
    Ok(())
}

/// Runs the checks in a second VM, on the tree as it was handed off.
async fn check<V: Vm>(
    desk: &Desk,
    leases: &Leases<V>,
    mut leased: Leased<V>,
    offer: &Offer,
    commit: &str,
    log: &mut LogPump,
    trace: &Trace,
) -> Result<Vec<CheckEvidence>, Failure> {
    let tree = tree(desk, offer, commit.to_owned(), Vec::new()).await?;
    guest::prepare(&mut leased, tree).await?;
    leases.started(leased.lease).await;
    let limit: Duration = offer.checks.iter().map(|check| Duration::from_millis(check.timeout_ms)).sum();
    let deadline = Instant::now() + limit + CHECKS_GRACE;
    let assignment = Assignment::Checks {
        checks: offer.checks.clone(),
        env: BTreeMap::clone(&offer.env),
        output_bytes: offer.limits.output_bytes,
    };
    let count = offer.checks.len();
    let results = talk(&mut leased, log, trace, async |session| {
        session.assign(assignment).await?;
        session.checks_finished(count, deadline).await
    })
    .await?;
    let lease_id = leased.lease;
    end(leased, leases, trace).await;
    let evidence: Vec<CheckEvidence> = offer
        .checks
        .iter()
        .zip(results)
        .map(|(check, result)| CheckEvidence {
            name: check.name.clone(),
            run: check.run.clone(),
            passed: result.exit_code == Some(0) && !result.timed_out,
            exit_code: result.exit_code,
            timed_out: result.timed_out,
            wall_ms: result.wall_ms,
            output_tail: cut_front(result.output_tail, super::output::TAIL_BYTES),
            lease_id,
        })
        .collect();
    let failed: Vec<&str> = evidence.iter().filter(|e| !e.passed).map(|e| e.name.as_str()).collect();
    if failed.is_empty() {
        return Ok(evidence);
    }
    let detail = format!("{} of {} checks did not pass: {}", failed.len(), evidence.len(), failed.join(", "));
    Err(Failure { reason: FailureReason::CheckFailed, detail, evidence })
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

fn cut(mut text: String, bytes: usize) -> String {
    if text.len() > bytes {
        let end = (0..=bytes).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

fn cut_front(mut text: String, bytes: usize) -> String {
    let from = text.len().saturating_sub(bytes);
    if let Some(from) = (from..=text.len()).find(|&at| text.is_char_boundary(at)) {
        text.drain(..from);
    }
    text
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
