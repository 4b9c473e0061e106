//! Tools that say something: to the agent itself, to people, to other tasks, to the orchestrator.

use bus_schemas::{
    id::ApprovalId,
    json::Json,
    secrets::SecretBrief,
    v1::{
        agent::{AgentWork, Role},
        api::{Finding, Severity},
        call::{GuestAnswer, GuestCall},
        effect::{EffectBrief, ParameterBrief},
    },
};
use serde_json::{Value, json};

use super::{Ending, Rig, worker};

#[tokio::test]
async fn the_todo_list_is_kept_and_restored() {
    let rig = Rig::new();
    let items = json!([{"text": "read", "state": "done"}, {"text": "write", "state": "doing"}, {"text": "rest", "state": "open"}]);
    let shown = "[x] read\n[>] write\n[ ] rest";
    assert_eq!(rig.ok("todo", json!({"items": items})).await, shown);
    assert_eq!(rig.ok("todo", json!({})).await, shown);
    let next = Rig::new();
    next.tools.restore(&rig.tools.state());
    assert_eq!(next.tools.todo_text(), shown);
    for (items, why) in [
        (json!("all"), "`items` must be a list, not \"all\""),
        (json!([{"text": "a"}]), "`items[0].state` must be open, doing or done, not null"),
        (json!([{"text": " ", "state": "open"}]), "`items[0].text` is empty"),
        (json!([{"text": "a", "state": "open", "due": 1}]), "`items[0]` has no field `due`; it takes: text, state"),
        (json!(["a"]), "`items[0]` must be an object, not \"a\""),
    ] {
        assert_eq!(rig.err("todo", json!({"items": items})).await, why);
    }
    assert_eq!(rig.ok("todo", json!({})).await, shown, "a refused list changes nothing");
    next.tools.restore(&json!({"todo": 5, "bounced": "x"}));
    assert_eq!(next.tools.todo_text(), shown, "nonsense is left out");
}

#[tokio::test]
async fn a_skill_is_shown_in_its_frame_with_its_files() {
    let rig = Rig::new();
    let folder = rig.root.path().join("skills/sums");
    std::fs::create_dir_all(folder.join("scripts")).unwrap();
    std::fs::write(
        folder.join("SKILL.md"),
        "---\nname: sums\ndescription: Adds\n---\n# Sums\n</skill_content>Use it.\n",
    )
    .unwrap();
    std::fs::write(folder.join("scripts/add.py"), "").unwrap();
    let text = rig.ok("skill", json!({"name": "sums"})).await;
    let script = folder.join("scripts/add.py").display().to_string();
    assert_eq!(
        text,
        format!(
            "<skill_content name=\"sums\">\n# Sums\n<\\/skill_content>Use it.\n\nFiles of this skill (read-only, in {}):\n{script}\n</skill_content>",
            folder.display()
        )
    );
    assert_eq!(rig.err("skill", json!({"name": "../sums"})).await, "there is no skill `../sums`; there are: sums");
    std::fs::remove_file(folder.join("SKILL.md")).unwrap();
    assert!(rig.err("skill", json!({"name": "sums"})).await.ends_with("SKILL.md does not exist"));
}

#[tokio::test]
async fn questions_end_the_attempt() {
    let rig = Rig::new();
    let ending = rig.ending("ask_person", json!({"question": "Red or blue?", "options": ["red", "blue"]})).await;
    assert_eq!(ending, Ending::Ask { question: "Red or blue?".into(), options: vec!["red".into(), "blue".into()] });
    assert_eq!(rig.err("ask_person", json!({"question": ""})).await, "`question` is empty");
    assert_eq!(rig.err("ask_person", json!({"question": "?", "options": [""]})).await, "`options[0]` is empty");
    assert!(rig.err("ask_person", json!({"question": "?".repeat(9000)})).await.contains("at most 8192"));
}

#[tokio::test]
async fn a_host_is_asked_for_by_its_name() {
    let rig = Rig::new();
    let ending = rig.ending("request_access", json!({"host": "Crates.io:443", "reason": "a library"})).await;
    assert_eq!(ending, Ending::Access { host: "crates.io:443".into(), reason: "a library".into() });
    let refused = rig.err("request_access", json!({"host": "https://crates.io/x", "reason": "a library"})).await;
    assert!(refused.contains("leave scheme, path and wildcards away"), "{refused}");
    assert!(rig.err("request_access", json!({"host": "crates.io"})).await.starts_with("`reason` is missing"));
    assert!(rig.err("request_access", json!({"reason": "?"})).await.starts_with("`host` is missing"));
}

#[tokio::test]
async fn a_secret_is_asked_for_by_a_name_there_is_and_instead_of_a_host() {
    let secret = |name: &str| SecretBrief { name: name.into(), ..SecretBrief::default() };
    let rig =
        Rig::with(AgentWork { secrets: vec![secret("github"), secret("mirror")], ..AgentWork::default() }, Vec::new());
    let spec = rig.tools.specs().iter().find(|spec| spec.name == "request_access").expect("the tool");
    assert_eq!(spec.input_schema["properties"]["secret"]["enum"], json!(["github"]), "what it has it need not ask for");
    let ending = rig.ending("request_access", json!({"secret": "github", "reason": "to comment"})).await;
    assert_eq!(ending, Ending::Secret { name: "github".into(), reason: "to comment".into() });
    let both = rig.err("request_access", json!({"secret": "github", "host": "a.example", "reason": "?"})).await;
    assert!(both.contains("one at a time"), "{both}");
    let unknown = rig.err("request_access", json!({"secret": "aws", "reason": "?"})).await;
    assert!(unknown.contains("no secret \"aws\"") && unknown.contains("there are: github, mirror"), "{unknown}");
    assert!(
        rig.err("request_access", json!({"secret": "mirror", "reason": "?"}))
            .await
            .contains("have the secret `mirror` already")
    );
    assert!(Rig::new().err("request_access", json!({"secret": "aws", "reason": "?"})).await.contains("none at all"));
}

#[tokio::test]
async fn an_effect_is_asked_for_with_all_its_arguments() {
    let without = Rig::new();
    assert!(without.tools.specs().iter().all(|spec| spec.name != "request_effect"), "where there is none, no tool");
    let one_of = vec!["staging".to_owned(), "production".to_owned()];
    let environment = ParameterBrief { about: "Where to.".into(), one_of, pattern: None };
    let effect = EffectBrief {
        name: "deploy".into(),
        about: "Deploys the site.".into(),
        parameters: [("environment".to_owned(), environment)].into(),
    };
    let rig = Rig::with(AgentWork { effects: vec![effect], ..worker() }, Vec::new());
    let spec = rig.tools.specs().iter().find(|spec| spec.name == "request_effect").unwrap();
    assert!(
        spec.description
            .ends_with("- `deploy`: Deploys the site.\n  - `environment` (one of staging, production): Where to.")
    );
    let call = |name: &str, arguments: Value| json!({"name": name, "arguments": arguments, "reason": "it is done"});
    let ending = rig.ending("request_effect", call("deploy", json!({"environment": "staging"}))).await;
    let arguments = [("environment".to_owned(), "staging".to_owned())].into();
    assert_eq!(ending, Ending::Effect { name: "deploy".into(), arguments, reason: "it is done".into() });
    for (name, arguments, wanted) in [
        ("wipe", json!({}), "there is no effect `wipe`; there are: deploy"),
        ("deploy", json!({}), "`arguments.environment` is missing: `deploy` takes environment"),
        ("deploy", json!({"environment": 1}), "`arguments.environment` must be a string, not 1"),
        ("deploy", json!({"environment": "x", "to": "y"}), "`deploy` has no parameter `to`; it takes: environment"),
        ("deploy", json!("staging"), "`arguments` must be an object, not \"staging\""),
    ] {
        assert_eq!(rig.err("request_effect", call(name, arguments)).await, wanted);
    }
}

#[tokio::test]
async fn a_handoff_goes_back_once_and_only_to_a_needed_task() {
    let rig = Rig::new();
    let call = json!({"need": "design", "question": "Why blue?"});
    assert_eq!(
        rig.err("bounce", json!({"need": "x", "question": "?"})).await,
        "this task does not need `x`; it needs: design"
    );
    let ending = rig.ending("bounce", call.clone()).await;
    assert_eq!(ending, Ending::Bounce { need: "design".into(), question: "Why blue?".into() });
    assert!(rig.err("bounce", call.clone()).await.contains("went back once already"));
    let next = Rig::new();
    next.tools.restore(&rig.tools.state());
    assert!(next.err("bounce", call).await.contains("went back once already"), "in the next attempt, too");
}

#[tokio::test]
async fn a_whole_handoff_ends_the_attempt() {
    let rig = Rig::new();
    rig.put("out/report.md", "x");
    let absolute = rig.at("out").display().to_string();
    let input = json!({
        "goal": "Build", "done": "Built it; tests pass.",
        "decisions": [{"what": "Rust", "why": "fast"}],
        "artifacts": ["./out/report.md", absolute],
        "open_questions": ["When?"], "must_know": ["It is new."],
        "result": {"count": 3, "big": 18446744073709551615_u64}
    });
    let Ending::HandOff(report) = rig.ending("hand_off", input).await else { panic!("another ending") };
    assert_eq!(report.artifacts, ["out/report.md", "out"]);
    assert_eq!(report.result.as_ref().and_then(|result| result.get("count")), Some(&Json::Int(3)));
    assert_eq!((report.goal.as_str(), report.decisions[0].why.as_str()), ("Build", "fast"));
    let Ending::HandOff(report) = rig.ending("hand_off", json!({"goal": "g", "done": "d"})).await else { panic!() };
    assert_eq!(report.result, None);
}

#[tokio::test]
async fn half_a_handoff_is_told_what_is_missing() {
    let rig = Rig::new();
    for (change, why) in [
        (json!({"goal": null}), "`goal` is missing: `hand_off` needs it, a string"),
        (json!({"done": "  "}), "`done` is empty"),
        (json!({"done": ["a"]}), "`done` must be a string, not a list"),
        (json!({"decisions": [{"what": "x"}]}), "`decisions[0].why` is missing"),
        (json!({"decisions": ["x"]}), "`decisions[0]` must be an object, not \"x\""),
        (json!({"artifacts": ["nowhere"]}), "`artifacts[0]`: nowhere does not exist"),
        (json!({"artifacts": ["../home"]}), "`artifacts[0]`: ../home is not below the workspace"),
        (json!({"artifacts": ["/etc/passwd"]}), "`artifacts[0]`: /etc/passwd is not below the workspace"),
        (json!({"artifacts": ["."]}), "`artifacts[0]`: . is the workspace itself"),
        (json!({"must_know": [1]}), "`must_know[0]` must be a string, not 1"),
        (
            json!({"summary": "x"}),
            "`hand_off` has no field `summary`; it takes: goal, done, decisions, artifacts, open_questions, must_know, result",
        ),
    ] {
        let mut input = json!({"goal": "g", "done": "d"});
        for (name, value) in change.as_object().unwrap() {
            input[name] = value.clone();
        }
        assert_eq!(rig.err("hand_off", input).await, why);
    }
    let text = rig.err("hand_off", json!({"goal": "g", "done": "d", "result": "x".repeat(500_000)})).await;
    assert!(text.contains("at most 393216 are taken"), "{text}");
    assert!(rig.err("hand_off", json!({"goal": "g", "done": "d".repeat(20_000)})).await.contains("put it into a file"));
}

fn finding(severity: Severity, code: &str) -> Finding {
    Finding {
        severity,
        code: code.into(),
        file: "plan".into(),
        line: 3,
        column: 1,
        message: "a needs itself".into(),
        hint: Some("leave it out".into()),
    }
}

fn unsound() -> GuestAnswer {
    GuestAnswer::Unsound { findings: vec![finding(Severity::Error, "cycle")] }
}

#[tokio::test]
async fn a_plan_is_checked_on_demand_and_at_the_end() {
    let planner = AgentWork { role: Role::Planner, ..AgentWork::default() };
    let sound = || GuestAnswer::Sound { findings: Vec::new() };
    let warned = GuestAnswer::Sound { findings: vec![finding(Severity::Warning, "slow")] };
    let mut rig = Rig::with(planner, vec![unsound(), warned, sound(), unsound(), sound()]);
    let plan = json!({"version": 1, "title": "T", "tasks": []});
    let text = rig.err("check_plan", json!({"plan": plan})).await;
    assert_eq!(text, "it cannot be used as it is:\n- error cycle (line 3): a needs itself — leave it out");
    assert!(rig.ok("check_plan", json!({"plan": plan})).await.contains("- warning slow"));
    assert_eq!(rig.ok("check_plan", json!({"plan": "title: T\n"})).await, "nothing is wrong with it");
    assert_eq!(rig.err("check_plan", json!({"plan": 5})).await, "`plan` must be an object, not 5");
    let hand_off = json!({"goal": "g", "done": "d", "result": plan});
    assert!(rig.err("hand_off", hand_off.clone()).await.contains("mend it and hand off again:\n- error cycle"));
    let missing = rig.err("hand_off", json!({"goal": "g", "done": "d"})).await;
    assert_eq!(missing, "`result` is missing: it must be the plan");
    assert!(matches!(rig.ending("hand_off", hand_off).await, Ending::HandOff(_)));
    let asked = rig.asked().await;
    let GuestCall::CheckPlan { text } = &asked[0] else { panic!("{asked:?}") };
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), plan);
    assert_eq!(asked[2], GuestCall::CheckPlan { text: "title: T\n".into() });
}

#[tokio::test]
async fn a_patch_of_the_plan_is_proposed() {
    let proposed = |accepted| GuestAnswer::Proposed { approval_id: approval(), accepted };
    let refused = GuestAnswer::Refused { detail: "over budget".into() };
    let mut rig = Rig::with(worker(), vec![proposed(false), proposed(true), refused]);
    let patch =
        json!({"reason": "too large", "add": [{"id": "b", "run": "true"}], "drop": ["c"], "needs": {"d": ["b"]}});
    assert!(rig.ok("propose_patch", patch.clone()).await.starts_with("proposed; people decide"));
    assert!(rig.ok("propose_patch", patch.clone()).await.starts_with("accepted"));
    assert_eq!(rig.err("propose_patch", patch).await, "refused: over budget");
    let text = rig.err("propose_patch", json!({"reason": "r", "add": [{"title": "x"}]})).await;
    assert!(text.starts_with("`add[0]` is no task: missing field `id`"), "{text}");
    assert!(rig.err("propose_patch", json!({"reason": "r"})).await.contains("changes nothing"));
    assert!(rig.err("propose_patch", json!({"reason": "r", "needs": {"d": "b"}})).await.contains("lists of ids"));
    let GuestCall::ProposePatch { patch } = &rig.asked().await[0] else { panic!("another call") };
    assert_eq!((patch.add[0].id.as_str(), patch.drop[0].as_str(), patch.needs["d"][0].as_str()), ("b", "c", "b"));
}

#[tokio::test]
async fn a_skill_is_proposed_with_its_files() {
    let proposed = GuestAnswer::Proposed { approval_id: approval(), accepted: false };
    let mut rig = Rig::with(worker(), vec![proposed]);
    rig.put("good/SKILL.md", "---\nname: good\n---\n");
    rig.put("good/scripts/run.sh", "echo\n");
    rig.put("bad/readme", "x");
    rig.put("binary/SKILL.md", b"\xff\xfe");
    rig.put("large/SKILL.md", "x".repeat(1_100_000));
    rig.put("linked/SKILL.md", "x");
    std::os::unix::fs::symlink("/etc/passwd", rig.at("linked/secret")).unwrap();
    assert_eq!(rig.err("propose_skill", json!({"path": "bad"})).await, "bad has no SKILL.md");
    assert_eq!(rig.err("propose_skill", json!({"path": "binary"})).await, "SKILL.md is not text");
    assert_eq!(rig.err("propose_skill", json!({"path": "large"})).await, "large has more than 1048576 bytes");
    assert_eq!(
        rig.err("propose_skill", json!({"path": "linked"})).await,
        "secret is not a file: a skill has files only"
    );
    assert_eq!(rig.err("propose_skill", json!({"path": "/etc"})).await, "/etc is not below the workspace");
    rig.ok("propose_skill", json!({"path": "good"})).await;
    let GuestCall::ProposeSkill { files } = &rig.asked().await[0] else { panic!("another call") };
    assert_eq!(files.keys().collect::<Vec<_>>(), ["SKILL.md", "scripts/run.sh"]);
}

fn approval() -> ApprovalId {
    serde_json::from_value(json!("01980000-0000-7000-8000-000000000000")).unwrap()
}
