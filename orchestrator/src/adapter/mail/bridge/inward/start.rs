//! A project begins with a mail.

use std::{path::PathBuf, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bus_schemas::v1::api::{Input, NewProject, ProjectView};

use super::{
    super::outward::{Auto, Recipient, Say},
    Outlet,
    about::Thread,
    act::EMAIL,
    answers,
    judge::Genuine,
    work::{Done, Inward, Later, Outcome, aside},
};
use crate::{
    adapter::mail::{Desk, OutKind, Story, Verifier},
    mail::{
        inputs::{self, Limits},
        intent::{self, Order},
    },
    port::Service,
};

/// The input that holds what a mail passes on.
const FORWARDED: &str = "forwarded.txt";
/// The most of it that comes along, in bytes.
const FORWARDED_BYTES: usize = 1 << 20;

impl<S: Service, D: Desk, V: Verifier, O: Outlet> Inward<S, D, V, O> {
    /// Starts the project a mail asks for, once: the mail is its key.
    pub(super) async fn start(&self, mail: &Genuine) -> Outcome {
        let settings = &self.0.settings;
        let order = intent::of_new(&mail.letter, &mail.delivery, &settings.address, &settings.presets);
        if let Some(why) = self.unfit(&order).await {
            let hint = "send it again as a new mail, with that mended";
            self.answer(mail, &Thread::default(), answers::refused("Nothing was started", &why, Some(hint))).await?;
            return Ok(Done::new(format!("refused: {why}"), None));
        }
        let title = order.title.clone();
        let (new, left_out) = self.ordered(mail, order).await?;
        let view = match self.0.service.create_project(new).await {
            Ok(view) => view,
            Err(problem) if answers::is_passing(&problem) => return Err(Later::Problem(problem)),
            Err(problem) => {
                self.answer(mail, &Thread::default(), answers::of_problem(&problem, None)).await?;
                return Ok(Done::new(format!("refused: {}", problem.code), None));
            }
        };
        self.greet(mail, view, &title, left_out).await
    }

    /// Why nothing is started.
    async fn unfit(&self, order: &Order) -> Option<String> {
        if !order.problems.is_empty() {
            return Some(order.problems.join("; "));
        }
        if !order.folder.is_empty() && !is_within(&order.folder, &self.0.settings.folders).await {
            return Some(
                "by mail, projects work in the folders of presets, or below those that `[mail] folders` in baton.toml names"
                    .to_owned(),
            );
        }
        None
    }

    async fn ordered(&self, mail: &Genuine, order: Order) -> Result<(NewProject, Vec<String>), Later> {
        let (letter, refuse) = (Arc::clone(&mail.letter), self.0.settings.refuse_types.clone());
        let allow = self.0.settings.allow_packed.clone();
        // Archives are looked into, which may take a while.
        let take = move || inputs::take(&letter.attachments, &refuse, &allow, Limits::default());
        let (mut files, left_out) = aside(take).await?;
        if let Some(mut text) = order.forwarded {
            if text.len() > FORWARDED_BYTES {
                text.truncate(text.floor_char_boundary(FORWARDED_BYTES));
                text.push_str("\n[the rest is left out]\n");
            }
            // It comes first: a file of the same name gets another one.
            files.insert(0, Input { name: FORWARDED.to_owned(), base64: STANDARD.encode(text) });
        }
        let new = NewProject {
            goal: Some(order.goal),
            budget: order.budget,
            policy: order.policy,
            apply: order.apply,
            preset: order.preset,
            folder: order.folder,
            owner: mail.sender.handle.clone(),
            channel: EMAIL.to_owned(),
            inputs: files,
            key: Some(key(mail)),
            ..NewProject::default()
        };
        Ok((new, left_out))
    }

    /// Its thread begins, and who began it hears so.
    async fn greet(&self, mail: &Genuine, view: ProjectView, title: &str, left_out: Vec<String>) -> Outcome {
        let project_id = view.project_id;
        let (person, message_id) = (mail.sender.person.clone(), mail.letter.message_id.clone());
        let subject = if mail.letter.subject.is_empty() { title } else { intent::bare_subject(&mail.letter.subject) };
        self.0.outlet.begin_thread(project_id, &person, subject, message_id.as_deref()).await?;
        let said = Say {
            name: format!("started:{project_id}"),
            to: Recipient { person, address: mail.sender.address.clone() },
            project_id: Some(project_id),
            approval_id: None,
            digest: String::new(),
            kind: OutKind::Project,
            in_reply_to: message_id,
            auto: Auto::Replied,
            story: Story::Started { project: Box::new(view), left_out },
        };
        self.0.outlet.say(said).await?;
        Ok(Done::new(format!("project {project_id} started"), Some(project_id)))
    }
}

/// Whether a folder is one of these or below one, links followed.
async fn is_within(folder: &str, roots: &[PathBuf]) -> bool {
    let (folder, roots) = (PathBuf::from(folder), roots.to_vec());
    let look = move || {
        let real = folder.canonicalize().ok()?;
        let mut roots = roots.iter().filter_map(|root| root.canonicalize().ok());
        roots.find(|root| real.starts_with(root))
    };
    tokio::task::spawn_blocking(look).await.is_ok_and(|root| root.is_some())
}

/// What names a project's start: the mail, by its own id, so that it is the same over the mailbox and a webhook, and its person;
/// by its digest if it has none that can be used.
fn key(mail: &Genuine) -> String {
    let id = mail.letter.message_id.as_deref().filter(|id| id.len() <= 150 && !id.contains(char::is_control));
    match id {
        Some(id) if mail.sender.person.len() <= 100 => format!("{EMAIL}:{}:{id}", mail.sender.person),
        _ => format!("{EMAIL}:{}", mail.id),
    }
}
