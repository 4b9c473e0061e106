//! The folder through which host and program tell each other things.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use bus_schemas::v1::{
    guest::AttemptAssignment,
    task::{Interpreter, Program},
};

use crate::port::Layout;

/// The largest `result.json`, in bytes.
pub(crate) const RESULT_BYTES: u64 = 1024 * 1024;
/// The largest `summary.md`, in bytes; the rest is cut.
pub(crate) const SUMMARY_BYTES: u64 = 16 * 1024;
/// The largest `questions.json`, in bytes.
const QUESTIONS_BYTES: u64 = 64 * 1024;

/// Control characters in `result.json`; each may take six bytes in a frame, where as many more would not fit.
const CONTROL_BYTES: usize = 256 * 1024;

/// What the program writes.
const RESULT: &str = "result.json";
const SUMMARY: &str = "summary.md";
const QUESTIONS: &str = "questions.json";

/// Where a program writes its result.
pub(crate) fn result_path(layout: &Layout) -> PathBuf {
    layout.exchange.join(RESULT)
}

/// Where a program writes its summary.
pub(crate) fn summary_path(layout: &Layout) -> PathBuf {
    layout.exchange.join(SUMMARY)
}

/// Where what is too long for a tool's answer is put.
pub(crate) fn spill_path(layout: &Layout) -> PathBuf {
    layout.exchange.join("spill")
}

/// Writes what [`write_told`] does, and the script itself. Returns the script's path.
pub(crate) fn write(layout: &Layout, attempt: &AttemptAssignment) -> io::Result<PathBuf> {
    write_told(layout, attempt)?;
    let Program::Script { interpreter, text } = &attempt.program else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the program is no script"));
    };
    let script = layout.exchange.join(match interpreter {
        Interpreter::Bash => "script.sh",
        Interpreter::Python => "script.py",
    });
    fs::write(&script, text)?;
    Ok(script)
}

/// Writes what the program may read; removes what an earlier one left.
pub(crate) fn write_told(layout: &Layout, attempt: &AttemptAssignment) -> io::Result<()> {
    let folder = &layout.exchange;
    for name in [RESULT, SUMMARY, QUESTIONS] {
        match fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::write(folder.join("needs.json"), serde_json::to_vec_pretty(&attempt.needs)?)?;
    fs::write(folder.join("item.json"), serde_json::to_vec_pretty(&attempt.item)?)?;
    let notes = attempt.notes.iter().map(|note| format!("## {}\n\n{}\n", note.from, note.text.trim_end()));
    fs::write(folder.join("notes.md"), notes.collect::<Vec<_>>().join("\n"))?;
    Ok(())
}

/// What a program left.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) result_text: Option<String>,
    pub(crate) summary: Option<String>,
    pub(crate) open_questions: Vec<String>,
}

/// Reads what the program left. A result that cannot be passed on verbatim becomes a sentence that is no JSON, so that it fails as a bad result
/// and says why; the same sentence takes the place of questions that are none.
pub(crate) fn read(layout: &Layout) -> Left {
    let result_text = match read_file(&layout.exchange.join(RESULT), RESULT_BYTES) {
        Content::None => None,
        Content::Whole(bytes) => Some(match String::from_utf8(bytes) {
            Ok(text) if text.bytes().filter(|byte| is_long(*byte)).count() <= CONTROL_BYTES => text,
            Ok(_) => format!("{RESULT} is full of control characters"),
            Err(_) => format!("{RESULT} is not UTF-8"),
        }),
        Content::Cut(_) => Some(format!("{RESULT} is larger than {RESULT_BYTES} bytes")),
        Content::Unreadable(why) => Some(format!("{RESULT} cannot be read: {why}")),
    };
    let summary = match read_file(&layout.exchange.join(SUMMARY), SUMMARY_BYTES) {
        Content::Whole(bytes) | Content::Cut(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let limit = usize::try_from(SUMMARY_BYTES).unwrap_or(usize::MAX);
            Some(text[..text.floor_char_boundary(limit.min(text.len()))].trim().to_string())
                .filter(|text| !text.is_empty())
        }
        Content::None | Content::Unreadable(_) => None,
    };
    let open_questions = match read_file(&layout.exchange.join(QUESTIONS), QUESTIONS_BYTES) {
        Content::None => Vec::new(),
        Content::Whole(bytes) => serde_json::from_slice(&bytes)
            .unwrap_or_else(|error| vec![format!("{QUESTIONS} is not an array of strings: {error}")]),
        Content::Cut(_) => vec![format!("{QUESTIONS} is larger than {QUESTIONS_BYTES} bytes")],
        Content::Unreadable(why) => vec![format!("{QUESTIONS} cannot be read: {why}")],
    };
    Left { result_text, summary, open_questions }
}

enum Content {
    None,
    Whole(Vec<u8>),
    Cut(Vec<u8>),
    Unreadable(String),
}

/// Reads an ordinary file. The program may have put a link, a pipe or a device there: neither is followed nor waited for.
fn read_file(path: &Path, limit: u64) -> Content {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Content::None,
        Err(error) => return Content::Unreadable(error.to_string()),
        Ok(file) => file,
    };
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Content::Unreadable("not an ordinary file".into());
    }
    let mut bytes = Vec::new();
    match file.take(limit + 1).read_to_end(&mut bytes) {
        Err(error) => Content::Unreadable(error.to_string()),
        Ok(_) if bytes.len() as u64 > limit => Content::Cut(bytes),
        Ok(_) => Content::Whole(bytes),
    }
}

/// Takes six bytes in a frame: a control character without a short form.
const fn is_long(byte: u8) -> bool {
    byte.is_ascii_control() && !matches!(byte, b'\n' | b'\r' | b'\t')
}
