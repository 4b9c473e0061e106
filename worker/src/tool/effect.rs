//! `request_effect`: something to be done outside this computer, which people allow or not and the orchestrator then does.

use std::{collections::BTreeMap, fmt::Write as _};

use bus_schemas::v1::{
    effect::{EffectBrief, ParameterBrief},
    task::Program,
};
use serde_json::{Value, json};

use super::{
    bench::{Reply, Shop},
    call::{Ending, ToolSpec},
    input::{Input, wrong},
};

pub(super) const NAME: &str = "request_effect";
const REASON_BYTES: usize = 4 * 1024;

pub(super) fn spec(effects: &[EffectBrief]) -> ToolSpec {
    let names: Vec<_> = effects.iter().map(|effect| effect.name.as_str()).collect();
    let mut description = "Ask for something to be done in the outside world, where you have no access, and stop until it is done or refused; \
                           that may take hours. People see exactly what would be run and decide. It is run once, outside your computer; its exit \
                           code and the end of its output come back as a note. Each call asks people anew. Ask only when everything it needs is \
                           ready. There are these effects:"
        .to_owned();
    for effect in effects {
        // Writing to a string does not fail.
        let _ = write!(description, "\n- `{}`: {}", effect.name, effect.about);
        for (name, parameter) in &effect.parameters {
            let _ = write!(description, "\n  - `{name}` ({}): {}", values(parameter), parameter.about);
        }
    }
    ToolSpec {
        name: NAME,
        description,
        input_schema: json!({
            "type": "object",
            "properties": {
                "name": {"type": "string", "enum": names, "description": "The effect."},
                "arguments": {
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                    "description": "A text for each of its parameters; `{}` if it has none."
                },
                "reason": {"type": "string", "description": "What for, and why now: the people who decide read it."}
            },
            "required": ["name", "arguments", "reason"],
            "additionalProperties": false
        }),
    }
}

/// What a value can be.
fn values(parameter: &ParameterBrief) -> String {
    match &parameter.pattern {
        Some(pattern) => format!("must match `{pattern}`"),
        None => format!("one of {}", parameter.one_of.join(", ")),
    }
}

/// What fits together here is looked at again by the orchestrator, whose configuration counts.
pub(super) fn call(shop: &Shop, mut input: Input) -> Result<Reply, String> {
    let name = input.text("name")?;
    let arguments = input.value("arguments").ok_or("`arguments` is missing: `{}` if the effect has no parameters")?;
    let reason = input.text("reason")?;
    input.finish()?;
    let effects: &[EffectBrief] = match &shop.bench.assignment.program {
        Program::Agent(work) => &work.effects,
        Program::Script { .. } => &[],
    };
    let Some(effect) = effects.iter().find(|effect| effect.name == name) else {
        let names: Vec<_> = effects.iter().map(|effect| effect.name.as_str()).collect();
        let name: String = name.chars().take(64).collect();
        return Err(format!("there is no effect `{name}`; there are: {}", names.join(", ")));
    };
    if reason.len() > REASON_BYTES {
        return Err(format!("`reason` has {} bytes, at most {REASON_BYTES} are taken", reason.len()));
    }
    let arguments = texts(effect, arguments)?;
    Ok(Reply::end(Ending::Effect { name, arguments, reason }))
}

/// A text for each parameter, and nothing else.
fn texts(effect: &EffectBrief, arguments: Value) -> Result<BTreeMap<String, String>, String> {
    let Value::Object(fields) = arguments else { return Err(wrong("arguments", "an object", &arguments)) };
    let known = || effect.parameters.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    if let Some(missing) = effect.parameters.keys().find(|name| !fields.contains_key(*name)) {
        return Err(format!("`arguments.{missing}` is missing: `{}` takes {}", effect.name, known()));
    }
    fields
        .into_iter()
        .map(|(name, value)| match value {
            _ if !effect.parameters.contains_key(&name) => {
                let name: String = name.chars().take(64).collect();
                Err(format!("`{}` has no parameter `{name}`; it takes: {}", effect.name, known()))
            }
            Value::String(text) => Ok((name, text)),
            other => Err(wrong(format!("arguments.{name}"), "a string", &other)),
        })
        .collect()
}
