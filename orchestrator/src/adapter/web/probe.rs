//! A plain HTTP question to a server on this machine: the NATS monitor's health page.

use std::time::Duration;

/// The status code of `GET url` and the start of the body; `Err` is the reason there is none.
///
/// # Errors
/// A sentence: refused, timed out, not HTTP.
pub async fn get_status(url: &str, timeout: Duration) -> Result<(u16, String), String> {
    let client = super::client::http().timeout(timeout).build().map_err(|error| error.to_string())?;
    let response = client.get(url).send().await.map_err(|error| root(&error))?;
    let status = response.status().as_u16();
    let body = response.text().await.map_err(|error| root(&error))?;
    Ok((status, body.chars().take(500).collect()))
}

/// The innermost reason: what a person can act on.
pub(in crate::adapter) fn root(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
