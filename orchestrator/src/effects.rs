//! `[effects.NAME]`: what the orchestrator's machine may do in the outside world for agents, each time people allow it.
//! Definitions and arguments in, an [`EffectOrder`] or a sentence out; nothing here runs anything.

use std::{collections::BTreeMap, path::PathBuf};

use bus_schemas::v1::{
    effect::{EffectBrief, EffectOrder, ParameterBrief},
    plan::Span,
};
use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::{
    digest,
    words::{
        effect::{command, facts},
        secrets::{redact, without},
    },
};

/// The keys of an `[effects.NAME]` section.
pub const EFFECT_KEYS: [&str; 6] = ["about", "run", "parameters", "timeout", "folder", "env"];

/// How long an effect may run where nothing is said.
const TIMEOUT: &str = "10m";
/// The longest it may be given.
const LONGEST_MS: u64 = 24 * 60 * 60 * 1000;
/// The longest value of an argument, in bytes.
const VALUE_BYTES: usize = 256;
/// The most words of a command line, and parameters and passed variables of an effect.
const MOST: usize = 64;
/// The longest name of an effect, a parameter or a variable.
const NAME_BYTES: usize = 64;
/// What is shown of a command line: all of it, on every channel.
const SHOWN: usize = 2400;
/// The longest path of a folder that is shown whole.
const FOLDER_BYTES: usize = 250;
/// The most that names of passed variables have together, with what stands between them: they are shown whole.
const ENV_BYTES: usize = 250;
/// The longest word of a definition.
const TEXT_BYTES: usize = 4096;

/// One `[effects.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Effect {
    /// What it does, for people and agents.
    pub about: String,
    /// The program and its arguments; `{parameter}` stands for a value, `{{` and `}}` for braces. Never read by a shell.
    pub run: Vec<String>,
    /// What an agent must say with it.
    pub parameters: BTreeMap<String, Parameter>,
    /// How long it may run, at most a day.
    pub timeout: Span,
    /// Where it runs, an absolute path. Default: a new, empty folder.
    pub folder: Option<PathBuf>,
    /// Environment variables of the orchestrator that are passed on to it.
    pub env: Vec<String>,
}

impl Default for Effect {
    fn default() -> Self {
        Self {
            about: String::new(),
            run: Vec::new(),
            parameters: BTreeMap::new(),
            timeout: Span(TIMEOUT.to_owned()),
            folder: None,
            env: Vec::new(),
        }
    }
}

/// A parameter of an effect: one of `one_of` and `pattern` is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parameter {
    /// What it is for.
    pub about: String,
    /// The values there are.
    pub one_of: Vec<String>,
    /// A regular expression, from `^` to `$`, that a whole value must match.
    pub pattern: Option<String>,
}

/// What is wrong with a definition; `at` is a dotted key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {message}")]
pub struct EffectError {
    /// Where.
    pub at: String,
    /// What, and the way out.
    pub message: String,
}

/// Every effect there is, checked.
#[derive(Clone, Default)]
pub struct Effects {
    known: BTreeMap<String, Known>,
    /// What channels take out of whatever they show.
    secrets: Vec<String>,
}

impl std::fmt::Debug for Effects {
    /// Without the secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Effects").field("known", &self.known).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
struct Known {
    effect: Effect,
    /// The command line, in pieces.
    run: Vec<Vec<Piece>>,
    patterns: BTreeMap<String, Regex>,
    timeout_ms: u64,
    folder: Option<String>,
    definition: String,
}

/// A part of a word of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(String),
}

impl Effects {
    /// Takes definitions that make sense.
    ///
    /// # Errors
    /// [`EffectError`] names the first problem.
    pub fn new(effects: BTreeMap<String, Effect>) -> Result<Self, EffectError> {
        let known = |(name, effect): (String, Effect)| {
            let at = format!("effects.{name}");
            if !is_name(&name) {
                let message = "the name of an effect is made of letters, digits, `-` and `_`".to_owned();
                return Err(EffectError { at, message });
            }
            let known = Known::new(effect);
            let known = known.map_err(|(key, message)| EffectError { at: format!("{at}{key}"), message })?;
            Ok((name, known))
        };
        let known = effects.into_iter().map(known).collect::<Result<_, _>>()?;
        Ok(Self { known, secrets: Vec::new() })
    }

    /// The same where channels show none of these secrets.
    #[must_use]
    pub fn with_secrets(self, secrets: Vec<String>) -> Self {
        Self { secrets, ..self }
    }

    /// What agents are told of them.
    #[must_use]
    pub fn briefs(&self) -> Vec<EffectBrief> {
        self.known.iter().map(|(name, known)| known.brief(name)).collect()
    }

    /// What exactly would be run.
    ///
    /// # Errors
    /// A sentence for the agent: there is no such effect, or the arguments do not fit.
    pub fn resolve(&self, name: &str, arguments: &BTreeMap<String, String>) -> Result<EffectOrder, String> {
        let Some(known) = self.known.get(name) else {
            let names: Vec<&str> = self.known.keys().map(String::as_str).collect();
            let there =
                if names.is_empty() { "there are none".to_owned() } else { format!("there are: {}", names.join(", ")) };
            return Err(format!("there is no effect {}; {there}", shown(name)));
        };
        known.check(arguments)?;
        let argv: Vec<String> =
            known.run.iter().map(|word| word.iter().map(|piece| piece.with(arguments)).collect()).collect();
        if room(&command(&argv)) > SHOWN {
            return Err("with these arguments it is too long to be shown to people".to_owned());
        }
        let order = EffectOrder {
            name: name.to_owned(),
            about: known.effect.about.clone(),
            argv,
            folder: known.folder.clone(),
            env: known.effect.env.clone(),
            timeout_ms: known.timeout_ms,
            definition: known.definition.clone(),
        };
        if self.is_withheld(&order) {
            return Err("a part of its command line or its folder is, or looks like, a secret (a key, a token, a password in an \
                        address): it would be hidden from the people who are asked, so it cannot be asked for"
                .to_owned());
        }
        Ok(order)
    }

    /// Whether a channel would show people something else than what is run.
    fn is_withheld(&self, order: &EffectOrder) -> bool {
        let facts = facts(order).into_iter().map(|(_, value)| value);
        let mut shown = facts.chain([command(&order.argv)]).chain(order.argv.iter().cloned());
        shown.any(|text| redact(&text) != text || without(&text, &self.secrets) != text)
    }

    /// Whether the definition is still the one that an order was made by.
    #[must_use]
    pub fn stands_by(&self, order: &EffectOrder) -> bool {
        self.known.get(&order.name).is_some_and(|known| known.definition == order.definition)
    }
}

/// The key, and what is wrong with it.
type Problem = (String, String);

impl Known {
    fn new(mut effect: Effect) -> Result<Self, Problem> {
        let bad = |key: &str, message: String| Err((key.to_owned(), message));
        if effect.run.is_empty() || effect.run.len() > MOST {
            let message = format!(
                "it has 1 to {MOST} words: write the program and its arguments, as `run = [\"./deploy.sh\", \"{{environment}}\"]`"
            );
            return bad(".run", message);
        }
        if effect.parameters.len() > MOST {
            return bad(".parameters", format!("there are more than {MOST}"));
        }
        let mut patterns = BTreeMap::new();
        for (name, parameter) in &effect.parameters {
            let pattern = parameter.check(name).map_err(|message| (format!(".parameters.{name}"), message))?;
            patterns.extend(pattern.map(|pattern| (name.clone(), pattern)));
        }
        let mut run = Vec::new();
        for word in &effect.run {
            let word = pieces(word).map_err(|message| (".run".to_owned(), message))?;
            run.push(word);
        }
        let used: Vec<&String> = run.iter().flatten().filter_map(Piece::value).collect();
        if let Some(unknown) = used.iter().find(|name| !effect.parameters.contains_key(**name)) {
            return bad(
                ".run",
                format!("`{{{unknown}}}` is no parameter: define it below `parameters`, or write `{{{{` for a brace"),
            );
        }
        if let Some(unused) = effect.parameters.keys().find(|name| !used.contains(name)) {
            return bad(
                &format!(".parameters.{unused}"),
                format!("nothing uses it: write `{{{unused}}}` in `run`, or leave it out"),
            );
        }
        let folder = match &effect.folder {
            None => None,
            Some(path) => match path.to_str().filter(|text| path.is_absolute() && text.len() <= FOLDER_BYTES) {
                Some(folder) => Some(folder.to_owned()),
                None => return bad(".folder", format!("write an absolute path of at most {FOLDER_BYTES} bytes")),
            },
        };
        program(run.first().map(Vec::as_slice).unwrap_or_default(), folder.is_some())
            .map_err(|message| (".run".to_owned(), message))?;
        if let Some(name) = effect.env.iter().find(|name| !is_variable(name)) {
            return bad(
                ".env",
                format!("`{name}` is not the name of an environment variable: write names alone, without values"),
            );
        }
        if effect.env.len() > MOST {
            return bad(".env", format!("there are more than {MOST}"));
        }
        let Some(timeout_ms) = effect.timeout.as_ms().filter(|ms| (1..=LONGEST_MS).contains(ms)) else {
            let message = format!("`{}` is not a time up to a day: write one such as `10m`", effect.timeout.0);
            return bad(".timeout", message);
        };
        effect.env.sort();
        effect.env.dedup();
        if effect.env.join(", ").len() > ENV_BYTES {
            let message = format!("the names have more than {ENV_BYTES} bytes together: people are shown all of them");
            return bad(".env", message);
        }
        let definition = digest::of(&effect).map_err(|error| (String::new(), error.to_string()))?;
        Ok(Self { effect, run, patterns, timeout_ms, folder, definition })
    }

    fn brief(&self, name: &str) -> EffectBrief {
        let parameter = |(name, parameter): (&String, &Parameter)| {
            let Parameter { about, one_of, pattern } = parameter.clone();
            (name.clone(), ParameterBrief { about, one_of, pattern })
        };
        EffectBrief {
            name: name.to_owned(),
            about: self.effect.about.clone(),
            parameters: self.effect.parameters.iter().map(parameter).collect(),
        }
    }

    /// Every parameter has a value that fits, and there is nothing else.
    fn check(&self, arguments: &BTreeMap<String, String>) -> Result<(), String> {
        let parameters = &self.effect.parameters;
        if let Some(unknown) = arguments.keys().find(|name| !parameters.contains_key(*name)) {
            let names: Vec<&str> = parameters.keys().map(String::as_str).collect();
            let takes = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
            return Err(format!("it has no parameter {}; it takes {takes}", shown(unknown)));
        }
        for (name, parameter) in parameters {
            let Some(value) = arguments.get(name) else { return Err(format!("`{name}` is missing")) };
            if value.len() > VALUE_BYTES {
                return Err(format!("`{name}` has {} bytes, at most {VALUE_BYTES} are taken", value.len()));
            }
            if !parameter.one_of.is_empty() {
                if !parameter.one_of.contains(value) {
                    return Err(format!(
                        "`{name}` is {}, but only {} are taken",
                        shown(value),
                        parameter.one_of.join(", ")
                    ));
                }
                continue;
            }
            if value.starts_with('-') {
                return Err(format!("`{name}` is {}: a value does not begin with `-`", shown(value)));
            }
            let is_odd = value.is_empty() || value.contains(char::is_control);
            if is_odd || !self.patterns.get(name).is_some_and(|pattern| pattern.is_match(value)) {
                let pattern = parameter.pattern.as_deref().unwrap_or_default();
                return Err(format!("`{name}` is {}, which does not match `{pattern}`", shown(value)));
            }
        }
        Ok(())
    }
}

impl Parameter {
    /// Its pattern, so compiled that a whole value must match.
    fn check(&self, name: &str) -> Result<Option<Regex>, String> {
        if !is_variable(name) {
            return Err("the name of a parameter is made of letters, digits and `_`".to_owned());
        }
        let Some(pattern) = self.pattern.as_deref().filter(|_| self.one_of.is_empty()) else {
            if self.pattern.is_some() || self.one_of.is_empty() {
                return Err("it needs either `one_of`, a list of values, or `pattern`, such as `^v[0-9.]+$`".to_owned());
            }
            return match self.one_of.iter().find(|value| is_odd(value)) {
                Some(_) => Err(format!("a value of `one_of` has 1 to {VALUE_BYTES} bytes and no control characters")),
                None => Ok(None),
            };
        };
        if !pattern.starts_with('^') || !pattern.ends_with('$') || pattern.ends_with("\\$") {
            return Err(format!("the pattern `{pattern}` is not anchored: begin it with `^` and end it with `$`"));
        }
        // Not as it is written: `^a|b$` is anchored on one side each only.
        Regex::new(&format!(r"\A(?:{pattern})\z"))
            .map(Some)
            .map_err(|error| format!("the pattern `{pattern}` cannot be read: {error}"))
    }
}

fn is_odd(value: &str) -> bool {
    value.is_empty() || value.len() > VALUE_BYTES || value.contains(char::is_control)
}

impl Piece {
    const fn value(&self) -> Option<&String> {
        match self {
            Self::Value(name) => Some(name),
            Self::Text(_) => None,
        }
    }

    fn with<'a>(&'a self, arguments: &'a BTreeMap<String, String>) -> &'a str {
        match self {
            Self::Text(text) => text,
            Self::Value(name) => arguments.get(name).map_or("", String::as_str),
        }
    }
}

/// A word of a command line, taken apart.
fn pieces(word: &str) -> Result<Vec<Piece>, String> {
    if word.len() > TEXT_BYTES || word.contains('\0') {
        return Err(format!("a word has at most {TEXT_BYTES} bytes and no zero byte"));
    }
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = word;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, brace) = rest.split_at(at);
        text.push_str(before);
        if let Some(after) = brace.strip_prefix("{{").or_else(|| brace.strip_prefix("}}")) {
            text.push_str(brace.get(..1).unwrap_or_default());
            rest = after;
            continue;
        }
        let Some((name, after)) = brace.strip_prefix('{').and_then(|inner| inner.split_once('}')) else {
            return Err(format!("a brace of `{word}` stands alone: write `{{{{` or `}}}}` for one"));
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(Piece::Value(name.to_owned()));
        rest = after;
    }
    text.push_str(rest);
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

/// Which program runs is said by the configuration alone.
fn program(word: &[Piece], has_folder: bool) -> Result<(), String> {
    let [Piece::Text(program)] = word else {
        return Err("the program itself is not empty and has no parameters in it".to_owned());
    };
    if program.contains('/') && !program.starts_with('/') && !has_folder {
        return Err(format!(
            "`{program}` is looked for in the working folder: set `folder`, or write an absolute path"
        ));
    }
    Ok(())
}

/// How much of a message a text takes at most: some channels write a few characters as several.
fn room(text: &str) -> usize {
    text.chars().map(|c| if matches!(c, '&' | '<' | '>' | '@' | '#' | '!') { 6 } else { 1 }).sum()
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=NAME_BYTES).contains(&name.len()) && name.bytes().all(fits)
}

fn is_variable(name: &str) -> bool {
    is_name(name) && !name.contains('-') && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// A text of an agent, short and on one line.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    format!("{short:?}")
}

#[cfg(test)]
#[path = "effects_tests.rs"]
mod tests;
