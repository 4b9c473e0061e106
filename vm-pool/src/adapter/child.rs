//! Starting other programs. None of them gets this process's environment: it may hold the keys of model providers.

use std::{ffi::OsStr, process::Command};

/// A command with an environment of nothing but `PATH`.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into()));
    command
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What a child may have: the search path, and what a shell adds of its own.
    const HARMLESS: [&str; 5] = ["PATH", "PWD", "OLDPWD", "SHLVL", "_"];

    /// The variables of the program that runs this test stand for keys: none may be in the environment of a child.
    pub(crate) fn assert_clean(environ: &str) {
        let own: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
        let canaries: Vec<&String> = own.iter().filter(|name| !HARMLESS.contains(&name.as_str())).collect();
        assert!(!canaries.is_empty(), "nothing to look for: {own:?}");
        let names: Vec<&str> = environ.split('\0').filter_map(|line| line.split_once('=')).map(|pair| pair.0).collect();
        assert!(names.contains(&"PATH"), "{names:?}");
        assert!(names.iter().all(|name| HARMLESS.contains(name)), "{names:?}");
    }

    #[test]
    fn a_child_has_nothing_of_this_process() {
        let output = command("/bin/sh").args(["-c", "cat /proc/$$/environ"]).output().unwrap();
        assert_clean(&String::from_utf8_lossy(&output.stdout));
    }
}
