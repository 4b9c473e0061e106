//! Every mail but the request: what began, what was decided, what was not understood, how a project is, how it ended.

use std::collections::BTreeMap;

use bus_schemas::v1::{
    api::{ApprovalView, DiffView, ProjectView, TaskView},
    approval::{Decision, Verdict},
    project::ProjectState,
    task::TaskState,
};

use super::{
    Frame, lay, patch, request,
    sheet::{Badge, Block, Item, Section, Sheet, Tone},
    text::{code, line, plain, quote, when},
};
use crate::{
    adapter::mail::story::News,
    words::{
        card::{self, evidence, next, route},
        figures::{count, span},
        names::{capitalised, diff_lines, progress, short, state, subject, task_state, utc, verdict},
    },
};

/// A title.
const TITLE: usize = 150;
/// A sentence of ours or of a person.
const SENTENCE: usize = 600;
/// A note.
const NOTE: usize = 2_000;
/// Tasks named.
const TASKS: usize = 30;
/// A task's key, as code.
const KEY: usize = 60;
/// Handoffs whose summary is shown.
const SUMMARIES: usize = 4;
/// News of one project in a digest.
const NEWS: usize = 40;
/// News that are older have their day beside them.
const DAY_MS: u64 = 72_000_000;
/// Projects in a digest.
const PROJECTS: usize = 30;

/// A mail began a project.
pub(super) fn started(project: &ProjectView, left_out: &[String], frame: &Frame) -> Sheet {
    let title = plain(&project.title, TITLE);
    let mut rows = vec![
        ("State".to_owned(), capitalised(state(project.state))),
        ("Folder".to_owned(), code(&project.folder, 300)),
        ("Id".to_owned(), code(&short(&project.project_id), 20)),
    ];
    if !project.goal.trim().is_empty() && project.goal.trim() != project.title.trim() {
        let goal = quote(&project.goal, 300).join(" ");
        rows.insert(0, ("Goal".to_owned(), goal));
    }
    let mut sheet = Sheet {
        subject: format!("Started: {title}"),
        preheader: "Your mail began a project.".to_owned(),
        over: format!("Project of {}", plain(&project.owner, 80)),
        title: format!("Started: {title}"),
        lead: vec![Block::Facts { rows }],
        ..Sheet::default()
    };
    if !left_out.is_empty() {
        let items = left_out.iter().take(NEWS).map(|what| Item::marked("!", Tone::Odd, line(what, 300), String::new()));
        let block = Block::items(items.collect(), left_out.len(), NEWS);
        sheet.sections.push(Section::new("Not taken along", "of your mail", vec![block]).needed());
    }
    sheet.sections.extend(spent(project, frame));
    sheet.answer = answer(project, frame);
    sheet
}

/// What an answer to a mail about a project does.
fn answer(project: &ProjectView, frame: &Frame) -> Option<Section> {
    if !frame.can_reply {
        return None;
    }
    let block = if project.state.is_final() {
        Block::words("The project has ended. Write a new mail for a new one.")
    } else {
        Block::Facts {
            rows: vec![
                ("any words".to_owned(), "go to the project as a note".to_owned()),
                ("`status`".to_owned(), "how it is now".to_owned()),
                ("`cancel`".to_owned(), "stops it".to_owned()),
            ],
        }
    };
    Some(Section::new("If you reply", "", vec![block]))
}

/// A request is closed.
pub(super) fn outcome(approval: &ApprovalView, frame: &Frame) -> Sheet {
    let what = capitalised(&subject(approval));
    let title = plain(&approval.project_title, 60);
    let (tone, words, sentence) = decided(approval, frame);
    let mut sheet = Sheet {
        subject: format!("{words}: {} – {title}", plain(&what, 70)),
        preheader: sentence.replace('`', ""),
        over: plain(&approval.project_title, TITLE),
        title: plain(&what, TITLE),
        badge: Some(Badge { tone, words }),
        lead: vec![Block::words(sentence)],
        ..Sheet::default()
    };
    if let Some(decision) = &approval.decision {
        if let Some(rule) = decision.rule.as_deref().filter(|rule| !rule.is_empty()) {
            let policy = code(&approval.policy, 80);
            sheet.under.push(format!("Rule {} of policy {policy}", code(rule, 120)));
        }
        if !decision.note.trim().is_empty() {
            let by = if decision.channel == "policy" { "" } else { "in their own words" };
            let quote = Block::Quote { lines: quote(&decision.note, NOTE) };
            sheet.sections.push(Section::new("What was said", by, vec![quote]));
        }
    }
    if approval.route.votes.len() > 1 {
        let votes = approval.route.votes.iter().take(12).map(|vote| {
            let by = format!("{}{}", line(&vote.by, 80), lay::words(&route::over(&vote.channel), frame.now));
            Item::marked("✓", Tone::Good, by, utc(vote.at))
        });
        let block = Block::items(votes.collect(), approval.route.votes.len(), 12);
        sheet.sections.push(Section::new("Agreed", "", vec![block]));
    }
    let closing = if approval.decision.is_some() {
        "Nothing is to be done here any more."
    } else {
        "What you were shown can no longer be decided."
    };
    sheet.sections.push(Section { blocks: vec![Block::words(closing)], ..Section::default() }.needed());
    sheet
}

/// How a request ended: its tone, a word or two, a sentence.
pub(super) fn decided(approval: &ApprovalView, frame: &Frame) -> (Tone, String, String) {
    let Some(decision) = &approval.decision else {
        return (Tone::Plain, "Void".to_owned(), "It is no longer asked: something else took its place.".to_owned());
    };
    let at = when(decision.decided_at, frame.now);
    let by = line(&decision.by, 200);
    let word = verdict(approval, decision);
    match decision.channel.as_str() {
        "void" => {
            let said = format!("Void since {at}: something else took its place. Nothing of it was approved.");
            (Tone::Plain, "Void".to_owned(), said)
        }
        "cancel" => {
            let said = format!("Withdrawn by {by}, {at}: what it is about was stopped.");
            (Tone::Plain, "Withdrawn".to_owned(), said)
        }
        _ if decision.verdict == Verdict::Expired => {
            let said = format!("Nobody decided in time; it expired {at}. It counts as rejected.");
            (Tone::Odd, "Expired".to_owned(), said)
        }
        "policy" => (tone(decision), word.to_owned(), format!("{word} by a rule, {at}.")),
        "remembered" => (tone(decision), word.to_owned(), format!("{word} by a remembered decision of {by}, {at}.")),
        channel => {
            let said = format!("{word} by {by}, {at},{}.", lay::words(&route::over(channel), frame.now));
            (tone(decision), word.to_owned(), said)
        }
    }
}

const fn tone(decision: &Decision) -> Tone {
    match decision.verdict {
        Verdict::Approved => Tone::Good,
        Verdict::ChangesRequested | Verdict::Expired => Tone::Odd,
        Verdict::Rejected => Tone::Bad,
    }
}

/// A reply was not clear.
pub(super) fn ask_back(approval: Option<&ApprovalView>, why: &str, frame: &Frame) -> Sheet {
    let about = approval.map(|approval| capitalised(&subject(approval)));
    let subject = about.as_ref().map(|what| format!(": {}", plain(what, 70))).unwrap_or_default();
    Sheet {
        subject: format!("Nothing decided yet{subject}"),
        preheader: "Your reply was not clear; nothing was decided.".to_owned(),
        over: approval.map(|approval| plain(&approval.project_title, TITLE)).unwrap_or_default(),
        title: "Your reply was not clear".to_owned(),
        lead: vec![Block::warning("Nothing was done and nothing was decided."), Block::words(line(why, SENTENCE))],
        answer: approval.map(|approval| request::answers(approval, frame)),
        ..Sheet::default()
    }
}

/// Something was refused.
pub(super) fn refused(what: &str, why: &str, hint: Option<&str>) -> Sheet {
    let mut rows = vec![("Why".to_owned(), line(why, SENTENCE))];
    rows.extend(hint.map(|hint| ("The way out".to_owned(), line(hint, SENTENCE))));
    Sheet {
        subject: format!("Not done: {}", plain(what, 100)),
        preheader: plain(why, 150),
        title: "Not done".to_owned(),
        lead: vec![Block::warning(line(what, SENTENCE)), Block::Facts { rows }],
        ..Sheet::default()
    }
}

/// Something was done.
pub(super) fn done(said: &str) -> Sheet {
    Sheet {
        subject: plain(said, 100),
        preheader: plain(said, 150),
        title: "Done".to_owned(),
        lead: vec![Block::words(line(said, SENTENCE))],
        ..Sheet::default()
    }
}

/// How a project is.
pub(super) fn status(project: &ProjectView, frame: &Frame) -> Sheet {
    let title = plain(&project.title, TITLE);
    let (done, all) = progress(project);
    let mut sheet = head(project, frame);
    sheet.subject = format!("{}: {title}", capitalised(state(project.state)));
    sheet.preheader = format!("{done} of {} done", count(all as usize, "task"));
    sheet.sections.extend(tasks(&project.tasks));
    let waiting = project.pending_approvals.len();
    if waiting > 0 {
        let words = format!("It waits for {} of people.", count(waiting, "decision"));
        sheet.lead.push(Block::warning(words));
    }
    sheet.sections.extend(spent(project, frame));
    sheet.answer = answer(project, frame);
    sheet
}

/// A project ended.
pub(super) fn result(project: &ProjectView, diff: Option<&DiffView>, frame: &Frame) -> Sheet {
    let title = plain(&project.title, TITLE);
    let (done, all) = progress(project);
    let mut sheet = head(project, frame);
    sheet.subject = format!("{}: {title}", capitalised(state(project.state)));
    sheet.preheader = format!("{done} of {} done", count(all as usize, "task"));
    sheet.sections.extend(failures(&project.tasks));
    sheet.sections.extend(summaries(&project.tasks));
    if let Some(diff) = diff {
        let (added, removed) = diff_lines(diff);
        let mut changed = evidence::changed(&diff.changed, added, removed, lay::ROOM.paths);
        if !diff.text.trim().is_empty() {
            changed.blocks.push(card::Block::Words(patch::note(diff)));
        }
        sheet.sections.push(lay::section(&changed, frame.now));
    }
    sheet.sections.push(folder(project).needed());
    sheet.sections.extend(spent(project, frame));
    sheet
}

fn spent(project: &ProjectView, frame: &Frame) -> Option<Section> {
    next::spend(&project.spend, None).map(|spent| lay::section(&spent, frame.now))
}

fn head(project: &ProjectView, frame: &Frame) -> Sheet {
    let (done, all) = progress(project);
    let tone = match project.state {
        ProjectState::Completed => Tone::Good,
        ProjectState::Failed | ProjectState::Rejected => Tone::Bad,
        ProjectState::AwaitingApproval => Tone::Odd,
        ProjectState::Planning | ProjectState::Working | ProjectState::Canceled => Tone::Plain,
    };
    let time = if project.state.is_final() {
        let took = span(project.changed_at.since(project.created_at));
        format!("Ended {}, took {took}", when(project.changed_at, frame.now))
    } else {
        format!("Started {}", when(project.created_at, frame.now))
    };
    let mut under = vec![time];
    if all > 0 {
        under.push(format!("{done} of {} done", count(all as usize, "task")));
    }
    Sheet {
        over: format!("Project of {} · {}", plain(&project.owner, 80), short(&project.project_id)),
        title: plain(&project.title, TITLE),
        badge: Some(Badge { tone, words: capitalised(state(project.state)) }),
        under,
        ..Sheet::default()
    }
}

fn tasks(tasks: &[TaskView]) -> Option<Section> {
    let items: Vec<Item> = tasks
        .iter()
        .take(TASKS)
        .map(|task| {
            let (mark, tone) = mark(task.state);
            let mut facts = vec![task_state(task.state).to_owned()];
            if task.attempt > 1 {
                facts.push(format!("attempt {} of {}", task.attempt, task.max_attempts));
            }
            if !task.reason.is_empty() && task.state != TaskState::Completed {
                facts.push(line(&task.reason, 120));
            }
            let title = if task.title == task.key { String::new() } else { format!(" {}", line(&task.title, 80)) };
            Item::marked(mark, tone, format!("{}{title}", code(&task.key, KEY)), format!("— {}", facts.join(", ")))
        })
        .collect();
    (!items.is_empty()).then(|| Section::new("Tasks", "", vec![Block::items(items, tasks.len(), TASKS)]))
}

const fn mark(state: TaskState) -> (&'static str, Tone) {
    match state {
        TaskState::Completed => ("✓", Tone::Good),
        TaskState::Failed | TaskState::Rejected => ("✗", Tone::Bad),
        TaskState::UnknownOutcome | TaskState::InputRequired | TaskState::Unverified => ("!", Tone::Odd),
        TaskState::Working => ("›", Tone::Plain),
        TaskState::Blocked | TaskState::Ready | TaskState::Submitted | TaskState::Canceled | TaskState::Skipped => {
            ("·", Tone::Plain)
        }
    }
}

/// What the last handoffs say: those that nothing else built on.
fn summaries(tasks: &[TaskView]) -> Option<Section> {
    let last: Vec<(&str, &str)> = tasks
        .iter()
        .filter(|task| !tasks.iter().any(|other| other.needs.contains(&task.key)))
        .filter(|task| matches!(task.state, TaskState::Completed | TaskState::Unverified))
        .filter_map(|task| Some((task.key.as_str(), task.handoff.as_ref()?.summary.trim())))
        .filter(|(_, summary)| !summary.is_empty())
        .collect();
    let mut blocks = Vec::new();
    for (key, summary) in last.iter().take(SUMMARIES) {
        blocks.push(Block::words(code(key, KEY)));
        blocks.push(Block::Quote { lines: quote(summary, 800) });
    }
    if last.len() > SUMMARIES {
        blocks.push(Block::words(format!("… and {} more", last.len() - SUMMARIES)));
    }
    (!blocks.is_empty()).then(|| Section::new("What was done", "the workers' own words", blocks))
}

fn failures(tasks: &[TaskView]) -> Option<Section> {
    let bad: Vec<Item> = tasks
        .iter()
        .filter(|task| matches!(task.state, TaskState::Failed | TaskState::Rejected | TaskState::UnknownOutcome))
        .map(|task| {
            let why = task.failure.as_ref().map_or(task.reason.as_str(), |failure| failure.detail.as_str());
            Item::marked(
                "✗",
                Tone::Bad,
                code(&task.key, KEY),
                format!("{}: {}", task_state(task.state), line(why, 240)),
            )
        })
        .collect();
    let total = bad.len();
    (total > 0).then(|| Section::new("What did not end well", "", vec![Block::items(bad, total, 8)]).needed())
}

/// What became of the folder.
fn folder(project: &ProjectView) -> Section {
    let folder = code(&project.folder, 300);
    let id = short(&project.project_id);
    let words = match (project.state, project.applied_at, &project.result_commit) {
        (_, Some(at), _) => format!("The result is in {folder} since {}. `baton undo {id}` takes it back.", utc(at)),
        (ProjectState::Completed, None, Some(_)) => {
            format!("The result is not yet in {folder}. `baton apply {id}` puts it there.")
        }
        (ProjectState::Failed, None, _) => {
            format!("{folder} is as it was. `baton logs {id}` shows what was printed.")
        }
        _ => format!("{folder} is as it was."),
    };
    Section::new("The folder", "", vec![Block::words(words)])
}

/// What happened since the last mail.
pub(super) fn digest(news: &[News], frame: &Frame) -> Sheet {
    let mut projects: BTreeMap<&str, Vec<&News>> = BTreeMap::new();
    for one in news {
        projects.entry(&one.project).or_default().push(one);
    }
    let pieces = if news.len() == 1 { "1 piece".to_owned() } else { format!("{} pieces", news.len()) };
    let many = format!("{pieces} of news from {}", count(projects.len(), "project"));
    let first: Vec<String> = projects.keys().take(3).map(|title| plain(title, 50)).collect();
    let mut sheet = Sheet {
        subject: match (projects.len(), projects.keys().next()) {
            (1, Some(title)) => format!("News: {}", plain(title, 100)),
            (many, _) => format!("News of {}", count(many, "project")),
        },
        preheader: first.join(" · "),
        title: "What happened".to_owned(),
        under: vec![format!("{many}{}", since(news, frame))],
        ..Sheet::default()
    };
    let left_out = projects.len().saturating_sub(PROJECTS);
    for (title, news) in projects.into_iter().take(PROJECTS) {
        let total = news.len();
        // The latest are worth more.
        let items = news.iter().skip(total.saturating_sub(NEWS)).map(|one| {
            let at = utc(one.at);
            // The day is said where it is not this one.
            let from = if frame.now.since(one.at) < DAY_MS { 11 } else { 5 };
            Item::new(format!("{} {}", at.get(from..16).unwrap_or_default(), line(&one.said, 300)))
        });
        let block = Block::items(items.collect(), total, NEWS);
        sheet.sections.push(Section::new(&plain(title, TITLE), "", vec![block]));
    }
    if left_out > 0 {
        let words = format!("… and {} more. `baton ps` lists all.", count(left_out, "project"));
        sheet.sections.push(Section { blocks: vec![Block::words(words)], ..Section::default() }.needed());
    }
    sheet.foot.push("Times are UTC. Requests that wait for you come in mails of their own.".to_owned());
    sheet
}

/// From when the news are.
fn since(news: &[News], frame: &Frame) -> String {
    news.first().map(|first| format!(", since {}", when(first.at, frame.now))).unwrap_or_default()
}
