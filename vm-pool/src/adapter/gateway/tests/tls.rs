//! HTTPS with a certificate authority of one's own.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::Arc,
};

use bus_schemas::settings::{ModelSetup, Provider, ProviderKind};
use http::StatusCode;

use super::world::{QUICK, World, parsed, provider};

/// Answers every request with an empty object, over TLS; gives its URL and its certificate.
fn serve() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let pem = made.cert.pem();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/v1", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for tcp in listener.incoming().flatten() {
            let Ok(session) = rustls::ServerConnection::new(config.clone()) else { return };
            let mut stream = rustls::StreamOwned::new(session, tcp);
            let mut seen = Vec::new();
            let mut piece = [0; 4_096];
            // The body is `{"model":"m"}`.
            while !seen.ends_with(b"\"m\"}") {
                match stream.read(&mut piece) {
                    Ok(n) if n > 0 => seen.extend_from_slice(&piece[..n]),
                    _ => break,
                }
            }
            if !seen.is_empty() {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
                let _ = stream.flush();
            }
        }
    });
    (url, pem)
}

#[tokio::test]
async fn a_certificate_is_trusted_when_its_authority_is_named() {
    let (url, pem) = serve();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, pem).unwrap();
    let known =
        Provider { ca_file: Some(file.to_str().unwrap().to_owned()), ..provider(ProviderKind::OpenaiCompatible, &url) };
    let unknown = Provider { ca_file: None, ..known.clone() };
    let providers = [("known".to_owned(), known), ("unknown".to_owned(), unknown)].into();
    let setup = ModelSetup { providers, ..ModelSetup::default() };
    let world = World::with(Arc::default(), &setup, QUICK, &["known/m", "unknown/m"]);
    let (status, _, body) = world.post("/v1/chat/completions", r#"{"model":"known/m"}"#).await;
    assert_eq!((status, body.as_ref()), (StatusCode::OK, &b"{}"[..]));
    let (status, _, body) = world.post("/v1/chat/completions", r#"{"model":"unknown/m"}"#).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "trying again does not help, so nobody waits");
    let body = parsed(&body);
    assert_eq!((&body["baton"]["code"], &body["baton"]["status"]), (&"provider_refused".into(), &502.into()));
    assert!(body["error"]["message"].as_str().unwrap().contains("certificate"));
}
