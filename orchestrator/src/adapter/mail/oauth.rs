//! Access tokens for mail servers, got with a refresh token. Some services give a new refresh token each time, and the old one ends
//! sooner or later: the newest one is kept, in a file that only its owner reads.

mod kept;

use std::{
    fmt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Deserialize;
use tokio::sync::Mutex;

use crate::{
    adapter::web::http,
    config::{Mail, Secret},
};

/// How long the token server is waited for.
const TIMEOUT: Duration = Duration::from_secs(20);
/// A token is not used in its last moments.
const MARGIN: Duration = Duration::from_secs(60);
/// How long one is used whose server does not say.
const USUAL: Duration = Duration::from_secs(600);
/// The longest that is said of an error.
const SHOWN_CHARS: usize = 200;

/// One refresh token is used at a time, whoever it is for: a service that lets each be used once would take a second use for theft.
static TURN: Mutex<()> = Mutex::const_new(());

/// Where access tokens come from; the last one is remembered. Cheap to clone.
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    url: String,
    form: Vec<(&'static str, String)>,
    /// The refresh token of the configuration.
    refresh: Secret,
    /// Where newer ones are kept.
    file: Option<PathBuf>,
    last: Mutex<Option<(String, Instant)>>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("url", &self.0.url).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<u64>,
    refresh_token: Option<String>,
}

/// Why there is no token.
enum Refusal {
    /// The service does not take the refresh token.
    Refused(String),
    Away(String),
}

impl Tokens {
    /// Those of `[mail.oauth]`; `None` if passwords are used.
    ///
    /// # Errors
    /// A sentence: what of the settings is missing or wrong.
    pub fn new(mail: &Mail) -> Result<Option<Self>, String> {
        let Some(oauth) = &mail.oauth else { return Ok(None) };
        let is_here = ["http://127.0.0.1", "http://localhost"].iter().any(|here| oauth.token_url.starts_with(here));
        if !oauth.token_url.starts_with("https://") && !is_here {
            return Err(format!("mail.oauth.token_url {}: tokens are got over https:// only", oauth.token_url));
        }
        let Some(refresh) = &mail.oauth_refresh_token else {
            return Err(
                "mail.oauth is set, and the refresh token is missing: set BATON_MAIL_OAUTH_REFRESH_TOKEN".to_owned()
            );
        };
        let mut form = vec![("grant_type", "refresh_token".to_owned()), ("client_id", oauth.client_id.clone())];
        form.extend(mail.oauth_client_secret.as_ref().map(|secret| ("client_secret", secret.expose().to_owned())));
        form.extend(Some(&oauth.scope).filter(|scope| !scope.is_empty()).map(|scope| ("scope", scope.clone())));
        let http = http().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).build();
        let http = http.map_err(|error| format!("tokens cannot be got: {error}"))?;
        let url = oauth.token_url.clone();
        let file = mail.state_dir.as_ref().map(|dir| dir.join(kept::FILE));
        Ok(Some(Self(Arc::new(Inner { http, url, form, refresh: refresh.clone(), file, last: Mutex::new(None) }))))
    }

    /// A token that is good for a while.
    ///
    /// # Errors
    /// A sentence: why there is none, with the way out.
    pub async fn token(&self) -> Result<Secret, String> {
        let mut last = self.0.last.lock().await;
        if let Some((token, until)) = &*last
            && *until > Instant::now()
        {
            return Ok(Secret::new(token.clone()));
        }
        let granted = self.ask().await?;
        let span = granted.expires_in.map_or(USUAL, Duration::from_secs);
        *last = Some((granted.access_token.clone(), Instant::now() + span.saturating_sub(MARGIN)));
        Ok(Secret::new(granted.access_token))
    }

    /// Forgets the last one: a server did not take it.
    pub async fn forget(&self) {
        *self.0.last.lock().await = None;
    }

    /// With the newest refresh token; if that is not taken, with the one of the configuration.
    async fn ask(&self) -> Result<Granted, String> {
        let inner = &self.0;
        let _turn = TURN.lock().await;
        let newest = match &inner.file {
            Some(file) => kept::read(file.clone(), inner.refresh.clone()).await,
            None => None,
        };
        let first = newest.as_ref().unwrap_or(&inner.refresh);
        let granted = match self.exchange(first).await {
            Err(Refusal::Refused(why)) if newest.is_some() => {
                tracing::warn!(%why, "mail: the newest refresh token is not taken; the one of the configuration is tried");
                self.exchange(&inner.refresh).await
            }
            granted => granted,
        };
        let granted = granted.map_err(|refusal| match refusal {
            Refusal::Refused(why) | Refusal::Away(why) => why,
        })?;
        if let (Some(file), Some(fresh)) = (&inner.file, &granted.refresh_token)
            && fresh != first.expose()
            && let Err(error) = kept::write(file.clone(), inner.refresh.clone(), Secret::new(fresh.clone())).await
        {
            // The one before is good for a while, mostly.
            tracing::warn!(file = %file.display(), %error, "mail: a new refresh token is not kept");
        }
        Ok(granted)
    }

    async fn exchange(&self, refresh: &Secret) -> Result<Granted, Refusal> {
        let url = &self.0.url;
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.0.form)
            .append_pair("refresh_token", refresh.expose())
            .finish();
        let away = |error: reqwest::Error| Refusal::Away(format!("{url} does not answer: {}", error.without_url()));
        let asked = self.0.http.post(url).header("Content-Type", "application/x-www-form-urlencoded").body(body);
        let answer = asked.send().await.map_err(away)?;
        let status = answer.status();
        let text = answer.text().await.map_err(away)?;
        if !status.is_success() {
            let error: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            let said = ["error", "error_description"].map(|key| error[key].as_str().unwrap_or_default());
            let said: String = said.join(" ").chars().filter(|c| !c.is_control()).take(SHOWN_CHARS).collect();
            return Err(Refusal::Refused(format!(
                "{url} gives no token ({status}: {}): if the access was withdrawn, get a new refresh token and set \
                 BATON_MAIL_OAUTH_REFRESH_TOKEN",
                said.trim()
            )));
        }
        serde_json::from_str(&text).map_err(|_| {
            Refusal::Away(format!("{url} answers something that is no token: look at mail.oauth.token_url"))
        })
    }
}

/// What is said to a server: this user has this token.
#[must_use]
pub fn xoauth2(user: &str, token: &Secret) -> String {
    format!("user={user}\x01auth=Bearer {}\x01\x01", token.expose())
}
