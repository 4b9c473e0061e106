//! Goals, questions, notes, budgets and edited plans, as commands.

use bus_schemas::v1::{
    api::{Problem, ProjectView, QuestionView},
    approval::{ApprovalSubject, Verdict},
    project::ProjectState,
};

use crate::{
    fake::{task_id, verdict_of},
    world::{World, write},
};

const PROJECT: &str = "0193abcd-4f21";
const APPROVAL: &str = "0193abcd-4f99";

#[tokio::test]
async fn words_are_a_goal_and_a_files_name_is_a_plan() {
    let world = World::served().await;
    let folder = world.path("folder");
    std::fs::create_dir_all(&folder).unwrap();
    let folder = folder.to_str().unwrap();
    let run = async |args: &[&str]| world.baton(&[&["run", "--folder", folder, "--detach"], args].concat()).await;
    run(&["make the tests pass", "--budget-usd", "2.5", "--policy", "auto"]).await.expect(0);
    let new = world.fake.state().created.pop().unwrap();
    assert_eq!((new.goal.as_deref(), new.policy.as_deref()), (Some("make the tests pass"), Some("auto")));
    assert_eq!((new.budget.usd, new.plan.text.as_str(), new.owner.as_str()), (Some(2.5), "", "ada"));
    run(&["tidy up", "--yes"]).await.expect(0);
    assert_eq!(world.fake.state().created.pop().unwrap().policy.as_deref(), Some("auto"));
    write(&world.path("goal"), "version: 1\n");
    run(&[world.path("goal").to_str().unwrap()]).await.expect(0);
    assert_eq!(world.fake.state().created.pop().unwrap().goal, None);
    assert!(run(&["missing.yaml"]).await.expect(3).err.contains("missing.yaml"));
    run(&["  "]).await.expect(2);
    run(&[]).await.expect(2);
}

#[tokio::test]
async fn a_question_is_shown_clean_and_answered_by_number_or_in_words() {
    let world = World::served().await;
    assert!(world.baton(&["answer", APPROVAL, "yes"]).await.expect(5).err.contains("not a question"));
    {
        let mut state = world.fake.state();
        state.approval.subject = ApprovalSubject::Question { task_id: task_id(), attempt: 1 };
        state.approval.handoff = None;
        state.approval.question = Some(QuestionView {
            question: "tabs\u{1b}[2J or spaces?".to_owned(),
            options: vec!["tabs".to_owned(), "spaces".to_owned()],
            stuck: false,
            by_baton: false,
        });
    }
    let shown = world.baton(&["approvals", APPROVAL]).await.expect(0).out;
    assert!(shown.contains("or spaces?") && shown.contains("2. spaces") && !shown.contains('\u{1b}'), "{shown}");
    assert!(shown.contains("baton answer"), "{shown}");
    world.baton(&["answer", APPROVAL, ""]).await.expect(2);
    world.baton(&["answer", APPROVAL, "2"]).await.expect(0);
    assert_eq!(verdict_of(&world.fake), Some(Verdict::Approved));
    let note = world.fake.state().approval.decision.as_ref().map(|decision| decision.note.clone());
    assert_eq!(note.as_deref(), Some("spaces"));
    assert!(world.baton(&["answer", APPROVAL, "tabs"]).await.expect(5).err.contains("decided already"));
}

#[tokio::test]
async fn notes_reach_the_task_that_is_meant() {
    let world = World::served().await;
    for target in [format!("{PROJECT}/scan"), "scan".to_owned()] {
        let ran = world.baton(&["tell", &target, "be quick"]).await.expect(0);
        assert!(ran.err.contains("told scan"), "{ran:?}");
        let told = world.fake.state().told.pop().unwrap();
        assert_eq!((told.task.as_deref(), told.text.as_str(), told.by.as_str()), (Some("scan"), "be quick", "ada"));
    }
    world.baton(&["tell", PROJECT, "all of you"]).await.expect(0);
    assert_eq!(world.fake.state().told.pop().unwrap().task, None);
    world.baton(&["tell", "nothing", "x"]).await.expect(4);
    world.baton(&["tell", PROJECT, " "]).await.expect(2);
}

#[tokio::test]
async fn spending_is_shown_and_limits_are_set() {
    let world = World::served().await;
    let shown = world.baton(&["status", PROJECT]).await.expect(0).out;
    assert!(shown.contains("$0.0123 / $2.00 · 41k tok"), "{shown}");
    let shown = world.baton(&["budget", PROJECT]).await.expect(0).out;
    assert!(shown.contains("(project)") && shown.contains("money 0 % of $2.00") && shown.contains("scan"), "{shown}");
    assert!(world.fake.state().budgets.is_empty());
    world.baton(&["budget", &format!("{PROJECT}/scan"), "--usd", "4", "--wall", "2h"]).await.expect(0);
    let set = world.fake.state().budgets.pop().unwrap();
    assert_eq!((set.task.as_deref(), set.budget.usd, set.by.as_str()), (Some("scan"), Some(4.0), "ada"));
    for bad in [["--usd", "-1"], ["--usd", "NaN"], ["--wall", "soon"]] {
        world.baton(&["budget", PROJECT, &bad.join("=")]).await.expect(2);
    }
    let json = world.baton(&["budget", PROJECT, "--json"]).await.expect(0).out;
    assert_eq!(serde_json::from_str::<ProjectView>(&json).unwrap().spend.calls, 3);
}

#[tokio::test]
async fn a_plan_is_printed_edited_and_left_where_it_can_be_mended() {
    let world = World::served().await;
    let yaml = world.baton(&["plan", "show", PROJECT, "--yaml"]).await.expect(0).out;
    assert!(yaml.contains("version: 1") && yaml.contains("run: echo one"), "{yaml}");
    let file = world.path("edited.yaml");
    write(&file, &yaml.replace("echo one", "echo two"));
    world.baton(&["plan", "edit", PROJECT, "--file", file.to_str().unwrap()]).await.expect(0);
    assert!(world.fake.state().edited.pop().unwrap().contains("echo two"));

    let edit = async |script: &str| {
        let editor = world.path("editor.sh");
        write(&editor, script);
        let mut command = world.command(&["plan", "edit", PROJECT, "--json"]);
        command.env("VISUAL", format!("sh {}", editor.display())).env("TMPDIR", world.path(""));
        crate::world::Ran::of(command.output().await.unwrap())
    };
    edit("sed -i 's/echo one/echo three/' \"$1\"").await.expect(0);
    assert!(world.fake.state().edited.pop().unwrap().contains("echo three"));
    let same = edit("true").await.expect(5);
    assert_eq!(serde_json::from_str::<Problem>(&same.err).unwrap().code, "unchanged");
    let bad = edit("echo 'bad: yes' >> \"$1\"").await.expect(3);
    let problem: Problem = serde_json::from_str(&bad.err).unwrap();
    let hint = problem.hint.unwrap();
    let left = hint.split_whitespace().find(|word| word.contains("baton-plan-")).unwrap().trim_end_matches(':');
    assert!(std::fs::read_to_string(left).unwrap().contains("bad: yes"));
    let gone = edit("exit 3").await.expect(7);
    assert_eq!(serde_json::from_str::<Problem>(&gone.err).unwrap().code, "no_editor");
}

#[tokio::test]
async fn figures_of_model_calls_are_no_news() {
    let world = World::served().await;
    world.fake.happen("spend.settled", ProjectState::Working, "scan called a model");
    world.fake.happen("budget.warned", ProjectState::Working, "80 % of the money is used");
    world.fake.happen("project.completed", ProjectState::Completed, "done");
    let ran = world.baton(&["watch", PROJECT]).await.expect(0);
    assert!(!ran.out.contains("called a model") && ran.out.contains("80 % of the money"), "{ran:?}");
    let ran = world.baton(&["watch", PROJECT, "--json"]).await.expect(0);
    assert!(ran.out.contains("spend.settled"), "{ran:?}");
}
