//! A raw mail, read: leniently, and never without an answer.

use std::{borrow::Cow, panic};

use bus_schemas::time::UnixMs;
use mail_parser::{
    Encoding, HeaderName, HeaderValue, Message, MessageParser, MessagePart, MimeHeaders, PartType,
    parsers::MessageStream,
};

use super::{Address, Attachment, Letter, tame, written};
use crate::mail::{
    address::{normal, one_line},
    reply,
};

/// The most text that is looked at, in bytes.
const LOOKED_AT: usize = 10 << 20;
/// The most headers that are kept, addresses of one kind, ids of one kind, files.
const MOST: (usize, usize, usize, usize) = (2_000, 1_000, 200, 1_000);
/// The longest value of a header that is kept, in bytes, and the longest subject and name, in characters.
const LONGEST: (usize, usize, usize) = (16_384, 500, 200);

/// Takes a mail apart. What cannot be read is named among its defects.
#[must_use]
pub fn read(raw: &[u8]) -> Letter {
    // A parser that is not ours, on a stranger's bytes: whatever it does, this mail is read and the next one, too.
    let parsed = panic::catch_unwind(|| {
        let Some(tamed) = tame(raw) else { return Some(unread(raw, "its parts are too tangled to be taken apart")) };
        MessageParser::default().parse(tamed.as_ref()).map(|message| of_message(raw, &message))
    });
    match parsed {
        Ok(Some(letter)) => letter,
        Ok(None) => unread(raw, "it has no headers"),
        Err(_) => unread(raw, "its form is broken in a way that cannot be read"),
    }
}

/// A mail of which only the text is known.
fn unread(raw: &[u8], defect: &str) -> Letter {
    let text = String::from_utf8_lossy(raw.get(..LOOKED_AT).unwrap_or(raw)).into_owned();
    Letter { reply: reply::of_text(&text), text, defects: vec![defect.to_owned()], ..Letter::default() }
}

fn of_message(raw: &[u8], message: &Message<'_>) -> Letter {
    let mut letter = Letter::default();
    let Some(root) = message.parts.first() else { return unread(raw, "it has no headers") };
    headers(raw, root, &mut letter);
    for header in &root.headers {
        let list = match header.name {
            HeaderName::From => &mut letter.from,
            HeaderName::ReplyTo => &mut letter.reply_to,
            HeaderName::To => &mut letter.to,
            HeaderName::Cc => &mut letter.cc,
            _ => continue,
        };
        addresses(&header.value, list);
    }
    let ids = |name: &str| letter.header(name).flat_map(ids).take(MOST.2).collect::<Vec<_>>();
    let (message_ids, in_reply_to, references) = (ids("message-id"), ids("in-reply-to"), ids("references"));
    let delivered = ["delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-delivered-to"];
    let delivered_to =
        delivered.iter().flat_map(|name| letter.header(name)).flat_map(|value| value.split(',')).filter_map(normal_of);
    letter.delivered_to = delivered_to.take(MOST.1).collect();
    let return_path = letter.header("return-path").next().map(|value| value.trim_matches(['<', '>', ' ']).to_owned());
    letter.return_path = return_path.map(|path| normal(&path).unwrap_or(path));
    letter.message_id = message_ids.into_iter().next();
    (letter.in_reply_to, letter.references) = (in_reply_to, references);
    letter.subject = one_line(message.subject().unwrap_or_default(), LONGEST.1);
    letter.date = message.date().filter(|date| date.is_valid()).map(|date| UnixMs(date.to_timestamp() * 1000));
    (letter.reply, letter.text) = reply::of_message(message);
    letter.attachments = attachments(raw, message);
    name_defects(message, &mut letter);
    letter
}

/// Every header, decoded as far as that goes.
fn headers(raw: &[u8], root: &MessagePart<'_>, letter: &mut Letter) {
    for header in root.headers.iter().take(MOST.0) {
        let (from, to) = (header.offset_start as usize, header.offset_end as usize);
        let value = raw.get(from..to.min(from.saturating_add(LONGEST.0))).unwrap_or_default();
        let text = String::from_utf8_lossy(value);
        let text = if text.contains("=?") { decoded(value).unwrap_or(text) } else { text };
        letter.headers.push((header.name().trim().to_lowercase(), one_line(&text, LONGEST.0)));
    }
    if root.headers.len() > MOST.0 {
        letter.defects.push(format!("it has {} headers, of which {} were looked at", root.headers.len(), MOST.0));
        // Whether one of them is there twice is not known: nobody wrote this.
        letter.from.push(Address::default());
    }
}

/// A value with encoded words, decoded.
fn decoded(value: &[u8]) -> Option<Cow<'_, str>> {
    let mut line = value.to_vec();
    line.extend_from_slice(b"\r\n");
    match MessageStream::new(&line).parse_unstructured() {
        HeaderValue::Text(text) => Some(Cow::Owned(text.into_owned())),
        _ => None,
    }
}

fn addresses(value: &HeaderValue<'_>, list: &mut Vec<Address>) {
    let HeaderValue::Address(addresses) = value else {
        // It is there and names nobody who could be read.
        list.push(Address::default());
        return;
    };
    let before = list.len();
    for one in addresses.iter().take(MOST.1) {
        let written = one.address.as_deref().unwrap_or_default();
        // An address that cannot be read is kept without one: it counts as somebody who is nobody.
        let address = normal(written).unwrap_or_default();
        list.push(Address { name: one_line(one.name.as_deref().unwrap_or_default(), LONGEST.2), address });
    }
    if list.len() == before {
        list.push(Address::default());
    }
}

fn normal_of(value: &str) -> Option<String> {
    let inner = value.rsplit_once('<').map_or(value, |(_, rest)| rest);
    normal(inner.trim_matches(['<', '>', ' ']))
}

/// The ids in a header: what stands between angle brackets, or the words if there are none.
fn ids(value: &str) -> Vec<String> {
    let is_id =
        |id: &&str| !id.is_empty() && id.len() <= 998 && !id.contains(|c: char| c.is_whitespace() || "<>".contains(c));
    if value.contains('<') {
        let inner = value.split('<').skip(1).filter_map(|rest| rest.split_once('>').map(|(id, _)| id.trim()));
        return inner.filter(is_id).map(str::to_owned).collect();
    }
    value.split_whitespace().filter(is_id).filter(|word| word.contains('@')).map(str::to_owned).collect()
}

fn attachments(raw: &[u8], message: &Message<'_>) -> Vec<Attachment> {
    let parts = message.attachments.iter().filter_map(|at| message.parts.get(*at as usize));
    parts.take(MOST.3).map(|part| attachment(raw, part)).collect()
}

fn attachment(raw: &[u8], part: &MessagePart<'_>) -> Attachment {
    let (media_type, named) = written(raw, part);
    let bytes = match &part.body {
        PartType::Text(text) | PartType::Html(text) => text.as_bytes().to_vec(),
        PartType::Binary(bytes) | PartType::InlineBinary(bytes) => {
            let place = part.offset_body as usize..part.offset_end as usize;
            // As it was written: what was parsed is tamed.
            let as_written =
                raw.get(place).filter(|there| part.encoding == Encoding::None && there.len() == bytes.len());
            as_written.unwrap_or(bytes).to_vec()
        }
        PartType::Message(_) | PartType::Multipart(_) => Vec::new(),
    };
    let disposition = part.content_disposition();
    let filename = disposition.and_then(|how| how.attribute("filename")).map(str::to_owned);
    let mut name = filename.or(named).unwrap_or_default();
    if name.is_empty() && media_type.starts_with("message/") {
        let inner = MessageParser::default().parse_headers(&bytes);
        let subject = inner.as_ref().and_then(Message::subject).unwrap_or_default().trim();
        name = format!("{}.eml", if subject.is_empty() { "message" } else { subject });
    }
    let inline = match disposition {
        Some(how) => how.is_inline(),
        None => part.content_id().is_some(),
    };
    Attachment { name: one_line(&name, LONGEST.2), media_type: one_line(&media_type, LONGEST.2), bytes, inline }
}

fn name_defects(message: &Message<'_>, letter: &mut Letter) {
    let from = match letter.from.as_slice() {
        [] => Some("it says nothing about who wrote it".to_owned()),
        [one] if one.address.is_empty() => Some("the address it comes from cannot be read".to_owned()),
        [_] => None,
        several => Some(format!("it names {} writers", several.len())),
    };
    letter.defects.extend(from);
    letter.defects.extend(letter.doubled().map(|name| format!("it has the header {name} twice")));
    if letter.message_id.is_none() {
        letter.defects.push("it has no Message-ID".to_owned());
    }
    let broken = message.parts.iter().filter(|part| part.is_encoding_problem).count();
    if broken > 0 {
        letter.defects.push(format!("{broken} of its parts are not encoded as they say, or not ended"));
    }
}
