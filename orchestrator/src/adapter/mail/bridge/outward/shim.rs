//! Stands in until mails are drawn.

pub mod view {
    use bus_schemas::time::UnixMs;

    use crate::adapter::mail::Story;

    #[derive(Clone, Debug, Default)]
    pub struct Content {
        pub subject: String,
        pub text: String,
    }

    #[derive(Clone, Debug, Default)]
    pub struct Frame {
        pub address: String,
        pub link: Option<String>,
        pub quiet_link: Option<String>,
        pub can_reply: bool,
        pub now: UnixMs,
        pub secrets: Vec<String>,
        pub person: String,
    }

    pub fn render(story: &Story, frame: &Frame) -> Content {
        let text = format!(
            "{story:?}\n{}\n{}\n",
            frame.link.as_deref().unwrap_or_default(),
            frame.quiet_link.as_deref().unwrap_or_default()
        );
        Content { subject: "Baton".to_owned(), text }
    }
}

pub mod mime {
    use bus_schemas::time::UnixMs;

    use super::view::Content;

    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum Auto {
        #[default]
        Generated,
        Replied,
    }

    #[derive(Clone, Debug, Default)]
    pub struct Heads {
        pub from: (String, String),
        pub to: String,
        pub reply_to: Option<String>,
        pub message_id: String,
        pub in_reply_to: Option<String>,
        pub references: Vec<String>,
        pub auto: Auto,
        pub list_unsubscribe: Option<(String, Option<String>)>,
        pub date: UnixMs,
    }

    pub fn build(content: &Content, heads: &Heads) -> Vec<u8> {
        let references: Vec<String> = heads.references.iter().map(|id| format!("<{id}>")).collect();
        format!(
            "Message-ID: <{}>\r\nTo: {}\r\nReply-To: {}\r\nIn-Reply-To: <{}>\r\nReferences: {}\r\nSubject: {}\r\n\r\n{}",
            heads.message_id,
            heads.to,
            heads.reply_to.as_deref().unwrap_or_default(),
            heads.in_reply_to.as_deref().unwrap_or_default(),
            references.join(" "),
            content.subject,
            content.text
        )
        .into_bytes()
    }
}
