//! DKIM signatures under what we send (RFC 6376): relaxed in headers and body, with RSA or Ed25519.

use std::{fmt, fs};

use mail_auth::{
    common::{
        crypto::{Ed25519Key, RsaKey, Sha256},
        headers::HeaderWriter,
    },
    dkim::{Canonicalization, DkimSigner, Done},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};

use crate::config::Dkim;

/// What is signed of a mail's headers, where it is there.
const HEADERS: [&str; 15] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Reply-To",
    "Auto-Submitted",
    "Content-Type",
    "MIME-Version",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Cc",
    "Sender",
];

enum Key {
    Rsa(DkimSigner<RsaKey<Sha256>, Done>),
    Ed25519(DkimSigner<Ed25519Key, Done>),
}

/// Signs mails.
pub(super) struct Signer(Key);

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Key::Rsa(_) => "Signer(rsa)",
            Key::Ed25519(_) => "Signer(ed25519)",
        })
    }
}

impl Signer {
    /// With the key of `[mail.dkim]`.
    ///
    /// # Errors
    /// A sentence: what is wrong with the key, with the way out.
    pub(super) fn new(settings: &Dkim) -> Result<Self, String> {
        let path = settings.key.display();
        let pem = fs::read(&settings.key).map_err(|error| format!("mail.dkim.key {path} cannot be read: {error}"))?;
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| {
            format!("mail.dkim.key {path} is no private key in PEM ({error}): make one with `openssl genrsa 2048`")
        })?;
        let unsound = |error: mail_auth::Error| {
            format!("mail.dkim.key {path} is neither RSA of 2048 bits or more nor Ed25519 in PKCS #8: {error}")
        };
        let (domain, selector) = (settings.domain.as_str(), settings.selector.as_str());
        if let PrivateKeyDer::Pkcs8(pkcs8) = &key
            && let Ok(key) = Ed25519Key::from_pkcs8_maybe_unchecked_der(pkcs8.secret_pkcs8_der())
        {
            let signer = DkimSigner::from_key(key).domain(domain).selector(selector).headers(HEADERS);
            return Ok(Self(Key::Ed25519(relaxed(signer))));
        }
        let key = RsaKey::<Sha256>::from_key_der(key).map_err(unsound)?;
        let signer = DkimSigner::from_key(key).domain(domain).selector(selector).headers(HEADERS);
        Ok(Self(Key::Rsa(relaxed(signer))))
    }

    /// The mail with a signature above it.
    ///
    /// # Errors
    /// A sentence: why it cannot be signed.
    pub(super) fn sign(&self, raw: &[u8]) -> Result<Vec<u8>, String> {
        let signature = match &self.0 {
            Key::Rsa(signer) => signer.sign(raw),
            Key::Ed25519(signer) => signer.sign(raw),
        };
        let signature = signature.map_err(|error| format!("the mail cannot be signed: {error}"))?;
        let mut signed = signature.to_header().into_bytes();
        signed.extend_from_slice(raw);
        Ok(signed)
    }
}

fn relaxed<K: mail_auth::common::crypto::SigningKey>(signer: DkimSigner<K, Done>) -> DkimSigner<K, Done> {
    signer.header_canonicalization(Canonicalization::Relaxed).body_canonicalization(Canonicalization::Relaxed)
}
