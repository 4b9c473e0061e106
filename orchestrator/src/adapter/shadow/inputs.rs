//! Files a project is started with: they are in its first commit, under `inputs/`, and never get into the folder.

use std::{collections::BTreeSet, io::Write as _};

use bus_schemas::id::ProjectId;

use super::{
    ShadowRepos,
    bundle::IMPORTS,
    diff::tree_changes,
    error::InputsError,
    git::{FeedError, FeedStop, Git, commit_id, failed, feed_and_finish},
    path::is_harmless,
};
use crate::port::ShadowError;

/// The folder they are in.
pub const INPUTS: &str = "inputs";
/// What tells such a commit from every other: only this program writes first commits.
const MESSAGE: &str = "The files the project starts with\n";
/// The ref a commit is built on; the project's only writer owns it.
const BUILDING: &str = "refs/baton-inputs";

/// A file a project is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFile {
    /// Its name, without a folder.
    pub name: String,
    /// Its content.
    pub content: Vec<u8>,
}

/// Makes a safe name of the one given, another than those that are taken.
pub type Unique = dyn Fn(&str, &dyn Fn(&str) -> bool) -> String;

impl ShadowRepos {
    /// A commit over `commit` that also holds these files under `inputs/`; those of the folder there keep their names, the
    /// others get another one.
    ///
    /// # Errors
    /// [`InputsError`].
    pub fn with_inputs(
        &self,
        project_id: ProjectId,
        commit: &str,
        files: &[InputFile],
        unique: &Unique,
    ) -> Result<String, InputsError> {
        let commit = commit_id(commit)?;
        self.exclusively(project_id, || {
            let git = self.git(project_id);
            let listed = git.run("ls-tree", &["ls-tree", "-z", commit, INPUTS])?.stdout;
            if !listed.is_empty() && !String::from_utf8_lossy(&listed).contains(" tree ") {
                return Err(InputsError::Taken);
            }
            let listed = git.run("ls-tree", &["ls-tree", "-z", "--name-only", commit, &format!("{INPUTS}/")])?.stdout;
            let listed = String::from_utf8_lossy(&listed).to_lowercase();
            let mut taken: BTreeSet<String> =
                listed.split('\0').filter_map(|path| Some(path.rsplit_once('/')?.1.to_owned())).collect();
            let mut named = Vec::with_capacity(files.len());
            for file in files {
                let name = unique(&file.name, &|name: &str| taken.contains(&name.to_lowercase()));
                let path = format!("{INPUTS}/{name}");
                if name.contains('/') || !is_harmless(&path) {
                    return Err(InputsError::BadName { name });
                }
                taken.insert(name.to_lowercase());
                named.push((path, &file.content));
            }
            let made = edited(&git, commit, MESSAGE, |stdin| {
                for (path, content) in &named {
                    write!(stdin, "M 100644 inline {}\ndata {}\n", quoted(path), content.len())?;
                    stdin.write_all(content)?;
                    stdin.write_all(b"\n")?;
                }
                Ok(())
            })?;
            git.set_ref(&format!("{IMPORTS}/{made}"), &made)?;
            Ok(made)
        })
    }

    /// `base` and `result` without the files the project was started with, if `base` holds such files.
    pub(super) fn without_inputs(
        &self,
        project_id: ProjectId,
        base: &str,
        result: &str,
    ) -> Result<(String, String), ShadowError> {
        let git = self.git(project_id);
        let (base, result) = (commit_id(base)?, commit_id(result)?);
        let as_they_are = || Ok((base.to_owned(), result.to_owned()));
        let message = git.run("show", &["show", "--no-patch", "--no-show-signature", "--format=%B", base])?.text();
        if message != MESSAGE.trim() {
            return as_they_are();
        }
        let parents = git.parents(base)?;
        let [folder] = parents.as_slice() else { return as_they_are() };
        let inputs: Vec<String> = tree_changes(&git, folder, base)?.into_iter().map(|change| change.path).collect();
        self.exclusively(project_id, || {
            let stripped = edited(&git, result, "The result without the files it started with\n", |stdin| {
                inputs.iter().try_for_each(|path| writeln!(stdin, "D {}", quoted(path)))
            })?;
            Ok((folder.clone(), stripped))
        })
    }
}

/// A commit over another, with changes in fast-import's words.
fn edited(
    git: &Git,
    commit: &str,
    message: &str,
    edit: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>,
) -> Result<String, ShadowError> {
    let date = git.date_after(&[commit.to_owned()])?;
    let mut command = git.command();
    command.args(["fast-import", "--quiet", "--force", "--done", "--date-format=raw"]);
    let fed = feed_and_finish::<ShadowError>("fast-import", command, |stdin| {
        write!(stdin, "commit {BUILDING}\nmark :1\ncommitter Baton <baton@localhost> {date}\n")
            .and_then(|()| write!(stdin, "data {}\n{message}\nfrom {commit}\n", message.len()))
            .and_then(|()| edit(stdin))
            .and_then(|()| stdin.write_all(b"get-mark :1\ndone\n"))
            .map_err(FeedStop::Pipe)
    });
    let output = match fed {
        Ok(output) if output.code == 0 => output,
        Ok(output) => return Err(failed("fast-import", &output.stderr)),
        Err(FeedError::Git(error) | FeedError::Stopped(error)) => return Err(error),
    };
    git.run("update-ref", &["update-ref", "-d", BUILDING])?;
    Ok(output.text())
}

fn quoted(path: &str) -> String {
    format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\""))
}
