//! How much can go wrong if a request is approved by mistake: rules, never a model. `docs/approvals.md` lists them.

use std::sync::OnceLock;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::{EFFECT, Facts};
use crate::ledger::{Asked, Risk};

/// Paths that decide what runs where, or that hold keys.
const SENSITIVE: [&str; 18] = [
    // Skills and their lockfile: what later agents are told to do.
    "**/.agents/**",
    ".github/**",
    ".gitlab/**",
    ".gitlab-ci.yml",
    ".ci/**",
    ".circleci/**",
    "**/Jenkinsfile",
    "**/.env*",
    "**/*.pem",
    "**/*.key",
    "**/*.p12",
    "**/id_*",
    "**/.ssh/**",
    "deploy/**",
    "**/Dockerfile*",
    "**/*.tf",
    "**/.npmrc",
    "**/.pypirc",
];
/// Paths that decide which foreign code is used.
const DEPENDENCIES: [&str; 17] = [
    "**/Cargo.toml",
    "**/Cargo.lock",
    "**/package.json",
    "**/package-lock.json",
    "**/yarn.lock",
    "**/pnpm-lock.yaml",
    "**/go.mod",
    "**/go.sum",
    "**/requirements*.txt",
    "**/pyproject.toml",
    "**/poetry.lock",
    "**/uv.lock",
    "**/Gemfile",
    "**/Gemfile.lock",
    "**/pom.xml",
    "**/build.gradle*",
    "**/composer.*",
];
/// More changed lines than this is a high risk, or a medium one.
const MANY_LINES: u64 = 2000;
const SOME_LINES: u64 = 300;
/// More deleted files than this is a medium risk.
const DELETIONS: u64 = 10;
/// Paths named in one reason.
const NAMED: usize = 3;

/// The risk, and why it is not lower.
#[must_use]
pub fn risk_of(facts: &Facts) -> (Risk, Vec<String>) {
    let mut found: Vec<(Risk, String)> = Vec::new();
    let mut add = |risk: Risk, is_so: bool, reason: String| found.extend(is_so.then_some((risk, reason)));
    let Facts { checks, hosts, secrets, capability, .. } = facts;
    add(Risk::High, checks.failed > 0, format!("{} of {} checks failed", checks.failed, checks.total));
    let sensitive = matching(sensitive(), &facts.paths);
    add(Risk::High, !sensitive.is_empty(), format!("changes {}: what runs where, or keys", sensitive.join(", ")));
    add(Risk::High, facts.lines() > MANY_LINES, format!("{} changed lines", facts.lines()));
    add(Risk::High, capability.name.contains('*'), format!("asks for every host of {}", capability.name));
    let is_effect = capability.kind == EFFECT;
    add(Risk::High, is_effect, format!("the effect {} acts outside, and nothing takes it back", capability.name));
    let unproven = match facts.kind {
        Asked::Handoff => checks.total == 0,
        Asked::Apply => checks.passed < checks.total,
        _ => false,
    };
    add(Risk::Medium, unproven, "no check proves it, or not all of it".to_owned());
    let lines = facts.lines();
    add(Risk::Medium, (SOME_LINES + 1..=MANY_LINES).contains(&lines), format!("{lines} changed lines"));
    add(Risk::Medium, facts.deleted > DELETIONS, format!("deletes {} files", facts.deleted));
    let dependencies = matching(dependencies(), &facts.paths);
    let names = dependencies.join(", ");
    add(Risk::Medium, !dependencies.is_empty(), format!("changes {names}: which foreign code is used"));
    add(Risk::Medium, facts.questions > 0, format!("{} open questions", facts.questions));
    let named: Vec<&str> = hosts.iter().take(NAMED).map(String::as_str).collect();
    add(Risk::Medium, !hosts.is_empty(), format!("reaches {}{}", named.join(", "), more(hosts.len())));
    let named: Vec<&str> = secrets.iter().take(NAMED).map(String::as_str).collect();
    let word = if secrets.len() == 1 { "secret" } else { "secrets" };
    let used = format!("uses the {word} {}{}", named.join(", "), more(secrets.len()));
    add(Risk::Medium, !secrets.is_empty(), used);
    // A new host is asked for: worth a look, whatever else is known.
    let is_new = facts.kind == Asked::Capability && hosts.is_empty() && !capability.name.is_empty();
    add(Risk::Medium, is_new, format!("asks for {}", capability.name));
    let risk = found.iter().map(|(risk, _)| *risk).max().unwrap_or(Risk::Low);
    (risk, found.into_iter().filter(|(of, _)| *of == risk).map(|(_, reason)| reason).collect())
}

fn more(count: usize) -> String {
    if count > NAMED { format!(" and {} more", count - NAMED) } else { String::new() }
}

fn matching(globs: &GlobSet, paths: &[String]) -> Vec<String> {
    let mut all = paths.iter().filter(|path| globs.is_match(path));
    let mut named: Vec<String> = all.by_ref().take(NAMED).cloned().collect();
    let rest = all.count();
    if rest > 0 {
        named.push(format!("{rest} more"));
    }
    named
}

fn sensitive() -> &'static GlobSet {
    static SET: OnceLock<GlobSet> = OnceLock::new();
    SET.get_or_init(|| globs(&SENSITIVE))
}

fn dependencies() -> &'static GlobSet {
    static SET: OnceLock<GlobSet> = OnceLock::new();
    SET.get_or_init(|| globs(&DEPENDENCIES))
}

/// Compares without regard to case: file systems of people may not tell `dockerfile` and `Dockerfile` apart.
fn globs(list: &[&str]) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    let globs = list.iter().map(|glob| GlobBuilder::new(glob).literal_separator(true).case_insensitive(true).build());
    for glob in globs.flatten() {
        set.add(glob);
    }
    set.build().unwrap_or_else(|_| GlobSet::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{CapabilityFacts, CheckFacts};

    fn handoff(paths: &[&str]) -> Facts {
        let checks = CheckFacts { total: 1, passed: 1, failed: 0 };
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        Facts { checks, paths, lines_added: 10, ..Facts::default() }
    }

    #[test]
    fn every_glob_is_one() {
        assert_eq!((sensitive().len(), dependencies().len()), (SENSITIVE.len(), DEPENDENCIES.len()));
    }

    #[test]
    fn paths_decide() {
        for (path, risk) in [
            ("src/lib.rs", Risk::Low),
            ("docs/deploy.md", Risk::Low),
            ("identity.md", Risk::Low),
            (".github/workflows/ci.yml", Risk::High),
            (".gitlab-ci.yml", Risk::High),
            ("deploy/prod.yaml", Risk::High),
            ("certs/a/server.PEM", Risk::High),
            (".env", Risk::High),
            ("app/.env.local", Risk::High),
            ("id_ed25519", Risk::High),
            ("x/id_rsa", Risk::High),
            ("Dockerfile", Risk::High),
            ("web/dockerfile", Risk::High),
            ("Cargo.lock", Risk::Medium),
            ("ui/package.json", Risk::Medium),
        ] {
            assert_eq!(risk_of(&handoff(&[path])).0, risk, "{path}");
        }
        let (_, reasons) = risk_of(&handoff(&["a.pem", "b.pem", "c.pem", "d.pem", "e.pem", "Cargo.toml"]));
        assert_eq!(reasons, ["changes a.pem, b.pem, c.pem, 2 more: what runs where, or keys"]);
    }

    #[test]
    fn numbers_decide() {
        let facts = handoff(&["a"]);
        let risk = |facts: Facts| risk_of(&facts).0;
        assert_eq!(risk(facts.clone()), Risk::Low);
        assert_eq!(risk(Facts { lines_added: 300, ..facts.clone() }), Risk::Low);
        assert_eq!(risk(Facts { lines_added: 301, ..facts.clone() }), Risk::Medium);
        assert_eq!(risk(Facts { lines_added: 1001, lines_removed: 1000, ..facts.clone() }), Risk::High);
        assert_eq!(risk(Facts { deleted: 11, ..facts.clone() }), Risk::Medium);
        assert_eq!(risk(Facts { questions: 1, ..facts.clone() }), Risk::Medium);
        assert_eq!(risk(Facts { hosts: vec!["x.org".to_owned()], ..facts.clone() }), Risk::Medium);
        assert_eq!(risk(Facts { checks: CheckFacts::default(), ..facts.clone() }), Risk::Medium);
        assert_eq!(risk(Facts { checks: CheckFacts { total: 2, passed: 1, failed: 1 }, ..facts }), Risk::High);
        assert_eq!(risk(Facts::of(Asked::Plan)), Risk::Low, "a plan is proven by no check");
        let apply = Facts { checks: CheckFacts { total: 2, passed: 1, failed: 0 }, ..Facts::of(Asked::Apply) };
        assert_eq!(risk(apply), Risk::Medium);
        let host = |name: &str| {
            let capability = CapabilityFacts { kind: "host".to_owned(), name: name.to_owned() };
            Facts { capability, ..Facts::of(Asked::Capability) }
        };
        let capability = CapabilityFacts { kind: "effect".to_owned(), name: "deploy".to_owned() };
        assert_eq!(risk(Facts { capability, ..Facts::of(Asked::Capability) }), Risk::High);
        assert_eq!((risk(host("a.org")), risk(host("*.a.org"))), (Risk::Medium, Risk::High));
        let secret = Facts { secrets: vec!["github".to_owned()], ..Facts::of(Asked::Capability) };
        assert_eq!(risk_of(&secret), (Risk::Medium, vec!["uses the secret github".to_owned()]));
        let two = Facts { secrets: vec!["a".to_owned(), "b".to_owned()], ..Facts::of(Asked::Plan) };
        assert_eq!(risk_of(&two), (Risk::Medium, vec!["uses the secrets a, b".to_owned()]));
    }
}
