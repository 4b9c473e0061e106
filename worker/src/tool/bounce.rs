//! `bounce`: a needed task's handoff goes back with a question, once.

use std::sync::{Arc, PoisonError};

use serde_json::json;

use super::{
    bench::{Reply, Shop},
    call::{Ending, ToolSpec},
    input::Input,
};

pub(super) const NAME: &str = "bounce";
const QUESTION_BYTES: usize = 8 * 1024;

pub(super) fn spec<'a>(needs: impl Iterator<Item = &'a String>) -> ToolSpec {
    let needs: Vec<_> = needs.collect();
    ToolSpec {
        name: NAME,
        description: "Send the handoff of a task that this one needs back to its agent with a question, and stop until it is answered. \
                      Once per needed task, and only for what its handoff leaves open and you cannot find out."
            .into(),
        input_schema: json!({
            "type": "object",
            "properties": {
                "need": {"type": "string", "enum": needs, "description": "The needed task."},
                "question": {"type": "string"}
            },
            "required": ["need", "question"],
            "additionalProperties": false
        }),
    }
}

pub(super) fn call(shop: &Arc<Shop>, mut input: Input) -> Result<Reply, String> {
    let need = input.text("need")?;
    let question = input.text("question")?;
    input.finish()?;
    if question.len() > QUESTION_BYTES {
        return Err(format!("`question` has {} bytes, at most {QUESTION_BYTES} are taken", question.len()));
    }
    let needs = &shop.bench.assignment.needs;
    if !needs.contains_key(&need) {
        let known: Vec<_> = needs.keys().map(String::as_str).collect();
        let need: String = need.chars().take(64).collect();
        return Err(format!("this task does not need `{need}`; it needs: {}", known.join(", ")));
    }
    let mut bounced = shop.bounced.lock().unwrap_or_else(PoisonError::into_inner);
    if bounced.contains(&need) {
        return Err(format!("the handoff of `{need}` went back once already: decide, or ask a person (`ask_person`)"));
    }
    bounced.push(need.clone());
    Ok(Reply::end(Ending::Bounce { need, question }))
}
