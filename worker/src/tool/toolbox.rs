//! All tools of an attempt.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use bus_schemas::v1::{
    agent::{AgentWork, Role},
    task::Program,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    access, background,
    bench::{Bench, Reply, Shop},
    bounce,
    call::{ToolCall, ToolOutcome, ToolResult, ToolSpec},
    edit, effect, exec, hand_off,
    input::Input,
    person, plan, propose_skill, read, search, skill, todo, write,
};

/// What was killed is gone within this, or never.
const CLOSE_WAIT: Duration = Duration::from_secs(10);

/// The tools of one attempt, and what they remember. Calls may run side by side.
pub(crate) struct Toolbox {
    shop: Arc<Shop>,
    specs: Vec<ToolSpec>,
}

impl Toolbox {
    /// The tools that make sense for this attempt's task.
    pub(crate) fn new(bench: Bench) -> Self {
        let shop = Arc::new(Shop::new(bench));
        let assignment = &shop.bench.assignment;
        let nothing = AgentWork::default();
        let work = match &assignment.program {
            Program::Agent(work) => work,
            Program::Script { .. } => &nothing,
        };
        let mut specs = vec![
            exec::spec(&shop),
            background::output_spec(),
            background::input_spec(),
            background::stop_spec(),
            read::spec(),
            write::spec(),
            edit::spec(),
            search::spec(),
            todo::spec(),
        ];
        if !work.skills.is_empty() {
            specs.push(skill::spec(&work.skills));
        }
        specs.push(person::spec());
        if work.role == Role::Worker {
            specs.push(access::spec(assignment));
        }
        if work.role == Role::Worker && !work.effects.is_empty() {
            specs.push(effect::spec(&work.effects));
        }
        if !assignment.needs.is_empty() {
            specs.push(bounce::spec(assignment.needs.keys()));
        }
        if work.role == Role::Planner {
            specs.push(plan::check_spec());
        }
        if work.may_replan {
            specs.push(plan::patch_spec());
        }
        if work.role == Role::Worker {
            specs.push(propose_skill::spec());
        }
        specs.push(hand_off::spec(work.role));
        Self { shop, specs }
    }

    /// What a model is told of them, always in the same order.
    pub(crate) fn specs(&self) -> &[ToolSpec] {
        &self.specs
    }

    /// Calls a tool. It ends soon when `stop` says so, and always within its own limits.
    pub(crate) async fn call(&self, call: ToolCall, stop: &CancellationToken) -> ToolOutcome {
        let reply = match self.dispatch(call, stop).await {
            Ok(reply) => reply,
            Err(text) => Reply { is_error: true, ..Reply::text(text) },
        };
        if reply.changed {
            self.shop.changed.store(true, Ordering::Relaxed);
        }
        match reply.end {
            Some(ending) => ToolOutcome::End(ending),
            None => ToolOutcome::Result(ToolResult {
                text: reply.text,
                is_error: reply.is_error,
                may_have_changed: reply.changed,
            }),
        }
    }

    async fn dispatch(&self, call: ToolCall, stop: &CancellationToken) -> Result<Reply, String> {
        let Some(spec) = self.specs.iter().find(|spec| spec.name == call.name) else {
            let names: Vec<_> = self.specs.iter().map(|spec| spec.name).collect();
            let name: String = call.name.chars().take(64).collect();
            return Err(format!("there is no tool `{name}`; there are: {}", names.join(", ")));
        };
        let value = call.input.map_err(|text| not_json(spec.name, &text))?;
        let input = Input::new(spec.name, value)?;
        let shop = &self.shop;
        match spec.name {
            exec::NAME => exec::call(shop, input, stop).await,
            background::OUTPUT => background::output(shop, input, stop).await,
            background::INPUT => background::input(shop, input, stop).await,
            background::STOP => background::stop(shop, input, stop).await,
            read::NAME => read::call(shop, input, stop).await,
            write::NAME => write::call(shop, input, stop).await,
            edit::NAME => edit::call(shop, input, stop).await,
            search::NAME => search::call(shop, input, stop).await,
            todo::NAME => todo::call(shop, input),
            skill::NAME => skill::call(shop, input, stop).await,
            person::NAME => person::call(input),
            access::NAME => access::call(&shop.bench.assignment, input),
            effect::NAME => effect::call(shop, input),
            bounce::NAME => bounce::call(shop, input),
            plan::CHECK => plan::check(shop, input, stop).await,
            plan::PATCH => plan::patch(shop, input, stop).await,
            propose_skill::NAME => propose_skill::call(shop, input, stop).await,
            _ => hand_off::call(shop, input, stop).await,
        }
    }

    /// Whether files may have changed since [`Self::checkpointed`]: a tool may have changed some, or something runs in the background.
    pub(crate) fn changed_since_checkpoint(&self) -> bool {
        self.shop.changed.load(Ordering::Relaxed) || self.shop.background.is_busy()
    }

    /// A checkpoint is about to look at the files. Call it before, while no tool runs; if the checkpoint fails, the next one looks again
    /// by itself.
    pub(crate) fn checkpointed(&self) {
        self.shop.changed.store(false, Ordering::Relaxed);
    }

    /// What an agent that goes on in another computer must still know: JSON for [`Self::restore`].
    pub(crate) fn state(&self) -> Value {
        let todo = self.shop.todo.lock().unwrap_or_else(PoisonError::into_inner).to_value();
        let bounced = self.shop.bounced.lock().unwrap_or_else(PoisonError::into_inner).clone();
        serde_json::json!({ "todo": todo, "bounced": bounced })
    }

    /// Takes over what [`Self::state`] gave; what makes no sense is left out.
    pub(crate) fn restore(&self, state: &Value) {
        if let Some(restored) = todo::Todo::from_value(&state["todo"]) {
            *self.shop.todo.lock().unwrap_or_else(PoisonError::into_inner) = restored;
        }
        let bounced = state["bounced"].as_array().into_iter().flatten().filter_map(Value::as_str);
        self.shop.bounced.lock().unwrap_or_else(PoisonError::into_inner).extend(bounced.map(str::to_string));
    }

    /// The todo list, an item per line; empty if there is none.
    pub(crate) fn todo_text(&self) -> String {
        self.shop.todo.lock().unwrap_or_else(PoisonError::into_inner).render()
    }

    /// Ends everything that runs in the background. Without it, dropping the toolbox does so, too, but nobody waits for it.
    pub(crate) async fn close(self) {
        let _ = tokio::time::timeout(CLOSE_WAIT, self.shop.background.close()).await;
    }
}

fn not_json(tool: &str, text: &str) -> String {
    let why = serde_json::from_str::<Value>(text).err().map_or_else(String::new, |error| format!(": {error}"));
    let begin: String = text.chars().take(200).collect();
    format!("the input of `{tool}` is not JSON{why}. It begins with: {begin}")
}
