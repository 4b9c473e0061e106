//! How mails end, language by language: greetings, devices that sign for their owner, disclaimers, footers of lists.

use super::fold::{fold, has_address, says};
use super::words::folded;
use std::collections::HashSet;
use std::sync::LazyLock;

/// Formal greetings: nothing but a name and an address follows them.
const CLOSINGS: &[&str] = &[
    "best regards", "kind regards", "warm regards", "regards", "with kind regards", "with best regards", "kindest regards", "warmest regards", "many regards", "sincerely", "yours sincerely", "sincerely yours",
    "yours faithfully", "best wishes", "respectfully", "all the best", "yours truly", "br", "kr", "rgds", "cordially", "warmly", "best",
    "mit freundlichen grüßen", "mit freundlichem gruß", "freundliche grüße", "mit besten grüßen", "viele grüße", "beste grüße", "liebe grüße", "herzliche grüße", "schöne grüße", "mfg", "lg", "vg", "viele liebe grüße", "freundliche grüsse", "gruß", "grüße", "mit lieben grüßen", "schönen gruß", "hochachtungsvoll",
    "cordialement", "bien cordialement", "bien à vous", "très cordialement", "sincères salutations", "meilleures salutations", "cdlt", "amicalement", "salutations distinguées", "bien à toi",
    "saludos", "saludos cordiales", "un saludo", "un cordial saludo", "atentamente", "atte", "cordialmente", "muchos saludos", "un abrazo",
    "atenciosamente", "cumprimentos", "com os melhores cumprimentos", "melhores cumprimentos", "att", "abraços", "abraço", "cordiais saudações", "um abraço",
    "cordiali saluti", "distinti saluti", "saluti", "un saluto", "un cordiale saluto", "con i migliori saluti", "buona giornata",
    "met vriendelijke groet", "met vriendelijke groeten", "vriendelijke groet", "vriendelijke groeten", "mvg", "hartelijke groet", "groeten", "groetjes", "gr",
    "pozdrawiam", "z poważaniem", "serdecznie pozdrawiam", "z wyrazami szacunku", "pozdrowienia",
    "med vänliga hälsningar", "med vänlig hälsning", "vänliga hälsningar", "hälsningar", "mvh", "vänligen", "bästa hälsningar",
    "med venlig hilsen", "venlig hilsen", "de bedste hilsner", "hilsen", "mange hilsner", "kh", "med vennlig hilsen", "vennlig hilsen", "beste hilsen", "hilsener", "hilsner",
    "ystävällisin terveisin", "terveisin", "parhain terveisin", "t", "ystävällisesti", "terv",
    "s pozdravem", "s přátelským pozdravem", "s úctou", "hezký den", "s pozdravom", "s priateľským pozdravom", "zdraví",
    "üdvözlettel", "tisztelettel", "üdv", "köszönettel", "cu stimă", "cu respect", "toate cele bune", "o zi bună",
    "με εκτίμηση", "με φιλικούς χαιρετισμούς", "χαιρετισμούς", "φιλικά", "saygılarımla", "saygılarımızla", "iyi çalışmalar", "selamlar", "sevgiler",
    "с уважением", "с наилучшими пожеланиями", "всего доброго", "с приветом", "з повагою", "з найкращими побажаннями", "с уважение", "поздрави", "с најбољим поздравима", "срдачан поздрав", "поздрав", "s poštovanjem", "srdačan pozdrav", "pozdrav", "lijep pozdrav", "lp", "lep pozdrav",
    "בברכה", "בתודה", "بتحياتي", "مع أطيب التحيات", "تحياتي", "مع التحية", "مع خالص التحية", "此致", "敬礼", "祝好", "顺颂商祺", "敬上", "順頌商祺", "よろしくお願いします", "よろしくお願いいたします", "以上", "敬具", "감사합니다", "드림", "올림",
    "trân trọng", "thân ái", "thân mến", "ขอแสดงความนับถือ", "ด้วยความเคารพ", "hormat saya", "salam", "salam hormat", "hormat kami",
];

/// Greetings that say something: they stay, what is below them may be a signature.
const THANKS: &[&str] = &[
    "thanks", "thank you", "many thanks", "thx", "cheers", "thanks again", "thanks so much", "thanks and regards", "thanks & regards", "thanks in advance", "ty", "danke", "vielen dank", "besten dank", "merci", "merci beaucoup", "gracias", "muchas gracias", "obrigado", "obrigada",
    "grazie", "grazie mille", "bedankt", "dank je", "dzięki", "dziękuję", "tack", "tak", "takk", "kiitos", "děkuji", "díky", "ďakujem", "köszönöm", "mulțumesc", "ευχαριστώ", "teşekkürler", "спасибо", "дякую", "благодаря", "хвала", "hvala", "תודה", "شكرا", "谢谢", "謝謝", "cảm ơn", "ขอบคุณ", "terima kasih",
];

/// "Sent", as devices and programs say it of themselves.
const SENT: &[&str] = &[
    "sent from", "sent with", "sent via", "sent using", "sent by", "gesendet", "versendet", "verfasst", "envoyé", "enviado", "enviada", "inviato", "inviata", "verstuurd", "verzonden", "wysłane", "wysłano", "skickat", "skickades", "sendt", "lähetetty", "odesláno", "odoslané", "poslané", "elküldve",
    "küldve", "trimis", "στάλθηκε", "εστάλη", "gönderildi", "отправлено", "надіслано", "відправлено", "изпратено", "послато", "poslano", "נשלח", "أرسلت", "أُرسلت", "مرسل", "تم الإرسال", "发自", "發自", "傳送", "发送自", "から送信", "送信されました", "보냄", "에서 보낸", "đã gửi", "được gửi", "gửi từ", "ส่งจาก", "dikirim",
    "get outlook", "outlook holen", "holen sie sich outlook", "télécharger outlook", "obtenir outlook", "obtener outlook", "obtenha o outlook", "obter o outlook", "scarica outlook", "ottieni outlook", "outlook downloaden", "download outlook", "pobierz outlook", "hämta outlook", "hent outlook", "hanki outlook", "stáhnout outlook", "získejte outlook", "скачать outlook", "загрузить outlook", "获取 outlook", "取得 outlook", "outlook を入手", "을 다운로드", "outlook for", "typed on", "sent on",
];

/// What sends by itself.
const DEVICES: &[&str] = &[
    "iphone", "iphon", "ipad", "ipod", "android", "samsung", "galaxy", "blackberry", "huawei", "xiaomi", "outlook", "smartphone", "phone", "handy", "mobile", "mobil", "telefon", "téléphone", "teléfono", "telefono", "telemóvel", "celular", "móvil", "cellulare", "yahoo", "gmail", "proton", "protonmail", "superhuman", "spark",
    "zoho", "thunderbird", "mailspring", "airmail", "tutanota", "tuta", "hey", "web.de", "gmx", "gmx.de", "windows", "mail", "app", "tablet", "pixel", "nokia", "sony", "xperia", "lg", "oneplus", "oppo", "vivo", "motorola", "htc", "verizon", "at&t", "t-mobile", "aol", "icloud", "mailbird", "missive", "front", "telefonu", "telefonum", "手机", "手機",
    "mobiltelefon", "puhelimesta", "телефона", "почта", "почты", "почты mail.ru", "яндекс", "yandex", "qq邮箱", "网易邮箱", "foxmail", "携帯", "スマートフォン", "fairphone", "mac", "macbook", "watch", "canary", "edison", "newton", "bluemail", "k-9", "k-9 mail", "fairmail", "nine", "mail.com", "fastmail", "hubspot",
];

/// Words of disclaimers; two of a paragraph's are enough.
const LEGAL: &[&str] = &[
    "confidential", "confidentiality", "intended solely", "intended recipient", "intended only", "intended for the", "privileged", "disclaimer", "legally privileged", "please notify the sender", "unauthorized", "unauthorised", "in error", "delete this", "strictly prohibited",
    "vertraulich", "vertrauliche", "rechtlich geschützte", "bestimmungsgemäße", "irrtümlich", "nicht der richtige adressat", "unbefugte", "vernichten sie", "confidentiel", "confidentielles", "confidentielle", "destinataire", "par erreur", "usage exclusif",
    "confidencial", "destinatario", "destinatário", "por error", "por engano", "prohibida", "riservato", "riservate", "per errore", "d.lgs", "vertrouwelijk", "vertrouwelijke", "geadresseerde", "bestemd", "poufne", "adresata", "poufny", "konfidentiell", "fortrolig", "fortrolige", "luottamuksellinen", "důvěrné", "dôverné",
    "bizalmas", "confidențial", "confidențiale", "εμπιστευτικό", "εμπιστευτικές", "gizli", "gizlidir", "конфиденциальн", "конфиденциальную", "конфиденциальной", "конфіденційн", "поверително", "поверљиво", "povjerljivo", "povjerljive", "חסוי", "סודי", "سرية", "سري", "保密", "机密", "機密", "기밀", "bảo mật", "rahasia", "gdpr",
];

/// How the footers of mailing lists and notifications begin.
const FOOTERS: &[&str] = &[
    "you received this message because", "you are receiving this because", "you're receiving this", "you received this email because", "you are receiving this email", "you are receiving this mail", "to unsubscribe", "unsubscribe", "to view this discussion", "reply to this email directly", "you can reply to this email", "for more options, visit", "manage your notification", "view it on github", "view it on gitlab", "visit this group at",
    "mailing list", "click here to unsubscribe", "sie erhalten diese nachricht, weil", "sie erhalten diese e-mail", "vous recevez ce message", "vous recevez cet e-mail", "recibiste este mensaje porque", "ha recibido este mensaje porque", "você recebeu essa mensagem porque", "hai ricevuto questo messaggio perché", "je ontvangt dit bericht", "u ontvangt dit bericht", "вы получили это сообщение", "virus-free", "this email has been checked for viruses", "virenfrei", "diese e-mail wurde von avast", "sans virus", "libre de virus", "you are subscribed to",
];

fn set(words: &[&str]) -> HashSet<String> {
    words.iter().map(|word| fold(word)).collect()
}

static CLOSING: LazyLock<HashSet<String>> = LazyLock::new(|| set(CLOSINGS));
static THANKING: LazyLock<HashSet<String>> = LazyLock::new(|| set(THANKS));
static SENDING: LazyLock<Vec<String>> = LazyLock::new(|| folded(SENT));
static DEVICE: LazyLock<Vec<String>> = LazyLock::new(|| folded(DEVICES));
static LAW: LazyLock<Vec<String>> = LazyLock::new(|| folded(LEGAL));
static FOOTER: LazyLock<Vec<String>> = LazyLock::new(|| folded(FOOTERS));

fn bare(line: &str) -> &str {
    line.trim_matches(|c: char| matches!(c, ',' | '.' | '!' | ';' | ':' | '*' | '_' | '-' | ' ' | '。' | '、' | '/' | '~'))
}

/// A formal greeting, alone or with a name after a comma.
pub(super) fn closing(line: &str) -> bool {
    if line.len() > 120 {
        return false;
    }
    let text = bare(line);
    CLOSING.contains(text)
        || text.split_once(',').is_some_and(|(before, name)| {
            before.len() > 6 && CLOSING.contains(before.trim()) && name.split_whitespace().count() <= 3 && !line.ends_with('?')
        })
        || (line.len() < 60 && (line.ends_with(',') || line.ends_with('!')) && says(text, "regards") && text.split_whitespace().count() <= 6)
}

/// Thanks as a greeting.
pub(super) fn thanks(line: &str) -> bool {
    line.len() <= 60 && THANKING.contains(bare(line))
}

/// A line with which a device or a program signs.
pub(super) fn device(line: &str) -> bool {
    if line.len() > 160 || line.ends_with('?') || line.len() < 6 {
        return false;
    }
    let text = line.trim_matches(|c: char| matches!(c, '-' | '*' | '_' | '[' | '(' | '~' | ' ' | '"' | '.' | '<'));
    let sent = SENDING.iter().any(|word| {
        let close = if word.is_ascii() { 6 } else { 14 };
        text.find(word.as_str()).is_some_and(|at| at == 0 || at + word.len() + close >= text.len() || (at < 24 && !word.starts_with("sent")))
    });
    let words = text.split_whitespace().count();
    (text.starts_with("sent from my ") && words <= 10 && !line.contains(". ")) || (sent && words <= 14 && DEVICE.iter().any(|word| text.contains(word.as_str())) && !text.contains(". "))
}

/// Whether a paragraph is a disclaimer.
pub(super) fn legal(paragraph: &str) -> bool {
    if paragraph.len() < 60 {
        return ["disclaimer", "confidentiality notice", "haftungsausschluss", "vertraulichkeitshinweis", "legal notice", "avertissement"]
            .contains(&paragraph.trim_matches(['*', ':', '-', ' ', '_', '=', '.']));
    }
    let names_mail = ["mail", "message", "nachricht", "mensaje", "mensagem", "messaggio", "bericht", "wiadomosc", "meddelande", "meddelelse", "viesti", "zprava", "sprava", "uzenet", "mesaj", "μηνυμα", "сообщени", "письм", "повідомлен", "съобщен", "порук", "poruk", "הודע", "رسالة", "邮件", "郵件", "メール", "메일", "thư", "pesan", "attachment", "communication", "information"];
    names_mail.iter().any(|word| paragraph.contains(&fold(word)))
        && LAW.iter().filter(|word| paragraph.contains(word.as_str())).take(2).count() == 2
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
    line.contains("mailing list") || line.contains("unsubscribe") || line.contains("listinfo") || line.contains("mailman") || line.contains("@lists.") || line.contains("@googlegroups.com") || line.contains("groups.google.com") || line.contains("groups.io")
}

/// Whether a line is one of an address: telephone, web, mail, or fields between bars.
pub(super) fn contact(line: &str) -> bool {
    if line.len() > 160 {
        return false;
    }
    let digits = line.chars().filter(char::is_ascii_digit).count();
    let letters = line.chars().filter(|c| c.is_alphabetic()).count();
    let phone = digits >= 7 && letters <= 24 && !line.contains('/');
    phone || line.starts_with("www.") || line.starts_with("http") || line.contains(" | ") || line.starts_with("tel") || line.starts_with("mob") || line.starts_with("fax")
        || (has_address(line) && line.split_whitespace().count() <= 4) || line.contains("www.") && line.split_whitespace().count() <= 4
}
