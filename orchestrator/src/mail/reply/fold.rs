//! Lines made comparable: case, accents, widths, dashes, blanks and invisible marks no longer matter.

/// The most of a line that is looked at, in bytes: no marker is longer, and a line may have megabytes.
const LOOKED_AT: usize = 2048;

/// Whether a character shows nothing: joiners, direction marks, byte order mark, soft hyphen, variation selectors.
pub(super) fn invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        || (c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
}

/// The beginning of a text, cut at a character.
pub(super) fn head(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let at = (0..=bytes).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..at]
}

/// A line without what shows nothing, trimmed.
pub(super) fn visible(line: &str) -> String {
    let shown: String = line.chars().filter(|c| !invisible(*c)).collect();
    shown.trim().to_owned()
}

/// The comparable form of a line's beginning.
pub(super) fn fold(line: &str) -> String {
    let line = head(line, LOOKED_AT);
    super::meter::tick(line.len());
    let mut folded = String::with_capacity(line.len());
    let mut blank = true;
    for c in line.chars() {
        if invisible(c) || ('\u{300}'..='\u{36f}').contains(&c) {
            continue;
        }
        if c.is_whitespace() {
            if !blank {
                folded.push(' ');
            }
            blank = true;
            continue;
        }
        blank = false;
        for lower in plain(c).to_lowercase() {
            base(plain(lower), &mut folded);
        }
    }
    folded.truncate(folded.trim_end().len());
    folded
}

/// One character in its usual width, digits and dashes and quotes in ASCII.
fn plain(c: char) -> char {
    let from = |zero: u32| char::from_u32('0' as u32 + c as u32 - zero).unwrap_or(c);
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        '\u{660}'..='\u{669}' => from(0x660),
        '\u{6f0}'..='\u{6f9}' => from(0x6f0),
        '\u{966}'..='\u{96f}' => from(0x966),
        '\u{e50}'..='\u{e59}' => from(0xe50),
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2043}' | '\u{fe58}' | '\u{2500}' | '\u{2501}' => '-',
        '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}' | '\u{2032}' | '`' | '\u{b4}' => '\'',
        '\u{201c}'..='\u{201f}' | '\u{ab}' | '\u{bb}' | '\u{2033}' | '\u{300c}' | '\u{300d}' => '"',
        '\u{fe55}' | '\u{2236}' => ':',
        _ => c,
    }
}

/// A lower-case letter without its accent.
fn base(c: char, out: &mut String) {
    let plain = match c {
        '\u{300}'..='\u{36f}' => return,
        'ß' => return out.push_str("ss"),
        'æ' => return out.push_str("ae"),
        'œ' => return out.push_str("oe"),
        'à'..='å' | 'ā' | 'ă' | 'ą' | 'ǎ' | '\u{1ea0}'..='\u{1eb7}' => 'a',
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => 'c',
        'ď' | 'đ' | 'ð' => 'd',
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' | '\u{1eb8}'..='\u{1ec7}' => 'e',
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => 'g',
        'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' | '\u{1ec8}'..='\u{1ecb}' => 'i',
        'ķ' => 'k',
        'ĺ' | 'ļ' | 'ľ' | 'ł' => 'l',
        'ñ' | 'ń' | 'ņ' | 'ň' => 'n',
        'ò'..='ö' | 'ø' | 'ō' | 'ŏ' | 'ő' | 'ơ' | '\u{1ecc}'..='\u{1ee3}' => 'o',
        'ŕ' | 'ř' => 'r',
        'ś' | 'ş' | 'š' | 'ș' => 's',
        'ţ' | 'ť' | 'ț' => 't',
        'ù'..='ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' | 'ư' | '\u{1ee4}'..='\u{1ef1}' => 'u',
        'ý' | 'ÿ' | '\u{1ef2}'..='\u{1ef9}' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        'ά' => 'α',
        'έ' => 'ε',
        'ή' => 'η',
        'ί' | 'ϊ' | 'ΐ' => 'ι',
        'ό' => 'ο',
        'ύ' | 'ϋ' | 'ΰ' => 'υ',
        'ώ' => 'ω',
        'ς' => 'σ',
        'ё' => 'е',
        'й' => 'и',
        _ => c,
    };
    out.push(plain);
}

/// How many `>` a line begins with, and what follows them.
///
/// Blanks between and before the marks do not count. `>=` and `>:(` are no quotes, nor is `|`.
pub(super) fn quoted(line: &str) -> (usize, &str) {
    let mut depth = 0;
    let mut rest = line.trim_start_matches(|c: char| c.is_whitespace() || invisible(c));
    let mut shown = line;
    // `>>> like this <<<` is a decoration, `>> cout << "quoted" <<` is not.
    let end = line.trim_end();
    let inner = end.trim_matches(['<', '>']);
    let decorated =
        line.starts_with(">>") && end.ends_with("<<") && (end.ends_with("<<<") || marks(end, '>') == marks(end, '<'));
    if decorated && !inner.contains("<<") {
        return (0, line);
    }
    // `>>> Anna Bell 03/05/26 10:01AM >>>` is a heading.
    if line.starts_with(">>>") && end.ends_with(">>>") && end.len() < 200 && when(inner).date {
        return (0, line);
    }
    while let Some(next) = rest.strip_prefix('>').or_else(|| rest.strip_prefix('＞')) {
        if depth == 0 && (next.starts_with('=') || next.starts_with(":(") || next.starts_with(":)")) {
            break;
        }
        depth += 1;
        shown = next.strip_prefix(' ').unwrap_or(next);
        rest = next.trim_start_matches(|c: char| c.is_whitespace() || invisible(c));
    }
    super::meter::tick(depth);
    (depth, shown)
}

/// How many times a mark stands in a text.
fn marks(text: &str, mark: char) -> usize {
    text.chars().filter(|c| *c == mark).count()
}

/// Whether a folded text names a mail address. `root@host:/tmp#` is none, nor is `[root@host ~]#`.
pub(super) fn has_address(folded: &str) -> bool {
    folded.match_indices('@').any(|(at, _)| {
        let before = &folded[..at];
        let named = before.chars().next_back().is_some_and(|c| c.is_alphanumeric() || "._%+-\"".contains(c));
        let rest = &folded[at + 1..];
        let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-'))).unwrap_or(rest.len());
        let (domain, after) = rest.split_at(end);
        let dotted = domain.char_indices().any(|(dot, c)| c == '.' && dot > 0 && dot + 1 < domain.len());
        let prompt = || {
            let name = before.rfind([' ', '<', '(', '"', '[']).map_or(before, |from| &before[from..]);
            name.starts_with('[') || after.starts_with([':', '/', '#', '$', '%'])
        };
        named && domain.starts_with(char::is_alphanumeric) && (dotted || !prompt())
    }) || folded.contains("mailto:")
}

/// What a folded text says about a point in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct When {
    /// A year of four digits, or a date in digits.
    pub(super) date: bool,
    /// Hours and minutes.
    pub(super) time: bool,
}

/// Finds dates and times in a folded text.
pub(super) fn when(folded: &str) -> When {
    let mut found = When::default();
    let bytes = folded.as_bytes();
    let mut at = 0;
    let mut before: Option<usize> = None;
    let mut chain = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let from = at;
        while at < bytes.len() && bytes[at].is_ascii_digit() {
            at += 1;
        }
        let digits = at - from;
        let year = digits == 4 && (folded[from..at].starts_with("19") || folded[from..at].starts_with("20"));
        // Thai years, and the emperor's years with their sign, are years too.
        let thai = digits == 4 && folded[from..at].starts_with("25");
        found.date |= year || thai;
        let joined = before.filter(|end| end + 1 == from).map(|end| bytes[end]);
        chain = if joined.is_some_and(|mark| b"/.-".contains(&mark)) { chain + 1 } else { 0 };
        found.date |= chain >= 2;
        if digits == 2 && joined.is_some_and(|mark| matches!(mark, b':' | b'h')) {
            found.time = true;
        }
        if digits == 2 && joined.is_some_and(|mark| mark == b'.') && chain == 1 && bytes.get(at) != Some(&b'.') {
            found.time = true;
        }
        before = Some(at);
    }
    found.time |= folded.contains(" uhr") || folded.contains("시 ") || folded.contains('時') || folded.contains('点');
    found
}

/// Whether a phrase stands in a text as words: no letter of its own alphabet touches it.
pub(super) fn says(text: &str, phrase: &str) -> bool {
    find(text, phrase).is_some()
}

/// Where a phrase first stands in a text as words.
pub(super) fn find(text: &str, phrase: &str) -> Option<usize> {
    text.match_indices(phrase).map(|(at, _)| at).find(|at| {
        let end = at + phrase.len();
        let open = phrase.chars().next().is_none_or(|c| !spaced(c))
            || text[..*at].chars().next_back().is_none_or(|c| !spaced(c));
        let close = phrase.chars().next_back().is_none_or(|c| !spaced(c))
            || text[end..].chars().next().is_none_or(|c| !spaced(c));
        open && close
    })
}

/// Whether a character belongs to a script that puts blanks between words.
pub(super) fn spaced(c: char) -> bool {
    c.is_ascii_alphanumeric() || ('\u{c0}'..='\u{52f}').contains(&c)
}
