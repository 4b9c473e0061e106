//! What mail programs write around a quote, language by language. Everything is compared folded.

use super::fold::fold;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// "… wrote": one entry per language and form; `/` and brackets are written out.
const WROTE: &[&str] = &[
    "wrote", "writes", "has written", "wrote the following", "said", // English
    "schrieb", "geschrieben", "schreibt", // German
    "a écrit", "écrit", "écrivait", // French
    "escribió", "escribiste", "ha escrito", "escribía", "va escriure", "escribiu", // Spanish, Catalan, Galician
    "escreveu", "escreveste", // Portuguese
    "ha scritto", "scrive", "scrisse", // Italian
    "schreef", "geschreven", "het geskryf", // Dutch, Afrikaans
    "napisał", "napisała", "napisał(a)", "napisano", "pisze", // Polish
    "skrev", "skreiv", "har skrivit", "har skrevet", "skrifaði", // Swedish, Danish, Norwegian, Icelandic
    "kirjoitti", "kirjutas", // Finnish, Estonian
    "napsal", "napsala", "napsal(a)", "napsal/a", "píše", // Czech
    "napísal", "napísala", "napísal(a)", "napísal/a", // Slovak
    "írta", "ezt írta", "a következőt írta", "írt", // Hungarian
    "a scris", // Romanian
    "έγραψε", "έγραψαν", // Greek
    "yazdı", "şunları yazdı", "şunu yazdı", "yazmış", // Turkish
    "написал", "написала", "написал(а)", "писал", "писал(а)", "пишет", // Russian
    "написав", "написала", "написав(ла)", "пише", "писав", // Ukrainian
    "написа", "написал/а", // Bulgarian
    "написао", "написала", "је написао/ла", "је написао", "пише", // Serbian
    "napisao", "napisala", "je napisao/la", "napisao/la", "je napisal", // Croatian, Slovene
    "rakstīja", "rašė", "parašė", // Latvian, Lithuanian
    "כתב", "כתבה", "כתב/ה", "כתב‏/ה", "מאת", // Hebrew
    "كتب", "كتبت", "تمت كتابة ما يلي بواسطة", "نوشت", // Arabic, Persian
    "写道", "寫道", "写到", "寫到", "寫了", "写了", // Chinese
    "のメール", "書きました", "さんは書きました", "書き込みました", "さんからのメール", // Japanese
    "작성", "썼습니다", "작성했습니다", "쓴 글", // Korean
    "đã viết", "viết", // Vietnamese
    "เขียน", "เขียนว่า", // Thai
    "menulis", "tulis", // Indonesian, Malay
    "ने लिखा", // Hindi
];

/// What an attribution begins with; a date or a weekday does as well.
const OPENERS: &[&str] = &[
    "on", "in", "at", "am", "den", "vom", "le", "el", "em", "no", "il", "in data", "op", "w", "dnia", "dne", "dňa",
    "pe", "în", "la", "στις", "την", "τη", "tarihinde", "в", "на", "у", "od", "dana", "u", "в", "ב", "בתאריך", "في",
    "بتاريخ", "在", "於", "于", "vào", "vào lúc", "ในวันที่", "เมื่อ", "pada", "pada tanggal", "a", "o", "du", "d.", "za",
];

/// Weekdays, as attributions shorten them.
const DAYS: &[&str] = &[
    "mon", "tue", "tues", "wed", "thu", "thur", "thurs", "fri", "sat", "sun", "monday", "tuesday", "wednesday",
    "thursday", "friday", "saturday", "sunday", "mo", "di", "mi", "do", "fr", "sa", "so", "montag", "dienstag",
    "mittwoch", "donnerstag", "freitag", "samstag", "sonntag", "lun", "mar", "mer", "jeu", "ven", "sam", "dim", "lundi",
    "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche", "mié", "jue", "vie", "sáb", "dom", "seg", "ter",
    "qua", "qui", "sex", "gio", "maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag", "zondag", "ma",
    "wo", "vr", "za", "zo", "pon", "pn", "wt", "śr", "czw", "pt", "sob", "niedz", "ndz", "mån", "tis", "ons", "tors",
    "fre", "lör", "sön", "man", "tir", "lør", "søn", "måndag", "tisdag", "onsdag", "torsdag", "fredag", "ti", "ke",
    "to", "pe", "la", "su", "po", "út", "st", "čt", "pá", "so", "ne", "ut", "št", "pi", "hét", "szo", "vas", "mie",
    "joi", "vin", "sâm", "dum", "пн", "вт", "ср", "чт", "пт", "сб", "вс", "нд", "пон", "уто", "сре", "чет", "пет",
    "суб", "нед", "понедельник", "вторник", "среда", "четверг", "пятница", "суббота", "воскресенье", "sre", "čet", "pet",
    "uto", "sub", "ned", "pzt", "sal", "çar", "per", "cum", "cmt", "paz",
];

/// "Original message", between dashes or above a block of headers.
const ORIGINAL: &[&str] = &[
    "original message", "original", "reply message", "original appointment", "original mail", "original email",
    "ursprüngliche nachricht", "originalnachricht", "original-nachricht", "ursprüngliche mail", "message d'origine", "message original",
    "mensaje original", "mensagem original", "messaggio originale", "messaggio original", "oorspronkelijk bericht",
    "oorspronkelijke bericht", "oorspronkelijk e-mailbericht", "origineel bericht", "wiadomość oryginalna", "oryginalna wiadomość", "original-meddelelse",
    "oprindelig meddelelse", "oprindelig besked", "ursprungligt meddelande", "originalmeddelande", "ursprungsmeddelande", "opprinnelig melding",
    "original melding", "opprindelig melding", "alkuperäinen viesti", "původní zpráva", "pôvodná správa", "eredeti üzenet", "mesaj original", "mesajul original",
    "αρχικό μήνυμα", "özgün ileti", "orijinal ileti", "orijinal mesaj", "asıl mesaj", "исходное сообщение", "исходное письмо", "пересылаемое сообщение от",
    "оригинальное сообщение", "вихідне повідомлення", "оригінальне повідомлення", "оригинално съобщение", "изворна порука", "оригинална порука",
    "originalna poruka", "izvorna poruka", "izvirno sporočilo", "הודעה מקורית", "ההודעה המקורית", "الرسالة الأصلية", "رسالة أصلية", "原始邮件", "原始郵件",
    "原邮件", "原始信息", "原始訊息", "回复的原邮件", "邮件原件", "元のメッセージ", "元のメール", "オリジナルメッセージ", "원본 메시지", "원본 메일", "원본메일",
    "thư gốc", "tin nhắn gốc", "tin gốc", "ข้อความต้นฉบับ", "ข้อความเดิม", "pesan asli", "mesej asal", "missatge original", "algne sõnum",
    "replied message", "回复的邮件", "在原邮件中", "antwort nachricht", "previous message", "quoted message", "reply separator",
];

/// "Forwarded message".
const FORWARDED: &[&str] = &[
    "forwarded message", "begin forwarded message", "forwarded mail", "forwarded by", "forwarded email", "forward message", "forwarding messages", "start of forwarded message",
    "weitergeleitete nachricht", "anfang der weitergeleiteten nachricht", "anfang der weitergeleiteten e-mail", "beginn der weitergeleiteten nachricht",
    "weitergeleitete e-mail", "message transféré", "message transmis", "début du message transféré", "début du message réexpédié", "mensaje reenviado",
    "inicio del mensaje reenviado", "comienzo del mensaje reenviado", "mensagem encaminhada", "mensagem reencaminhada",
    "início da mensagem encaminhada", "início da mensagem reencaminhada", "messaggio inoltrato", "inizio messaggio inoltrato",
    "inizio del messaggio inoltrato", "doorgestuurd bericht", "begin doorgestuurd bericht", "begin van doorgestuurd bericht", "przekazana wiadomość", "wiadomość przekazana",
    "treść przekazanej wiadomości", "początek przekazywanej wiadomości", "vidarebefordrat meddelande", "vidarebefordrat mail", "vidarebefordrat brev",
    "början på vidarebefordrat meddelande", "början av vidarebefordrat meddelande", "videresendt meddelelse", "videresendt besked", "videresendt e-mail", "start på videresendt besked", "start på videresendt meddelelse",
    "videresendt melding", "videresendt mail", "begynnelse på videresendt melding", "start på videresendt melding", "välitetty viesti", "edelleen lähetetty viesti", "välitetty viesti alkaa",
    "přeposlaná zpráva", "začátek přeposílané zprávy", "preposlaná správa", "začiatok preposlanej správy", "začiatok preposielanej správy", "továbbított üzenet", "továbbított levél",
    "továbbított levél kezdete", "mesaj redirecționat", "începutul mesajului redirecționat", "mesaj transferat", "προωθημένο μήνυμα", "αρχή προωθημένου μηνύματος",
    "iletilmiş mesaj", "iletilen mesaj", "yönlendirilen mesaj", "yönlendirilen e-posta", "iletilen ileti", "iletinin başlangıcı", "пересланное сообщение", "пересылаемое сообщение",
    "пересланное письмо", "начало переадресованного сообщения", "начало пересылаемого сообщения", "переслане повідомлення", "початок переадресованого повідомлення", "початок листа, що пересилається", "препратено съобщение",
    "прослеђена порука", "proslijeđena poruka", "prosljeđena poruka", "početak proslijeđene poruke", "proslijeđena e-pošta", "posredovano sporočilo", "הודעה שהועברה", "הודעה מועברת", "תחילת ההודעה שהועברה",
    "رسالة معاد توجيهها", "رسالة محولة", "بداية الرسالة المعاد توجيهها", "رسالة مُعاد توجيهها", "الرسالة المعاد توجيهها", "转发的邮件", "轉寄的郵件", "转发邮件", "轉寄郵件", "转发的信息", "转发邮件信息", "已轉寄郵件", "轉寄的訊息", "下面是被转发的邮件",
    "以下是轉寄的郵件", "開始轉寄郵件", "转发开始", "転送メッセージ", "転送されたメッセージ", "転送メール", "전달된 메시지", "전달된 메일", "전달한 메시지", "thư đã chuyển tiếp", "thư chuyển tiếp", "tin nhắn được chuyển tiếp", "tin nhắn đã chuyển tiếp", "bắt đầu thư được chuyển tiếp",
    "ข้อความที่ส่งต่อ", "ข้อความส่งต่อ", "เริ่มข้อความที่ส่งต่อ", "pesan terusan", "pesan diteruskan", "awal pesan terusan", "mula pesan terusan", "missatge reenviat", "edastatud kiri",
];

/// What stands above what older programs ask not to be written under.
const ABOVE: &[&str] = &[
    "reply above this line", "please type your reply above this line", "type your reply above this line", "write above this line",
    "please reply above this line", "add your reply above this line", "respond above this line", "antworten sie oberhalb dieser linie",
    "bitte antworten sie oberhalb dieser zeile", "antwort oberhalb dieser zeile", "bitte oberhalb dieser linie antworten", "répondez au-dessus de cette ligne",
    "répondre au-dessus de cette ligne", "veuillez répondre au-dessus de cette ligne", "responda por encima de esta línea", "responder por encima de esta línea", "escriba su respuesta por encima de esta línea", "responda acima desta linha",
    "rispondi sopra questa riga", "rispondere sopra questa linea", "reageer boven deze lijn", "antwoord boven deze lijn", "typ uw reactie boven deze regel", "svara ovanför denna rad", "odpowiedz powyżej tej linii",
    "ответьте выше этой строки", "пожалуйста, введите ответ над этой строкой", "请在此行上方回复", "この行より上に返信",
];

/// The kinds of header lines that quoting programs write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Field {
    /// Who wrote it.
    From,
    /// When.
    Date,
    /// To whom.
    To,
    /// To whom else.
    Cc,
    /// About what.
    Subject,
    /// Reply-To, importance, attachments.
    Other,
}

const LABELS: &[(Field, &[&str])] = &[
    (Field::From, &[
        "from", "von", "de", "da", "van", "od", "från", "fra", "lähettäjä", "feladó", "de la", "expeditor", "από", "αποστολέας", "kimden", "gönderen", "от",
        "отправитель", "від", "відправник", "од", "пошиљалац", "šalje", "מאת", "من", "发件人", "寄件者", "寄件人", "发送人", "差出人", "送信者", "送信元", "보낸 사람", "보낸사람", "발신",
        "từ", "người gửi", "จาก", "dari", "mittente", "expéditeur", "remitente", "remetente", "nadawca", "absender", "afzender", "odesílatel", "odosielateľ", "avsändare", "afsender", "avsender", "pošiljatelj", "подател", "desde", "saatja",
    ]),
    (Field::Date, &[
        "sent", "date", "sent at", "date sent", "sent on", "gesendet", "datum", "gesendet am", "envoyé", "envoyé le", "enviado", "enviado el", "enviado em", "enviada em", "enviada", "fecha",
        "data", "data de envio", "inviato", "data invio", "verzonden", "wysłano", "wysłane", "data wysłania", "skickat", "skickades", "sendt", "dato", "lähetetty", "päivämäärä", "pvm", "päiväys", "odesláno",
        "odoslané", "odoslaná", "dátum", "elküldve", "küldve", "trimis", "dată", "data trimiterii", "στάλθηκε", "ημερομηνία", "απεστάλη", "gönderildi", "gönderme tarihi", "gönderim tarihi", "tarih", "gönderilme tarihi", "отправлено", "дата",
        "дата отправки", "відправлено", "надіслано", "дата надсилання", "изпратено", "послато", "датум", "датум слања", "poslano", "poslato", "נשלח", "תאריך", "تاريخ الإرسال", "تم الإرسال", "التاريخ", "أرسلت", "تاريخ", "发送时间", "发送日期",
        "日期", "寄件日期", "傳送日期", "已傳送", "已发送", "時間", "时间", "送信日時", "日付", "日時", "送信日", "送信済み", "보낸 날짜", "보낸날짜", "날짜", "발송일", "보냄", "đã gửi", "ngày", "ngày gửi", "thời gian", "gửi", "วันที่", "ส่ง", "ส่งเมื่อ", "dikirim", "tanggal", "terkirim", "enviat",
        "received", "time", "when", "saadetud", "kuupäev",
    ]),
    (Field::To, &[
        "to", "an", "à", "para", "a", "aan", "do", "til", "till", "vastaanottaja", "komu", "címzett", "către", "catre", "destinatar", "προς", "παραλήπτης", "kime", "alıcı", "кому", "получатель",
        "до", "към", "за", "prima", "za", "אל", "נמען", "إلى", "الى", "收件人", "收件者", "宛先", "送信先", "받는 사람", "받는사람", "수신", "받는 이", "đến", "tới", "người nhận", "ถึง", "kepada", "untuk", "destinataire", "destinatario", "destinatário", "adresat",
        "empfänger", "mottagare", "modtager", "mottaker", "příjemce", "príjemca", "kinek", "per", "primatelj", "прима", "ke", "saaja",
    ]),
    (Field::Cc, &[
        "cc", "kopie", "copie", "copie à", "con copia", "com cópia", "kopia", "dw", "do wiadomości", "kopi", "kopio", "kópia", "másolat", "másolatot kap", "copie la", "κοιν", "κοινοποίηση", "bilgi", "копия", "копія", "копие", "копија",
        "kopija", "עותק", "נסיכה", "نسخة", "نسخة إلى", "抄送", "副本", "참조", "đồng gửi", "สำเนา", "ส่งสำเนา", "tembusan", "bcc", "cci", "cco", "blindkopie", "dôw", "cópia", "копия (cc)",
    ]),
    (Field::Subject, &[
        "subject", "betreff", "objet", "asunto", "assunto", "oggetto", "onderwerp", "temat", "ämne", "emne", "aihe", "předmět", "predmet", "tárgy", "subiect", "θέμα", "konu", "тема", "относно", "предмет",
        "наслов", "naslov", "נושא", "الموضوع", "موضوع", "主题", "主旨", "主題", "题目", "件名", "제목", "chủ đề", "tiêu đề", "เรื่อง", "หัวเรื่อง", "subjek", "perihal", "re", "betr", "věc", "vec", "assumpte", "teema", "otsikko", "subj",
    ]),
    (Field::Other, &[
        "reply-to", "reply to", "antwort an", "répondre à", "responder a", "importance", "priority", "wichtigkeit", "priorität", "attachments", "attachment", "anlagen", "anhang", "pièces jointes", "adjuntos", "anexos",
        "allegati", "bijlagen", "załączniki", "organization", "sender", "mailing list", "sensitivity", "list-id", "message-id", "x-mailer", "cc/bcc", "categories", "location", "where", "required", "optional", "importancia", "вложения", "附件",
        "in-reply-to", "references", "content-type", "mime-version", "vertraulichkeit", "newsgroups", "resent-from",
    ]),
];

static WROTE_FOLDED: LazyLock<Vec<String>> = LazyLock::new(|| folded(WROTE));
static ORIGINAL_FOLDED: LazyLock<HashSet<String>> = LazyLock::new(|| ORIGINAL.iter().map(|word| fold(word)).collect());
static FORWARDED_FOLDED: LazyLock<HashSet<String>> = LazyLock::new(|| FORWARDED.iter().map(|word| fold(word)).collect());
static ABOVE_FOLDED: LazyLock<Vec<String>> = LazyLock::new(|| folded(ABOVE));
static OPENERS_FOLDED: LazyLock<HashSet<String>> =
    LazyLock::new(|| OPENERS.iter().chain(DAYS).map(|word| fold(word).trim_end_matches('.').to_owned()).collect());
static LABELS_FOLDED: LazyLock<HashMap<String, Field>> = LazyLock::new(|| {
    LABELS.iter().rev().flat_map(|(field, words)| words.iter().map(|word| (squeezed(&fold(word)), *field))).collect()
});

/// The folded forms of a list, without repetitions.
pub(super) fn folded(words: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = words.iter().map(|word| fold(word)).collect();
    all.sort();
    all.dedup();
    all
}

/// Labels of scripts without blanks are spread out by some programs: `主 题`.
fn squeezed(label: &str) -> String {
    if label.is_ascii() { label.to_owned() } else { label.chars().filter(|c| !c.is_whitespace()).collect() }
}

/// Whether a folded text says that somebody wrote something.
pub(super) fn wrote(folded: &str) -> bool {
    super::meter::tick(folded.len());
    WROTE_FOLDED.iter().any(|word| super::fold::says(folded, word))
}

/// Where in a folded text somebody wrote something, up to the colon: `… wrote:`.
pub(super) fn wrote_colon(folded: &str) -> Option<usize> {
    WROTE_FOLDED.iter().filter_map(|word| {
        let at = super::fold::find(folded, word)? + word.len();
        let rest = folded[at..].trim_start_matches([' ', ')']);
        rest.starts_with(':').then(|| folded.len() - rest.len() + 1)
    }).min()
}

/// Whether a folded line begins like an attribution: a preposition of dates, a weekday or a digit.
pub(super) fn opens(folded: &str) -> bool {
    let first = folded.trim_start_matches(['"', '\'', '(', '[', '*', '-', ' ']);
    if first.starts_with(|c: char| c.is_ascii_digit()) {
        return true;
    }
    let word: String = first.chars().take_while(|c| c.is_alphabetic() || matches!(c, '\u{e01}'..='\u{e4e}')).collect();
    if OPENERS_FOLDED.contains(&word) {
        return true;
    }
    // Scripts whose words run into the digits that follow.
    ["在", "於", "于", "ב", "ในวันที่", "เมื่อ", "في", "בתאריך", "كتب"].iter().any(|start| first.starts_with(start))
}

/// The kind of header a folded line is, and what stands after its colon.
pub(super) fn label(folded: &str) -> Option<(Field, &str)> {
    let line = folded.trim_start_matches(['*', '_', '|', ' ', '"']);
    let at = line.char_indices().take(40).find(|(_, c)| *c == ':').map(|(at, _)| at)?;
    let name = line[..at].trim_matches(|c: char| c.is_whitespace() || c == '*' || c == '_');
    let field = LABELS_FOLDED.get(squeezed(name).as_str())?;
    Some((*field, line[at + 1..].trim_start_matches(['*', '_', ' '])))
}

/// What a line between dashes says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Banner {
    /// The quoted message follows.
    Original,
    /// A forwarded message follows.
    Forwarded,
}

/// Reads a folded line as the heading of a quoted or forwarded message; `true` if dashes are around it.
pub(super) fn banner(folded: &str) -> Option<(Banner, bool)> {
    if folded.len() > 200 {
        return None;
    }
    let inner = folded.trim_matches(|c: char| matches!(c, '-' | '_' | '=' | '*' | ' ' | '~' | '<' | '>' | '#' | '[' | ']' | ':' | '.'));
    let dashed = folded.starts_with("--") || folded.starts_with("__") || folded.starts_with("==") || folded.starts_with("- -");
    if ORIGINAL_FOLDED.contains(inner) {
        return Some((Banner::Original, dashed));
    }
    if FORWARDED_FOLDED.contains(inner) {
        return Some((Banner::Forwarded, dashed || folded.ends_with(':')));
    }
    if dashed && inner.starts_with("forwarded by ") {
        return Some((Banner::Forwarded, true));
    }
    (dashed && inner.starts_with("original message ") && inner.len() < 80).then_some((Banner::Original, true))
}

/// Whether a folded line asks to reply above it.
pub(super) fn above(folded: &str) -> bool {
    folded.len() < 200 && ABOVE_FOLDED.iter().any(|words| {
        folded.find(words.as_str()).is_some_and(|at| at < 12 && folded.len() - at - words.len() < 12)
    })
}
