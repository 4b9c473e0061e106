//! A project begins in Slack: by a mention, a direct message, a command, a form.

use std::{path::PathBuf, sync::atomic::Ordering};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bus_schemas::v1::{
    api::{Input, NewProject, ProjectView},
    plan::Budget,
};

use super::{
    answers,
    core::Bridge,
    desk::{Desk, Thread},
    post::{Asker, Want},
    work::{Later, Outcome, unkept},
};
use crate::{
    adapter::slack::{
        SlackWeb,
        inbound::SlackFile,
        view::{figures, text},
    },
    port::Service,
};

/// Files of one message.
const FILES: usize = 20;
/// One file.
const FILE_BYTES: u64 = 10 * 1024 * 1024;
/// All of them.
const ALL_BYTES: u64 = 25 * 1024 * 1024;

/// A project to be.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    /// Who wants it, and where they are answered.
    pub asker: Asker,
    /// What for.
    pub goal: String,
    /// The channel it is to live in.
    pub channel: String,
    /// The message its thread hangs on; without one its first message is it.
    pub thread_ts: Option<String>,
    /// What came with the message.
    pub files: Vec<SlackFile>,
    /// One of those in `baton.toml`.
    pub preset: Option<String>,
    /// Its folder; empty for a new one.
    pub folder: String,
    /// The most it may use.
    pub budget: Budget,
    /// Who approves its plan.
    pub policy: Option<String>,
    /// The envelope it came in: what is ordered once is started once.
    pub key: String,
}

/// Counts the projects that are being started while it lives.
struct Starting<'a>(&'a std::sync::atomic::AtomicUsize);

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<S: Service, W: SlackWeb, D: Desk> Bridge<S, W, D> {
    /// Starts a project and gives it its thread.
    pub(super) async fn start(&self, order: Order) -> Outcome {
        let core = &*self.0;
        let user = order.asker.user.clone();
        if order.goal.trim().is_empty() {
            self.whisper(&order.asker, "What is to be done? Write it behind my name, or use `/baton`.".to_owned())
                .await;
            return Ok("refused: no goal".to_owned());
        }
        if !order.folder.is_empty() && !is_within(&order.folder, &core.settings.folders).await {
            let said = "Nothing was started: from Slack, projects work in the folders of presets, or below those that \
                        `[slack] folders` in baton.toml names. Choose a preset, or leave the folder out.";
            self.whisper(&order.asker, said.to_owned()).await;
            return Ok("refused: folder".to_owned());
        }
        core.starting.fetch_add(1, Ordering::SeqCst);
        let _starting = Starting(&core.starting);
        let (inputs, refused) = self.fetch(&order.files).await;
        let new = NewProject {
            goal: Some(order.goal.clone()),
            budget: order.budget.clone(),
            policy: order.policy.clone(),
            preset: order.preset.clone(),
            folder: order.folder.clone(),
            owner: user.clone(),
            channel: "slack".to_owned(),
            inputs,
            // An order that is carried out once more, because the program ended before its thread was written down, finds its
            // project, however that has changed since.
            key: Some(format!("slack:{}", order.key)),
            ..NewProject::default()
        };
        let view = match core.service.create_project(new).await {
            Ok(view) => view,
            Err(problem) if answers::is_passing(&problem) => return Err(Later(problem)),
            Err(problem) => {
                self.whisper(&order.asker, self.plain(&problem)).await;
                return Ok(format!("refused: {}", problem.code));
            }
        };
        let project_id = view.project_id;
        let thread = Thread {
            channel: order.channel.clone(),
            thread_ts: order.thread_ts.clone(),
            started_by: user,
            closed: false,
        };
        core.desk.set_thread(project_id, thread).await.map_err(|error| Later(unkept(&error.to_string())))?;
        core.projects.mark(project_id);
        if !refused.is_empty() {
            self.name_refused(&order, &view, &refused).await;
        }
        Ok(format!("project {project_id} started"))
    }

    /// Fetches what came with a message; what cannot be taken is named with the reason.
    async fn fetch(&self, files: &[SlackFile]) -> (Vec<Input>, Vec<String>) {
        let (mut inputs, mut refused, mut total) = (Vec::new(), Vec::new(), 0_u64);
        for (number, file) in files.iter().enumerate() {
            let name = safe_name(file, &inputs);
            let why = if number >= FILES {
                format!("only {FILES} files are taken")
            } else if file.size > FILE_BYTES {
                format!("it has {}, at most {} are taken", figures::size(file.size), figures::size(FILE_BYTES))
            } else if total.saturating_add(file.size) > ALL_BYTES {
                format!("all files together may have {}", figures::size(ALL_BYTES))
            } else if let Some(url) = &file.url_private_download {
                match self.0.web.download(url, FILE_BYTES.min(ALL_BYTES - total)).await {
                    Ok(bytes) => {
                        total = total.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX)).min(ALL_BYTES);
                        inputs.push(Input { name, base64: STANDARD.encode(&bytes) });
                        continue;
                    }
                    Err(error) => error.to_string(),
                }
            } else {
                "I may not see it".to_owned()
            };
            refused.push(format!(
                "• {}: {}",
                text::code(&self.without_known(&name), 100),
                text::line(&self.without_known(&why), 200)
            ));
        }
        (inputs, refused)
    }

    async fn name_refused(&self, order: &Order, view: &ProjectView, refused: &[String]) {
        let said = format!(
            ":warning: These files did not come along to _{}_:\n{}",
            text::line(&self.without_known(&view.title), 100),
            text::list(refused, refused.len(), 2_000)
        );
        let Some(thread_ts) = &order.thread_ts else {
            self.whisper(&order.asker, said).await;
            return;
        };
        let want = Want {
            name: format!("files:{}", view.project_id),
            target: order.channel.clone(),
            thread_ts: Some(thread_ts.clone()),
            text: said.clone(),
            ..Want::default()
        };
        if self.say(want).await.is_err() {
            self.whisper(&order.asker, said).await;
        }
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

/// A file's name without folders, and not one that is taken.
fn safe_name(file: &SlackFile, taken: &[Input]) -> String {
    let base = file.name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = base.chars().filter(|c| !c.is_control()).take(120).collect();
    let clean = clean.trim().trim_start_matches('.').to_owned();
    let name = if clean.is_empty() { format!("file-{}", file.id) } else { clean };
    if taken.iter().any(|input| input.name == name) { format!("{}-{name}", file.id) } else { name }
}
