//! A mail's header, read strictly: what two readers could understand differently is refused.

/// The longest header that is read, in bytes, and the most fields.
const LONGEST: usize = 512 * 1024;
const MOST: usize = 1_000;
/// Fields that may stand in a mail once (RFC 5322, 3.6). A second one is how a signed mail gets another meaning.
pub(super) const SINGLE: [&str; 13] = [
    "From",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "Sender",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
];

/// One field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// Its name, lower case.
    pub(super) name: String,
    /// Its value on one line.
    pub(super) value: String,
}

/// The fields of a mail, the topmost first.
///
/// # Errors
/// A sentence: what is wrong with the header's form.
pub(super) fn read(raw: &[u8]) -> Result<Vec<Field>, String> {
    let mut fields: Vec<Field> = Vec::new();
    let mut crlf = None;
    let mut at = 0;
    while at < raw.len() {
        if at > LONGEST || fields.len() > MOST {
            return Err(format!("its header is longer than {} KiB or {MOST} lines", LONGEST / 1024));
        }
        let rest = &raw[at..];
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (line, next) = end.map_or((rest, rest.len()), |end| (&rest[..end], end + 1));
        at += next;
        let (line, has_cr) = line.strip_suffix(b"\r").map_or((line, false), |line| (line, true));
        if end.is_some() && *crlf.get_or_insert(has_cr) != has_cr {
            return Err("the lines of its header end in different ways".to_owned());
        }
        if line.is_empty() {
            break;
        }
        if line.iter().any(|byte| matches!(byte, 0 | b'\r')) {
            return Err("there are stray control characters in its header".to_owned());
        }
        if matches!(line[0], b' ' | b'\t') {
            let Some(last) = fields.last_mut() else {
                return Err("its header begins in the middle of a line".to_owned());
            };
            last.value.push(' ');
            last.value.push_str(String::from_utf8_lossy(line).trim());
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or_default();
        let (name, value) = line.split_at(colon);
        if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
            return Err(format!("{:?} in its header is not a line of a header", shown(line)));
        }
        fields.push(Field {
            name: String::from_utf8_lossy(name).to_ascii_lowercase(),
            value: String::from_utf8_lossy(&value[1..]).trim().to_owned(),
        });
    }
    Ok(fields)
}

fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(line).chars().take(40).collect()
}

/// What stands in it more than once and may not.
pub(super) fn doubled(fields: &[Field]) -> Option<(&'static str, usize)> {
    SINGLE.iter().find_map(|name| {
        let count = fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).count();
        (count > 1).then_some((*name, count))
    })
}

/// Whether a field stands in it.
pub(super) fn has(fields: &[Field], name: &str) -> bool {
    fields.iter().any(|field| field.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_unfolded() {
        let fields = read(b"From: a@x.org\r\nSubject: one\r\n\ttwo\r\n\r\nBody: no\r\n").unwrap();
        let pairs: Vec<_> = fields.iter().map(|field| (field.name.as_str(), field.value.as_str())).collect();
        assert_eq!(pairs, [("from", "a@x.org"), ("subject", "one two")]);
        assert_eq!(read(b"From: a\nTo: b\n\nx").unwrap().len(), 2, "line feeds alone are lines as well");
        assert!(read(b"").unwrap().is_empty());
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (raw, said) in [
            (&b"From: a\r\nno colon here\r\nTo: b\r\n\r\n"[..], "not a line of a header"),
            (b"From : a\r\n\r\n", "not a line of a header"),
            (b"From\x00: a\r\n\r\n", "control"),
            (b"Subject: a\rFrom: b\r\n\r\n", "control"),
            (b"From: a\r\nTo: b\n\r\n", "different ways"),
            (b" folded\r\nFrom: a\r\n\r\n", "middle of a line"),
            (b"From x@y Mon Nov 23 00:12:03 2026\r\nFrom: a\r\n\r\n", "not a line of a header"),
        ] {
            let error = read(raw).unwrap_err();
            assert!(error.contains(said), "{error:?} should say {said:?}");
        }
        assert!(read(&b"X: y\r\n".repeat(2_000)).unwrap_err().contains("longer"));
    }

    #[test]
    fn a_second_subject_is_found() {
        let fields = read(b"SUBJECT: a\r\nTo: b\r\nsubject: c\r\nReceived: x\r\nReceived: y\r\n\r\n").unwrap();
        assert_eq!(doubled(&fields), Some(("Subject", 2)));
        assert_eq!(doubled(&fields[1..]), None);
    }
}
