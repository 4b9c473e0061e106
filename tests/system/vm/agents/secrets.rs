//! A secret is used on an agent's behalf once a person says so, and is found nowhere but where it goes.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use harness::{model::Model, world::World};

use super::{completed, plan};

/// The secret: in the environment of the host service alone.
const VALUE: &str = "lab-canary-4b1d7e09aa";
/// Something that is where it should be: the search can find things.
const MARKER: &str = "marker-5c27f0";

/// A host that wants the secret, and says it back to whoever has it; and the `authorization` of every request.
fn lab() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let kept = Arc::clone(&seen);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let lines = BufReader::new(stream.try_clone().expect("the stream")).lines();
            let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            let header = head.iter().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or("none").to_owned();
            let (status, word) =
                if header == format!("Bearer {VALUE}") { ("200 OK", "pomegranate") } else { ("401 No", "go away") };
            let body = format!("{word}: you sent {header}");
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nx-echo: {header}\r\nset-cookie: session={VALUE}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            kept.lock().expect("the list").push(header);
        }
    });
    (port, seen)
}

/// Asks the lab through the proxy with a guess of its own, and keeps what comes back.
fn ask(port: u16) -> String {
    format!(
        r#"{{ tool = "exec", input = {{ command = """
env -u no_proxy -u NO_PROXY python3 - <<'PY'
import urllib.request, urllib.error
opener = urllib.request.build_opener(urllib.request.ProxyHandler({{"http": "http://127.0.0.1:4128"}}))
request = urllib.request.Request("http://127.0.0.1:{port}/word", headers={{"Authorization": "Bearer a-guess"}})
try:
    answer = opener.open(request, timeout=60)
    said = str(answer.headers) + answer.read().decode()
except urllib.error.HTTPError as error:
    said = str(error.code) + str(error.headers) + error.read().decode()
print(said)
with open("got.txt", "w") as got:
    got.write(said)
PY
""" }} }}"#
    )
}

/// Every file below `folder` that holds `needle`.
fn holding(folder: &Path, needle: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, kind) = (entry.path(), entry.file_type());
        if kind.as_ref().is_ok_and(fs::FileType::is_dir) {
            holding(&path, needle, found);
        } else if kind.is_ok_and(|kind| kind.is_file())
            && fs::read(&path).is_ok_and(|bytes| bytes.windows(needle.len()).any(|window| window == needle.as_bytes()))
        {
            found.push(path);
        }
    }
}

fn script(port: u16) -> String {
    format!(
        r#"
[[conversation]]
name = "work"
match = ["The work (work)"]
[[conversation.turn]]
text = "I want the word. {MARKER}"
calls = [{ask}]
[[conversation.turn]]
expect = {{ body = ["- lab: gives the word (http://127.0.0.1:{port}, header authorization)"], last = ["a host of the secret lab"], last_lacks = ["pomegranate"] }}
calls = [{{ tool = "request_access", input = {{ secret = "aws", reason = "perhaps there is one" }} }}]
[[conversation.turn]]
expect = {{ last = ["that could be granted; there are: absent, lab"] }}
calls = [{{ tool = "request_access", input = {{ secret = "lab", reason = "the word is there" }} }}]
[[conversation.turn]]
expect = {{ body = ["You asked for the secret lab: granted."] }}
calls = [{ask}]
[[conversation.turn]]
expect = {{ last = ["pomegranate: you sent Bearer xxxxxxxxxxxxxxxxxxxxx"], last_lacks = ["canary", "cookie", "a-guess"] }}
calls = [{{ tool = "exec", input = {{ timeout_s = 600, command = """
grep -raEl 'lab-c[a]nary' /etc /home /root /run /srv /tmp /var /workspace 2>/dev/null | head -n 20
grep -aE 'lab-c[a]nary' /proc/cmdline /proc/[0-9]*/environ
echo searched
""" }} }}]
[[conversation.turn]]
expect = {{ last = ["searched"], last_lacks = ["canary"] }}
calls = [{{ tool = "hand_off", input = {{ goal = "the word", done = "it is in got.txt" }} }}]
"#,
        ask = ask(port),
    )
}

#[tokio::test]
async fn a_granted_secret_is_used_by_the_proxy_and_never_enters_the_guest() {
    let (port, seen) = lab();
    let model = Model::play(&script(port));
    let mut world = World::new(&format!(
        "[pool]\nslots = 1\nspares = 1\nprivate_hosts = [\"127.0.0.1:{port}\"]\n{}\
         [secrets.lab]\nenv = \"LAB_TOKEN\"\nhosts = [\"http://127.0.0.1:{port}\"]\nabout = \"gives the word\"\n\
         [secrets.absent]\nenv = \"NOT_SET_ANYWHERE\"\nhosts = [\"absent.example\"]\n",
        model.config(),
    ));
    world.set("LAB_TOKEN", VALUE);
    world.set("BATON_LOG", "debug");
    world.start().await;
    let hosts = world.baton(&["--json", "hosts"]).out;
    assert!(hosts.contains("the secret `absent` cannot be used: set NOT_SET_ANYWHERE"), "{hosts}");
    assert!(!hosts.contains("`lab`"), "{hosts}");
    let folder = world.folder("work", &[("a.txt", "a\n")]);
    let plan = plan("Get the word.", "    checks: [grep -q pomegranate got.txt]\n");
    let id = world.run(&world.plan("plan", &plan), &folder);

    let asked = world.asked(&id).await;
    let approval = asked["approval_id"].as_str().expect("an id");
    assert_eq!(asked["capability"]["capability"]["kind"], "secret", "{asked:#}");
    assert_eq!(
        (&asked["capability"]["capability"]["name"], &asked["route"]["risk"]),
        (&"lab".into(), &"medium".into())
    );
    let card = world.ok(&["approvals", approval]).out;
    for part in ["the secret lab", "gives the word", &format!("127.0.0.1:{port}"), "authorization", "the word is there"]
    {
        assert!(card.contains(part), "{part}: {card}");
    }
    assert_eq!(seen.lock().expect("the list").len(), 0, "nothing goes out before somebody says so");
    world.ok(&["approve", approval]);

    let project = completed(&world, &id).await;
    assert_eq!(project["tasks"][0]["attempt"], 2, "a pause and one that went on from it: {project:#}");
    model.was_pleased();
    assert_eq!(*seen.lock().expect("the list"), [format!("Bearer {VALUE}")], "the guess of the guest did not go out");
    let used = project["tasks"][0]["handoff"]["egress"].to_string();
    assert!(used.contains("secret lab"), "its use is on record: {project:#}");
    world.ok(&["apply", &id]);
    let got = fs::read_to_string(folder.join("got.txt")).unwrap_or_default();
    assert!(got.contains("pomegranate") && !got.contains("canary"), "{got}");
    assert!(model.requests().iter().all(|seen| !seen.body.to_string().contains("lab-canary")));
    world.down().await;

    let search = |needle: &str| {
        let mut found = Vec::new();
        holding(world.home(), needle, &mut found);
        found
    };
    let marked = search(MARKER);
    assert!(!marked.is_empty(), "the search looks into the object store and the logs");
    assert_eq!(search(VALUE), Vec::<PathBuf>::new(), "the secret was left behind");
}
