//! Names and groups become people; a tree of people becomes a sentence.

use bus_schemas::v1::policy;

use crate::{
    ledger::Who,
    people::{EVERYONE, People},
};

/// Names listed of a group in a sentence.
const NAMED: usize = 6;
/// How deep a tree may be.
pub(crate) const MAX_DEPTH: usize = 8;

/// The people a policy means.
///
/// # Errors
/// A sentence: who or what there is not.
pub fn resolve(who: &policy::Who, people: &People) -> Result<Who, String> {
    resolve_at(who, people, 0)
}

fn resolve_at(who: &policy::Who, people: &People, depth: usize) -> Result<Who, String> {
    if depth > MAX_DEPTH {
        return Err(format!("who decides is more than {MAX_DEPTH} deep"));
    }
    let list = |list: &[policy::Who]| -> Result<Vec<Who>, String> {
        if list.is_empty() {
            return Err("a list of who decides is empty".to_owned());
        }
        list.iter().map(|who| resolve_at(who, people, depth + 1)).collect()
    };
    let group = |name: &str, n: u32| -> Result<Who, String> {
        match people.group(name) {
            Some(of) => Ok(Who::Some { n, group: name.to_owned(), of }),
            None if name == EVERYONE && n == 1 => Ok(Who::Anyone),
            None => Err(format!("there is no group `{name}` in baton.toml")),
        }
    };
    match who {
        policy::Who { person: Some(name), group: None, quorum: None, any_of: None, all_of: None, after: None } => {
            if people.is_configured() && !people.is_member(name) {
                return Err(format!("there is no member `{name}` in baton.toml"));
            }
            Ok(Who::Person(name.clone()))
        }
        policy::Who { person: None, group: Some(name), quorum: None, any_of: None, all_of: None, after: None } => {
            group(name, 1)
        }
        policy::Who { person: None, group: None, quorum: Some(quorum), any_of: None, all_of: None, after: None } => {
            if quorum.n == 0 {
                return Err("a quorum of 0 asks nobody".to_owned());
            }
            group(&quorum.of, quorum.n)
        }
        policy::Who { person: None, group: None, quorum: None, any_of: Some(parts), all_of: None, after: None } => {
            list(parts).map(Who::AnyOf)
        }
        policy::Who { person: None, group: None, quorum: None, any_of: None, all_of: Some(parts), after: None } => {
            list(parts).map(Who::AllOf)
        }
        policy::Who { person: None, group: None, quorum: None, any_of: None, all_of: None, after: Some(after) } => {
            let wait_ms = after.wait.as_ms().ok_or_else(|| format!("`{}` is not a duration", after.wait.0))?;
            Ok(Who::After { wait_ms, who: Box::new(resolve_at(&after.who, people, depth + 1)?) })
        }
        _ => Err("say one of person, group, quorum, any_of, all_of and after".to_owned()),
    }
}

/// Who must agree, as a sentence: `two of leads (ann, bob, eve), or carl after 4h`.
#[must_use]
pub fn needs(who: &Who) -> String {
    sentence(who, false)
}

fn sentence(who: &Who, nested: bool) -> String {
    let joined = |list: &[Who], word: &str| {
        let parts: Vec<String> = list.iter().map(|who| sentence(who, true)).collect();
        let text = parts.join(word);
        if nested && list.len() > 1 { format!("({text})") } else { text }
    };
    match who {
        Who::Anyone => "anybody".to_owned(),
        Who::Person(name) => name.clone(),
        Who::Some { n, group, of } => {
            let mut names: Vec<&str> = of.iter().take(NAMED).map(String::as_str).collect();
            if of.len() > NAMED {
                names.push("…");
            }
            format!("{} of {group} ({})", number(*n), names.join(", "))
        }
        Who::AnyOf(list) => joined(list, ", or "),
        Who::AllOf(list) => joined(list, ", and "),
        Who::After { wait_ms, who } => format!("{} after {}", sentence(who, true), span(*wait_ms)),
    }
}

fn number(n: u32) -> String {
    let words = ["none", "one", "two", "three", "four", "five", "six"];
    usize::try_from(n).ok().and_then(|n| words.get(n)).map_or_else(|| n.to_string(), |word| (*word).to_owned())
}

/// A duration in the units people write it in.
fn span(ms: u64) -> String {
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let mut rest = ms;
    let mut text = String::new();
    for (unit, size) in units {
        if rest >= size {
            text.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::people::Member;

    fn people() -> People {
        let lead = Member { groups: vec!["leads".to_owned()], ..Member::default() };
        People::new(BTreeMap::from([
            ("ann".to_owned(), lead.clone()),
            ("bob".to_owned(), lead),
            ("carl".to_owned(), Member::default()),
        ]))
        .unwrap()
    }

    fn read(json: &str) -> policy::Who {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn names_become_people_and_a_sentence() {
        let who = read(
            r#"{"any_of": [{"quorum": {"n": 2, "of": "leads"}}, {"after": {"wait": "1h30m", "who": {"person": "carl"}}}]}"#,
        );
        let who = resolve(&who, &people()).unwrap();
        assert_eq!(needs(&who), "two of leads (ann, bob), or carl after 1h30m");
        let who = read(r#"{"all_of": [{"person": "ann"}, {"any_of": [{"person": "bob"}, {"group": "everyone"}]}]}"#);
        let who = resolve(&who, &people()).unwrap();
        assert_eq!(needs(&who), "ann, and (bob, or one of everyone (ann, bob, carl))");
    }

    #[test]
    fn what_there_is_not_is_said() {
        let bad = |json: &str| resolve(&read(json), &people()).unwrap_err();
        assert!(bad(r#"{"person": "zoe"}"#).contains("no member `zoe`"));
        assert!(bad(r#"{"group": "ops"}"#).contains("no group `ops`"));
        assert!(bad(r#"{"quorum": {"n": 0, "of": "leads"}}"#).contains("asks nobody"));
        assert!(bad(r#"{"any_of": []}"#).contains("empty"));
        assert!(bad("{}").contains("say one of"));
        assert!(bad(r#"{"person": "ann", "group": "leads"}"#).contains("say one of"));
        assert!(bad(r#"{"after": {"wait": "soon", "who": {"person": "ann"}}}"#).contains("not a duration"));
        let mut deep = r#"{"person": "ann"}"#.to_owned();
        (0..10).for_each(|_| deep = format!(r#"{{"any_of": [{deep}]}}"#));
        assert!(bad(&deep).contains("deep"));
    }

    #[test]
    fn without_members_a_person_is_a_name() {
        let none = People::default();
        assert_eq!(resolve(&read(r#"{"person": "zoe"}"#), &none), Ok(Who::Person("zoe".to_owned())));
        assert_eq!(resolve(&read(r#"{"group": "everyone"}"#), &none), Ok(Who::Anyone));
        assert!(resolve(&read(r#"{"group": "leads"}"#), &none).is_err());
        assert!(resolve(&read(r#"{"quorum": {"n": 2, "of": "everyone"}}"#), &none).is_err());
    }
}
