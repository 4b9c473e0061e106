//! Lines that are drawn over themselves on stderr.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::termios::tcgetwinsize;

/// A block of lines at the bottom of the terminal.
pub(super) struct Live {
    bars: Vec<ProgressBar>,
    group: MultiProgress,
    style: ProgressStyle,
}

impl Live {
    /// Nothing drawn yet.
    pub(super) fn new() -> Self {
        let style = ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        Self { bars: Vec::new(), group: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)), style }
    }

    /// Draws these lines instead of those before. Lines wider than the terminal are cut.
    pub(super) fn draw(&mut self, lines: Vec<String>) {
        while self.bars.len() > lines.len() {
            if let Some(bar) = self.bars.pop() {
                self.group.remove(&bar);
            }
        }
        while self.bars.len() < lines.len() {
            self.bars.push(self.group.add(ProgressBar::new_spinner().with_style(self.style.clone())));
        }
        for (bar, line) in self.bars.iter().zip(lines) {
            bar.set_message(line);
            bar.tick();
        }
    }

    /// A line above the block that stays.
    pub(super) fn above(&self, line: &str) {
        // If the terminal is gone, so is the reader.
        let _ = self.group.println(line);
    }

    /// Takes the block away.
    pub(super) fn clear(&mut self) {
        let _ = self.group.clear();
        self.bars.clear();
    }
}

/// The terminal's height in lines.
pub(super) fn height() -> usize {
    tcgetwinsize(std::io::stderr()).map_or(24, |size| usize::from(size.ws_row)).max(8)
}
