//! Forms, to the byte: a mail in a form need not be UTF-8.

use std::borrow::Cow;

use super::Refused;

/// Parts of one form, at most.
const PARTS: usize = 1000;
/// A boundary (RFC 2046, 5.1.1).
const BOUNDARY: usize = 70;

/// Names and values in their order; the first value of a name counts.
#[derive(Debug, Default)]
pub(super) struct Form<'a>(Vec<(String, Cow<'a, [u8]>)>);

impl<'a> Form<'a> {
    /// Whether something of this type can be read.
    pub(super) fn check(content_type: Option<&str>) -> Result<(), Refused> {
        kind(content_type).map(drop)
    }

    /// Reads `application/x-www-form-urlencoded` or `multipart/form-data`.
    pub(super) fn read(content_type: Option<&str>, body: &'a [u8]) -> Result<Self, Refused> {
        match kind(content_type)? {
            None => Ok(Self::of_pairs(body)),
            Some(boundary) => Self::of_parts(body, &boundary).map_err(broken),
        }
    }

    fn of_pairs(body: &'a [u8]) -> Self {
        let pairs = body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).take(PARTS);
        Self(
            pairs
                .map(|pair| {
                    let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
                    let (name, value) = pair.split_at(at);
                    let name = String::from_utf8_lossy(&decoded(name)).into_owned();
                    (name, decoded(value.get(1..).unwrap_or_default()))
                })
                .collect(),
        )
    }

    fn of_parts(body: &'a [u8], boundary: &str) -> Result<Self, &'static str> {
        let delimiter = format!("\r\n--{boundary}");
        let delimiter = delimiter.as_bytes();
        let first = delimiter.get(2..).unwrap_or_default();
        // Before the first delimiter there may be text that means nothing.
        let mut rest = match body.strip_prefix(first) {
            Some(rest) => rest,
            None => after(body, delimiter).ok_or("its boundary is nowhere in it")?,
        };
        let mut form = Self::default();
        loop {
            if rest.starts_with(b"--") {
                return Ok(form);
            }
            if form.0.len() == PARTS {
                return Err("it has too many parts");
            }
            let part = after(rest, b"\r\n").ok_or("it ends in the middle")?;
            let end = find(part, delimiter).ok_or("it ends in the middle")?;
            let (part, next) = part.split_at(end);
            rest = next.get(delimiter.len()..).unwrap_or_default();
            let (head, value) = if let Some(value) = part.strip_prefix(b"\r\n") {
                (&[][..], value)
            } else {
                let end = find(part, b"\r\n\r\n").ok_or("a part has no headers")?;
                (&part[..end], part.get(end + 4..).unwrap_or_default())
            };
            if let Some(name) = name_of(&String::from_utf8_lossy(head)) {
                form.0.push((name, Cow::Borrowed(value)));
            }
        }
    }

    /// A value.
    pub(super) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_ref())
    }

    /// A value that is text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.bytes(name)?).ok()
    }
}

/// The boundary of a form in parts; `None` for one in pairs.
fn kind(content_type: Option<&str>) -> Result<Option<String>, Refused> {
    let kind = content_type.unwrap_or_default();
    let (name, parameters) = kind.split_once(';').unwrap_or((kind, ""));
    match name.trim().to_ascii_lowercase().as_str() {
        "application/x-www-form-urlencoded" => Ok(None),
        "multipart/form-data" => {
            let boundary = parameter(parameters, "boundary").ok_or_else(|| broken("it has no boundary"))?;
            if boundary.is_empty() || boundary.len() > BOUNDARY {
                return Err(broken("its boundary is too long"));
            }
            Ok(Some(boundary))
        }
        _ => Err(broken("it is declared as something else")),
    }
}

fn broken(why: &str) -> Refused {
    Refused::Forged(format!("it is not a form: {why}"))
}

/// The name of a part, by its `Content-Disposition`.
fn name_of(head: &str) -> Option<String> {
    head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_it = name.trim().eq_ignore_ascii_case("content-disposition");
        is_it.then(|| value.split_once(';')).flatten().and_then(|(_, parameters)| parameter(parameters, "name"))
    })
}

/// The value of a parameter: `a=b; name="c; d"`. What stands in quotes is no parameter.
fn parameter(text: &str, wanted: &str) -> Option<String> {
    let mut chars = text.chars().peekable();
    loop {
        let mut name = String::new();
        while let Some(c) = chars.next_if(|c| !matches!(c, '=' | ';')) {
            name.push(c);
        }
        let mut value = String::new();
        match chars.next() {
            Some('=') => {
                if chars.next_if_eq(&'"').is_some() {
                    while let Some(c) = chars.next().filter(|c| *c != '"') {
                        value.push(if c == '\\' { chars.next()? } else { c });
                    }
                    while chars.next_if(|c| *c != ';').is_some() {}
                } else {
                    while let Some(c) = chars.next_if(|c| *c != ';') {
                        value.push(c);
                    }
                    value = value.trim().to_owned();
                }
                if name.trim().eq_ignore_ascii_case(wanted) {
                    return Some(value);
                }
                chars.next();
            }
            Some(_) => {}
            None => return None,
        }
        chars.peek()?;
    }
}

/// `+` and `%41` decoded; a `%` that is none stays.
fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        bytes.push(match (first, digit(0), digit(1)) {
            (b'+', ..) => b' ',
            (b'%', Some(high), Some(low)) => {
                rest = after.get(2..).unwrap_or_default();
                u8::try_from(high * 16 + low).unwrap_or(b'%')
            }
            _ => *first,
        });
    }
    Cow::Owned(bytes)
}

fn after<'a>(text: &'a [u8], needle: &[u8]) -> Option<&'a [u8]> {
    text.get(find(text, needle)? + needle.len()..)
}

/// Where `needle` is; both begin with a carriage return where this is asked.
fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.iter().position(|byte| *byte == first)?;
        if text.get(at..)?.starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_to_the_byte() {
        let body = b"a=1+2&body-mime=caf%E9%0D%0A&a=3&%zz=%4&=&x";
        let form = Form::read(Some("application/x-www-form-urlencoded; charset=utf-8"), body).unwrap();
        assert_eq!((form.text("a"), form.bytes("body-mime")), (Some("1 2"), Some(&b"caf\xe9\r\n"[..])));
        assert_eq!((form.text("body-mime"), form.text("%zz"), form.text("x")), (None, Some("%4"), Some("")));
    }

    #[test]
    fn parts_are_read_to_the_byte() {
        let body = b"preamble\r\n--B\r\nContent-Disposition: form-data; name=\"to\"\r\n\r\na@b\r\n--B\r\n\
            content-disposition: form-data; filename=\"x; name=\\\"email\\\"\"; name=email\r\nContent-Type: text/plain\r\n\r\n\
            From: a\r\n\r\n--\xff\r\n--X\r\n\r\n--B\r\n\r\nno headers\r\n--B--\r\nepilogue";
        let form = Form::read(Some("multipart/form-data; boundary=\"B\""), body).unwrap();
        assert_eq!(form.text("to"), Some("a@b"));
        assert_eq!(form.bytes("email"), Some(&b"From: a\r\n\r\n--\xff\r\n--X\r\n"[..]));
        assert_eq!(form.0.len(), 2, "a part without a name is none");
    }

    #[test]
    fn a_file_name_is_no_name() {
        let head = "Content-Disposition: form-data; filename=\"a\\\"; name=\\\"signature\"; name=\"attachment-1\"";
        assert_eq!(name_of(head).as_deref(), Some("attachment-1"));
        assert_eq!(name_of("Content-Disposition: form-data; filename=\"; name=b\""), None);
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for (kind, body) in [
            (None, "a=b"),
            (Some("application/json"), "{}"),
            (Some("multipart/form-data"), "--B--"),
            (Some("multipart/form-data; boundary="), "--B--"),
            (Some("multipart/form-data; boundary=B"), "nothing"),
            (Some("multipart/form-data; boundary=B"), "--B\r\nContent-Disposition: form-data; name=a\r\n\r\nb"),
            (Some("multipart/form-data; boundary=B"), "--B\r\nno end of headers\r\n--B--"),
        ] {
            let read = Form::read(kind, body.as_bytes());
            assert!(matches!(read, Err(Refused::Forged(_))), "{kind:?} {body:?} {read:?}");
        }
        let long = format!("multipart/form-data; boundary={}", "b".repeat(71));
        assert!(Form::read(Some(&long), b"").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_body_breaks_it(body: Vec<u8>, parameters: String) {
            let kind = format!("multipart/form-data;{parameters}; boundary=B");
            drop(Form::read(Some(&kind), &body));
            drop(Form::read(Some("application/x-www-form-urlencoded"), &body));
            let mut framed = b"--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n".to_vec();
            framed.extend_from_slice(&body);
            framed.extend_from_slice(b"\r\n--B--");
            let form = Form::read(Some("multipart/form-data; boundary=B"), &framed);
            proptest::prop_assume!(find(&body, b"\r\n--B").is_none());
            let form = form.unwrap();
            proptest::prop_assert_eq!(form.bytes("a"), Some(body.as_slice()));
        }
    }
}
