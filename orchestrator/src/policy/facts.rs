//! What is known of a request when its policy is looked at.

use std::collections::BTreeMap;

use bus_schemas::json::Json;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ledger::Asked;

/// The kind of a capability that is the use of a secret.
pub const SECRET: &str = "secret";

/// What conditions and the risk are worked out from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Facts {
    /// What is asked about.
    #[serde(serialize_with = "write_kind", deserialize_with = "read_kind")]
    pub kind: Asked,
    /// The project.
    pub project: ProjectFacts,
    /// The task, if it is about one.
    pub task: TaskFacts,
    /// The paths that change.
    pub paths: Vec<String>,
    /// Lines that come.
    pub lines_added: u64,
    /// Lines that go.
    pub lines_removed: u64,
    /// How many of the paths are deleted.
    pub deleted: u64,
    /// What the project spent so far.
    pub spend: SpendFacts,
    /// Hosts that are asked for or may be reached.
    pub hosts: Vec<String>,
    /// Secrets that are asked for or may be used.
    pub secrets: Vec<String>,
    /// Where the secret that is asked for goes. No condition sees it: a decision is remembered with it.
    #[serde(skip)]
    pub secret_terms: String,
    /// What checks said.
    pub checks: CheckFacts,
    /// How the VM was isolated: `hardware` or `emulated`; empty if no VM is meant.
    pub isolation: String,
    /// Who asks: a task's key, or a person.
    pub asked_by: String,
    /// Who started the project.
    pub started_by: String,
    /// Who edited what is asked about.
    pub edited_by: Vec<String>,
    /// Open questions of the handoff.
    pub questions: u64,
    /// Tasks of the plan, or of the change of it.
    pub tasks: u64,
    /// What an agent asks for beyond its task.
    pub capability: CapabilityFacts,
}

/// The project of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectFacts {
    /// Its title.
    pub title: String,
    /// Its folder.
    pub folder: String,
    /// Its owner.
    pub owner: String,
    /// The channel it was started over.
    pub channel: String,
}

/// The task of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskFacts {
    /// Its key.
    pub key: String,
    /// Its title.
    pub title: String,
    /// Hosts it may reach.
    pub network: Vec<String>,
    /// An agent works it.
    pub agent: bool,
    /// The attempt.
    pub attempt: u64,
}

/// What a project spent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpendFacts {
    /// US dollars.
    pub usd: f64,
    /// Tokens of model calls.
    pub tokens: u64,
    /// VM time.
    pub vm_seconds: u64,
}

/// Checks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckFacts {
    /// How many ran. For `apply`: the done tasks.
    pub total: u64,
    /// How many passed. For `apply`: the done tasks that checks prove.
    pub passed: u64,
    /// How many failed.
    pub failed: u64,
}

/// A capability.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CapabilityFacts {
    /// Its kind: `host`, `secret`, `effect`.
    pub kind: String,
    /// The host, or the name of the secret or the effect.
    pub name: String,
}

/// The kind of a capability that acts outside.
pub const EFFECT: &str = "effect";

impl Facts {
    /// Nothing is known but the kind.
    #[must_use]
    pub fn of(kind: Asked) -> Self {
        Self {
            kind,
            project: ProjectFacts::default(),
            task: TaskFacts::default(),
            paths: Vec::new(),
            lines_added: 0,
            lines_removed: 0,
            deleted: 0,
            spend: SpendFacts::default(),
            hosts: Vec::new(),
            secrets: Vec::new(),
            secret_terms: String::new(),
            checks: CheckFacts::default(),
            isolation: String::new(),
            asked_by: String::new(),
            started_by: String::new(),
            edited_by: Vec::new(),
            questions: 0,
            tasks: 0,
            capability: CapabilityFacts::default(),
        }
    }

    /// Lines that come and go together.
    #[must_use]
    pub const fn lines(&self) -> u64 {
        self.lines_added.saturating_add(self.lines_removed)
    }

    /// The variables of conditions. All are always there: what does not fit a kind is empty or 0.
    pub(super) fn variables(&self, risk: &str) -> BTreeMap<String, Json> {
        let Self { project, task, spend, checks, capability, .. } = self;
        let values = [
            ("kind", text(kind_word(self.kind))),
            (
                "project",
                map([
                    ("title", text(&project.title)),
                    ("folder", text(&project.folder)),
                    ("owner", text(&project.owner)),
                    ("channel", text(&project.channel)),
                ]),
            ),
            (
                "task",
                map([
                    ("key", text(&task.key)),
                    ("title", text(&task.title)),
                    ("network", texts(&task.network)),
                    ("agent", Json::Bool(task.agent)),
                    ("attempt", whole(task.attempt)),
                ]),
            ),
            ("paths", texts(&self.paths)),
            ("lines", whole(self.lines())),
            ("lines_added", whole(self.lines_added)),
            ("lines_removed", whole(self.lines_removed)),
            ("deleted", whole(self.deleted)),
            (
                "spend",
                map([
                    ("usd", Json::Float(spend.usd)),
                    ("tokens", whole(spend.tokens)),
                    ("vm_seconds", whole(spend.vm_seconds)),
                ]),
            ),
            ("risk", text(risk)),
            ("hosts", texts(&self.hosts)),
            ("secrets", texts(&self.secrets)),
            (
                "checks",
                map([
                    ("total", whole(checks.total)),
                    ("passed", whole(checks.passed)),
                    ("failed", whole(checks.failed)),
                ]),
            ),
            ("isolation", text(&self.isolation)),
            ("asked_by", text(&self.asked_by)),
            ("started_by", text(&self.started_by)),
            ("edited_by", texts(&self.edited_by)),
            ("questions", whole(self.questions)),
            ("tasks", whole(self.tasks)),
            ("capability", map([("kind", text(&capability.kind)), ("name", text(&capability.name))])),
        ];
        values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

impl Default for Facts {
    fn default() -> Self {
        Self::of(Asked::Handoff)
    }
}

fn text(text: &str) -> Json {
    Json::Text(text.to_owned())
}

fn texts(list: &[String]) -> Json {
    Json::List(list.iter().map(|item| text(item)).collect())
}

fn whole(number: u64) -> Json {
    Json::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn map<const N: usize>(entries: [(&str, Json); N]) -> Json {
    Json::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// A kind in one word, as conditions and remembered decisions have it.
#[must_use]
pub const fn kind_word(kind: Asked) -> &'static str {
    match kind {
        Asked::Patch => "patch",
        other => other.word(),
    }
}

/// The words of all kinds.
pub(super) const KINDS: [Asked; 8] = [
    Asked::Plan,
    Asked::Handoff,
    Asked::Apply,
    Asked::Capability,
    Asked::Question,
    Asked::Budget,
    Asked::Patch,
    Asked::Skill,
];

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn write_kind<S: Serializer>(kind: &Asked, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind_word(*kind))
}

fn read_kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Asked, D::Error> {
    let word = String::deserialize(deserializer)?;
    let kind = KINDS.into_iter().find(|kind| kind_word(*kind) == word);
    kind.ok_or_else(|| serde::de::Error::custom(format!("there is no kind of request {word:?}")))
}
