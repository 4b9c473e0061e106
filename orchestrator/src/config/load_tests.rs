use std::{fs, path::Path};

use super::*;
use crate::config::{Folder, Secret};

fn world(text: Option<&str>) -> (tempfile::TempDir, Paths) {
    let dir = tempfile::tempdir().unwrap();
    let env = Env::from([("BATON_HOME".into(), dir.path().into())]);
    let paths = Paths::from_env(&env).unwrap();
    fs::create_dir_all(&paths.config_dir).unwrap();
    if let Some(text) = text {
        fs::write(paths.config_file(), text).unwrap();
    }
    (dir, paths)
}

fn env(pairs: &[(&str, &str)]) -> Env {
    pairs.iter().map(|(key, value)| (key.into(), value.into())).collect()
}

fn error(text: &str) -> String {
    let (_dir, paths) = world(Some(text));
    load(&paths, None, &Env::new(), Vec::new())
        .unwrap_err()
        .to_string()
        .replace(paths.config_dir.to_str().unwrap(), "C")
}

#[test]
fn the_annotated_default_file_parses_to_the_defaults() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/config/baton.toml");
    let (_dir, paths) = world(None);
    let (config, _) = load(&paths, Some(&shipped), &Env::new(), Vec::new()).unwrap();
    assert_eq!(config, Config::default());
    // Every key is in the file, at least as a comment.
    let text = fs::read_to_string(&shipped).unwrap();
    for (section, key) in known_keys() {
        assert!(text.contains(&format!("[{section}]")), "section {section}");
        assert!(text.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{key} = "))), "{key}");
    }
}

#[test]
fn layers_win_in_order() {
    let (dir, paths) = world(Some("[folder]\nmax_files = 1\nmax_file_mib = 1\nmax_total_mib = 1\n[pool]\nslots = 1\n"));
    let extra = dir.path().join("extra.toml");
    fs::write(&extra, "[folder]\nmax_files = 2\nmax_file_mib = 2\n").unwrap();
    let env = env(&[("BATON_FOLDER_MAX_FILES", "3"), ("BATON_POOL_SLOTS", "3"), ("BATON_POOL_NAME", "77")]);
    let flags = vec![("pool.slots", Value::Integer(4))];
    let (config, sources) = load(&paths, Some(&extra), &env, flags).unwrap();
    assert_eq!(config.folder, Folder { max_total_mib: 1, max_file_mib: 2, max_files: 3 });
    assert_eq!(config.pool.slots, Some(4));
    assert_eq!(config.pool.name.as_deref(), Some("77"), "a number is fine where text is wanted");
    assert_eq!(sources.len(), 4);
}

#[test]
fn an_unknown_key_names_line_and_suggestion() {
    assert_eq!(
        error("[folder]\nmax_files = 5\n  max_fle_mib = 1\n"),
        "C/baton.toml:3:3: unknown key `folder.max_fle_mib`; did you mean `folder.max_file_mib`?"
    );
    assert_eq!(error("[fodler]\n"), "C/baton.toml:1:2: unknown key `fodler`; did you mean `[folder]`?");
    assert_eq!(
        error("[orchestrator]\nnats_server = '/x'\n"),
        "C/baton.toml:2:1: unknown key `orchestrator.nats_server`; did you mean `bus.nats_server`?"
    );
    assert_eq!(error("[bus]\nqqq = 1\n"), "C/baton.toml:2:1: unknown key `bus.qqq`");
}

#[test]
fn models_and_providers_are_checked_as_strictly() {
    assert_eq!(
        error("[models]\nendpont = 'x'\n"),
        "C/baton.toml:2:1: unknown key `models.endpont`; did you mean `models.endpoint`?"
    );
    assert_eq!(
        error("[providers.lab]\nbase_url = 'x'\nkey_evn = 'X'\n"),
        "C/baton.toml:3:1: unknown key `providers.lab.key_evn`; did you mean `providers.lab.key_env`?"
    );
    assert_eq!(
        error("[providers.lab.models.'qwen2.5']\ncontext_token = 1\n"),
        "C/baton.toml:2:1: unknown key `providers.lab.models.qwen2.5.context_token`; did you mean \
         `providers.lab.models.qwen2.5.context_tokens`?"
    );
    assert_eq!(error("[provider.lab]\n"), "C/baton.toml:1:2: unknown key `provider`; did you mean `[providers]`?");
    let (_dir, paths) = world(Some("[providers.my-lab]\nbase_url = 'https://lab.example/v1'\n"));
    let set = env(&[
        ("BATON_MODELS_DEFAULT", "my-lab/m"),
        ("BATON_MODELS_WORKER", "a/b,c/d"),
        ("BATON_PROVIDERS_MY_LAB_MAX_CONCURRENT", "2"),
    ]);
    let (config, _) = load(&paths, None, &set, Vec::new()).unwrap();
    assert_eq!(config.models.worker, ["a/b", "c/d"]);
    assert_eq!(config.providers["my-lab"].max_concurrent, Some(2));
    assert_eq!(config.model_setup().provider("my-lab").unwrap().base_url.as_deref(), Some("https://lab.example/v1"));
    let fails = |pairs| load(&paths, None, &env(pairs), Vec::new()).unwrap_err().to_string();
    assert!(fails(&[("BATON_MODELS_DEFUALT", "x")]).contains("did you mean `BATON_MODELS_DEFAULT`?"));
    assert!(fails(&[("BATON_PROVIDERS_LAB_KEY", "x")]).contains("BATON_PROVIDERS_<NAME>_<KEY> is wanted"));
}

#[test]
fn a_wrong_kind_of_value_names_the_place() {
    let text = error("[folder]\nmax_files = 'many'\n");
    assert!(text.starts_with("C/baton.toml:2:13: invalid type: string \"many\", expected u64"), "{text}");
    assert!(error("[folder\n").starts_with("C/baton.toml:1:"));
}

#[test]
fn the_environment_is_checked_too() {
    let (_dir, paths) = world(None);
    let fails = |pairs| load(&paths, None, &env(pairs), Vec::new()).unwrap_err().to_string();
    assert_eq!(
        fails(&[("BATON_POOL_SLOT", "1")]),
        "environment: unknown key `BATON_POOL_SLOT`; did you mean `BATON_POOL_SLOTS`?"
    );
    assert!(fails(&[("BATON_POOL_SLOTS", "a few")]).starts_with("environment variable BATON_POOL_SLOTS: invalid type"));
    let (config, _) =
        load(&paths, None, &env(&[("BATON_NATS_SERVER", "/n"), ("BATON_OTHER", "x")]), Vec::new()).unwrap();
    assert_eq!(config.bus.nats_server.as_deref(), Some(Path::new("/n")));
}

#[test]
fn an_open_door_is_refused() {
    assert!(error("[orchestrator]\nlisten = '0.0.0.0:7733'\n").contains("set orchestrator.token"));
    assert!(error("[orchestrator]\ntoken = 'short'\n").contains("at least 16"));
    let (_dir, paths) = world(Some("[orchestrator]\nlisten = '0.0.0.0:7733'\ntoken = '0123456789abcdef'\n"));
    let (config, _) = load(&paths, None, &Env::new(), Vec::new()).unwrap();
    assert_eq!(config.orchestrator.token, Some(Secret::new("0123456789abcdef".to_owned())));
    assert!(!format!("{config:?}").contains("0123456789abcdef"), "a secret is not shown");
}

#[test]
fn a_named_file_must_exist() {
    let (dir, paths) = world(None);
    let missing = dir.path().join("missing.toml");
    assert!(matches!(load(&paths, Some(&missing), &Env::new(), Vec::new()), Err(ConfigError::Read { .. })));
}

#[test]
fn people_and_policies_are_read_and_checked_together() {
    let text = r#"
[members.ann]
email = ["ann@example.org"]
slack = "U1"
groups = ["leads"]
[members.bob]
groups = ["leads"]
[approvals]
plan = "careful"
remember_max = "7d"
[policies.careful]
decide = { quorum = { n = 2, of = "leads" } }
deadline = "2d"
rules = [{ name = "docs", when = 'paths.all(p, p.startsWith("docs/"))', decide = "auto" }]
[presets.audit]
description = "Look over a repository"
folder = "/srv/repo"
budget = 5.0
policy = "careful"
"#;
    let (_dir, paths) = world(Some(text));
    let (config, _) = load(&paths, None, &Env::new(), Vec::new()).unwrap();
    let rules = config.rules().unwrap();
    assert_eq!(rules.people.person("slack", "U1"), "ann");
    assert_eq!((rules.policies["careful"].rules.len(), rules.approvals.plan.as_deref()), (1, Some("careful")));
    assert_eq!(rules.presets["audit"].budget, Some(5.0));

    let wrong = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        error(&text.replace(from, to))
    };
    assert_eq!(
        wrong("slack = ", "slcak = "),
        "C/baton.toml:4:1: unknown key `members.ann.slcak`; did you mean `members.ann.slack`?"
    );
    assert_eq!(
        wrong("deadline = ", "deadlin = "),
        "C/baton.toml:13:1: `careful` has no field `deadlin`; did you mean `deadline`?"
    );
    assert_eq!(
        wrong("plan = \"careful\"", "paln = \"careful\""),
        "C/baton.toml:9:1: unknown key `approvals.paln`; did you mean `approvals.plan`?"
    );
    assert_eq!(
        wrong("budget = ", "bugdet = "),
        "C/baton.toml:18:1: unknown key `presets.audit.bugdet`; did you mean `presets.audit.budget`?"
    );
    assert_eq!(wrong("paths.all", "pahts.all"), "C/baton.toml:14:34: there is no `pahts`; did you mean `paths`?");
    assert_eq!(
        wrong("deadline = \"2d\"", "deadline = \"soon\""),
        "C/baton.toml:13:12: `deadline`: `soon` is not a duration; write a number and ms, s, m, h or d, such as `90s` or `1h30m`"
    );
    assert_eq!(
        wrong("n = 2", "n = 3"),
        "C/baton.toml:11:11: policies.careful: decide: nobody can satisfy it: it needs three of leads (ann, bob)"
    );
    assert_eq!(
        wrong("of = \"leads\"", "of = \"ops\""),
        "C/baton.toml:11:11: policies.careful: decide: there is no group `ops` in baton.toml"
    );
    assert_eq!(
        wrong("[members.bob]", "[members.bob]\nslack = \"U1\""),
        "C/baton.toml:6:10: members.bob: slack \"U1\" belongs to ann already: one person each"
    );
    assert!(wrong("plan = \"careful\"", "plan = \"carful\"").contains("approvals.plan: there is no policy `carful`"));
    assert!(wrong("policy = \"careful\"", "policy = \"x\"").contains("presets.audit.policy: there is no policy `x`"));
    assert!(wrong("\"7d\"", "\"never\"").contains("approvals.remember_max"));
    assert_eq!(
        wrong("\"7d\"", "\"90d\""),
        "C/baton.toml:10:1: approvals.remember_max: `90d` is too long: no decision is remembered for more than 30d"
    );
    assert_eq!(
        wrong("\"U1\"", "\"@ann\""),
        "C/baton.toml:2:10: members.ann: \"@ann\" is not a Slack user id: write the one that begins with U or W (profile → ⋮ → Copy member ID)"
    );
    assert!(wrong("[policies.careful]", "[policies.ask]").contains("built in"));
    assert!(wrong("/srv/repo", "repo").contains("absolute path"));

    let variables = env(&[("BATON_MEMBERS_ANN", "x")]);
    let refused = load(&paths, None, &variables, Vec::new()).unwrap_err().to_string();
    assert!(refused.contains("written in baton.toml"), "{refused}");
    let variables = env(&[("BATON_APPROVALS_PLAN", "ask"), ("BATON_APPROVALS_BATCH", "false")]);
    let (config, _) = load(&paths, None, &variables, Vec::new()).unwrap();
    assert_eq!((config.approvals.plan.as_deref(), config.approvals.batch), (Some("ask"), false));
}

#[test]
fn slacks_secrets_come_from_the_environment_and_are_not_shown() {
    let (_dir, paths) = world(Some("[slack]\nchannel = 'C1'\nbot_token = 'xoxb-file-token'\n"));
    let set = env(&[
        ("SLACK_BOT_TOKEN", "xoxb-env-token"),
        ("SLACK_APP_TOKEN", "xapp-env-token"),
        ("SLACK_SIGNING_SECRET", ""),
    ]);
    let (config, sources) = load(&paths, None, &set, Vec::new()).unwrap();
    assert_eq!(config.slack.bot_token, Some(Secret::new("xoxb-env-token".to_owned())));
    assert_eq!(config.slack.signing_secret, None, "an empty variable is none");
    assert!(config.slack.is_on() && config.slack.complaints().is_empty());
    assert!(!format!("{config:?} {sources:?}").contains("-token"));
    let (config, _) = load(&paths, None, &env(&[("BATON_SLACK_CHANNEL", "C2")]), Vec::new()).unwrap();
    assert_eq!(config.slack.channel.as_deref(), Some("C2"));
    // Somebody else's variable of that name does not break every command; `baton slack check` says what it is.
    let (config, _) = load(&paths, None, &env(&[("SLACK_BOT_TOKEN", "xoxp-a-person")]), Vec::new()).unwrap();
    assert!(!config.slack.is_on());
    assert_eq!(config.slack.complaints().len(), 2);
    assert!(error("[slack]\nstatus_every = '10ms'\n").contains("at least 1s"));
    assert!(error("[slack]\nevents_listen = '0.0.0.0:80'\n").contains("set SLACK_SIGNING_SECRET"));
    assert!(error("[slack]\nchanel = 'C1'\n").contains("did you mean `slack.channel`?"));
}

#[test]
fn what_could_only_fail_later_is_found_with_its_place() {
    for (text, found) in [
        ("[slack]\nchannel = '#team'\n", "C/baton.toml:2:1: slack.channel: \"#team\" is no channel's id"),
        ("[slack]\nfolders = ['/srv', 'work']\n", "C/baton.toml:2:1: slack.folders: \"work\" is no absolute path"),
        (
            "[slack]\nnever = ['long enough', ' abc ']\n",
            "C/baton.toml:2:1: slack.never: text 2 has fewer than 6 characters",
        ),
        ("[mail]\nnever = ['abc']\n", "C/baton.toml:2:1: mail.never: text 1 has fewer than 6 characters"),
    ] {
        let said = error(text);
        assert!(said.starts_with(found) && !said.contains("abc"), "{said}");
    }
    // The layer that wins is the one that is named.
    let (_dir, paths) = world(Some("[slack]\nchannel = 'C1'\n"));
    let refused = load(&paths, None, &env(&[("BATON_SLACK_CHANNEL", "#team")]), Vec::new()).unwrap_err().to_string();
    assert!(refused.starts_with("environment variable BATON_SLACK_CHANNEL: slack.channel: "), "{refused}");
}

#[test]
fn effects_are_checked_with_their_place() {
    let text = "[effects.deploy]\nabout = \"x\"\nrun = [\"./d.sh\", \"{to}\"]\nfolder = \"/srv\"\ntimeout = \"5m\"\nparameters = { to = { one_of = [\"a\"] } }\n";
    let (_dir, paths) = world(Some(text));
    let (config, _) = load(&paths, None, &Env::new(), Vec::new()).unwrap();
    assert_eq!(config.effects().unwrap().briefs()[0].parameters["to"].one_of, ["a"]);
    let wrong = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        error(&text.replace(from, to))
    };
    assert_eq!(
        wrong("timeout", "timeuot"),
        "C/baton.toml:5:1: unknown key `effects.deploy.timeuot`; did you mean `effects.deploy.timeout`?"
    );
    assert_eq!(
        wrong("\"{to}\"", "\"{two}\""),
        "C/baton.toml:3:1: effects.deploy.run: `{two}` is no parameter: define it below `parameters`, or write `{{` for a brace"
    );
    assert_eq!(
        wrong("/srv", "srv"),
        "C/baton.toml:4:1: effects.deploy.folder: write an absolute path of at most 250 bytes"
    );
}

#[test]
fn a_mistake_in_a_secret_has_its_place_and_a_way_out_and_never_the_value() {
    let hosts = "hosts = [\"api.example.com\"]\n";
    for (text, want) in [
        (
            format!("[secrets.github]\n{hosts}value = \"canary\"\n"),
            "C/baton.toml:3:1: secrets.github: the value itself is never written",
        ),
        (
            format!("[secrets.github]\n{hosts}env = \"canary 1\"\n"),
            "C/baton.toml:3:1: secrets.github.env: the name of an environment variable",
        ),
        (
            format!("[secrets.github]\n{hosts}env = [\"canary\"]\n"),
            "C/baton.toml:3:7: secrets.github.env: a text is wanted",
        ),
        (
            "[secrets.github]\nhosts = \"canary\"\n".to_owned(),
            "C/baton.toml:2:9: secrets.github.hosts: a list of texts",
        ),
        (
            "[secrets.github]\nhosts = [\"*.example.com\"]\n".to_owned(),
            "C/baton.toml:2:1: secrets.github.hosts: \"*.example.com\": a secret goes to exact hosts",
        ),
        ("[secrets]\ngithub = \"canary\"\n".to_owned(), "C/baton.toml:2:1: secrets.github must be a section"),
        ("secrets = \"canary\"\n".to_owned(), "C/baton.toml:1:11: [secrets] holds a section for each"),
        ("[secrets.GitHub]\n".to_owned(), "C/baton.toml:1:10: a secret's name is 1 to 64"),
        (format!("[secrets.github]\n{hosts}"), "C/baton.toml:1:10: [secrets.github]: its value is nowhere"),
        (
            "[secrets.github]\nenv = \"TOKEN\"\n".to_owned(),
            "C/baton.toml:1:10: [secrets.github]: hosts: name the hosts",
        ),
        (
            format!("[secrets.github]\n{hosts}envv = \"TOKEN\"\n"),
            "unknown key `secrets.github.envv`; did you mean `secrets.github.env`?",
        ),
    ] {
        let error = error(&text);
        assert!(error.contains(want) && !error.contains("canary"), "{error} lacks {want}");
    }
    let (_dir, paths) =
        world(Some(&format!("[secrets.github]\nfile = \"/run/keys/github\"\n{hosts}format = \"token {{}}\"\n")));
    let (config, _) = load(&paths, None, &Env::new(), Vec::new()).unwrap();
    let known = config.rules().unwrap().secret("github").unwrap();
    assert_eq!((known.header.as_str(), known.hosts), ("authorization", vec!["api.example.com".to_owned()]));
    let (_dir, paths) = world(None);
    let error = load(&paths, None, &env(&[("BATON_SECRETS_GITHUB_ENV", "X")]), Vec::new()).unwrap_err().to_string();
    assert!(error.contains("[secrets.NAME] is written in baton.toml"), "{error}");
}
