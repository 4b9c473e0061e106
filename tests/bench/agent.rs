//! The built-in agent's loop without model and tools, and the return of a long transcript.

use std::time::Instant;

use anyhow::{Result, ensure};
use worker::bench::{Session, resume, transcript};

use crate::report::{Report, percentile};

/// Turns of the measured loop; what an agent says and sees in one is like what they are in life.
const TURNS: usize = 1_000;
/// Turns of the transcript that comes back.
const LONG: u32 = 10_000;
const SAMPLES: usize = 5;

/// Measures what the agent costs per turn, and when it resumes.
pub fn agent(report: &mut Report) -> Result<()> {
    let mut session = Session::new();
    let (mut core, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let start = Instant::now();
        ensure!(session.exchange() > 0, "no request was written");
        let exchanged = Instant::now();
        ensure!(session.turn() > 0, "nothing was saved");
        core.push(exchanged.elapsed());
        whole.push(start.elapsed());
    }
    report.spread("agent: one turn outside model and tools", &mut core, None, Some(2.0));
    report.spread("agent: one turn, request written and answer read", &mut whole, None, None);

    let text = transcript(LONG as usize);
    #[expect(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
    report.at_most("agent: a transcript of 10,000 turns", text.len() as f64 / 1_048_576.0, "MiB", None);
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        let start = Instant::now();
        let last = resume(&text);
        samples.push(start.elapsed());
        ensure!(last == LONG, "it came back at turn {last}");
    }
    samples.sort_unstable();
    report.at_most("agent: 10,000 turns resumed, median", percentile(&samples, 50), "ms", Some(1_000.0));
    Ok(())
}
