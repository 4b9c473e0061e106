//! What an agent may do only if a person allows it in Slack: reach a host, change the folder.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
};

use harness::{
    model::Model,
    slack::{Post, Slack},
    world::World,
};
use serde_json::Value;

use super::completed;

/// A host that says one word to everybody who asks.
fn says(word: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let lines = BufReader::new(stream.try_clone().expect("the stream")).lines();
            let _ = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).count();
            let _ =
                write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{word}", word.len());
        }
    });
    port
}

/// Asks both hosts through the proxy, and keeps what they say.
fn ask(allowed: u16, other: u16) -> String {
    format!(
        r#"{{ tool = "exec", input = {{ command = """
env -u no_proxy -u NO_PROXY python3 - <<'PY'
import urllib.request, urllib.error
opener = urllib.request.build_opener(urllib.request.ProxyHandler({{"http": "http://127.0.0.1:4128"}}))
with open("got.txt", "w") as got:
    for port in [{allowed}, {other}]:
        try:
            said = opener.open(f"http://127.0.0.1:{{port}}/", timeout=60).read().decode()
        except urllib.error.HTTPError as error:
            said = error.read().decode().strip().splitlines()[0]
        print(said)
        got.write(said + chr(10))
PY
""" }} }}"#
    )
}

/// The card of the project's request, which is of this kind.
async fn card(world: &World, slack: &Slack, project: &str, kind: &str) -> (Value, Post) {
    // The one before may still be there: a click is acknowledged before it is carried out.
    let asked = harness::wait::until(&format!("a request about {kind}"), harness::world::PATIENCE, || async {
        let asked = world.asked(project).await;
        (asked["subject"]["kind"] == kind).then_some(asked)
    })
    .await;
    let id = asked["approval_id"].as_str().expect("an id").to_owned();
    let is_its = |post: &Post| {
        post.offers("baton.approve")
            && post.metadata.as_ref().is_some_and(|metadata| metadata.to_string().contains(&id))
    };
    let card = slack.wait_for_message("the card", is_its).await;
    (asked, card)
}

#[tokio::test]
async fn an_agent_reaches_a_host_and_its_result_the_folder_once_somebody_says_so_in_slack() {
    let (allowed, other) = (says("pomegranate"), says("quince"));
    let model = Model::play(&format!(
        r#"
[[conversation]]
name = "work"
match = ["The work (work)"]
[[conversation.turn]]
calls = [{ask}]
[[conversation.turn]]
expect = {{ last = ["127.0.0.1:{allowed} is not on this task's allow-list"], last_lacks = ["pomegranate"] }}
calls = [{{ tool = "request_access", input = {{ host = "127.0.0.1:{allowed}", reason = "the word is there" }} }}]
[[conversation.turn]]
expect = {{ body = ["You asked for access to 127.0.0.1:{allowed}: granted."] }}
calls = [{ask}]
[[conversation.turn]]
expect = {{ last = ["pomegranate", "127.0.0.1:{other} is not on this task's allow-list"], last_lacks = ["quince"] }}
calls = [{{ tool = "hand_off", input = {{ goal = "the word", done = "it is in got.txt" }} }}]
"#,
        ask = ask(allowed, other),
    ));
    let slack = Slack::start();
    let mut world = World::new(&format!(
        "[pool]\nslots = 1\nspares = 1\nprivate_hosts = [\"127.0.0.1:{allowed}\", \"127.0.0.1:{other}\"]\n{}{}\
         [members.ann]\nslack = \"U0ANN\"\n[approvals]\ntrust_cli_names = true\n",
        model.config(),
        slack.config()
    ));
    world.start().await;
    let folder = world.folder("work", &[("a.txt", "a\n")]);
    let plan = super::plan("Get the word.", "    checks: [grep -q pomegranate got.txt]\n")
        .replace("approval: auto\n", "approval: auto\napply: ask\n");
    let id = world.run(&world.plan("plan", &plan), &folder);

    let ann = slack.person("U0ANN");
    let (asked, access) = card(&world, &slack, &id, "capability").await;
    let shown = access.shown();
    assert!(shown.contains(&format!("127.0.0.1:{allowed}")) && shown.contains("the word is there"), "{shown}");
    assert_eq!(world.task(&id, "work")["state"], "input_required");
    assert_eq!(model.given("work"), [(1, 1), (2, 1)], "nothing goes on before somebody says so");
    ann.clicks(&access, "baton.approve").acked().await;

    let (_, apply) = card(&world, &slack, &id, "apply").await;
    assert_ne!(apply.ts, access.ts);
    let decided = world.baton(&["--json", "approvals", asked["approval_id"].as_str().expect("an id")]).json();
    assert_eq!((&decided["decision"]["by"], &decided["decision"]["channel"]), (&"ann".into(), &"slack".into()));
    assert!(apply.shown().contains("got.txt"), "{}", apply.shown());
    assert!(!folder.join("got.txt").exists(), "nothing is in the folder before somebody says so");
    ann.clicks(&apply, "baton.approve").acked().await;
    let project = completed(&world, &id).await;
    let got = harness::wait::until("the result in the folder", harness::world::PATIENCE, || async {
        std::fs::read_to_string(folder.join("got.txt")).ok()
    })
    .await;
    assert!(got.starts_with("pomegranate\n") && !got.contains("quince"), "{got}");
    assert_eq!(project["tasks"][0]["attempt"], 2, "a pause and one that went on from it: {project:#}");
    model.was_pleased();
    assert_eq!(model.given("work"), [(1, 1), (2, 1), (3, 1), (4, 1)], "going on repeats nothing");
    slack.no_violations();
}
