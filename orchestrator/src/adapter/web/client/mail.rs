//! What the client asks about mail.

use bus_schemas::v1::api::{LetterQuery, LetterRequest, LetterView, MailView, OutView};
use bytes::Bytes;
use reqwest::Method;
use serde_json::Value;

use super::{Client, ClientError};
use crate::adapter::web::root;

impl Client {
    /// `GET /v1/mail`
    ///
    /// # Errors
    /// [`ClientError`], as every method here.
    pub async fn mail(&self) -> Result<MailView, ClientError> {
        self.get("ask how mail is", &["mail"], &[]).await
    }

    /// `GET /v1/mail/letters`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn letters(&self, query: &LetterQuery) -> Result<Vec<LetterView>, ClientError> {
        let mut pairs = vec![("limit", query.limit.to_string())];
        if let Some(Ok(Value::String(state))) = query.state.map(serde_json::to_value) {
            pairs.push(("state", state));
        }
        self.get("list mails", &["mail", "letters"], &pairs).await
    }

    /// `GET /v1/mail/letters/{id}`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn letter(&self, id: &str) -> Result<LetterView, ClientError> {
        self.get("read the mail", &["mail", "letters", id], &[]).await
    }

    /// `GET /v1/mail/letters/{id}/text`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn letter_text(&self, id: &str) -> Result<Bytes, ClientError> {
        let operation = "read the mail's text";
        let response = self.send(operation, self.request(Method::GET, &["mail", "letters", id, "text"], &[])).await?;
        response.bytes().await.map_err(|error| ClientError::Lost { operation, reason: root(&error) })
    }

    /// `POST /v1/mail/letters/{id}/release`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn release_letter(&self, id: &str, request: &LetterRequest) -> Result<LetterView, ClientError> {
        self.post("release the mail", &["mail", "letters", id, "release"], request).await
    }

    /// `POST /v1/mail/letters/{id}/drop`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn drop_letter(&self, id: &str, request: &LetterRequest) -> Result<LetterView, ClientError> {
        self.post("drop the mail", &["mail", "letters", id, "drop"], request).await
    }

    /// `GET /v1/mail/outbox`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn mail_outbox(&self, limit: u32) -> Result<Vec<OutView>, ClientError> {
        self.get("list our mails", &["mail", "outbox"], &[("limit", limit.to_string())]).await
    }
}
