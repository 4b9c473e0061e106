use bus_schemas::{
    id::ApprovalId,
    v1::ledger::{RememberScope, Risk as WireRisk},
};
use uuid::Uuid;

use super::*;
use crate::{
    people::Member,
    policy::{Approvals, CapabilityFacts, CheckFacts, ProjectFacts, TaskFacts, subject_of},
};

fn rules(policies: &str, approvals: Approvals) -> Rules {
    let member = |group: &str| Member { groups: vec![group.to_owned()], ..Member::default() };
    let members = [("ann", "leads"), ("bob", "leads"), ("eve", "ops")];
    let members = members.map(|(name, group)| (name.to_owned(), member(group)));
    Rules::new(members.into(), serde_json::from_str(policies).unwrap(), approvals, BTreeMap::new()).unwrap()
}

fn proven() -> Facts {
    Facts {
        checks: CheckFacts { total: 1, passed: 1, failed: 0 },
        task: TaskFacts { key: "fix[3]".to_owned(), ..TaskFacts::default() },
        project: ProjectFacts { folder: "/f".to_owned(), ..ProjectFacts::default() },
        started_by: "ann".to_owned(),
        lines_added: 3,
        ..Facts::of(Asked::Handoff)
    }
}

fn project(number: u128) -> ProjectId {
    ProjectId::from_uuid(Uuid::from_u128(number))
}

fn routed(rules: &Rules, facts: &Facts, name: &str, remembered: &[RememberedView]) -> Route {
    let own = BTreeMap::new();
    route(&Asking { rules, own: &own, facts, project_id: project(1), remembered, now: UnixMs(1000) }, name)
}

fn eligible(route: &Route) -> String {
    match &route.ruling {
        Ruling::Auto => "auto".to_owned(),
        Ruling::Ask(who) => needs(who),
    }
}

#[test]
fn built_in_policies_need_no_definition() {
    let rules = rules("{}", Approvals::default());
    assert!(!routed(&rules, &proven(), "auto", &[]).asks());
    assert_eq!(eligible(&routed(&rules, &proven(), "ask", &[])), "one of everyone (ann, bob, eve)");
    let unknown = routed(&rules, &proven(), "nowhere", &[]);
    assert!(unknown.asks() && unknown.problem.unwrap().contains("no policy `nowhere`"));
    assert_eq!(eligible(&routed(&Rules::default(), &proven(), "ask", &[])), "anybody");
}

#[test]
fn an_error_never_approves_and_makes_nothing_easier() {
    let rules = rules(
        r#"{"p": {"decide": "auto", "rules": [
            {"name": "bad", "when": "paths[9] == \"x\"", "decide": "auto"},
            {"name": "two", "when": "risk == \"high\"", "decide": {"quorum": {"n": 2, "of": "leads"}}}]},
            "q": {"decide": "auto", "rules": [{"name": "bad", "when": "lines", "decide": "auto"}]}}"#,
        Approvals::default(),
    );
    let route = routed(&rules, &proven(), "p", &[]);
    assert_eq!(eligible(&route), "two of leads (ann, bob)");
    assert!(route.problem.unwrap().starts_with("rule `bad`"));
    let route = routed(&rules, &proven(), "q", &[]);
    assert_eq!(eligible(&route), "one of everyone (ann, bob, eve)");
}

#[test]
fn who_started_or_edited_it_is_left_out() {
    let rules = rules(
        r#"{"self": {"decide": "ask", "no_self_approval": true}, "two": {"decide": {"quorum": {"n": 2, "of": "everyone"}}},
            "lone": {"decide": {"person": "ann"}, "no_self_approval": true}}"#,
        Approvals::default(),
    );
    let facts = Facts { edited_by: vec!["bob".to_owned()], ..proven() };
    assert_eq!(routed(&rules, &facts, "self", &[]).excluded, ["ann", "bob"]);
    assert_eq!(routed(&rules, &facts, "ask", &[]).excluded, [] as [&str; 0]);
    assert_eq!(
        routed(&rules, &facts, "two", &[]).excluded,
        ["bob"],
        "two shall look at it: the editor is none of them"
    );
    let lone = routed(&rules, &facts, "lone", &[]);
    assert!(lone.asks() && lone.problem.unwrap().contains("too few people"));
}

#[test]
fn the_stricter_of_both_counts() {
    let policies = r#"{"net": {"decide": "auto", "deadline": "1h", "at_deadline": "approve", "no_self_approval": true,
            "rules": [{"name": "big", "when": "lines > 2", "decide": {"group": "ops"}}]},
        "lead": {"decide": {"group": "leads"}, "deadline": "2h"},
        "free": {"decide": "auto"}}"#;
    let always = |name: &str| rules(policies, Approvals { always: Some(name.to_owned()), ..Approvals::default() });
    let both = routed(&always("net"), &proven(), "lead", &[]);
    assert_eq!(eligible(&both), "one of leads (ann, bob), and one of ops (eve)");
    assert_eq!((both.deadline_ms, both.at_deadline.clone()), (Some(3_600_000), AtDeadline::Reject));
    assert_eq!(both.excluded, ["ann"]);
    let added = routed(&always("net"), &proven(), "auto", &[]);
    assert_eq!((added.policy.as_str(), added.rule.as_deref()), ("net", Some("big")));
    let own = routed(&always("free"), &proven(), "lead", &[]);
    assert_eq!(eligible(&own), "one of leads (ann, bob)");
    let question = routed(&always("lead"), &Facts::of(Asked::Question), "ask", &[]);
    assert_eq!(eligible(&question), "one of everyone (ann, bob, eve)", "questions are for anybody");
}

#[test]
fn rules_that_only_watch_decide_nothing() {
    let rules = rules(
        r#"{"p": {"decide": "ask", "shadow": true, "rules": [
            {"name": "a", "when": "lines > 100", "decide": "auto"}, {"name": "b", "when": "lines < 100", "decide": "auto"},
            {"name": "c", "when": "true", "decide": {"person": "eve"}}]},
            "r": {"decide": "ask", "rules": [{"name": "w", "when": "paths[1] == \"\"", "decide": "auto", "shadow": true},
            {"name": "x", "when": "true", "decide": "auto"}]}}"#,
        Approvals::default(),
    );
    let route = routed(&rules, &proven(), "p", &[]);
    assert!(route.asks() && route.rule.is_none());
    assert_eq!(route.shadow, [("b".to_owned(), "auto".to_owned())], "only the rule that would have decided");
    let route = routed(&rules, &proven(), "r", &[]);
    assert_eq!((route.asks(), route.rule.as_deref(), route.problem), (false, Some("x"), None));
    assert!(route.shadow[0].1.starts_with("error: "));
}

/// Five thousand paths.
fn many() -> Facts {
    let paths = (0..5_000).map(|number| format!("src/module/file{number}.rs")).collect();
    Facts { paths, ..proven() }
}

#[test]
fn three_rules_may_each_look_at_thousands_of_paths() {
    let rules = rules(
        r#"{"p": {"decide": "ask", "rules": [
            {"name": "a", "when": "paths.exists(p, p.startsWith(\"deploy/\"))", "decide": {"person": "eve"}},
            {"name": "b", "when": "paths.exists(p, p.endsWith(\".pem\"))", "decide": {"person": "bob"}},
            {"name": "c", "when": "paths.all(p, p.startsWith(\"src/\")) && lines < 200", "decide": "auto"}]}}"#,
        Approvals::default(),
    );
    let route = routed(&rules, &many(), "p", &[]);
    assert_eq!((route.asks(), route.rule.as_deref(), route.problem), (false, Some("c"), None));
}

#[test]
fn what_only_watches_takes_nothing_from_what_decides() {
    let watch = |name: &str| {
        format!(
            r#"{{"name": "{name}", "when": "paths.exists(p, p.startsWith(\"x/\"))", "decide": "ask", "shadow": true}}"#
        )
    };
    let watching: Vec<String> = ["a", "b", "c", "d", "e"].map(watch).into();
    let rules = rules(
        &format!(
            r#"{{"p": {{"decide": "ask", "rules": [{},
                {{"name": "real", "when": "paths.all(p, p.startsWith(\"src/\"))", "decide": "auto"}}]}}}}"#,
            watching.join(", ")
        ),
        Approvals::default(),
    );
    let route = routed(&rules, &many(), "p", &[]);
    assert_eq!((route.asks(), route.rule.as_deref(), route.problem), (false, Some("real"), None));
    let failed: Vec<&str> = route.shadow.iter().map(|(rule, _)| rule.as_str()).collect();
    assert_eq!(failed, ["d", "e"], "too costly together, and only written down: {:?}", route.shadow);
}

#[test]
fn what_is_remembered_counts_for_the_same_thing_only() {
    let rules = rules(r#"{"two": {"decide": {"quorum": {"n": 2, "of": "everyone"}}}}"#, Approvals::default());
    let approval_id = ApprovalId::from_uuid(Uuid::from_u128(9));
    let decision = RememberedView {
        approval_id,
        project_id: project(1),
        by: "eve".to_owned(),
        kind: "handoff".to_owned(),
        policy: "ask".to_owned(),
        subject: "fix".to_owned(),
        folder: "/f".to_owned(),
        scope: RememberScope::Project,
        risk: WireRisk::Low,
        since: UnixMs(500),
        until: UnixMs(2000),
        used: 0,
        revoked_by: None,
    };
    let used = |decision: RememberedView, facts: Facts, policy: &str| {
        !routed(&rules, &facts, policy, &[decision]).remembered.is_empty()
    };
    let is_used = |change: &dyn Fn(&mut RememberedView)| {
        let mut decision = decision.clone();
        change(&mut decision);
        used(decision, proven(), "ask")
    };
    assert!(is_used(&|_| {}));
    assert!(!is_used(&|d| d.until = UnixMs(1000)));
    assert!(!is_used(&|d| d.project_id = project(2)));
    assert!(is_used(&|d| (d.project_id, d.scope) = (project(2), RememberScope::Folder)));
    assert!(!is_used(&|d| (d.project_id, d.scope, d.folder) = (project(2), RememberScope::Folder, "/g".to_owned())));
    assert!(!is_used(&|d| d.subject = "fix[3]".to_owned()));
    assert!(!is_used(&|d| d.kind = "capability".to_owned()));
    assert!(!is_used(&|d| d.revoked_by = Some("ann".to_owned())));
    assert!(!used(decision.clone(), proven(), "two"), "another policy");
    assert!(!used(decision.clone(), Facts { questions: 1, ..proven() }, "ask"), "a higher risk");
    let high = RememberedView { risk: WireRisk::High, ..decision.clone() };
    assert!(!used(high, Facts { paths: vec!["a.pem".to_owned()], ..proven() }, "ask"), "never for a high risk");
    let twice = routed(&rules, &proven(), "ask", &[decision.clone(), decision]);
    assert_eq!(twice.remembered, [("eve".to_owned(), approval_id)], "a person counts once");
}

#[test]
fn a_remembered_secret_is_no_host_and_a_rule_can_ask_for_the_kind() {
    let text = r#"{"access": {"decide": "ask", "rules": [
        {"name": "hosts", "when": "'mirror' in hosts", "decide": "auto"},
        {"name": "own", "when": "capability.kind == 'secret' && 'github' in secrets", "decide": "auto"}]}}"#;
    let rules = rules(text, Approvals::default());
    let asked = |kind: &str, name: &str| {
        let secrets = if kind == "secret" { vec![name.to_owned()] } else { Vec::new() };
        let capability = CapabilityFacts { kind: kind.to_owned(), name: name.to_owned() };
        Facts { capability, secrets, ..Facts::of(Asked::Capability) }
    };
    let subjects = [("host", "github"), ("secret", "github")].map(|(kind, name)| subject_of(&asked(kind, name)));
    assert_eq!(subjects, ["github", "secret github"]);
    let known = Facts { secret_terms: "authorization to a.example".to_owned(), ..asked("secret", "github") };
    assert_eq!(subject_of(&known), "secret github: authorization to a.example");
    let route = routed(&rules, &asked("secret", "github"), "access", &[]);
    assert_eq!((route.asks(), route.rule.as_deref()), (false, Some("own")));
    assert!(routed(&rules, &asked("secret", "aws"), "access", &[]).asks());
    let own = BTreeMap::new();
    let facts = asked("secret", "github");
    let by = |rule: Option<&str>| Route { rule: rule.map(str::to_owned), ..route.clone() };
    let hangs = |rule: Option<&str>| rules.hangs_on_kind(&by(rule), &facts, &own);
    assert!(hangs(Some("own")) && !hangs(Some("none")) && !hangs(None));
    assert!(!rules.hangs_on_kind(&Route::auto("auto"), &facts, &own));
}

#[test]
fn equal_requests_of_low_risk_share_a_key() {
    let rules = rules("{}", Approvals::default());
    let batch = |facts: &Facts| routed(&rules, facts, "ask", &[]).batch;
    let first = batch(&proven()).unwrap();
    let second = Facts { task: TaskFacts { key: "fix[4]".to_owned(), ..TaskFacts::default() }, ..proven() };
    assert_eq!(batch(&second), Some(first));
    assert_eq!(batch(&Facts { questions: 1, ..proven() }), None, "not of low risk");
    assert_eq!(batch(&Facts::of(Asked::Plan)), None);
    let off = Rules { approvals: Approvals { batch: false, ..Approvals::default() }, ..rules };
    assert_eq!(routed(&off, &proven(), "ask", &[]).batch, None);
}

#[test]
fn an_effect_and_a_secret_pass_only_by_a_rule_that_speaks_of_their_kind() {
    let rules = rules(
        r#"{"open": {"decide": "auto"},
            "small": {"decide": "ask", "rules": [{"name": "small", "when": "lines < 200", "decide": "auto"}]},
            "hosts": {"decide": "ask", "rules": [{"name": "d", "when": "capability.name.startsWith(\"d\")", "decide": "auto"}]},
            "nightly": {"decide": "ask", "rules": [
                {"name": "staging", "when": "capability.kind == \"effect\" && capability.name == \"stage\"", "decide": "auto"}]}}"#,
        Approvals::default(),
    );
    let of = |kind: &str, name: &str| {
        let capability = CapabilityFacts { kind: kind.to_owned(), name: name.to_owned() };
        Facts { capability, ..Facts::of(Asked::Capability) }
    };
    for policy in ["auto", "open", "small", "hosts", "nightly", "ask"] {
        let route = routed(&rules, &of("effect", "deploy"), policy, &[]);
        assert_eq!(
            (eligible(&route).as_str(), route.risk),
            ("one of everyone (ann, bob, eve)", Risk::High),
            "{policy}"
        );
        assert_eq!((route.batch, route.remembered.len()), (None, 0));
        assert!(routed(&rules, &of("secret", "deploy"), policy, &[]).asks(), "{policy}");
    }
    assert!(!routed(&rules, &of("effect", "stage"), "nightly", &[]).asks());
    // What mentions the kind and would hold without it, too, was not written for effects.
    let by = |when: &str| {
        let rule =
            serde_json::json!({"p": {"decide": "ask", "rules": [{"name": "r", "when": when, "decide": "auto"}]}});
        let rules = self::rules(&rule.to_string(), Approvals::default());
        eligible(&routed(&rules, &of("effect", "deploy"), "p", &[])) == "auto"
    };
    for when in [
        r#"capability.kind != "secret""#,
        r#"capability.kind != """#,
        r#"capability.kind == "host" || capability.name == "deploy""#,
        r#"capability.kind == "host" || risk == "high""#,
        r#"capability.kind > "a""#,
        r#"capability.kind < "z""#,
        r#"{"effect": true}[capability.kind]"#,
    ] {
        assert!(!by(when), "{when}");
    }
    for when in [r#"capability.kind == "effect""#, r#"capability.kind in ["effect", "secret"] && risk == "high""#] {
        assert!(by(when), "{when}");
    }
    assert!(!routed(&rules, &of("host", "docs.rs"), "open", &[]).asks(), "hosts pass as before");
}
