//! Programs and checks: what they see, what they leave, how they end.

use bus_schemas::{
    json::Json,
    v1::task::{CheckSpec, Interpreter, NeedHandoff, Note, TaskState},
};

use super::rig::{Entry, Rig, attempt, bash};

#[tokio::test]
async fn a_bash_script_sees_its_task_and_leaves_its_result() {
    let mut rig = Rig::with(&[("input.txt", Entry::File(0o644, b"hello\n"))]).await;
    let mut work = bash(
        r#"cat input.txt
echo oops >&2
echo "$BATON_TASK $BATON_ATTEMPT $COLOUR $PWD"
cat "$BATON_EXCHANGE/notes.md"
cp "$BATON_EXCHANGE/needs.json" "$BATON_RESULT"
printf 'made it\n' > "$BATON_SUMMARY"
echo '["why?"]' > "$BATON_EXCHANGE/questions.json"
read -r line && echo "there was input: $line" || true"#,
    );
    work.env.insert("COLOUR".into(), "red".into());
    work.env.insert("BATON_TASK".into(), "another".into());
    work.notes.push(Note { from: "Ada".into(), text: "mind the gap".into(), id: String::new() });
    let need = NeedHandoff {
        state: TaskState::Completed,
        summary: "done".into(),
        result: Some(Json::Int(4)),
        changed_paths: vec!["a".into()],
        results: Vec::new(),
        report: None,
    };
    work.needs.insert("plan".into(), need.clone());
    let finished = rig.run(work).await;
    assert_eq!(finished.exit_code, Some(0), "{}", rig.text("stderr"));
    let workspace = rig.workspace();
    let told = format!("hello\nbuild 1 red {}\n## Ada\n\nmind the gap\n", workspace.display());
    assert_eq!(rig.text("stdout"), told);
    assert_eq!(rig.text("stderr"), "oops\n");
    assert_eq!(finished.summary, "made it");
    assert_eq!(finished.open_questions, ["why?"]);
    let needs: std::collections::BTreeMap<String, NeedHandoff> =
        serde_json::from_str(&finished.result_text.expect("a result")).expect("needs.json");
    assert_eq!(needs["plan"], need);
    assert_eq!(finished.output_bytes, (told.len() + "oops\n".len()) as u64);
}

#[tokio::test]
async fn a_python_script_imports_from_the_workspace_and_leaves_no_cache() {
    let mut rig = Rig::with(&[("helper.py", Entry::File(0o644, b"def twice(x):\n    return 2 * x\n"))]).await;
    let mut work = attempt(
        Interpreter::Python,
        "import helper, json, os\nitem = json.load(open(os.environ['BATON_EXCHANGE'] + '/item.json'))\n\
         json.dump(helper.twice(item), open(os.environ['BATON_RESULT'], 'w'))\nprint('twice it is')\nprint('  ')\n",
    );
    work.item = Some(Json::Int(21));
    let finished = rig.run(work).await;
    assert_eq!(finished.exit_code, Some(0), "{}", rig.text("stderr"));
    assert_eq!(finished.result_text.as_deref(), Some("42"));
    assert_eq!(finished.summary, "twice it is", "the last line that is not blank");
    assert!(!rig.workspace().join("__pycache__").exists());
    assert!(finished.peak_kib > 0, "python's memory was seen");
}

#[tokio::test]
async fn ends_are_reported_as_they_were() {
    let mut rig = Rig::with(&[]).await;
    let finished = rig.run(bash("echo fine; echo 'no such luck' >&2; exit 7")).await;
    assert_eq!((finished.exit_code, finished.signal), (Some(7), None));
    assert_eq!(finished.summary, "no such luck");
    let finished = rig.run(bash("false; echo not reached")).await;
    assert_eq!((finished.exit_code, finished.summary.as_str()), (Some(1), "ended with exit code 1"));
    let finished = rig.run(bash("true | false | true; echo not reached")).await;
    assert_eq!(finished.exit_code, Some(1), "pipefail");
    let finished = rig.run(bash("kill -SEGV $$")).await;
    assert_eq!((finished.exit_code, finished.signal), (None, Some(11)));
    let finished = rig.run(bash("echo $UNSET")).await;
    assert_ne!(finished.exit_code, Some(0), "unset variables are errors");
    assert_eq!(finished.result_text, None, "nothing is left of earlier ones");
}

#[tokio::test]
async fn results_that_cannot_be_passed_on_say_why() {
    let mut rig = Rig::with(&[]).await;
    let finished = rig.run(bash("head -c 1048577 /dev/zero | tr '\\0' 1 > $BATON_RESULT")).await;
    assert_eq!(finished.result_text.as_deref(), Some("result.json is larger than 1048576 bytes"));
    let finished = rig.run(bash("head -c 1048576 /dev/zero | tr '\\0' 1 > $BATON_RESULT")).await;
    assert_eq!(finished.result_text.map(|text| text.len()), Some(1_048_576));
    let finished = rig.run(bash("head -c 1000000 /dev/zero > $BATON_RESULT")).await;
    assert_eq!(finished.result_text.as_deref(), Some("result.json is full of control characters"));
    let finished =
        rig.run(bash("printf '\\377' > $BATON_RESULT; head -c 30000 /dev/zero | tr '\\0' s > $BATON_SUMMARY")).await;
    assert_eq!(finished.result_text.as_deref(), Some("result.json is not UTF-8"));
    assert_eq!(finished.summary.len(), 16 * 1024);
    // Neither followed nor waited for.
    let finished = rig
        .run(bash("ln -s /etc/passwd $BATON_RESULT; mkfifo $BATON_SUMMARY; echo 5 > $BATON_EXCHANGE/questions.json"))
        .await;
    assert!(finished.result_text.expect("why").starts_with("result.json cannot be read"));
    assert_eq!(finished.summary, "ended with exit code 0");
    assert!(finished.open_questions[0].starts_with("questions.json is not an array of strings"));
    assert!(rig.exchange().join("summary.md").exists());
}

fn check(name: &str, run: &str, timeout_ms: u64) -> CheckSpec {
    CheckSpec { name: name.into(), run: run.into(), timeout_ms }
}

#[tokio::test]
async fn checks_all_run_whatever_the_first_ones_say() {
    let mut rig = Rig::with(&[("a.txt", Entry::File(0o644, b"a\n"))]).await;
    let checks = [
        check("reads", "cat a.txt; echo err >&2; echo out", 60_000),
        check("fails", "echo before; false | true; echo after", 60_000),
        check("hangs", "echo waiting; sleep 1000", 300),
        check("writes", "echo \"$BATON_CHECK\" > made.txt && cat made.txt", 60_000),
        check("long", "seq 1 100000", 60_000),
    ];
    let results = rig.check(&checks, 1 << 20).await;
    let codes: Vec<_> = results.iter().map(|result| (result.exit_code, result.timed_out)).collect();
    assert_eq!(codes, [(Some(0), false), (Some(1), false), (None, true), (Some(0), false), (Some(0), false)]);
    assert_eq!(results[0].output_tail, "a\nerr\nout\n", "one pipe keeps the order");
    assert_eq!(results[1].output_tail, "before\n");
    assert_eq!(results[3].output_tail, "writes\n");
    assert!(results[4].output_tail.ends_with("99999\n100000\n") && results[4].output_tail.len() == 4096);
    let printed = rig.text("check");
    assert!(printed.starts_with("== check: reads\na\nerr\nout\n== check: fails\nbefore\n"), "{printed:.200}");
}

#[tokio::test]
async fn checks_share_one_limit_of_output() {
    let mut rig = Rig::with(&[]).await;
    let checks = [check("one", "head -c 5000000 /dev/zero | tr '\\0' x", 60_000), check("two", "echo end", 60_000)];
    let results = rig.check(&checks, 100_000).await;
    assert_eq!(results[1].output_tail, "end\n", "kept although nothing more is sent");
    let sent = rig.text("check").bytes().filter(|byte| *byte == b'x').count();
    assert_eq!(sent, 100_000);
}
