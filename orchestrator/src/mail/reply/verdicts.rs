//! Words that decide, and words that take a decision back, language by language.

use super::words::folded;
use std::sync::LazyLock;

/// A list of folded words, the longest first.
pub(super) type Words = LazyLock<Vec<String>>;

fn longest_first(words: &[&str]) -> Vec<String> {
    let mut all = folded(words);
    all.sort_by_key(|word| std::cmp::Reverse(word.len()));
    all
}

/// Approving. Only words that mean just that: "ok", "yes" and "agreed" are [`SOFT`].
pub(super) static APPROVE: Words = LazyLock::new(|| {
    longest_first(&[
        "approve", "approved", "approving", "genehmigt", "genehmige", "genehmigen", "freigegeben", "approuvé", "approuvée", "approuve", "approuver", "j'approuve", "aprobado", "aprobada", "apruebo", "aprobar", "aprovado", "aprovada", "aprovo", "aprovar",
        "approvato", "approvata", "approvo", "approva", "approvare", "goedgekeurd", "goedkeuren", "zatwierdzam", "zatwierdzone", "zatwierdzono", "zatwierdź", "akceptuję", "zaakceptowane", "godkänd", "godkänner", "godkänt", "godkänn", "godkänns", "godkendt", "godkender", "godkend", "godkjent", "godkjenner", "godkjenn", "hyväksytty", "hyväksyn", "hyväksy",
        "schvaluji", "schvaluju", "schváleno", "schválit", "schvaľujem", "schválené", "jóváhagyva", "jóváhagyom", "elfogadva", "aprobat", "aprob", "aprobată", "εγκρίνεται", "εγκρίνω", "εγκρίθηκε", "εγκεκριμένο", "onaylıyorum", "onaylandı", "onayla", "onaylıyoruz", "одобряю", "одобрено", "одобрить", "утверждаю", "утверждено", "согласовано",
        "схвалюю", "схвалено", "затверджую", "затверджено", "погоджено", "одобрявам", "одобрен", "одобравам", "odobravam", "odobreno", "מאשר", "מאשרת", "מאושר", "אושר", "تمت الموافقة", "أوافق", "اوافق", "معتمد", "批准", "已批准", "核准", "承認", "承認します", "承認済み", "承認しました", "승인", "승인합니다", "승인함", "승인됨",
        "phê duyệt", "đã duyệt", "đã phê duyệt", "tôi phê duyệt", "อนุมัติ", "อนุมัติแล้ว", "disetujui", "menyetujui", "saya menyetujui",
    ])
});

/// Refusing.
pub(super) static REJECT: Words = LazyLock::new(|| {
    longest_first(&[
        "reject", "rejected", "rejecting", "decline", "declined", "deny", "denied", "abgelehnt", "ablehnen", "lehne ab", "lehne ich ab", "rejeté", "rejetée", "rejeter", "refusé", "refusée", "refuser", "je refuse", "je rejette", "rechazado", "rechazada", "rechazo", "rechazar", "rejeitado", "rejeitada", "rejeito", "rejeitar", "recusado", "recuso",
        "rifiutato", "rifiutata", "rifiuto", "respinto", "respinta", "respingo", "afgekeurd", "afgewezen", "afwijzen", "odrzucam", "odrzucone", "odrzucono", "odrzuć", "avvisad", "avvisas", "avvisar", "avslås", "avslag", "avslagen", "afvist", "afviser", "avvist", "avviser", "avslått", "hylätty", "hylkään", "hylkää",
        "zamítám", "zamítnuto", "zamítnout", "odmítám", "zamietam", "zamietnuté", "elutasítva", "elutasítom", "respins", "resping", "respinge", "απορρίπτεται", "απορρίπτω", "απορρίφθηκε", "reddediyorum", "reddedildi", "reddet", "отклоняю", "отклонено", "отклонить", "отказано", "відхиляю", "відхилено", "отхвърлям", "отхвърлено",
        "одбијам", "одбијено", "odbijam", "odbijeno", "דוחה", "נדחה", "נדחתה", "مرفوض", "أرفض", "ارفض", "تم الرفض", "拒绝", "拒絕", "驳回", "駁回", "却下", "却下します", "拒否", "拒否します", "否認", "거절", "거절합니다", "거부", "거부합니다", "반려", "từ chối", "ปฏิเสธ", "ditolak", "menolak", "tolak",
    ])
});

/// Sending back. These are everyday words: they count only alone or before a colon.
pub(super) static CHANGES: Words = LazyLock::new(|| {
    longest_first(&[
        "changes", "change", "request changes", "changes requested", "requesting changes", "changes needed", "changes required", "änderungen", "änderung", "änderungen erforderlich", "änderungen nötig", "änderungswunsch", "änderungswünsche", "modifications", "modification", "modifications demandées", "changements", "cambios", "cambio", "cambios solicitados",
        "modificaciones", "alterações", "mudanças", "modificações", "alteração", "modifiche", "modifica", "modifiche richieste", "wijzigingen", "wijziging", "aanpassingen", "zmiany", "poprawki", "zmiana", "ändringar", "ändring", "ændringer", "ændring", "endringer", "endring", "muutokset", "muutoksia", "muutos", "změny", "úpravy", "zmeny",
        "módosítások", "módosítás", "változtatások", "modificări", "schimbări", "αλλαγές", "değişiklikler", "değişiklik", "изменения", "правки", "доработать", "на доработку", "зміни", "промени", "корекции", "измене", "промене", "izmene", "promene", "izmjene", "promjene", "שינויים", "تغييرات", "تعديلات", "修改", "需修改", "更改", "變更", "变更",
        "変更", "変更依頼", "修正", "修正依頼", "변경", "수정", "수정 요청", "변경 요청", "thay đổi", "yêu cầu thay đổi", "แก้ไข", "ขอแก้ไข", "perubahan", "revisi",
    ])
});

/// What sounds like an answer and decides nothing.
pub(super) static SOFT: Words = LazyLock::new(|| {
    longest_first(&[
        "ok", "okay", "k", "yes", "yep", "yeah", "yup", "lgtm", "looks good", "looks good to me", "fine", "sure", "go", "go ahead", "ship it", "+1", "-1", "👍", "👎", "✅", "❌", "agreed", "agree", "i agree", "accept", "accepted", "accepting", "confirmed", "confirm", "do it", "sounds good", "no", "nope", "ja", "einverstanden", "passt", "in ordnung",
        "bestätigt", "nein", "oui", "d'accord", "c'est bon", "non", "sí", "vale", "de acuerdo", "conforme", "sim", "concordo", "não", "sì", "va bene", "d'accordo", "akkoord", "nee", "tak", "zgoda", "nie", "nej", "nei", "kyllä", "ei", "ano", "áno", "souhlasím", "súhlasím", "igen", "rendben", "nem", "da", "de acord", "ναι", "συμφωνώ", "όχι",
        "evet", "tamam", "hayır", "да", "согласен", "согласна", "хорошо", "нет", "так", "згоден", "ні", "съгласен", "не", "слажем се", "slažem se", "כן", "בסדר", "לא", "نعم", "موافق", "لا", "同意", "好", "好的", "可以", "不", "はい", "了解", "了解です", "いいえ", "네", "예", "좋습니다", "아니요", "vâng", "đồng ý", "không", "ได้", "ตกลง", "ya", "setuju", "tidak",
    ])
});

/// What takes it back.
pub(super) static NEGATION: Words = LazyLock::new(|| {
    longest_first(&[
        "not", "don't", "dont", "no", "never", "can't", "cant", "cannot", "won't", "wont", "isn't", "isnt", "wouldn't", "shouldn't", "nor", "neither", "without", "nicht", "kein", "keine", "keinen", "nie", "niemals", "ne", "pas", "non", "jamais", "nunca", "não", "niet", "geen", "nooit", "inte", "ej", "aldrig", "ikke", "ei", "en", "emme", "älä",
        "nem", "nu", "δεν", "μην", "όχι", "değil", "не", "нет", "ні", "לא", "אל", "לאו", "لا", "لم", "لن", "ليس", "غير", "不", "未", "没", "沒", "别", "ない", "ません", "않", "안 ", "못", "không", "chưa", "đừng", "ไม่", "tidak", "belum", "jangan", "bukan",
    ])
});

/// What makes it depend on something.
pub(super) static CONDITION: Words = LazyLock::new(|| {
    longest_first(&[
        "if", "when", "once", "but", "unless", "after", "except", "provided", "providing", "only", "until", "till", "assuming", "as long as", "however", "pending", "subject to", "conditional", "conditionally", "then", "before", "wait", "maybe", "perhaps", "should", "would", "could", "wenn", "falls", "sobald", "aber", "sofern", "außer", "nur", "nachdem", "solange", "vielleicht",
        "si", "quand", "mais", "sauf", "dès que", "à condition", "seulement", "pero", "cuando", "salvo", "solo", "excepto", "siempre que", "se", "quando", "mas", "apenas", "somente", "desde que", "ma", "purché", "tranne", "als", "indien", "maar", "tenzij", "mits", "zodra", "alleen", "jeśli", "jeżeli", "gdy", "ale", "tylko", "pod warunkiem", "om", "när", "men", "bara", "endast",
        "hvis", "når", "kun", "dersom", "jos", "mutta", "vain", "pokud", "až", "jestli", "pouze", "ak", "keď", "iba", "ha", "amikor", "csak", "dacă", "când", "dar", "doar", "αν", "εάν", "όταν", "αλλά", "μόνο", "eğer", "ama", "fakat", "ancak", "sadece", "если", "когда", "но", "только", "при условии", "после", "якщо", "коли", "але", "тільки", "лише", "ако", "когато", "само",
        "али", "kada", "ali", "samo", "אם", "אבל", "רק", "אחרי", "إذا", "لكن", "فقط", "بشرط", "بعد", "如果", "但", "只要", "除非", "若", "もし", "ただし", "場合", "なら", "만약", "하지만", "경우", "조건", "nếu", "nhưng", "khi", "ถ้า", "แต่", "เมื่อ", "jika", "kalau", "tapi", "tetapi", "hanya", "asal",
    ])
});

/// What may stand before a deciding word, or after it, without changing it.
pub(super) static HARMLESS: Words = LazyLock::new(|| {
    longest_first(&[
        "i", "we", "i'm", "is", "hereby", "please", "it", "this", "that", "all", "these", "them", "the", "plan", "request", "everything", "both", "thanks", "thank", "you", "thx", "cheers", "very", "much", "for", "me", "from", "side", "my", "go", "ahead", "ship", "yes", "ok", "okay", "yep", "great", "good", "perfect", "nice", "lgtm", "fully", "work", "+1", "ich", "wir", "hiermit", "bitte", "danke", "vielen", "dank", "das", "den",
        "ja", "plan,", "je", "nous", "merci", "oui", "le", "ce", "yo", "gracias", "sí", "eu", "sim", "obrigado", "obrigada", "io", "grazie", "sì", "ik", "bedankt", "dank je", "dziękuję", "dzięki", "tack", "jag", "jeg", "tak", "takk", "kiitos", "ano", "áno", "děkuji", "díky", "ďakujem", "igen", "köszönöm", "da", "mulțumesc", "ναι", "ευχαριστώ", "evet", "teşekkürler", "да", "я", "мы", "спасибо", "так", "дякую",
        "благодаря", "хвала", "hvala", "כן", "אני", "תודה", "نعم", "أنا", "شكرا", "我", "我们", "我們", "谢谢", "謝謝", "します", "です", "はい", "네", "예", "감사합니다", "vâng", "tôi", "cảm ơn", "ครับ", "ค่ะ", "ขอบคุณ", "ya", "saya", "terima", "kasih", "の", "。", "了",
    ])
});

/// How mails greet.
pub(super) static GREETING: Words = LazyLock::new(|| {
    longest_first(&[
        "hi", "hello", "hey", "dear", "good morning", "good afternoon", "good evening", "morning", "hallo", "guten tag", "guten morgen", "moin", "servus", "liebe", "lieber", "sehr geehrte", "sehr geehrter", "bonjour", "bonsoir", "salut", "cher", "chère", "hola", "buenos días", "buenas", "estimado", "estimada", "olá", "bom dia", "boa tarde", "oi", "ciao", "buongiorno", "salve", "gentile", "beste",
        "goedemorgen", "dag", "cześć", "dzień dobry", "witam", "hej", "hei", "moi", "ahoj", "dobrý den", "dobrý deň", "szia", "kedves", "bună", "salut", "γεια", "καλημέρα", "merhaba", "selam", "привет", "здравствуйте", "добрый день", "привіт", "добрий день", "здравей", "здравейте", "здраво", "zdravo", "bok", "שלום", "היי", "مرحبا", "السلام عليكم", "你好", "您好", "こんにちは", "お世話になっております", "안녕하세요",
        "chào", "xin chào", "สวัสดี", "halo", "hai",
    ])
});
