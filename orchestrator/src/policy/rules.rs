//! What `baton.toml` says about people and approvals, ready to be used.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use bus_schemas::{
    secrets::{SecretBrief, Secrets},
    v1::{
        plan::Span,
        policy::{AtDeadline, Decide, Policy, Who},
    },
};
use serde::{Deserialize, Serialize};

use super::{CapabilityFacts, Conditions, Facts, route::risk_word, who::resolve};
use crate::{
    ledger::{Asked, Route},
    people::{Member, People},
    planfile::lower::{POLICY_ASK, POLICY_AUTO},
};

/// The keys of a `[presets.NAME]` section.
pub const PRESET_KEYS: [&str; 6] = ["description", "folder", "plan", "budget", "policy", "apply"];
/// Words that are no kind of capability: before all of them in the order of texts, and after.
const NO_KINDS: [&str; 2] = ["", "~ no kind ~"];
/// How long a decision may be remembered where nothing is said.
const REMEMBER_MAX: &str = "30d";
/// The same, in milliseconds; nothing longer can be set.
const REMEMBER_MAX_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// `[approvals]`: the policies of what a plan does not say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Approvals {
    /// Who approves a plan. Default: `ask`.
    pub plan: Option<String>,
    /// Who approves a handoff. Default: `auto`.
    pub handoff: Option<String>,
    /// Who approves that a result is put into its folder. Default: nobody is asked, somebody says `baton apply`.
    pub apply: Option<String>,
    /// Who approves what agents ask for beyond their tasks. Default: `ask`.
    pub capabilities: Option<String>,
    /// Who approves changes of a running plan. Default: `ask`.
    pub replan: Option<String>,
    /// A policy that is looked at as well for every request but questions and budgets: if either asks, people are asked,
    /// and if both do, both must be satisfied.
    pub always: Option<String>,
    /// How long a decision may be remembered at most.
    pub remember_max: Span,
    /// Equal requests of low risk are shown together.
    pub batch: bool,
    /// Take the names that clients of the socket give, not the login names they have.
    pub trust_cli_names: bool,
}

impl Default for Approvals {
    fn default() -> Self {
        Self {
            plan: None,
            handoff: None,
            apply: None,
            capabilities: None,
            replan: None,
            always: None,
            remember_max: Span(REMEMBER_MAX.to_owned()),
            batch: true,
            trust_cli_names: false,
        }
    }
}

/// A way to start a project with one word, from Slack or mail.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preset {
    /// What it is for.
    pub description: String,
    /// The folder. Default: a new, empty one.
    pub folder: Option<PathBuf>,
    /// A plan file that is run. Default: the goal is planned.
    pub plan: Option<PathBuf>,
    /// The most the project may cost, in US dollars.
    pub budget: Option<f64>,
    /// Who approves the plan.
    pub policy: Option<String>,
    /// Who approves that the result is put into the folder.
    pub apply: Option<String>,
}

/// People, policies, presets and secrets of `baton.toml`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Everybody who may decide.
    pub people: People,
    /// `[policies.NAME]`.
    pub policies: BTreeMap<String, Policy>,
    /// `[approvals]`.
    pub approvals: Approvals,
    /// `[presets.NAME]`.
    pub presets: BTreeMap<String, Preset>,
    /// The conditions of policies, compiled.
    pub conditions: Conditions,
    /// `[secrets.NAME]`: what there is, never what it holds.
    pub secrets: Secrets,
}

/// What is wrong with them; `at` is a dotted key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {message}")]
pub struct RulesError {
    /// Where.
    pub at: String,
    /// What, and the way out.
    pub message: String,
}

impl Rules {
    /// Puts together what belongs together, and checks all that types cannot say.
    ///
    /// # Errors
    /// [`RulesError`] names the first problem.
    pub fn new(
        members: BTreeMap<String, Member>,
        policies: BTreeMap<String, Policy>,
        approvals: Approvals,
        presets: BTreeMap<String, Preset>,
    ) -> Result<Self, RulesError> {
        let bad = |at: String, message: String| RulesError { at, message };
        let people = People::new(members).map_err(|e| bad(format!("members.{}", e.member), e.problem))?;
        let rules =
            Self { people, policies, approvals, presets, conditions: Conditions::default(), secrets: Secrets::new() };
        for (name, policy) in &rules.policies {
            let at = || format!("policies.{name}");
            if is_built_in(name) {
                return Err(bad(at(), "it is built in and cannot be defined again: give it another name".to_owned()));
            }
            check(policy, &rules).map_err(|message| bad(at(), message))?;
        }
        let Approvals { plan, handoff, apply, capabilities, replan, always, remember_max, .. } = &rules.approvals;
        let named = [
            ("plan", plan),
            ("handoff", handoff),
            ("apply", apply),
            ("capabilities", capabilities),
            ("replan", replan),
            ("always", always),
        ];
        for (key, name) in named {
            rules.known(name.as_deref()).map_err(|message| bad(format!("approvals.{key}"), message))?;
        }
        if remember_max.as_ms().is_none_or(|ms| ms == 0) {
            let message = format!("`{}` is not a duration: write one such as `30d`", remember_max.0);
            return Err(bad("approvals.remember_max".to_owned(), message));
        }
        if remember_max.as_ms().is_some_and(|ms| ms > REMEMBER_MAX_MS) {
            let message =
                format!("`{}` is too long: no decision is remembered for more than {REMEMBER_MAX}", remember_max.0);
            return Err(bad("approvals.remember_max".to_owned(), message));
        }
        for (name, preset) in &rules.presets {
            let at = |key: &str| format!("presets.{name}.{key}");
            for (key, path) in [("folder", &preset.folder), ("plan", &preset.plan)] {
                if path.as_ref().is_some_and(|path| !path.is_absolute()) {
                    return Err(bad(at(key), "write an absolute path".to_owned()));
                }
            }
            if preset.budget.is_some_and(|usd| !usd.is_finite() || usd < 0.0) {
                return Err(bad(at("budget"), "it is not an amount of US dollars".to_owned()));
            }
            // A plan file may have policies of its own.
            if preset.plan.is_none() {
                rules.known(preset.policy.as_deref()).map_err(|message| bad(at("policy"), message))?;
            }
            rules.known(preset.apply.as_deref()).map_err(|message| bad(at("apply"), message))?;
        }
        Ok(rules)
    }

    fn known(&self, name: Option<&str>) -> Result<(), String> {
        match name.filter(|name| !is_built_in(name) && !self.policies.contains_key(*name)) {
            Some(name) => Err(format!("there is no policy `{name}`: define it as [policies.{name}], or use `ask`")),
            None => Ok(()),
        }
    }

    /// People are who they say they are: there are no members, or `baton.toml` says so.
    #[must_use]
    pub fn trusts_names(&self) -> bool {
        !self.people.is_configured() || self.approvals.trust_cli_names
    }

    /// Who a handle on a channel is. Where clients of the socket are taken at their word, a member's name is one, too.
    #[must_use]
    pub fn person(&self, channel: &str, handle: &str) -> String {
        let person = self.people.person(channel, handle);
        let is_local = matches!(channel, "cli" | "web");
        let name = handle.trim();
        let is_name = is_local && self.trusts_names() && !self.people.is_member(&person) && self.people.is_member(name);
        if is_name { name.to_owned() } else { person }
    }

    /// The longest that a decision is remembered, in milliseconds: never more than 30 days.
    #[must_use]
    pub fn remember_max_ms(&self) -> u64 {
        self.approvals.remember_max.as_ms().map_or(REMEMBER_MAX_MS, |ms| ms.min(REMEMBER_MAX_MS))
    }

    /// A policy by name: those of `baton.toml`, then a plan's. The built-in ones are no policies of either.
    #[must_use]
    pub fn policy<'a>(&'a self, name: &str, own: &'a BTreeMap<String, Policy>) -> Option<&'a Policy> {
        self.policies.get(name).or_else(|| own.get(name))
    }

    /// The policy of requests of a kind where the plan names none. Questions, budgets and skills are always asked about.
    #[must_use]
    pub fn default_for(&self, kind: Asked) -> &str {
        let Approvals { plan, handoff, apply, capabilities, replan, .. } = &self.approvals;
        let (set, otherwise) = match kind {
            Asked::Plan => (plan, POLICY_ASK),
            Asked::Handoff => (handoff, POLICY_AUTO),
            Asked::Apply => (apply, POLICY_ASK),
            Asked::Capability => (capabilities, POLICY_ASK),
            Asked::Patch => (replan, POLICY_ASK),
            Asked::Question | Asked::Budget | Asked::Skill => (&None, POLICY_ASK),
        };
        set.as_deref().unwrap_or(otherwise)
    }

    /// Whether the rule that decided a request was written for capabilities of its kind: of any other kind, its condition does
    /// not hold. That the condition merely mentions the kind (`capability.kind != "secret"`) says nothing.
    #[must_use]
    pub fn hangs_on_kind(&self, route: &Route, facts: &Facts, own: &BTreeMap<String, Policy>) -> bool {
        let rules = self.policy(&route.policy, own).map(|policy| policy.rules.as_slice()).unwrap_or_default();
        let rule = rules.iter().find(|one| Some(&one.name) == route.rule.as_ref());
        let Some(Ok(condition)) = rule.map(|one| self.conditions.get(&one.when)) else { return false };
        NO_KINDS.iter().all(|kind| {
            let capability = CapabilityFacts { kind: (*kind).to_owned(), ..facts.capability.clone() };
            condition.holds(&Facts { capability, ..facts.clone() }, risk_word(route.risk)) == Ok(false)
        })
    }

    /// The same with these secrets.
    #[must_use]
    pub fn with_secrets(self, secrets: Secrets) -> Self {
        Self { secrets, ..self }
    }

    /// What people and agents may know of a secret; `None` if there is none of this name.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<SecretBrief> {
        self.secrets.get(name).map(|setup| setup.brief(name))
    }

    /// Whether people may be asked under a policy of this name. What is not known asks.
    #[must_use]
    pub fn may_ask(&self, name: &str, own: &BTreeMap<String, Policy>) -> bool {
        let one = |name: &str| name != POLICY_AUTO && self.policy(name, own).is_none_or(may_ask);
        one(name) || self.approvals.always.as_deref().is_some_and(one)
    }

    /// Whether people are asked under a policy of this name whatever the request. What is not known asks.
    #[must_use]
    pub fn always_asks(&self, name: &str, own: &BTreeMap<String, Policy>) -> bool {
        let one = |name: &str| name != POLICY_AUTO && self.policy(name, own).is_none_or(always_asks);
        one(name) || self.approvals.always.as_deref().is_some_and(one)
    }
}

/// Whether some request under the policy asks people.
#[must_use]
pub fn may_ask(policy: &Policy) -> bool {
    policy.decide.asks() || policy.rules.iter().any(|rule| rule.decide.asks())
}

/// Whether every request under the policy asks people.
#[must_use]
pub fn always_asks(policy: &Policy) -> bool {
    policy.decide.asks() && (policy.shadow || policy.rules.iter().all(|rule| rule.shadow || rule.decide.asks()))
}

fn is_built_in(name: &str) -> bool {
    name == POLICY_AUTO || name == POLICY_ASK
}

/// Whether a policy can work with these people.
fn check(policy: &Policy, rules: &Rules) -> Result<(), String> {
    let people = &rules.people;
    let can = |decide: &Decide, of: &str| match decide {
        Decide::Word(_) => Ok(()),
        Decide::Who(who) => satisfiable(who, people).map_err(|message| format!("{of}: {message}")),
    };
    let mut names = BTreeSet::new();
    for rule in &policy.rules {
        let of = format!("rule `{}`", rule.name);
        if rule.name.trim().is_empty() || !names.insert(rule.name.as_str()) {
            return Err(format!("{of}: every rule has a name of its own"));
        }
        rules.conditions.get(&rule.when).map_err(|bad| format!("{of}: when: {}", bad.message))?;
        can(&rule.decide, &of)?;
    }
    can(&policy.decide, "decide")?;
    for (key, span) in [("deadline", &policy.deadline), ("reminder", &policy.reminder)] {
        if let Some(span) = span.as_ref().filter(|span| span.as_ms().is_none_or(|ms| ms == 0)) {
            return Err(format!("{key}: `{}` is not a duration", span.0));
        }
    }
    if policy.at_deadline.is_some() && policy.deadline.is_none() {
        return Err("at_deadline: there is no `deadline`".to_owned());
    }
    if let Some(AtDeadline::Escalate(escalation)) = &policy.at_deadline {
        satisfiable(&escalation.to, people).map_err(|message| format!("at_deadline: {message}"))?;
        if escalation.time.as_ms().is_none_or(|ms| ms == 0) {
            return Err(format!("at_deadline: `{}` is not a duration", escalation.time.0));
        }
    }
    Ok(())
}

fn satisfiable(who: &Who, people: &People) -> Result<(), String> {
    let resolved = resolve(who, people)?;
    match resolved.fewest(&[]) {
        Some(_) => Ok(()),
        None => Err(format!("nobody can satisfy it: it needs {}", super::needs(&resolved))),
    }
}
