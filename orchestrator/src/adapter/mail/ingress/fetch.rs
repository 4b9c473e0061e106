//! Getting what SNS points at: its certificate, the confirmation of a subscription.

use std::{future::Future, time::Duration};

use bytes::{Bytes, BytesMut};
use reqwest::redirect::Policy;

use crate::adapter::web::{http, root};

/// How long it may take, all of it.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer.
const MOST: usize = 64 * 1024;

/// Gets a small document.
pub trait Fetch: Send + Sync + 'static {
    /// Gets it, or says why not. Only addresses that were checked come here.
    fn get(&self, url: &str) -> impl Future<Output = Result<Bytes, String>> + Send;
}

/// Over HTTPS. Follows nothing: what was checked is the address that is asked.
#[derive(Clone, Debug)]
pub struct Web(reqwest::Client);

impl Web {
    /// A client; nothing is connected yet.
    ///
    /// # Errors
    /// This machine's certificates are not as they should be.
    pub fn new() -> Result<Self, String> {
        let client = http().https_only(true).redirect(Policy::none()).timeout(TIMEOUT).build();
        client.map(Self).map_err(|error| format!("set up a client for SNS: {}", root(&error)))
    }
}

impl Fetch for Web {
    async fn get(&self, url: &str) -> Result<Bytes, String> {
        let said = |error: reqwest::Error| format!("get {url}: {}", root(&error));
        let mut response = self.0.get(url).send().await.map_err(said)?;
        if !response.status().is_success() {
            return Err(format!("get {url}: the answer is {}", response.status()));
        }
        let mut whole = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(said)? {
            if whole.len() + chunk.len() > MOST {
                return Err(format!("get {url}: the answer is larger than {MOST} bytes"));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }
}
