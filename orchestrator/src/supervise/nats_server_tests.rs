use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn world() -> (tempfile::TempDir, Paths, Env) {
    let dir = tempfile::tempdir().unwrap();
    let env = Env::from([
        ("BATON_HOME".into(), dir.path().join("home").into()),
        ("XDG_CACHE_HOME".into(), dir.path().join("cache").into()),
        ("PATH".into(), dir.path().join("bin").into()),
    ]);
    let paths = Paths::from_env(&env).unwrap();
    (dir, paths, env)
}

/// A program that says it is a server of this version.
fn server(path: &Path, version: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\necho 'nats-server: v{version}'\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn an_old_server_is_refused_with_the_reason() {
    let (dir, paths, env) = world();
    server(&dir.path().join("bin/nats-server"), "2.9.10");
    let error = find(&Config::default(), &paths, &env).unwrap_err().to_string();
    assert!(error.contains("2.12 or later") && error.contains("is 2.9.10"), "{error}");
    server(&paths.cache_dir.join("nats-server/2.15.1/nats-server"), "2.15.1");
    assert_eq!(find(&Config::default(), &paths, &env).unwrap().version, "2.15.1", "the cache comes first");
}

#[test]
fn a_named_server_is_the_only_one_looked_at() {
    let (dir, paths, env) = world();
    server(&dir.path().join("bin/nats-server"), "2.15.1");
    let mut config = Config::default();
    config.bus.nats_server = Some(dir.path().join("nothing"));
    assert!(matches!(find(&config, &paths, &env), Err(NatsError::NotFound { .. })));
    config.bus.nats_server = None;
    assert_eq!(find(&config, &paths, &env).unwrap().program, dir.path().join("bin/nats-server"));
}

#[test]
fn setup_is_kept_and_private() {
    let (_dir, paths, _) = world();
    let first = prepare(&paths).unwrap();
    let secret = fs::read(&first.credentials).unwrap();
    assert_eq!(prepare(&paths).unwrap(), first);
    assert_eq!(fs::read(&first.credentials).unwrap(), secret);
    for file in [&first.credentials, &first.config] {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let text = fs::read_to_string(&first.config).unwrap();
    assert!(!text.contains("{{") && text.contains("sync_interval: always"), "{text}");
}

#[test]
fn a_taken_port_is_replaced() {
    let (_dir, paths, _) = world();
    let first = prepare(&paths).unwrap();
    let port = first.url.rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    assert_ne!(prepare(&paths).unwrap().url, first.url);
}
