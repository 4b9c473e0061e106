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

    /// The variables of the program that runs this test stand for keys: none may be in the environment of a child.
    pub(crate) fn assert_clean(environ: &str) {
        let own: Vec<String> =
            std::env::vars().map(|(name, _)| name).filter(|name| name.starts_with("CARGO_")).collect();
        assert!(!own.is_empty(), "nothing to look for");
        for name in own {
            assert!(!environ.contains(&format!("{name}=")), "{name} is in {environ:?}");
        }
        let names: Vec<&str> =
            environ.split(['\0', '\n']).filter_map(|line| line.split_once('=')).map(|pair| pair.0).collect();
        // A shell adds some of its own.
        assert!(names.iter().all(|name| ["PATH", "PWD", "OLDPWD", "SHLVL", "_"].contains(name)), "{names:?}");
        assert!(names.contains(&"PATH"), "{names:?}");
    }

    #[test]
    fn a_child_has_nothing_of_this_process() {
        let output = command("/bin/sh").args(["-c", "cat /proc/$$/environ"]).output().unwrap();
        assert_clean(&String::from_utf8_lossy(&output.stdout));
    }
}
