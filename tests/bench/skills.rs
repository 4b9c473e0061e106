//! A thousand skills: from their folders to a catalogue.

use std::{fs, path::Path, time::Instant};

use anyhow::{Result, ensure};
use skills::{Catalog, Source};

use crate::report::{Report, percentile};

/// Skills of the catalogue.
const SKILLS: usize = 1000;
const SAMPLES: usize = 9;

/// Measures discovering skills as a start of a project does.
pub fn skills(report: &mut Report) -> Result<()> {
    let room = tempfile::tempdir()?;
    write_skills(room.path(), SKILLS)?;
    let roots = [(Source::Project, room.path().to_owned())];
    let mut samples = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let start = Instant::now();
        let catalog = Catalog::discover(&roots);
        samples.push(start.elapsed());
        ensure!(catalog.iter().count() == SKILLS, "{:?}", catalog.notices().first());
    }
    samples.sort_unstable();
    report.at_most("skills: 1,000 catalogued, min", percentile(&samples, 0), "ms", None);
    report.at_most("skills: 1,000 catalogued, median", percentile(&samples, 50), "ms", Some(100.0));
    Ok(())
}

/// Skills of an ordinary size: a body of 200 lines, a script and a reference each.
fn write_skills(root: &Path, count: usize) -> Result<()> {
    for number in 0..count {
        let folder = root.join(format!("skill-{number:04}"));
        fs::create_dir_all(folder.join("scripts"))?;
        fs::create_dir_all(folder.join("references"))?;
        let body = "One of the things that an agent has to know about this kind of work.\n".repeat(200);
        let description = "Does one thing well, and says when it is to be used, in about as many words as most do.";
        let head = format!("---\nname: skill-{number:04}\ndescription: {description}\nlicense: MIT\n---\n");
        fs::write(folder.join("SKILL.md"), head + &body)?;
        fs::write(folder.join("scripts/run.py"), "print(1)\n".repeat(50))?;
        fs::write(folder.join("references/more.md"), &body)?;
    }
    Ok(())
}
