//! The tools on a plain folder, as a model would call them.

mod commands;
mod files;
mod finding;
mod words;

use std::{path::PathBuf, sync::Arc};

use bus_schemas::v1::{
    agent::{AgentWork, Role, SkillRef},
    call::{GuestAnswer, GuestCall},
    guest::{AttemptAssignment, FromGuest},
    task::{NeedHandoff, Program, TaskState},
};
use serde_json::Value;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    Bench, Toolbox,
    call::{Ending, ToolCall, ToolOutcome, ToolResult},
};
use crate::{
    adapter::{calls::Asker, console::Console},
    port::{Layout, Machine, MachineError},
};

/// A folder as a machine.
#[derive(Debug)]
struct Folder(Layout);

impl Machine for Folder {
    fn rejuvenate(&self, identity: &bus_schemas::v1::guest::Rejuvenate) -> Result<i64, MachineError> {
        Ok(identity.wall_ns)
    }

    fn layout(&self) -> &Layout {
        &self.0
    }

    fn prepare(&self) -> Result<(), MachineError> {
        Ok(())
    }
}

/// What the orchestrator is asked, in order.
type Asked = JoinHandle<Vec<GuestCall>>;

struct Rig {
    tools: Toolbox,
    stop: CancellationToken,
    root: tempfile::TempDir,
    asked: Option<Asked>,
}

fn worker() -> AgentWork {
    let skill = SkillRef { name: "sums".into(), description: "Adds".into(), sha256: String::new(), bytes: 0 };
    AgentWork { harness: "builtin".into(), skills: vec![skill], may_replan: true, max_turns: 9, ..AgentWork::default() }
}

impl Rig {
    fn new() -> Self {
        Self::with(worker(), Vec::new())
    }

    /// The orchestrator gives these answers.
    fn with(work: AgentWork, answers: Vec<GuestAnswer>) -> Self {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for name in ["workspace", "exchange", "home", "skills"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        let layout = Layout {
            workspace: at("workspace"),
            exchange: at("exchange"),
            home: at("home"),
            skills: at("skills"),
            services: None,
        };
        let need = NeedHandoff {
            state: TaskState::Completed,
            summary: "done".into(),
            result: None,
            changed_paths: Vec::new(),
            results: Vec::new(),
            report: None,
        };
        let assignment = AttemptAssignment {
            task_key: "build".into(),
            title: "Build it".into(),
            goal: "A thing".into(),
            attempt: 2,
            program: Program::Agent(work),
            env: [("COLOR".to_string(), "red".to_string())].into(),
            item: None,
            needs: [("design".to_string(), need)].into(),
            notes: Vec::new(),
            models: Vec::new(),
            checks: Vec::new(),
            network: vec!["example.org".into()],
            secrets: vec!["mirror".into()],
            wall_ms: 60_000,
            output_bytes: 1 << 20,
            max_processes: 4096,
        };
        let (out, mut calls) = mpsc::channel(4);
        let asker = Asker::new(out);
        let host = asker.clone();
        let asked = tokio::spawn(async move {
            let mut asked = Vec::new();
            for answer in answers {
                let Some(FromGuest::Call { id, call }) = calls.recv().await else { break };
                asked.push(call);
                host.answer(id, answer);
            }
            asked
        });
        let tools = Toolbox::new(Bench {
            machine: Arc::new(Folder(layout)),
            assignment: Arc::new(assignment),
            asker,
            console: Console::silent(),
            proxy: Some(([127, 0, 0, 1], 4128).into()),
            label: "assignment-1".into(),
        });
        Self { tools, stop: CancellationToken::new(), root, asked: Some(asked) }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join("workspace").join(path)
    }

    fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let at = self.at(path);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::fs::write(at, content).unwrap();
    }

    fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.at(path)).unwrap()
    }

    async fn outcome(&self, name: &str, input: Value) -> ToolOutcome {
        let call = ToolCall { id: "1".into(), name: name.into(), input: Ok(input) };
        self.tools.call(call, &self.stop).await
    }

    async fn result(&self, name: &str, input: Value) -> ToolResult {
        match self.outcome(name, input).await {
            ToolOutcome::Result(result) => result,
            ToolOutcome::End(ending) => panic!("{ending:?}"),
        }
    }

    /// What a call that works says.
    async fn ok(&self, name: &str, input: Value) -> String {
        let result = self.result(name, input).await;
        assert!(!result.is_error, "{}", result.text);
        result.text
    }

    /// What a call that does not work says.
    async fn err(&self, name: &str, input: Value) -> String {
        let result = self.result(name, input).await;
        assert!(result.is_error, "{}", result.text);
        result.text
    }

    async fn ending(&self, name: &str, input: Value) -> Ending {
        match self.outcome(name, input).await {
            ToolOutcome::End(ending) => ending,
            ToolOutcome::Result(result) => panic!("{}", result.text),
        }
    }

    /// What the orchestrator was asked, once it has given all its answers.
    async fn asked(&mut self) -> Vec<GuestCall> {
        self.asked.take().unwrap().await.unwrap()
    }
}

fn names(work: AgentWork) -> Vec<&'static str> {
    Rig::with(work, Vec::new()).tools.specs().iter().map(|spec| spec.name).collect()
}

#[tokio::test]
async fn tools_are_those_that_make_sense_for_the_task() {
    let all = names(worker());
    let expected = [
        "exec",
        "exec_output",
        "exec_input",
        "exec_stop",
        "read",
        "write",
        "edit",
        "search",
        "todo",
        "skill",
        "ask_person",
        "request_access",
        "bounce",
        "propose_patch",
        "propose_skill",
        "hand_off",
    ];
    assert_eq!(all, expected);
    let planner = names(AgentWork { role: Role::Planner, ..AgentWork::default() });
    assert!(planner.contains(&"check_plan") && !planner.contains(&"skill") && !planner.contains(&"propose_patch"));
}

#[tokio::test]
async fn every_input_schema_is_closed_and_names_what_it_requires() {
    for role in [Role::Worker, Role::Planner] {
        let rig = Rig::with(AgentWork { role, ..worker() }, Vec::new());
        for spec in rig.tools.specs() {
            let schema = &spec.input_schema;
            assert_eq!(schema["type"], "object", "{}", spec.name);
            assert_eq!(schema["additionalProperties"], false, "{}", spec.name);
            for name in schema["required"].as_array().into_iter().flatten() {
                assert!(schema["properties"].get(name.as_str().unwrap()).is_some(), "{}: {name}", spec.name);
            }
            assert!(spec.description.len() > 40, "{}", spec.name);
            // What a schema requires, its tool requires, too.
            let required = schema["required"].as_array().is_some_and(|list| !list.is_empty());
            let empty = rig.result(spec.name, serde_json::json!({})).await;
            assert_eq!(empty.is_error, required || spec.name == "search", "{}: {}", spec.name, empty.text);
            let unknown = rig.result(spec.name, serde_json::json!({"no_such_field": 1})).await;
            assert!(unknown.is_error, "{}", spec.name);
        }
    }
}

#[tokio::test]
async fn calls_that_make_no_sense_are_told_so() {
    let rig = Rig::new();
    let text = rig.err("execute", serde_json::json!({})).await;
    assert!(text.starts_with("there is no tool `execute`; there are: exec, exec_output,"), "{text}");
    let call = ToolCall { id: "1".into(), name: "read".into(), input: Err("{\"path\": \"a".into()) };
    let ToolOutcome::Result(result) = rig.tools.call(call, &rig.stop).await else { panic!("ended") };
    assert!(result.is_error && result.text.contains("not JSON: EOF while parsing a string"), "{}", result.text);
    assert!(result.text.ends_with("{\"path\": \"a"));
}
