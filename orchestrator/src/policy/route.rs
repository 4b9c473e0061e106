//! What a policy says about one request.

use std::{cell::OnceCell, collections::BTreeMap};

use bus_schemas::{
    id::ProjectId,
    time::UnixMs,
    v1::{
        ledger::{RememberedView, Risk as WireRisk},
        plan::Span,
        policy::{self, Decide, DecideWord, Policy},
    },
};

use super::{
    Facts, Rules,
    facts::{EFFECT, SECRET},
    kind_word, needs, remembered, risk_of,
    who::resolve,
};
use crate::{
    ledger::{Asked, AtDeadline, Risk, Route, Ruling, Who},
    people::People,
    planfile::{
        expression::{Steps, Variables},
        lower::{POLICY_ASK, POLICY_AUTO, split_key},
    },
};

/// A request, before anybody is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// People and policies of `baton.toml`.
    pub rules: &'a Rules,
    /// The plan's own policies.
    pub own: &'a BTreeMap<String, Policy>,
    /// What is known of it.
    pub facts: &'a Facts,
    /// Its project.
    pub project_id: ProjectId,
    /// Decisions people let count for later.
    pub remembered: &'a [RememberedView],
    /// When it is asked.
    pub now: UnixMs,
}

/// The word of a risk for readers.
#[must_use]
pub const fn wire_risk(risk: Risk) -> WireRisk {
    match risk {
        Risk::Low => WireRisk::Low,
        Risk::Medium => WireRisk::Medium,
        Risk::High => WireRisk::High,
    }
}

/// The word of a risk in conditions.
#[must_use]
pub const fn risk_word(risk: Risk) -> &'static str {
    match risk {
        Risk::Low => "low",
        Risk::Medium => "medium",
        Risk::High => "high",
    }
}

/// How a request under the policy `name` is decided. What `[approvals].always` says counts beside it.
///
/// Any error (a policy that is not there, a condition that fails, a group without members) asks people and says why.
#[must_use]
pub fn route(asking: &Asking<'_>, name: &str) -> Route {
    let Asking { rules, facts, .. } = asking;
    let (risk, risk_reasons) = risk_of(facts);
    let look = Look { risk, variables: OnceCell::new() };
    let mut route = one(asking, name, &look);
    let is_bound = !matches!(facts.kind, Asked::Question | Asked::Budget);
    if let Some(always) = rules.approvals.always.as_deref().filter(|always| is_bound && *always != name) {
        route = stricter(route, one(asking, always, &look));
    }
    (route.risk, route.risk_reasons) = (risk, risk_reasons);
    if passes_by_the_way(asking, &route) {
        (route.ruling, route.rule) = (Ruling::Ask(rules.people.anyone()), None);
        route
            .risk_reasons
            .push("no rule of its policy is for this `capability.kind` alone: a person must decide".to_owned());
    }
    if let Ruling::Ask(who) = &route.ruling {
        // Two people are asked for so that two look at it: whoever edited it is none of them.
        let later = match &route.at_deadline {
            AtDeadline::Escalate { to, .. } => to.wants_several(),
            AtDeadline::Reject | AtDeadline::Approve => false,
        };
        if later || who.wants_several() {
            add_all(&mut route.excluded, &facts.edited_by);
        }
        if route.problem.is_none() && route.is_hopeless() {
            let problem = format!("too few people are left to approve it: {} must not", route.excluded.join(", "));
            route.problem = Some(problem);
        }
        route.remembered =
            remembered::matching(asking.remembered, facts, (&route.policy, risk), asking.project_id, asking.now);
        if rules.approvals.batch && risk == Risk::Low && facts.kind.can_remember() {
            let rule = route.rule.as_deref().unwrap_or_default();
            let (task, kind) = (split_key(&facts.task.key).0, kind_word(facts.kind));
            route.batch = Some(format!("{}:{kind}:{}:{rule}:{task}", asking.project_id, route.policy));
        }
    }
    route
}

/// What the conditions of a request look at: made once, and only if there is one.
struct Look {
    risk: Risk,
    variables: OnceCell<Variables>,
}

/// A secret or an effect that would pass without people, and not by a rule that was written for such requests: no policy for
/// other things says yes to one by the way.
fn passes_by_the_way(asking: &Asking<'_>, route: &Route) -> bool {
    asking.facts.kind == Asked::Capability
        && matches!(asking.facts.capability.kind.as_str(), SECRET | EFFECT)
        && !route.asks()
        && !asking.rules.hangs_on_kind(route, asking.facts, asking.own)
}

/// What one policy says.
fn one(asking: &Asking<'_>, name: &str, look: &Look) -> Route {
    let people = &asking.rules.people;
    let mut route = Route::auto(name);
    let policy = match name {
        POLICY_AUTO => return route,
        POLICY_ASK => {
            route.ruling = Ruling::Ask(people.anyone());
            return route;
        }
        _ => asking.rules.policy(name, asking.own),
    };
    let Some(policy) = policy else {
        route.ruling = Ruling::Ask(people.anyone());
        route.problem = Some(format!("there is no policy `{name}`"));
        return route;
    };
    if policy.no_self_approval {
        let Facts { started_by, edited_by, .. } = asking.facts;
        add_all(&mut route.excluded, std::slice::from_ref(started_by));
        add_all(&mut route.excluded, edited_by);
    }
    if let Err(problem) = apply(&mut route, policy, asking, look) {
        route.ruling = Ruling::Ask(after_error(policy, people));
        (route.rule, route.at_deadline) = (None, AtDeadline::Reject);
        route.problem = Some(problem);
    }
    route
}

fn apply(route: &mut Route, policy: &Policy, asking: &Asking<'_>, look: &Look) -> Result<(), String> {
    let people = &asking.rules.people;
    let decide = decided(route, policy, asking, look)?;
    route.ruling = ruling(decide, people)?;
    let ms = |span: &Option<Span>| match span {
        Some(span) => span.as_ms().map(Some).ok_or_else(|| format!("`{}` is not a duration", span.0)),
        None => Ok(None),
    };
    route.deadline_ms = ms(&policy.deadline)?;
    route.reminder_ms = ms(&policy.reminder)?;
    route.at_deadline = match &policy.at_deadline {
        None | Some(policy::AtDeadline::Reject) => AtDeadline::Reject,
        Some(policy::AtDeadline::Approve) => AtDeadline::Approve,
        Some(policy::AtDeadline::Escalate(escalation)) => {
            let time = &escalation.time;
            let for_ms = time.as_ms().ok_or_else(|| format!("`{}` is not a duration", time.0))?;
            AtDeadline::Escalate { to: resolve(&escalation.to, people)?, for_ms }
        }
    };
    Ok(())
}

/// The first rule that holds, else the policy's own word. Rules that only watch are written down.
fn decided<'a>(route: &mut Route, policy: &'a Policy, asking: &Asking<'_>, look: &Look) -> Result<&'a Decide, String> {
    let people = &asking.rules.people;
    let mut watched = false;
    // All rules together: whoever routes has everybody else wait. What only watches takes nothing away from what decides.
    let (mut steps, mut watching) = (Steps::default(), Steps::default());
    for rule in &policy.rules {
        let only_watches = rule.shadow || policy.shadow;
        if policy.shadow && watched {
            break;
        }
        let holds = asking.rules.conditions.get(&rule.when).map_err(|bad| bad.message);
        let steps = if only_watches { &mut watching } else { &mut steps };
        let variables = look.variables.get_or_init(|| Variables::new(asking.facts.variables(risk_word(look.risk))));
        match holds.and_then(|condition| condition.holds_within(variables, steps)) {
            Ok(false) => {}
            Ok(true) if only_watches => {
                watched = true;
                let what = match ruling(&rule.decide, people) {
                    Ok(Ruling::Auto) => "auto".to_owned(),
                    Ok(Ruling::Ask(who)) => format!("ask {}", needs(&who)),
                    Err(problem) => format!("error: {problem}"),
                };
                route.shadow.push((rule.name.clone(), what));
            }
            Ok(true) => {
                route.rule = Some(rule.name.clone());
                return Ok(&rule.decide);
            }
            Err(problem) if only_watches => {
                watched = true;
                route.shadow.push((rule.name.clone(), format!("error: {problem}")));
            }
            Err(problem) => return Err(format!("rule `{}`: {problem}", rule.name)),
        }
    }
    Ok(&policy.decide)
}

fn ruling(decide: &Decide, people: &People) -> Result<Ruling, String> {
    match decide {
        Decide::Word(DecideWord::Auto) => Ok(Ruling::Auto),
        Decide::Word(DecideWord::Ask) => Ok(Ruling::Ask(people.anyone())),
        Decide::Who(who) => resolve(who, people).map(Ruling::Ask),
    }
}

/// Who decides when the policy cannot say: all whom any part of it names must agree, so that an error, which an agent may
/// be able to bring about, makes nothing easier. Where it names nobody that there is, anybody who may decide at all.
fn after_error(policy: &Policy, people: &People) -> Who {
    let own = policy.rules.iter().filter(|rule| !rule.shadow && !policy.shadow).map(|rule| &rule.decide);
    let mut trees: Vec<Who> = Vec::new();
    for decide in own.chain([&policy.decide]) {
        let Decide::Who(who) = decide else { continue };
        let Ok(who) = resolve(who, people) else { continue };
        if who.fewest(&[]).is_some() && !trees.contains(&who) {
            trees.push(who);
        }
    }
    match trees.len() {
        0 => people.anyone(),
        1 => trees.remove(0),
        _ => Who::AllOf(trees),
    }
}

/// Both must be satisfied.
fn stricter(own: Route, always: Route) -> Route {
    let (mut both, other) = match (&own.ruling, &always.ruling) {
        (Ruling::Auto, Ruling::Ask(_)) => (always, own),
        _ => (own, always),
    };
    add_all(&mut both.excluded, &other.excluded);
    both.shadow.extend(other.shadow);
    if both.problem.is_none() {
        both.problem = other.problem;
    }
    if let Ruling::Ask(second) = other.ruling
        && let Ruling::Ask(first) = &both.ruling
    {
        if both.at_deadline != other.at_deadline {
            // What one of them would let pass at the deadline, the other may not.
            both.at_deadline = AtDeadline::Reject;
        }
        both.deadline_ms = both.deadline_ms.into_iter().chain(other.deadline_ms).min();
        both.reminder_ms = both.reminder_ms.into_iter().chain(other.reminder_ms).min();
        if *first != second {
            both.ruling = Ruling::Ask(Who::AllOf(vec![first.clone(), second]));
        }
    }
    both
}

fn add_all(list: &mut Vec<String>, names: &[String]) {
    for name in names.iter().filter(|name| !name.is_empty()) {
        if !list.contains(name) {
            list.push(name.clone());
        }
    }
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
