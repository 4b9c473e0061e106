use super::*;

fn effects(toml: &str) -> Result<Effects, EffectError> {
    Effects::new(toml::from_str(toml).unwrap())
}

const DEPLOY: &str = r#"
[deploy]
about = "Deploys the site."
run = ["./deploy.sh", "--to={environment}", "{tag}", "{{literal}}", "a b; rm -rf $HOME"]
folder = "/srv/site"
timeout = "5m"
env = ["TOKEN", "HOME"]
parameters = { environment = { about = "Where to.", one_of = ["staging", "-x"] }, tag = { pattern = "^v[0-9.]+|w$" } }
"#;

fn arguments(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_value_is_one_word_or_a_part_of_one_whatever_is_in_it() {
    let effects = effects(DEPLOY).unwrap();
    let order = effects.resolve("deploy", &arguments(&[("environment", "-x"), ("tag", "v1.2")])).unwrap();
    assert_eq!(order.argv, ["./deploy.sh", "--to=-x", "v1.2", "{literal}", "a b; rm -rf $HOME"]);
    assert_eq!((order.folder.as_deref(), order.timeout_ms), (Some("/srv/site"), 300_000));
    assert_eq!(order.env, ["HOME", "TOKEN"]);
    assert!(effects.stands_by(&order));
    let brief = &effects.briefs()[0];
    assert_eq!((brief.name.as_str(), brief.parameters["environment"].about.as_str()), ("deploy", "Where to."));
}

#[test]
fn arguments_that_do_not_fit_are_told_in_a_sentence() {
    let effects = effects(DEPLOY).unwrap();
    let long = "v".repeat(257);
    for (name, given, wanted) in [
        ("x\ny", &[][..], r#"there is no effect "x\ny"; there are: deploy"#),
        ("deploy", &[("environment", "staging")], "`tag` is missing"),
        (
            "deploy",
            &[("environment", "prod"), ("tag", "v1")],
            r#"`environment` is "prod", but only staging, -x are taken"#,
        ),
        ("deploy", &[("environment", "staging"), ("tag", "-v1")], r#"`tag` is "-v1": a value does not begin with `-`"#),
        // One alternative is not anchored on its left, the other not on its right; and a line end ends nothing.
        (
            "deploy",
            &[("environment", "staging"), ("tag", "v1 w")],
            r#"`tag` is "v1 w", which does not match `^v[0-9.]+|w$`"#,
        ),
        (
            "deploy",
            &[("environment", "staging"), ("tag", "xw")],
            r#"`tag` is "xw", which does not match `^v[0-9.]+|w$`"#,
        ),
        (
            "deploy",
            &[("environment", "staging"), ("tag", "w\n")],
            r#"`tag` is "w\n", which does not match `^v[0-9.]+|w$`"#,
        ),
        ("deploy", &[("environment", "staging"), ("tag", long.as_str())], "`tag` has 257 bytes, at most 256 are taken"),
        (
            "deploy",
            &[("environment", "staging"), ("tag", "v1"), ("more", "")],
            r#"it has no parameter "more"; it takes environment, tag"#,
        ),
    ] {
        assert_eq!(effects.resolve(name, &arguments(given)).unwrap_err(), wanted);
    }
    assert_eq!(
        Effects::default().resolve("a", &arguments(&[])).unwrap_err(),
        r#"there is no effect "a"; there are none"#
    );
}

#[test]
fn a_changed_definition_is_another_one() {
    let before = effects(DEPLOY).unwrap();
    let order = before.resolve("deploy", &arguments(&[("environment", "staging"), ("tag", "v1")])).unwrap();
    for (from, to) in [
        ("rm -rf", "rm -r"),
        ("/srv/site", "/srv/other"),
        ("5m", "6m"),
        (r#""TOKEN", "#, ""),
        (r#""staging", "#, ""),
        ("[deploy]", "[other]"),
    ] {
        assert!(!effects(&DEPLOY.replace(from, to)).unwrap().stands_by(&order), "{from} → {to}");
    }
    let swapped = DEPLOY.replace(r#"["TOKEN", "HOME"]"#, r#"["HOME", "TOKEN", "HOME"]"#);
    assert!(effects(&swapped).unwrap().stands_by(&order), "the order of variables is none");
}

#[test]
fn what_makes_no_sense_is_named_with_the_way_out() {
    for (toml, at, wanted) in [
        ("[a]\nrun = []", "effects.a.run", "write the program and its arguments"),
        ("['a b']\nrun = ['x']", "effects.a b", "is made of letters"),
        ("[a]\nrun = ['']", "effects.a.run", "the program itself is not empty"),
        ("[a]\nrun = ['{p}']\nparameters.p.one_of = ['x']", "effects.a.run", "has no parameters in it"),
        ("[a]\nrun = ['./x']", "effects.a.run", "set `folder`, or write an absolute path"),
        ("[a]\nrun = ['x', '{p}']", "effects.a.run", "`{p}` is no parameter: define it below `parameters`"),
        ("[a]\nrun = ['x', 'a}']", "effects.a.run", "stands alone: write `{{` or `}}`"),
        ("[a]\nrun = ['x']\nparameters.p.one_of = ['x']", "effects.a.parameters.p", "write `{p}` in `run`"),
        ("[a]\nrun = ['x', '{p}']\nparameters.p.about = 'x'", "effects.a.parameters.p", "it needs either `one_of`"),
        (
            "[a]\nrun = ['x', '{p}']\nparameters.p = { one_of = ['x'], pattern = '^x$' }",
            "effects.a.parameters.p",
            "either",
        ),
        ("[a]\nrun = ['x', '{p}']\nparameters.p.one_of = ['']", "effects.a.parameters.p", "has 1 to 256 bytes"),
        ("[a]\nrun = ['x', '{p}']\nparameters.p.pattern = 'x$'", "effects.a.parameters.p", "begin it with `^`"),
        ("[a]\nrun = ['x', '{p}']\nparameters.p.pattern = '^x'", "effects.a.parameters.p", "end it with `$`"),
        ("[a]\nrun = ['x', '{p}']\nparameters.p.pattern = '^($'", "effects.a.parameters.p", "cannot be read"),
        (
            "[a]\nrun = ['x', '{p-q}']\nparameters.p-q.one_of = ['x']",
            "effects.a.parameters.p-q",
            "letters, digits and `_`",
        ),
        ("[a]\nrun = ['x']\nfolder = 'here'", "effects.a.folder", "write an absolute path of"),
        ("[a]\nrun = ['x']\nenv = ['A=1']", "effects.a.env", "write names alone"),
        ("[a]\nrun = ['x']\ntimeout = 'soon'", "effects.a.timeout", "write one such as `10m`"),
        ("[a]\nrun = ['x']\ntimeout = '25h'", "effects.a.timeout", "up to a day"),
    ] {
        let error = effects(toml).unwrap_err();
        assert!(error.at == at && error.message.contains(wanted), "{toml}: {error}");
    }
}

#[test]
fn what_cannot_be_shown_whole_cannot_be_asked_for() {
    let parameters: Vec<String> = (0..9).map(|n| format!("p{n} = {{ pattern = '^.*$' }}")).collect();
    let words: Vec<String> = (0..9).map(|n| format!("'{{p{n}}}'")).collect();
    let toml = format!("[a]\nrun = ['x', {}]\nparameters = {{ {} }}", words.join(", "), parameters.join(", "));
    let effects = effects(&toml).unwrap();
    let with = |value: &str| (0..9).map(|n| (format!("p{n}"), value.to_owned())).collect::<BTreeMap<_, _>>();
    assert!(effects.resolve("a", &with(&"v".repeat(250))).is_ok());
    let wanted = "with these arguments it is too long to be shown to people";
    assert_eq!(effects.resolve("a", &with(&"<".repeat(50))).unwrap_err(), wanted);
    assert_eq!(
        effects.resolve("a", &with(&"\u{202e}".repeat(80))).unwrap_err(),
        wanted,
        "as it is shown, not as it is"
    );
}

#[test]
fn what_a_channel_would_hide_cannot_be_asked_for() {
    let toml = "[a]\nrun = ['x', '{p}', '--force']\nparameters = { p = { pattern = '^.*$' } }";
    let effects = effects(toml).unwrap().with_secrets(vec!["canary\"1234".to_owned()]);
    let with = |value: &str| effects.resolve("a", &arguments(&[("p", value)]));
    assert!(with("an ordinary value").is_ok());
    for value in [
        "x -----BEGIN RSA PRIVATE KEY-----",
        concat!("gh", "p_0123456789abcdefghijABCDEFGHIJ0123456789"),
        "https://ann:hunter2@host/x",
        "before canary\"1234 after",
    ] {
        let refused = with(value).unwrap_err();
        assert!(refused.contains("hidden from the people"), "{value}: {refused}");
    }
    // One word begins what another ends.
    let toml = "[a]\nrun = ['x', 'Bearer', '{p}']\nparameters = { p = { pattern = '^.*$' } }";
    let two = self::effects(toml).unwrap();
    assert!(two.resolve("a", &arguments(&[("p", "abcdefghij.klmnop")])).is_err());
    let place = "[a]\nrun = ['x']\nfolder = '/srv/ghp_0123456789abcdefghijABCDEFGHIJ'";
    assert!(self::effects(place).unwrap().resolve("a", &arguments(&[])).is_err());
    assert!(!format!("{effects:?}").contains("canary"));
}

#[test]
fn names_of_variables_are_all_shown() {
    let names = |count: usize| (0..count).map(|n| format!("'VARIABLE_{n:03}'")).collect::<Vec<_>>().join(", ");
    assert!(effects(&format!("[a]\nrun = ['x']\nenv = [{}]", names(18))).is_ok());
    let refused = effects(&format!("[a]\nrun = ['x']\nenv = [{}]", names(19))).unwrap_err();
    assert_eq!(refused.at, "effects.a.env");
}
