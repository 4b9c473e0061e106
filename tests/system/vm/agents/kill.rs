//! Killed at any moment, an agent loses one turn at most.

use std::fs;

use harness::{model::Model, world::World};
use rustix::process::Signal;

use super::{completed, plan};

const TURNS: usize = 8;

/// Every turn adds its line to a file; some take their time, in the model or in the tool, so that they can be caught there.
fn script() -> String {
    let mut script = String::from("[[conversation]]\nname = \"work\"\nmatch = [\"The work (work)\"]\n");
    for turn in 1..TURNS {
        let (delay, pause) = match turn {
            2 | 6 => (4_000, 0),
            4 => (0, 5),
            _ => (0, 0),
        };
        script.push_str(&format!(
            "[[conversation.turn]]\ntext = \"turn {turn} says this and that, in more than one piece of a stream\"\ndelay_ms = {delay}\n\
             calls = [{{ tool = \"exec\", input = {{ command = \"echo line {turn} >> lines.txt; echo at work {turn}; sleep {pause}\" }} }}]\n"
        ));
        if turn > 1 {
            script.push_str(&format!("expect = {{ last = [\"at work {}\"] }}\n", turn - 1));
        }
    }
    script.push_str(
        "[[conversation.turn]]\nforever = true\ncalls = [{ tool = \"hand_off\", input = { goal = \"lines\", done = \"all lines are there\" } }]\n",
    );
    script
}

fn kill_machines(world: &World) -> usize {
    let machines = world.machines();
    machines.iter().for_each(|pid| harness::world::signal(*pid, Signal::KILL));
    usize::from(!machines.is_empty())
}

#[tokio::test]
async fn a_kill_at_any_phase_costs_one_turn_at_most() {
    let model = Model::play(&script());
    // Without spares the only VM is the one that works.
    let mut world = World::new(&format!("[pool]\nslots = 1\nspares = 0\n{}", model.config()));
    world.start().await;
    let folder = world.folder("work", &[("a.txt", "a\n")]);
    let lines: String = (1..TURNS).map(|turn| format!("line {turn}\n")).collect();
    let more = format!(
        "    retries: {{ max: 12, backoff: 100ms }}\n    checks:\n      - sleep 3\n      - test \"$(wc -l < lines.txt)\" = {}\n",
        TURNS - 1
    );
    let id = world.run(&world.plan("plan", &plan("Write the lines.", &more)), &folder);
    let mut kills = 0;

    // Before the first turn: the VM boots or is being filled.
    world.until_task(&id, "work", &["working"]).await;
    kills += harness::wait::until("a VM", harness::world::PATIENCE, || {
        let killed = kill_machines(&world);
        async move { (killed > 0).then_some(killed) }
    })
    .await;
    // While the model thinks.
    model.until_asked("work", 2, 1).await;
    kills += kill_machines(&world);
    // While a tool works.
    harness::wait::until("the tool of turn 4", harness::world::PATIENCE, || {
        let logs = world.baton(&["logs", &id]).out;
        async move { logs.contains("at work 4").then_some(()) }
    })
    .await;
    kills += kill_machines(&world);
    // The moment the next turn begins, right after the save of the one before.
    model.until_asked("work", 5, 1).await;
    kills += kill_machines(&world);
    // The host itself, while the model thinks.
    model.until_asked("work", 6, 1).await;
    world.kill("baton-vm-pool");
    kills += 1;
    // While the checks run: the handoff is not lost with them, or the last turn is repeated.
    model.until_asked("work", TURNS, 1).await;
    harness::wait::until("the checks", harness::world::PATIENCE, || {
        let task = world.task(&id, "work");
        let checking = task["stage"].as_str().is_some_and(|stage| stage.contains("check"));
        async move { (checking || task["state"] == "completed").then_some(()) }
    })
    .await;
    kills += kill_machines(&world);

    completed(&world, &id).await;
    world.ok(&["apply", &id]);
    assert_eq!(fs::read_to_string(folder.join("lines.txt")).unwrap_or_default(), lines, "every line once");
    model.was_pleased();
    let given = model.given("work");
    assert_eq!(given.len(), TURNS, "{given:?}");
    let repeated: usize = given.iter().map(|(_, times)| times - 1).sum();
    assert!(kills >= 5, "{kills} kills");
    assert!(repeated <= kills, "{kills} kills cost {repeated} turns: {given:?}");
    assert!(world.task(&id, "work")["attempt"].as_u64() > Some(4), "the kills have hit");
    assert_eq!(world.ok(&["--json", "rebuild"]).json()["differences"], 0);
}
