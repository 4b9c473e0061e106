//! `ask_person`: what only a person can decide.

use serde_json::json;

use super::{
    bench::Reply,
    call::{Ending, ToolSpec},
    input::Input,
};

pub(super) const NAME: &str = "ask_person";
const QUESTION_BYTES: usize = 8 * 1024;
const OPTION_BYTES: usize = 500;
const MAX_OPTIONS: usize = 10;

pub(super) fn spec() -> ToolSpec {
    ToolSpec {
        name: NAME,
        description: "Ask the person who gave the task, and stop until they answer; that may take hours. Only for what you cannot find \
                      out and must not decide. All that is needed for an answer must be in the question."
            .into(),
        input_schema: json!({
            "type": "object",
            "properties": {
                "question": {"type": "string"},
                "options": {"type": "array", "items": {"type": "string"}, "maxItems": MAX_OPTIONS,
                    "description": "Answers to choose from, if there are some."}
            },
            "required": ["question"],
            "additionalProperties": false
        }),
    }
}

pub(super) fn call(mut input: Input) -> Result<Reply, String> {
    let question = input.text("question")?;
    let options = input.texts("options", MAX_OPTIONS)?;
    input.finish()?;
    if question.len() > QUESTION_BYTES {
        return Err(format!("`question` has {} bytes, at most {QUESTION_BYTES} are taken", question.len()));
    }
    if let Some(at) = options.iter().position(|option| option.len() > OPTION_BYTES) {
        return Err(format!("`options[{at}]` is longer than {OPTION_BYTES} bytes"));
    }
    Ok(Reply::end(Ending::Ask { question, options }))
}
