use std::collections::BTreeMap;

use bus_schemas::{
    id::TaskId,
    v1::{
        plan::Plan,
        task::{CheckSpec, Interpreter, Machine, Program},
    },
};
use uuid::Uuid;

use super::{
    LowerError, Lowered, Rules, checks_of, child_spec, limits_of, lower, machine_of, program_of, split_key, task_of,
};

fn plan(text: &str) -> Plan {
    serde_json::from_str(text).unwrap()
}

fn ids() -> impl FnMut() -> TaskId {
    let mut next = 0;
    move || {
        next += 1;
        TaskId::from_uuid(Uuid::from_u128(next))
    }
}

fn lowered(plan: &Plan) -> Result<Lowered, LowerError> {
    lower(plan, &mut ids(), &BTreeMap::new(), &Rules::default())
}

const FULL: &str = r#"{
    "version": 1, "title": "t",
    "defaults": {"retries": {"max": 4, "backoff": "1s", "max_backoff": "10s"}, "timeout": "5m", "approval": "lead",
                 "resources": {"cpus": 2, "memory_mib": 1024}},
    "policies": {"lead": {"decide": "ask", "deadline": "2h"}},
    "tasks": [
        {"id": "later", "needs": ["first"], "run": "true", "retries": {"max": 0}, "approval": "auto", "timeout": "90s"},
        {"id": "first", "run": {"python": "print(1)"}, "when": "true", "resources": {"memory_mib": 256}}
    ]
}"#;

#[test]
fn a_small_plan_gets_the_documented_defaults() {
    let plan = plan(r#"{"version": 1, "title": "t", "tasks": [{"id": "a", "run": "true"}]}"#);
    let lowered = lowered(&plan).unwrap();
    let task = &lowered.tasks[0];
    assert_eq!((task.max_attempts, task.backoff_ms, task.max_backoff_ms), (2, 2_000, 120_000));
    assert_eq!(task.limits.start_to_close_ms, 1_800_000);
    assert_eq!(task.limits.schedule_to_start_ms, 900_000);
    assert_eq!(task.limits.heartbeat_ms, 30_000);
    assert_eq!(task.limits.schedule_to_close_ms, 604_800_000);
    assert_eq!((task.policy.name.as_str(), task.policy.asks), ("auto", false));
    assert_eq!((lowered.plan_policy.name.as_str(), lowered.plan_policy.asks), ("ask", true));
    assert!(!task.has_when && !task.is_foreach);
    let machine = Machine { cpus: 1, memory_mib: 512, disk_mib: 2048, image: "base".to_owned() };
    assert_eq!(machine_of(&plan, &plan.tasks[0]), machine);
    let limits = limits_of(&plan, &plan.tasks[0]).unwrap();
    assert_eq!((limits.output_bytes, limits.changes_bytes), (8 << 20, 512 << 20));
}

#[test]
fn a_task_wins_over_the_defaults_and_order_and_needs_are_kept() {
    let plan = plan(FULL);
    let lowered = lowered(&plan).unwrap();
    let [later, first] = lowered.tasks.as_slice() else { panic!("two tasks") };
    assert_eq!((later.key.as_str(), first.key.as_str()), ("later", "first"));
    assert_eq!(later.needs, [first.task_id]);
    assert_eq!((later.max_attempts, later.limits.start_to_close_ms), (1, 90_000));
    assert!(!later.policy.asks);
    assert_eq!((first.max_attempts, first.backoff_ms, first.max_backoff_ms), (5, 1_000, 10_000));
    assert_eq!(first.limits.start_to_close_ms, 300_000);
    assert_eq!((first.policy.name.as_str(), first.policy.deadline_ms), ("lead", Some(7_200_000)));
    assert!(first.has_when);
    let machine = machine_of(&plan, &plan.tasks[1]);
    assert_eq!((machine.cpus, machine.memory_mib), (2, 256));
    assert_eq!(lowered.ids["first"], first.task_id);
}

#[test]
fn programs_come_from_text_or_from_the_scripts_that_were_sent() {
    let plan = plan(
        r#"{"version": 1, "title": "t", "tasks": [
            {"id": "a", "run": "echo"}, {"id": "b", "run": {"bash": "echo"}}, {"id": "c", "run": {"python": "1"}},
            {"id": "d", "run": {"file": "x/y.py"}}, {"id": "e", "run": {"file": "y.sh"}}, {"id": "f", "run": {}},
            {"id": "g", "agent": {"instructions": "do"}}, {"id": "h", "run": {"file": "gone"}}]}"#,
    );
    let scripts = BTreeMap::from([("x/y.py".to_owned(), "2".to_owned()), ("y.sh".to_owned(), "ls".to_owned())]);
    let program = |at: usize| program_of(&plan.tasks[at], &scripts);
    let script = |interpreter, text: &str| Ok(Program::Script { interpreter, text: text.to_owned() });
    assert_eq!(program(0), script(Interpreter::Bash, "echo"));
    assert_eq!(program(1), script(Interpreter::Bash, "echo"));
    assert_eq!(program(2), script(Interpreter::Python, "1"));
    assert_eq!(program(3), script(Interpreter::Python, "2"));
    assert_eq!(program(4), script(Interpreter::Bash, "ls"));
    assert_eq!(program(5), Err(LowerError::NoProgram { task: "f".to_owned() }));
    let Ok(Program::Agent(work)) = program(6) else { panic!("an agent's work") };
    assert_eq!((work.harness.as_str(), work.instructions.as_str(), work.max_turns), ("builtin", "do", 200));
    assert!(work.models.is_empty() && !work.may_replan);
    assert_eq!(program(7), Err(LowerError::MissingScript { task: "h".to_owned(), file: "gone".to_owned() }));
}

#[test]
fn checks_get_a_name_and_a_limit() {
    let plan = plan(
        r#"{"version": 1, "title": "t", "tasks": [{"id": "a", "run": "true", "checks": [
            "\n  test -s report.md\nwc -l report.md", {"name": "it parses", "run": "python3 -m json.tool x", "timeout": "10s"}]}]}"#,
    );
    let checks = checks_of(&plan.tasks[0]).unwrap();
    assert_eq!(checks[0].name, "test -s report.md");
    assert_eq!(checks[0].timeout_ms, 300_000);
    let named =
        CheckSpec { name: "it parses".to_owned(), run: "python3 -m json.tool x".to_owned(), timeout_ms: 10_000 };
    assert_eq!(checks[1], named);
}

#[test]
fn a_condition_on_the_item_is_asked_of_every_child() {
    let plan = plan(
        r#"{"version": 1, "title": "t", "tasks": [
            {"id": "a", "run": "true", "when": "item.big", "foreach": {"list": [1]}},
            {"id": "b", "run": "true", "when": "1 > 0", "foreach": {"list": [1]}}]}"#,
    );
    let lowered = lowered(&plan).unwrap();
    let child = |at: usize| child_spec(&plan.tasks[at], &lowered.tasks[at], 3, TaskId::from_uuid(Uuid::max()));
    assert!(lowered.tasks[0].is_foreach && !lowered.tasks[0].has_when && lowered.tasks[1].has_when);
    assert_eq!((child(0).key.as_str(), child(0).has_when, child(0).is_foreach), ("a[3]", true, false));
    assert!(!child(1).has_when);
    assert_eq!(child(1).limits, lowered.tasks[1].limits);
    assert_eq!(task_of(&plan, "a[3]").unwrap().id, "a");
    assert_eq!((split_key("a[3]"), split_key("a"), split_key("a[x]")), (("a", Some(3)), ("a", None), ("a[x]", None)));
}

#[test]
fn a_plan_that_was_not_checked_gets_an_error_not_a_panic() {
    for (text, error) in [
        (
            r#"{"version": 1, "title": "t", "tasks": [{"id": "a", "run": "x", "needs": ["b"]}]}"#,
            "task `a` needs `b`, which is not in the plan",
        ),
        (
            r#"{"version": 1, "title": "t", "approval": "nobody", "tasks": []}"#,
            "`nobody` is not an approval policy of the plan",
        ),
        (
            r#"{"version": 1, "title": "t", "tasks": [{"id": "a", "run": "x", "timeout": "soon"}]}"#,
            "task `a`: `soon` is not a duration",
        ),
    ] {
        assert_eq!(lowered(&plan(text)).unwrap_err().to_string(), error);
    }
}
