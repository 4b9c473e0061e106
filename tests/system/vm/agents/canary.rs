//! Keys planted in the host are found nowhere else.

use std::{
    fs,
    path::{Path, PathBuf},
};

use harness::{model::Model, world::World};

use super::{completed, plan};

/// In the host's environment, as a provider's key; the model demands it.
const KEY: &str = "sk-canary-7f3a91d0c2";
/// In a file, as another provider's key.
const FILE_KEY: &str = "sk-canary-b85e0d1f44";
/// In the host's environment, as somebody else's business.
const OTHER: &str = "canary-aws-55d0e7";
/// Something that is where it should be: the search can find things.
const MARKER: &str = "marker-90c1ee";

/// The agent looks for the keys in everything the guest has; the pattern is written so that it does not find itself.
const SCRIPT: &str = r#"
require_key = "sk-canary-7f3a91d0c2"
[[conversation]]
name = "work"
match = ["The work (work)"]
[[conversation.turn]]
text = "I look for keys. marker-90c1ee"
calls = [
  { tool = "exec", input = { command = "env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'" } },
  { tool = "exec", input = { timeout_s = 600, command = """
grep -raEl 'c[a]nary' /etc /home /root /run /srv /tmp /var /workspace 2>/dev/null | head -n 20
grep -aE 'c[a]nary' /proc/cmdline /proc/[0-9]*/environ
echo searched
""" } },
  { tool = "exec", input = { command = """
python3 - <<'PY'
import json, urllib.request, urllib.error
body = json.dumps({"model": "scripted", "messages": [{"role": "user", "content": "no such conversation"}]}).encode()
for path in ["/v1/models", "/v1/chat/completions"]:
    request = urllib.request.Request("http://127.0.0.1:4100" + path, body if path.endswith("s") and "chat" in path else None,
                                     {"content-type": "application/json", "authorization": "Bearer guess"})
    try:
        answer = urllib.request.urlopen(request, timeout=60)
        print(answer.status, answer.headers, answer.read().decode())
    except urllib.error.HTTPError as error:
        print(error.code, error.headers, error.read().decode())
PY
""" } },
]
[[conversation.turn]]
expect = { last = ["searched", "PATH=", "is wrong"], last_lacks = ["canary"] }
calls = [{ tool = "exec", input = { command = "env > env.txt; cat /proc/[0-9]*/environ >> env.txt 2>/dev/null; true" } }]
[[conversation.turn]]
calls = [{ tool = "hand_off", input = { goal = "look for keys", done = "found none" } }]

# What a program of the guest asks for itself: the provider is as careless as can be.
[[conversation]]
name = "other"
[[conversation.turn]]
text = "never"
[[conversation.turn.fault]]
kind = "status"
status = 400
message = "your key sk-canary-7f3a91d0c2 is wrong"
headers = { x-debug = "key=sk-canary-7f3a91d0c2" }
times = 1000
"#;

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

fn of_process(pid: u32) -> String {
    let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    String::from_utf8_lossy(&[read("environ"), read("cmdline")].concat()).into_owned()
}

#[tokio::test]
async fn a_key_is_in_no_guest_no_log_no_journal_no_transcript_and_no_artifact() {
    let model = Model::play(SCRIPT);
    let keys = tempfile::tempdir().expect("a folder");
    let key_file = keys.path().join("key");
    fs::write(&key_file, FILE_KEY).expect("the key file");
    fs::set_permissions(&key_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its mode");
    let mut world = World::new(&format!(
        "[pool]\nslots = 1\nspares = 1\n[models]\ndefault = \"play/scripted\"\n[providers.play]\nbase_url = \"{}\"\nkey_env = \"PLAY_KEY\"\n\
         [providers.other]\nbase_url = \"http://127.0.0.1:9/v1\"\nkey_file = {:?}\n",
        model.endpoint(),
        key_file
    ));
    world.set("PLAY_KEY", KEY);
    world.set("AWS_SECRET_ACCESS_KEY", OTHER);
    world.set("BATON_LOG", "debug");
    world.start().await;
    let folder = world.folder("work", &[("a.txt", "a\n")]);
    let id = world.run(&world.plan("plan", &plan("Look for keys.", "    checks: [test -s env.txt]\n")), &folder);
    model.until_asked("work", 1, 1).await;
    let machines = world.machines();
    assert!(!machines.is_empty(), "a VM runs");
    for text in machines.into_iter().map(of_process) {
        assert!(text.contains("qemu") && !text.contains("canary"), "a VM's process was given a key");
    }
    completed(&world, &id).await;
    model.was_pleased();
    world.ok(&["apply", &id]);
    assert!(model.requests().iter().all(|seen| seen.headers.get("authorization").is_some_and(|key| key.contains(KEY))));
    assert!(model.requests().iter().all(|seen| !seen.body.to_string().contains("canary")));
    world.down().await;

    let search = |needle: &str| {
        let mut found = Vec::new();
        holding(world.home(), needle, &mut found);
        found
    };
    let marked = search(MARKER);
    let in_store = |part: &str| marked.iter().any(|path| path.to_string_lossy().contains(part));
    assert!(
        in_store("nats") || in_store("jetstream"),
        "the search looks into the object store and the logs: {marked:?}"
    );
    for needle in [KEY, FILE_KEY, OTHER] {
        assert_eq!(search(needle), Vec::<PathBuf>::new(), "a key was left behind");
    }
    let applied = fs::read_to_string(folder.join("env.txt")).unwrap_or_default();
    assert!(applied.contains("PATH=") && !applied.contains("canary"));
}
