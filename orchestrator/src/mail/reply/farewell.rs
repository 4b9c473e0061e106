//! How mails end, language by language: greetings, devices that sign for their owner, disclaimers, footers of lists.

use super::fold::{fold, has_address, says};
use super::words::{folded, list};
use std::collections::HashSet;
use std::sync::LazyLock;

/// Formal greetings: nothing but a name and an address follows them.
const CLOSINGS: &str = include_str!("lists/closings.txt");

/// Greetings that say something: they stay, what is below them may be a signature.
const THANKS: &str = include_str!("lists/thanks.txt");

/// "Sent", as devices and programs say it of themselves.
const SENT: &str = include_str!("lists/sent.txt");

/// What sends by itself.
const DEVICES: &str = include_str!("lists/devices.txt");

/// "Get", as programs recommend themselves.
const GET: &str = include_str!("lists/get.txt");

/// Words of disclaimers; two of a paragraph's are enough.
const LEGAL: &str = include_str!("lists/legal.txt");

/// How the footers of mailing lists and notifications begin.
const FOOTERS: &str = include_str!("lists/footers.txt");

fn set(words: &str) -> HashSet<String> {
    list(words).map(fold).collect()
}

static CLOSING: LazyLock<HashSet<String>> = LazyLock::new(|| set(CLOSINGS));
static THANKING: LazyLock<HashSet<String>> = LazyLock::new(|| set(THANKS));
static SENDING: LazyLock<Vec<String>> = LazyLock::new(|| folded(SENT));
static GETTING: LazyLock<Vec<String>> = LazyLock::new(|| folded(GET));
static DEVICE: LazyLock<Vec<String>> = LazyLock::new(|| folded(DEVICES));
static LAW: LazyLock<Vec<String>> = LazyLock::new(|| folded(LEGAL));
static MAIL: LazyLock<Vec<String>> = LazyLock::new(|| folded(include_str!("lists/mails.txt")));
static OUTSIDE: LazyLock<Vec<String>> = LazyLock::new(|| folded(include_str!("lists/outside.txt")));
static MISTAKEN: LazyLock<Vec<String>> = LazyLock::new(|| folded(include_str!("lists/mistaken.txt")));
static FOOTER: LazyLock<Vec<String>> = LazyLock::new(|| folded(FOOTERS));

fn bare(line: &str) -> &str {
    line.trim_matches(|c: char| {
        matches!(c, ',' | '.' | '!' | ';' | ':' | '*' | '_' | '-' | ' ' | '。' | '、' | '/' | '~')
    })
}

/// A formal greeting, alone or with a name after a comma.
pub(super) fn closing(line: &str) -> bool {
    if line.len() > 120 {
        return false;
    }
    let text = bare(line);
    // In two languages: "Best regards / Mit freundlichen Grüßen".
    let both = || text.contains(['/', '|']) && text.split(['/', '|']).all(|part| CLOSING.contains(bare(part)));
    CLOSING.contains(text)
        || both()
        || text.split_once(',').is_some_and(|(before, name)| {
            before.len() > 6
                && CLOSING.contains(before.trim())
                && name.split_whitespace().count() <= 3
                && !line.ends_with('?')
        })
        || (line.len() < 60
            && (line.ends_with(',') || line.ends_with('!'))
            && says(text, "regards")
            && text.split_whitespace().count() <= 6)
}

/// Thanks as a greeting.
pub(super) fn thanks(line: &str) -> bool {
    line.len() <= 60 && THANKING.contains(bare(line))
}

/// A line with which a device or a program signs.
pub(super) fn device(line: &str) -> bool {
    if line.len() > 160 || line.ends_with('?') || (line.len() < 6 && line != "ᐧ") {
        return false;
    }
    let text = line.trim_matches(|c: char| matches!(c, '-' | '*' | '_' | '[' | '(' | '~' | ' ' | '"' | '.' | '<'));
    let sent = SENDING.iter().any(|word| {
        if word.chars().all(unspaced) {
            return sends(text, word);
        }
        let close = if word.is_ascii() { 6 } else { 14 };
        text.find(word.as_str()).is_some_and(|at| {
            at == 0 || at + word.len() + close >= text.len() || (at < 24 && !word.starts_with("sent"))
        })
    });
    let words = text.split_whitespace().count();
    let excuse = ["excus", "typo", "brevity", "brief", "kurze", "entschuldig"].iter().any(|word| text.contains(word));
    if text == "ᐧ" {
        return true;
    }
    if recommends(text) || text.starts_with("yahoo mail: search") {
        return true;
    }
    // No device signs with a condition: "But not sent from my iPhone".
    if super::decide::takes_back(line) {
        return false;
    }
    // "Sent from my desk, is much easier than my telephone" is a sentence.
    let owned = text.strip_prefix("sent from my ").or_else(|| text.strip_prefix("from my "));
    let named = |rest: &str| {
        let head: Vec<&str> = rest.split_whitespace().take(4).collect();
        let head = head.join(" ");
        let sentence = head.contains(", ") && (words > 7 || says(text, "is") || says(text, "was"));
        !sentence && DEVICE.iter().any(|word| head.contains(word.as_str()))
    };
    let mine = owned.is_some_and(|rest| words <= 10 && !line.contains(". ") && (named(rest) || !rest.contains(", ")));
    mine || (owned.is_some() && sent && excuse)
        || (owned.is_none()
            && sent
            && words <= 14
            && DEVICE.iter().any(|word| text.contains(word.as_str()))
            && (!text.contains(". ") || excuse || text.contains(". get ")))
}

/// Whether a character belongs to a script whose words run into each other, Chinese or Japanese.
fn unspaced(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

/// Whether a line of such a script is a sender's: it begins with where it comes from, or ends with being sent.
/// "先发送到手机测试" asks for something to be sent.
fn sends(text: &str, word: &str) -> bool {
    let text = text.trim_end_matches(['。', '.', '!', ' ']);
    let from = ["从", "從", "由", "通过", "透過", "用", "使用", "来自", "來自", "自", "我的", "私の", "本", "此"];
    let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        || from.iter().any(|start| text.starts_with(start))
        || DEVICE.iter().any(|device| text.starts_with(device.as_str()));
    let begins = text.starts_with(word) && !["发送", "傳送"].contains(&word);
    begins || (starts && text.ends_with(word))
}

/// Whether a line says where to get a mail program for telephones, and nothing else: `Get Outlook for iOS`.
fn recommends(text: &str) -> bool {
    let link = ["<", "(", "[http", "http"].iter().filter_map(|mark| text.find(mark)).min().unwrap_or(text.len());
    let words: Vec<&str> = text[..link].split_whitespace().collect();
    let (Some(first), Some(last)) = (words.first(), words.last()) else { return false };
    let program = |word: &str| ["outlook", "bluemail", "typeapp"].iter().any(|name| word.contains(name));
    let system = |word: &str| word.contains("ios") || word.contains("android") || ["mac", "windows"].contains(&word);
    let get =
        |text: &str| GETTING.iter().any(|word| says(text, word) || (!word.is_ascii() && text.contains(word.as_str())));
    let edge = |word: &str| program(word) || system(word) || get(word);
    // "Get it to Outlook users" speaks to somebody.
    let english = ["get", "download"].contains(first);
    words.len() <= 7
        && words.iter().any(|word| program(word))
        && words.iter().any(|word| system(word))
        && get(text)
        && (edge(first) || (*first == "az" && words.get(1).is_some_and(|word| system(word) && word.contains('-'))))
        && edge(last)
        && (!english || words.get(1).is_some_and(|word| program(word) || *word == "the"))
        && words.iter().filter(|word| !edge(word)).count() <= 3
}

/// Whether a paragraph begins as disclaimers do: `If you are not the intended recipient`.
pub(super) fn mistaken(paragraph: &str) -> bool {
    MISTAKEN.iter().any(|words| paragraph.starts_with(words.as_str()))
}

/// Whether a paragraph is a disclaimer.
pub(super) fn legal(paragraph: &str) -> bool {
    if paragraph.len() < 60 {
        return [
            "disclaimer",
            "confidentiality notice",
            "haftungsausschluss",
            "vertraulichkeitshinweis",
            "legal notice",
            "avertissement",
        ]
        .contains(&paragraph.trim_matches(['*', ':', '-', ' ', '_', '=', '.']));
    }
    let scanned = ["scanned for virus", "been scanned", "auf viren"].iter().any(|words| paragraph.contains(words));
    if scanned && (paragraph.contains("virus") || paragraph.contains("malware") || paragraph.contains("viren")) {
        return true;
    }
    // Who says "I" speaks about it.
    let spoken = ["i'm", "i'd", "i've", "i'll", "i am", "i think", "i would", "i got"];
    !spoken.iter().any(|word| says(paragraph, word))
        && MAIL.iter().any(|word| paragraph.contains(word.as_str()))
        && LAW.iter().filter(|word| paragraph.contains(word.as_str())).take(2).count() == 2
}

/// Whether a paragraph is what a mail server puts above mails from outside.
pub(super) fn external(paragraph: &str) -> bool {
    let text = paragraph.trim_start_matches(['*', '[', '(', '-', '_', '!', '⚠', '\u{fe0f}', ' ', '<', '=', '#']);
    text.len() < 600 && OUTSIDE.iter().any(|words| text.contains(words.as_str())) && {
        let begins = ["caution", "external", "warning", "attention", "this email", "this message", "achtung", "extern"];
        let more =
            ["vorsicht", "diese e-mail", "diese nachricht", "avertissement", "ce message", "cet e-mail", "cuidado"];
        begins.iter().chain(&more).any(|word| text.starts_with(word))
    }
}

/// Whether a line begins the footer of a list or a notification.
pub(super) fn footer(line: &str) -> bool {
    line.len() < 400 && {
        let text = line.trim_start_matches(['-', '*', '_', ' ', '=', '#']);
        FOOTER.iter().any(|words| text.starts_with(words.as_str()))
    }
}

/// Whether a line names a list or how to leave it.
pub(super) fn lists(line: &str) -> bool {
    line.contains("mailing list")
        || line.contains("unsubscribe")
        || line.contains("listinfo")
        || line.contains("mailman")
        || line.contains("@lists.")
        || line.contains("@googlegroups.com")
        || line.contains("groups.google.com")
        || line.contains("groups.io")
}

/// Whether a line is one of an address: telephone, web, mail, or fields between bars.
pub(super) fn contact(line: &str) -> bool {
    if line.len() > 160 {
        return false;
    }
    let digits = line.chars().filter(char::is_ascii_digit).count();
    let letters = line.chars().filter(|c| c.is_alphabetic()).count();
    let code =
        |c: char| matches!(c, '/' | '$' | '|' | '=' | '{' | '}' | '[' | ']' | '_' | ';' | '#' | '%' | '&' | '\\');
    let phone = digits >= 7 && letters <= 24 && !line.contains(code);
    phone
        || line.starts_with("www.")
        || line.starts_with("http")
        || (line.contains(" | ") && !line.starts_with('|'))
        || line.starts_with("tel")
        || line.starts_with("mob")
        || line.starts_with("fax")
        || (has_address(line) && line.split_whitespace().count() <= 4)
        || line.contains("www.") && line.split_whitespace().count() <= 4
}

/// Whether a line of an address holds links behind words, or fields between bars, however long.
pub(super) fn linked(line: &str) -> bool {
    line.len() <= 600
        && (line.contains("<http") || line.contains(" | "))
        && (!line.ends_with(['.', '!']) || line.split_whitespace().count() <= 12)
}

/// Whether a line is a note below a text: `[1] https://…`, `[the plan]: https://…`.
pub(super) fn note(line: &str) -> bool {
    let Some((name, rest)) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) else { return false };
    let rest = rest.trim_start_matches([':', ' ', '-', '.']);
    let picture = name.starts_with("cid:") || name.starts_with("image") || rest.starts_with('<');
    !picture
        && name.len() <= 60
        && (rest.is_empty() || rest.starts_with("http") || name.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a line was added below a greeting: `PS: …`.
pub(super) fn postscript(line: &str) -> bool {
    ["ps", "p.s", "nb", "n.b", "btw", "edit"].iter().any(|start| {
        line.strip_prefix(start).is_some_and(|rest| rest.chars().next().is_none_or(|c| !c.is_alphanumeric()))
    })
}

/// Whether a line is the address of a mailing list's page and nothing else.
pub(super) fn list_page(line: &str) -> bool {
    line.starts_with("http")
        && !line.contains(' ')
        && ["/mailman/listinfo/", "/mailman3/lists/", "/lists/listinfo/"].iter().any(|path| line.contains(path))
}

/// Whether a line is a fact of a business card: a picture, or a number with what it is.
pub(super) fn fact(line: &str) -> bool {
    let digits = line.chars().filter(char::is_ascii_digit).count();
    line.starts_with("[image:") || line.starts_with("[cid:") || (digits >= 4 && line.split_whitespace().count() <= 8)
}
