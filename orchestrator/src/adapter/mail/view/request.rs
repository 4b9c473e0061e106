//! The mail that asks for a decision: everything that is needed to decide, and how to answer.

use bus_schemas::v1::{
    api::{ApprovalView, DiffView, ProjectView},
    approval::ApprovalSubject,
};

use super::{
    Frame, lay, patch,
    sheet::{Badge, Block, Button, Section, Sheet},
    text::{code, distance, line, plain, when},
};
use crate::words::{
    card::{self, Line, Topic, route},
    figures::count,
    names::{at_deadline, capitalised, risk, short, subject},
};

/// A title.
const TITLE: usize = 150;
/// Digits of a digest.
const DIGITS: usize = 12;

/// The mail of a request, or of a reminder of it.
pub(super) fn request(
    approval: &ApprovalView,
    project: &ProjectView,
    diff: Option<&DiffView>,
    reminder: u32,
    frame: &Frame,
) -> Sheet {
    let mut sheet = shown(approval, project, diff.map(patch::note), frame);
    let is_question = matches!(approval.subject, ApprovalSubject::Question { .. });
    let what = capitalised(&subject(approval));
    let word = if is_question { "Answer wanted" } else { "Decision wanted" };
    let again = if reminder > 0 { "Reminder: " } else { "" };
    let high = if approval.route.risk == bus_schemas::v1::api::Risk::High { " (high risk)" } else { "" };
    let title = plain(&approval.project_title, 60);
    sheet.subject = format!("{again}{word}{high}: {} – {title}", plain(&what, 70));
    sheet.preheader = preheader(approval, frame);
    if reminder > 0 {
        let words = match reminder {
            1 => "Nobody has decided yet.".to_owned(),
            many => format!("Nobody has decided yet; this is reminder {many}."),
        };
        sheet.lead.insert(0, Block::warning(words));
    }
    sheet.lead.push(Block::words(short_answer(approval, frame)));
    sheet.button = frame.link.as_ref().map(|url| Button {
        words: if is_question { "Look at it and answer" } else { "Look at it and decide" }.to_owned(),
        url: url.clone(),
        note: "Opening the page decides nothing.".to_owned(),
    });
    sheet.answer = Some(answers(approval, frame));
    sheet.foot.push(format!(
        "Digest {} · at the terminal: {}",
        code(&approval.digest.chars().take(DIGITS).collect::<String>(), DIGITS + 2),
        command(approval)
    ));
    let shadow = lay::words(&route::shadow(&approval.route), frame.now);
    sheet.foot.extend((!shadow.is_empty()).then_some(shadow));
    sheet
}

/// What is asked, on a mail or a page: without what differs between the two. `about_diff` is said beside what changed.
pub(super) fn shown(approval: &ApprovalView, project: &ProjectView, about_diff: Option<Line>, frame: &Frame) -> Sheet {
    let task = approval.task_key.as_deref().and_then(|key| project.tasks.iter().find(|task| task.key == key));
    let mut facts = Vec::new();
    facts.extend(task.filter(|task| task.title != task.key).map(|task| line(&task.title, TITLE)));
    facts.extend(
        task.filter(|task| task.attempt > 1).map(|task| format!("attempt {} of {}", task.attempt, task.max_attempts)),
    );
    let rule = &approval.route.rule;
    let rule = if rule.is_empty() { String::new() } else { format!(", rule {}", code(rule, 80)) };
    let policy = code(&approval.policy, 80);
    let asked = format!("Asked {} by policy {policy}{rule}", distance(approval.asked_at, frame.now));
    let due =
        approval.expires_at.map(|at| format!("Until {}; then {}", when(at, frame.now), at_deadline(&approval.route)));
    let mut sheet = Sheet {
        over: format!("{} · project of {}", plain(&approval.project_title, TITLE), plain(&project.owner, 80)),
        title: plain(&capitalised(&subject(approval)), TITLE),
        badge: Some(Badge {
            tone: lay::tone(approval.route.risk),
            words: format!("{} risk", capitalised(risk(approval.route.risk))),
        }),
        under: [facts.join(" · "), asked].into_iter().chain(due).filter(|text| !text.is_empty()).collect(),
        ..Sheet::default()
    };
    let mut sections = card::of(approval, project, &lay::ROOM);
    if let Some(words) = about_diff.map(card::Block::Words) {
        match sections.iter_mut().find(|section| section.topic == Topic::Changes) {
            Some(changes) => changes.blocks.push(words),
            None => sections.push(card::Section::new("Changes", "", vec![words]).needed()),
        }
    }
    for section in &sections {
        let laid = lay::section(section, frame.now);
        match section.topic {
            // Its title is the badge.
            Topic::Risk(_) => sheet.lead = laid.blocks,
            _ => sheet.sections.push(laid),
        }
    }
    sheet
}

/// What can be said to a request of this kind.
struct Words {
    approve: Option<&'static str>,
    changes: bool,
    reject: &'static str,
    ask: bool,
}

fn words(approval: &ApprovalView) -> Words {
    let (approve, changes, reject, ask) = match approval.subject {
        ApprovalSubject::Plan => (Some("the work begins"), true, "the project ends", true),
        ApprovalSubject::Handoff { .. } => (Some("what comes next may build on it"), true, "the task ends", true),
        ApprovalSubject::Patch { .. } => (Some("the plan changes"), true, "the plan stays", false),
        ApprovalSubject::Skill { .. } => (Some("every project may use the skill"), true, "it is not admitted", false),
        ApprovalSubject::Budget { .. } => (Some("adds the limit again"), false, "the work stops", false),
        ApprovalSubject::Capability { .. } => (Some("allows it"), false, "refuses it", false),
        ApprovalSubject::Apply => (Some("the folder is changed"), false, "the folder stays as it is", false),
        ApprovalSubject::Question { .. } => (None, false, "there is no answer", false),
    };
    Words { approve, changes, reject, ask }
}

/// One sentence, above everything else.
fn short_answer(approval: &ApprovalView, frame: &Frame) -> String {
    let words = words(approval);
    match (frame.can_reply, words.approve) {
        (true, None) => "Reply to this mail with your answer.".to_owned(),
        (true, Some(_)) if words.changes => {
            "Reply with `approve`, `changes: …` or `reject: …` as the first line.".to_owned()
        }
        (true, Some(_)) => "Reply with `approve` or `reject: …` as the first line.".to_owned(),
        (false, _) if frame.link.is_some() => "Replies to this mail are not read: use the page.".to_owned(),
        (false, _) => format!("Replies to this mail are not read. At the terminal: {}", command(approval)),
    }
}

/// How to answer, word by word.
pub(super) fn answers(approval: &ApprovalView, frame: &Frame) -> Section {
    let words = words(approval);
    let mut blocks = Vec::new();
    if frame.can_reply {
        let mut rows: Vec<(String, String)> = Vec::new();
        let mut row = |word: &str, meaning: String| rows.push((format!("`{word}`"), meaning));
        if let Some(meaning) = words.approve {
            row("approve", meaning.to_owned());
            if words.changes {
                row("changes: what to change", "it is worked on again, with your note".to_owned());
            }
            row("reject: why", words.reject.to_owned());
            if words.ask {
                row("ask: your question", "the agent answers; nothing is decided yet".to_owned());
            }
            row("delegate: name", "somebody else decides in your place".to_owned());
            blocks.push(Block::words("The first line of your reply decides:"));
        } else {
            blocks.push(Block::words("What you write in a reply is the answer. It allows nothing else."));
            let options = approval.question.as_ref().map_or(0, |question| question.options.len());
            if options > 0 {
                blocks.push(Block::words("Write a suggested answer out, or your own."));
            }
            row("reject: why", words.reject.to_owned());
        }
        blocks.push(Block::Facts { rows });
        blocks.push(Block::words("Quoted text and signatures are not read. If it is not clear what you mean, nothing is decided and you are asked again."));
    } else {
        blocks.push(Block::words(short_answer(approval, frame)));
    }
    Section::new("How to answer", "", blocks)
}

/// The command for it.
pub(super) fn command(approval: &ApprovalView) -> String {
    let id = short(&approval.approval_id);
    match approval.subject {
        ApprovalSubject::Question { .. } => format!("`baton answer {id} \"…\"`"),
        _ => format!("`baton approve {id}`"),
    }
}

/// What a list of mails shows of it.
fn preheader(approval: &ApprovalView, frame: &Frame) -> String {
    let mut facts = Vec::new();
    if let Some(question) = &approval.question {
        facts.push(plain(&question.question, 90));
    } else {
        facts.push(format!("{} risk", capitalised(risk(approval.route.risk))));
    }
    if let Some(handoff) = &approval.handoff {
        let passed = handoff.evidence.iter().filter(|check| check.passed).count();
        match handoff.evidence.len() {
            0 => facts.push("no checks".to_owned()),
            all => facts.push(format!("{passed} of {} passed", count(all, "check"))),
        }
        facts.push(format!(
            "{}, +{} −{}",
            count(handoff.changed_paths.len(), "file"),
            handoff.lines_added,
            handoff.lines_removed
        ));
    }
    facts.extend(approval.expires_at.map(|at| format!("due {}", distance(at, frame.now))));
    facts.join(" · ")
}
