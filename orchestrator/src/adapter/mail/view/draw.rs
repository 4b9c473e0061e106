//! Sheets drawn: the templates, what they call, and how everything looks.

use std::sync::LazyLock;

use minijinja::{Environment, Value, context, syntax::SyntaxConfig, value::Serde};
use unicode_width::UnicodeWidthStr;

use super::sheet::Sheet;

/// Columns of the text part.
const COLUMNS: usize = 76;

/// How things look: their name, their style, and what is different where it is dark. Mail programs take little else than inline
/// styles; pages have the same as a style sheet.
const LOOKS: [(&str, &str, &str); 34] = [
    ("page", "margin:0;padding:0;background-color:#f3f4f6;", "background-color:#0d1117"),
    (
        "card",
        "background-color:#ffffff;border:1px solid #d0d7de;border-radius:10px;",
        "background-color:#161b22;border-color:#30363d",
    ),
    (
        "in",
        "padding:22px 20px 18px 20px;font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:16px;line-height:1.5;color:#1f2328;text-align:left;overflow-wrap:anywhere;word-break:break-word;",
        "color:#e6edf3",
    ),
    ("over", "margin:0 0 4px 0;font-size:14px;line-height:1.4;color:#57606a;", "color:#9da7b3"),
    ("title", "margin:0 0 8px 0;font-size:22px;line-height:1.3;font-weight:700;color:#1f2328;", "color:#f0f6fc"),
    ("under", "margin:0 0 2px 0;font-size:14px;line-height:1.45;color:#57606a;", "color:#9da7b3"),
    (
        "badge_plain",
        "display:inline-block;padding:2px 10px;border-radius:12px;font-size:14px;font-weight:600;background-color:#e7ebef;color:#30363d;",
        "background-color:#30363d;color:#e6edf3",
    ),
    (
        "badge_good",
        "display:inline-block;padding:2px 10px;border-radius:12px;font-size:14px;font-weight:600;background-color:#d9f5e0;color:#0f5323;",
        "background-color:#12361f;color:#7ee29a",
    ),
    (
        "badge_odd",
        "display:inline-block;padding:2px 10px;border-radius:12px;font-size:14px;font-weight:600;background-color:#fff0c2;color:#664300;",
        "background-color:#3d2f00;color:#f2cc60",
    ),
    (
        "badge_bad",
        "display:inline-block;padding:2px 10px;border-radius:12px;font-size:14px;font-weight:600;background-color:#ffe1de;color:#86181d;",
        "background-color:#4a1210;color:#ffaba3",
    ),
    ("tone_plain", "color:#57606a;font-weight:600;", "color:#9da7b3"),
    ("tone_good", "color:#0f6b2d;font-weight:700;", "color:#7ee29a"),
    ("tone_odd", "color:#7a5200;font-weight:700;", "color:#f2cc60"),
    ("tone_bad", "color:#a31620;font-weight:700;", "color:#ffaba3"),
    (
        "h",
        "margin:22px 0 6px 0;padding:14px 0 0 0;border-top:1px solid #e4e8ec;font-size:16px;line-height:1.4;font-weight:700;color:#1f2328;",
        "color:#f0f6fc;border-color:#30363d",
    ),
    ("note", "font-size:14px;font-weight:400;color:#57606a;", "color:#9da7b3"),
    ("p", "margin:8px 0;", ""),
    (
        "warning",
        "margin:10px 0;padding:8px 12px;border-left:4px solid #bf8700;background-color:#fff8e0;color:#4d3500;",
        "background-color:#2b2200;color:#f2cc60",
    ),
    (
        "quote",
        "margin:8px 0;padding:4px 0 4px 12px;border-left:4px solid #c4ccd4;color:#3a424b;",
        "color:#c9d1d9;border-color:#484f58",
    ),
    (
        "code",
        "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:14px;background-color:#eef1f4;padding:1px 4px;border-radius:4px;color:#1f2328;",
        "background-color:#262c34;color:#e6edf3",
    ),
    (
        "pre",
        "margin:8px 0;padding:10px 12px;font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:13px;line-height:1.45;white-space:pre-wrap;background-color:#f6f8fa;border:1px solid #e4e8ec;border-radius:6px;color:#1f2328;",
        "background-color:#0d1117;color:#e6edf3;border-color:#30363d",
    ),
    ("row", "margin:6px 0;width:100%;border-collapse:collapse;", ""),
    ("mark", "width:22px;padding:2px 0;vertical-align:top;text-align:left;font-size:16px;line-height:1.45;", ""),
    ("cell", "padding:2px 0;vertical-align:top;text-align:left;font-size:16px;line-height:1.45;", ""),
    ("name", "margin:8px 0 0 0;font-size:14px;line-height:1.4;color:#57606a;", "color:#9da7b3"),
    ("value", "margin:0 0 6px 0;", ""),
    ("more", "margin:4px 0;font-size:14px;color:#57606a;", "color:#9da7b3"),
    (
        "answer",
        "margin:22px 0 0 0;padding:6px 14px 10px 14px;border:1px solid #b6c7dd;border-radius:8px;background-color:#f2f7fd;",
        "background-color:#121d2b;border-color:#2f4a6b",
    ),
    ("answer_h", "margin:6px 0 2px 0;font-size:16px;font-weight:700;color:#1f2328;", "color:#f0f6fc"),
    ("press_cell", "border-radius:8px;background-color:#0a4fb3;", "background-color:#1f6feb"),
    (
        "press",
        "display:inline-block;padding:12px 22px;font-size:16px;font-weight:600;color:#ffffff;text-decoration:none;border-radius:8px;background-color:#0a4fb3;",
        "background-color:#1158c7;color:#ffffff",
    ),
    ("foot", "margin:0 0 4px 0;font-size:13px;line-height:1.45;color:#57606a;", "color:#9da7b3"),
    (
        "foot_box",
        "padding:14px 20px 28px 20px;font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:13px;text-align:left;overflow-wrap:anywhere;word-break:break-word;",
        "",
    ),
    ("link", "color:#0a4fb3;", "color:#79b8ff"),
];

/// What only pages have: forms.
const FORMS: &str = "*{box-sizing:border-box}.wide{max-width:720px;margin:0 auto;padding:16px 8px}\
label{display:block;margin:14px 0 4px 0;font-weight:600}\
textarea{width:100%;min-height:88px;padding:10px;font:inherit;color:inherit;background-color:#ffffff;border:1px solid #8c959f;border-radius:8px}\
.plan{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:14px;line-height:1.45;tab-size:4}\
summary{min-height:44px;padding:10px 0;font-weight:600;cursor:pointer}\
.keys{display:flex;flex-wrap:wrap;gap:10px;margin:14px 0 4px 0}\
button{flex:1 1 140px;min-height:48px;padding:10px 16px;font:inherit;font-weight:600;border-radius:8px;border:1px solid #57606a;background-color:#ffffff;color:#1f2328}\
button.yes{background-color:#0f6b2d;border-color:#0f6b2d;color:#ffffff}button.no{background-color:#ffffff;border-color:#a31620;color:#a31620}\
button:focus-visible,textarea:focus-visible,summary:focus-visible,a:focus-visible{outline:3px solid #0a4fb3;outline-offset:2px}\
.line_good{background-color:#d9f5e0}.line_bad{background-color:#ffe1de}.line_odd{color:#6e40c9}\
.diff{overflow-x:auto;white-space:pre;overflow-wrap:normal;word-break:normal}.diff span{display:block;min-width:max-content}";
/// The same where it is dark.
const FORMS_DARK: &str = "textarea,button{background-color:#0d1117;border-color:#6e7681;color:#e6edf3}\
button.yes{background-color:#238636;border-color:#238636;color:#ffffff}button.no{background-color:#0d1117;border-color:#ffaba3;color:#ffaba3}\
.line_good{background-color:#12361f}.line_bad{background-color:#4a1210}.line_odd{color:#d2a8ff}";

/// The style sheet of pages. It is the same on every page: its digest stands in their policy.
pub(super) static PAGE_STYLE: LazyLock<String> = LazyLock::new(|| {
    let light: String = LOOKS.iter().map(|(name, style, _)| format!(".{name}{{{style}}}")).collect();
    format!("{light}{FORMS}@media (prefers-color-scheme:dark){{{}{FORMS_DARK}}}", dark(""))
});

/// What is different in mails where it is dark: stronger than inline styles.
static MAIL_STYLE: LazyLock<String> =
    LazyLock::new(|| format!("@media (prefers-color-scheme:dark){{{}}}", dark("!important")));

fn dark(strength: &str) -> String {
    let rule = |style: &str| style.split(';').map(|part| format!("{part}{strength};")).collect::<String>();
    LOOKS
        .iter()
        .filter(|(_, _, dark)| !dark.is_empty())
        .map(|(name, _, dark)| format!(".{name}{{{}}}", rule(dark)))
        .collect()
}

/// How things look, for tests.
#[cfg(test)]
pub(super) fn looks() -> Vec<(&'static str, String, String)> {
    LOOKS.iter().map(|(name, light, dark)| (*name, (*light).to_owned(), (*dark).to_owned())).collect()
}

/// An address of ours in an attribute. Slashes stay as they are: some mail programs look for addresses before they read HTML.
fn address(url: &str) -> String {
    url.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

static TEMPLATES: LazyLock<Result<Environment<'static>, minijinja::Error>> = LazyLock::new(environment);

fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.add_function("rich", |text: &str| Value::from_safe_string(rich(text, true)));
    environment.add_function("rich_page", |text: &str| Value::from_safe_string(rich(text, false)));
    environment.add_filter("inert", |text: &str| Value::from_safe_string(inert(text)));
    environment.add_filter("address", |url: &str| Value::from_safe_string(address(url)));
    environment.add_filter("fold", |text: &str, first: &str, lead: &str| fold(text, first, lead));
    environment.add_filter("marked", |text: &str, lead: &str| marked(text, lead));
    environment.add_filter("ruled", |text: &str, mark: &str| ruled(text, mark));
    environment.add_function("look", |name: &str| Value::from_safe_string(look(name, true)));
    environment.add_function("look_page", |name: &str| Value::from_safe_string(look(name, false)));
    environment.add_template("blocks.html", include_str!("templates/blocks.html"))?;
    environment.add_template("mail.html", include_str!("templates/mail.html"))?;
    environment.add_template("mail.txt", include_str!("templates/mail.txt"))?;
    environment.add_template("page.html", include_str!("templates/page.html"))?;
    Ok(environment)
}

/// A template with what it is given. The templates are in the program and under test with every story; should one fail
/// nevertheless, its place is taken by a text that says so.
pub(super) fn draw(template: &str, given: Value) -> String {
    let drawn = match &*TEMPLATES {
        Ok(environment) => environment.get_template(template).and_then(|template| template.render(given)),
        Err(error) => {
            tracing::error!(%error, "a template of mails is not sound");
            return "This cannot be shown: a template of this program is not sound (its log says more).\n".to_owned();
        }
    };
    drawn.unwrap_or_else(|error| {
        tracing::error!(%error, template, "a mail or page could not be drawn");
        "This cannot be shown: drawing it failed (the program's log says more).\n".to_owned()
    })
}

/// The HTML part.
pub(super) fn html(sheet: &Sheet) -> String {
    draw(
        "mail.html",
        context! { sheet => Value::from(Serde(sheet)), style => Value::from_safe_string(MAIL_STYLE.clone()) },
    )
}

/// The text part.
pub(super) fn text(sheet: &Sheet) -> String {
    draw("mail.txt", context! { sheet => Value::from(Serde(sheet)) })
}

/// A class, and in mails its style beside it.
fn look(name: &str, is_mail: bool) -> String {
    let style = LOOKS.iter().find(|(known, ..)| *known == name).map(|(_, style, _)| *style);
    match style {
        Some(style) if is_mail => format!("class=\"{name}\" style=\"{style}\""),
        _ => format!("class=\"{name}\""),
    }
}

/// Text in which no program finds an address, and which can be broken on a small screen.
fn inert(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + text.len() / 4);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            '.' | '@' | '/' if chars.peek().is_some_and(|next| next.is_alphanumeric()) => {
                html.push(c);
                html.push_str("<wbr>");
            }
            c => html.push(c),
        }
    }
    html
}

/// The same, with what stands between backticks as code.
fn rich(text: &str, is_mail: bool) -> String {
    if text.matches('`').count() % 2 == 1 {
        return inert(text);
    }
    let code = look("code", is_mail);
    let parts = text.split('`').enumerate();
    parts
        .map(
            |(number, part)| if number % 2 == 1 { format!("<code {code}>{}</code>", inert(part)) } else { inert(part) },
        )
        .collect()
}

/// Words in lines of [`COLUMNS`], the first with `first`, the others with `lead` before them.
fn fold(text: &str, first: &str, lead: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for (number, paragraph) in text.lines().enumerate() {
        let mut line = if number == 0 { first.to_owned() } else { lead.to_owned() };
        let mut is_empty = true;
        for word in paragraph.split(' ').filter(|word| !word.is_empty()) {
            if !is_empty && line.width() + 1 + word.width() > COLUMNS {
                lines.push(std::mem::replace(&mut line, lead.to_owned()));
                is_empty = true;
            }
            if !is_empty {
                line.push(' ');
            }
            line.push_str(word);
            is_empty = false;
        }
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

/// Every line as it is, with a mark before it.
fn marked(text: &str, lead: &str) -> String {
    text.lines().map(|line| format!("{lead}{line}").trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// A line of marks as long as the text.
fn ruled(text: &str, mark: &str) -> String {
    mark.repeat(text.width().clamp(3, COLUMNS))
}
