//! The files of a mail that come along to a project, and why others do not.

mod archive;
mod sealed;
#[cfg(test)]
mod tests;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bus_schemas::v1::api::Input;

use super::{address::one_line, letter::Attachment};

/// How much is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Files of one mail.
    pub files: usize,
    /// One of them, in bytes.
    pub one: usize,
    /// All of them together, in bytes.
    pub all: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { files: 20, one: 25 << 20, all: 30 << 20 }
    }
}

/// The longest name of a file, in characters.
const NAME_CHARS: usize = 100;
/// Pictures of signatures are smaller than this, in bytes.
const LITTLE: usize = 16 << 10;
/// Endings and media types of what mail programs add for each other.
const SILENT_ENDINGS: [&str; 5] = ["ics", "p7s", "p7m", "vcf", "tnef"];
const SILENT_TYPES: [&str; 8] = [
    "text/calendar",
    "application/ics",
    "application/pkcs7-signature",
    "application/x-pkcs7-signature",
    "application/pgp-signature",
    "application/pgp-keys",
    "application/ms-tnef",
    "application/vnd.ms-tnef",
];

/// Takes what can be taken. The second list says what was left out and why; what mail programs add by themselves (signatures,
/// their little pictures, calendar entries) is left out without a word. Archives are looked into, which may take a while; those
/// that cannot be are left out, but for the forms in `allow_packed` (their endings: `xz`).
#[must_use]
pub fn take(
    attachments: &[Attachment],
    refuse_types: &[String],
    allow_packed: &[String],
    limits: Limits,
) -> (Vec<Input>, Vec<String>) {
    let (mut inputs, mut left_out, mut total) = (Vec::<Input>::new(), Vec::new(), 0_usize);
    for (number, attachment) in attachments.iter().filter(|attachment| !is_silent(attachment)).enumerate() {
        let name = unique(&safe_name(attachment, number), &inputs);
        let size = attachment.bytes.len();
        let refused = if inputs.len() >= limits.files {
            Some(format!("only {} files are taken", limits.files))
        } else if let Some(ending) = refused_ending(&name, refuse_types) {
            Some(format!("files that end in .{ending} are not taken"))
        } else if size > limits.one {
            Some(format!("it has {}, at most {} are taken", mib(size), mib(limits.one)))
        } else if total + size > limits.all {
            Some(format!("all files together may have {}", mib(limits.all)))
        } else if size == 0 {
            Some("it is empty".to_owned())
        } else {
            archive::look_into(&name, &attachment.bytes, allow_packed).err()
        };
        match refused {
            Some(why) => left_out.push(format!("{name}: {why}")),
            None => {
                total += size;
                inputs.push(Input { name, base64: BASE64_STANDARD.encode(&attachment.bytes) });
            }
        }
    }
    (inputs, left_out)
}

/// The names of the files a person attached.
#[must_use]
pub fn names(attachments: &[Attachment]) -> Vec<String> {
    let theirs = attachments.iter().filter(|attachment| !is_silent(attachment)).enumerate();
    theirs.map(|(number, attachment)| safe_name(attachment, number)).collect()
}

/// What no person attached.
fn is_silent(attachment: &Attachment) -> bool {
    let name = attachment.name.to_lowercase();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let by_type = SILENT_TYPES.contains(&attachment.media_type.as_str());
    let picture = attachment.inline && attachment.media_type.starts_with("image/") && attachment.bytes.len() < LITTLE;
    // What a server or a list put below the text has neither a name nor content of its own.
    let nameless = name.is_empty() && attachment.media_type.starts_with("text/");
    name == "winmail.dat" || by_type || SILENT_ENDINGS.contains(&ending) || picture || nameless
}

/// The ending that is not taken. `report.exe.` and `report.exe ` are what they are on other machines, too.
fn refused_ending(name: &str, refuse_types: &[String]) -> Option<String> {
    let name = name.trim_end_matches(['.', ' ']).to_lowercase();
    let ending = name.rsplit_once('.')?.1;
    refuse_types
        .iter()
        .find(|refused| refused.trim_start_matches('.').eq_ignore_ascii_case(ending))
        .map(|_| ending.to_owned())
}

/// A name without folders, without anything that hides, turns or separates.
fn safe_name(attachment: &Attachment, number: usize) -> String {
    let last = attachment.name.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept: String = one_line(last, NAME_CHARS * 4)
        .chars()
        .map(|c| if c.is_alphanumeric() || " .-_()+,@=&'[]#!".contains(c) { c } else { '_' })
        .collect();
    let kept = kept.trim().trim_start_matches(['.', '-', ' ']).trim_end_matches(['.', ' ']);
    if kept.is_empty() {
        let ending = match attachment.media_type.as_str() {
            "image/png" => ".png",
            "image/jpeg" => ".jpg",
            "image/gif" => ".gif",
            "application/pdf" => ".pdf",
            "application/json" => ".json",
            _ => "",
        };
        return format!("file-{}{ending}", number + 1);
    }
    let (stem, ending) = split(kept);
    let room = NAME_CHARS.saturating_sub(ending.chars().count());
    format!("{}{ending}", stem.chars().take(room).collect::<String>())
}

/// A name and its ending, if that is short.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.').filter(|at| *at > 0 && name.len() - at <= 12) {
        Some(at) => name.split_at(at),
        None => (name, ""),
    }
}

/// `a.csv`, `a-2.csv` …: no two names are the same, in large or small letters.
fn unique(name: &str, taken: &[Input]) -> String {
    let is_taken = |name: &str| taken.iter().any(|input| input.name.to_lowercase() == name.to_lowercase());
    if !is_taken(name) {
        return name.to_owned();
    }
    let (stem, ending) = split(name);
    let mut candidates = (2_u32..).map(|number| format!("{stem}-{number}{ending}"));
    candidates.find(|candidate| !is_taken(candidate)).unwrap_or_else(|| name.to_owned())
}

fn mib(bytes: usize) -> String {
    if bytes < 1 << 20 {
        format!("{} KiB", bytes.div_ceil(1 << 10))
    } else {
        format!("{} MiB", bytes.div_ceil(1 << 20))
    }
}
