//! Secrets that the proxy uses on guests' behalf: where each goes, and how its value is read when it is needed.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use base64::{Engine as _, engine::general_purpose};
use bus_schemas::secrets::{SecretHost, SecretSetup, name_flaw};
use http::{HeaderName, HeaderValue};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::rules::Host;
use crate::adapter::gateway::Secret;

/// A value that is shorter cannot be told from other text in an answer, so it could not be kept from the guest.
const SHORTEST: usize = 8;

type Env = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The secrets of this host, by name.
#[derive(Clone, Debug, Default)]
pub struct Secrets(BTreeMap<String, Arc<Named>>);

/// One secret. Nothing of its value is kept.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) header: HeaderName,
    setup: SecretSetup,
    places: Vec<Place>,
    env: Env,
    /// The authorities of `ca_file`.
    own: Vec<CertificateDer<'static>>,
    tls: OnceLock<Arc<ClientConfig>>,
}

/// A host that a secret goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) host: Host,
    /// Where it listens.
    pub(super) port: u16,
    /// Guests may leave the port away.
    is_usual: bool,
    /// It is spoken to without TLS.
    pub(super) plain: bool,
}

/// A value, for one use.
pub(super) struct Value {
    /// What the header holds.
    pub(super) header: HeaderValue,
    /// What must not come back: the value in every form that a server may repeat it in.
    pub(super) forms: Vec<Secret>,
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Named").field("name", &self.name).field("places", &self.places).finish_non_exhaustive()
    }
}

impl Secrets {
    /// Makes `[secrets.*]` ready. `env` looks environment variables up whenever a value is needed.
    ///
    /// # Errors
    /// What is wrong with which section. A value that is only missing is an error when it is needed: another host may have it.
    pub fn new(
        setup: &BTreeMap<String, SecretSetup>,
        env: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let env: Env = Arc::new(env);
        let named = |(name, setup): (&String, &SecretSetup)| {
            let named = Named::new(name, setup, &env).map_err(|why| format!("[secrets.{name}] {why}"))?;
            Ok((name.clone(), Arc::new(named)))
        };
        setup.iter().map(named).collect::<Result<_, _>>().map(Self)
    }

    /// Those of these names that there are.
    pub(super) fn granted(&self, names: &[String]) -> Vec<Arc<Named>> {
        names.iter().filter_map(|name| self.0.get(name)).cloned().collect()
    }

    /// Those of these names that there are not.
    #[must_use]
    pub fn missing<'a>(&self, names: &'a [String]) -> Vec<&'a str> {
        names.iter().map(String::as_str).filter(|name| !self.0.contains_key(*name)).collect()
    }

    /// Those of these names that go elsewhere than `terms` says of them, and where they go here.
    pub fn differing<'a>(&self, names: &'a [String], terms: &BTreeMap<String, String>) -> Vec<(&'a str, String)> {
        let here = |name: &'a String| Some((name.as_str(), self.0.get(name)?.setup.brief(name).terms()));
        names.iter().filter_map(here).filter(|(name, here)| terms.get(*name) != Some(here)).collect()
    }

    /// The names of those that go to this host.
    pub(super) fn at(&self, host: &Host, port: u16) -> Vec<&str> {
        let fits = self.0.values().filter(|named| named.place(host, port).is_some());
        fits.map(|named| named.name.as_str()).collect()
    }

    /// A sentence for each whose value cannot be read now, with the way out.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        self.0.values().filter_map(|named| named.value().err()).collect()
    }
}

impl Named {
    fn new(name: &str, setup: &SecretSetup, env: &Env) -> Result<Self, String> {
        if let Some(flaw) = name_flaw(name) {
            return Err(flaw.to_owned());
        }
        if let Some(flaw) = setup.flaw().or_else(|| setup.lack()) {
            return Err(flaw.to_string());
        }
        let place = |entry: &String| {
            let SecretHost { host, port, named_port, plain } = SecretHost::parse(entry)?;
            let host = Host::parse(&host)?;
            Ok::<_, String>(Place { host, port, is_usual: !named_port, plain })
        };
        let places = setup.hosts.iter().map(|entry| place(entry).map_err(|why| format!("hosts: {entry:?}: {why}")));
        let own = match &setup.ca_file {
            Some(file) => authorities(Path::new(file)).map_err(|why| format!("ca_file {file}: {why}"))?,
            None => Vec::new(),
        };
        Ok(Self {
            name: name.to_owned(),
            header: setup.header.parse().map_err(|_| "header: this is no name of a header".to_owned())?,
            setup: setup.clone(),
            places: places.collect::<Result<_, _>>()?,
            env: Arc::clone(env),
            own,
            tls: OnceLock::new(),
        })
    }

    /// Where a plain request to this target goes with the secret: a guest that writes no port means the usual one.
    pub(super) fn place(&self, host: &Host, port: u16) -> Option<&Place> {
        let exact = self.places.iter().find(|place| place.host == *host && place.port == port);
        exact.or_else(|| self.places.iter().find(|place| place.host == *host && place.is_usual && port == 80))
    }

    /// Reads the value.
    ///
    /// # Errors
    /// One sentence without anything of the value: why it cannot be used, and the way out.
    pub(super) fn value(&self) -> Result<Value, String> {
        let fail = |why: String| format!("the secret `{}` cannot be used: {why}", self.name);
        let secret = match (&self.setup.file, &self.setup.env) {
            (Some(file), _) => Secret::from_file("file", &PathBuf::from(file)).map_err(fail)?,
            (None, Some(variable)) => {
                let text = (self.env)(variable).filter(|text| !text.trim().is_empty());
                let text = text.ok_or_else(|| {
                    fail(format!("set {variable} in the environment of baton-vm-pool and start it again"))
                })?;
                let unfit = || fail(format!("{variable} holds white space or characters that no header can hold"));
                Secret::new(&text).ok_or_else(unfit)?
            }
            (None, None) => return Err(fail("its value is nowhere".to_owned())),
        };
        if secret.needle().len() < SHORTEST {
            let why = format!("its value has less than {SHORTEST} characters, too few to be kept out of answers");
            return Err(fail(why));
        }
        let (header, mut forms, password) =
            self.dressed(&secret).ok_or_else(|| fail("it fits into no header".to_owned()))?;
        if password.is_some_and(|bytes| bytes < SHORTEST) {
            let why = format!("its password has less than {SHORTEST} characters, too few to be kept out of answers");
            return Err(fail(why));
        }
        forms.retain(|form| form.needle().len() >= SHORTEST);
        forms.sort_by(|a, b| a.needle().cmp(b.needle()));
        forms.dedup();
        Ok(Value { header, forms })
    }

    /// What the header holds, the forms of the value, and the length of the password if it is a user's.
    fn dressed(&self, secret: &Secret) -> Option<(HeaderValue, Vec<Secret>, Option<usize>)> {
        let (before, after) = self.setup.around();
        let text = std::str::from_utf8(secret.needle()).ok()?;
        let is_basic = before.trim().eq_ignore_ascii_case("basic") && after.trim().is_empty();
        let mut texts = vec![text.to_owned()];
        let mut shown = text.to_owned();
        let mut length = None;
        if is_basic {
            let pair = match text.contains(':') {
                true => {
                    shown = general_purpose::STANDARD.encode(text);
                    Some(text.to_owned())
                }
                // It is encoded already.
                false => general_purpose::STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok()),
            };
            let password =
                pair.as_deref().and_then(|pair| pair.split_once(':')).map(|(_, password)| password.to_owned());
            length = password.as_ref().map(String::len);
            texts.extend(pair.into_iter().chain(password));
        }
        let mut header = HeaderValue::from_str(&format!("{before}{shown}{after}")).ok()?;
        header.set_sensitive(true);
        let forms = texts.iter().flat_map(|text| forms(text)).filter_map(|form| Secret::new(&form)).collect();
        Some((header, forms, length))
    }

    /// What its hosts must prove; loaded at the first use that succeeds: what is mended on the machine counts at once.
    ///
    /// # Errors
    /// One sentence: there are no certificates.
    pub(super) fn tls(&self) -> Result<Arc<ClientConfig>, String> {
        self.loaded(|| client(&self.own))
    }

    fn loaded(&self, load: impl FnOnce() -> Result<Arc<ClientConfig>, String>) -> Result<Arc<ClientConfig>, String> {
        match self.tls.get() {
            Some(config) => Ok(Arc::clone(config)),
            None => load().map(|config| Arc::clone(self.tls.get_or_init(|| config))),
        }
    }
}

/// A text as servers may write it: as it is, in base64, also in the middle of another text, in hex, in a URL, in JSON.
fn forms(text: &str) -> Vec<String> {
    let percent = |free: &[u8], lower: bool| -> String {
        let is_free = |byte: u8| byte.is_ascii_alphanumeric() || free.contains(&byte);
        let escape = |byte: u8| match (is_free(byte), lower) {
            (true, _) => char::from(byte).to_string(),
            (false, true) => format!("%{byte:02x}"),
            (false, false) => format!("%{byte:02X}"),
        };
        text.bytes().map(escape).collect()
    };
    let json = serde_json::to_string(text).unwrap_or_default();
    let json = json.trim_matches('"').to_owned();
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut all = vec![text.to_owned(), json.replace('/', "\\/"), json, hex.to_ascii_uppercase(), hex];
    // What programs leave as it is in a URL: the strict ones nothing, others what may stand in a path or in a query.
    for free in [&b"-._~"[..], b"-._~/", b"-._~=+/:", b"-._~!'()*", b"-._~!$&'()*+,;=:@/?"] {
        all.extend([percent(free, false), percent(free, true)]);
    }
    for ahead in 0..3 {
        all.extend(aligned(&general_purpose::STANDARD_NO_PAD, text, ahead));
        all.extend(aligned(&general_purpose::URL_SAFE_NO_PAD, text, ahead));
    }
    all
}

/// A text in base64 behind so many bytes of something else: the characters that depend on the text alone, where
/// others follow it, and where it is the end.
fn aligned(engine: &impl base64::Engine, text: &str, ahead: usize) -> [String; 2] {
    let bytes = [&[0; 2][..ahead], text.as_bytes()].concat();
    let encoded = engine.encode(&bytes);
    let first = (ahead * 8).div_ceil(6);
    // Six bits a character; the last one may hold bits of what follows.
    [first..bytes.len() * 8 / 6, first..encoded.len()].map(|part| encoded.get(part).unwrap_or_default().to_owned())
}

fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match found.map_err(|error| error.to_string())? {
        found if found.is_empty() => Err("no certificate in it".to_owned()),
        found => Ok(found),
    }
}

fn client(own: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in rustls_native_certs::load_native_certs().certs.into_iter().chain(own.iter().cloned()) {
        // What nobody can read is not believed.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(
            "this machine has no certificates of authorities: install ca-certificates, or set `ca_file`".to_owned()
        );
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(setup: SecretSetup, value: &'static str) -> Named {
        let env: Env = Arc::new(move |name| (name == "TOKEN").then(|| value.to_owned()));
        let setup = SecretSetup { env: Some("TOKEN".to_owned()), ..setup };
        Named::new("github", &setup, &env).unwrap()
    }

    fn setup(hosts: &[&str]) -> SecretSetup {
        SecretSetup { hosts: hosts.iter().map(|host| (*host).to_owned()).collect(), ..SecretSetup::default() }
    }

    fn shown(named: &Named) -> (String, Vec<String>) {
        let value = named.value().unwrap();
        let forms = value.forms.iter().map(|form| String::from_utf8(form.needle().to_vec()).unwrap()).collect();
        (value.header.to_str().unwrap().to_owned(), forms)
    }

    #[test]
    fn a_host_is_found_by_the_port_it_listens_on_or_by_none() {
        let named = named(setup(&["api.example", "lab.example:8443", "http://10.0.0.1:81"]), "canary-123456");
        let place =
            |host: &str, port| named.place(&Host::parse(host).unwrap(), port).map(|place| (place.port, place.plain));
        assert_eq!(place("API.example.", 80), Some((443, false)));
        assert_eq!(place("api.example", 443), Some((443, false)));
        assert_eq!(place("lab.example", 8443), Some((8443, false)));
        assert_eq!(place("10.0.0.1", 81), Some((81, true)));
        for (host, port) in [("api.example", 8080), ("lab.example", 80), ("lab.example", 443), ("www.api.example", 80)]
        {
            assert_eq!(place(host, port), None, "{host}:{port}");
        }
    }

    #[test]
    fn a_value_is_dressed_as_its_format_says() {
        let (header, forms) = shown(&named(setup(&["a.b"]), " canary/123456\n"));
        assert_eq!(header, "Bearer canary/123456");
        let hex = ["63616e6172792f313233343536", "63616E6172792F313233343536"];
        for form in ["canary/123456", "canary%2F123456", "canary\\/123456", "Y2FuYXJ5LzEyMzQ1N", "Y2FuYXJ5LzEyMzQ1Ng"]
            .into_iter()
            .chain(hex)
        {
            assert!(forms.contains(&form.to_owned()), "{form}: {forms:?}");
        }
        let basic = SecretSetup { format: "Basic {}".to_owned(), ..setup(&["a.b"]) };
        let (header, forms) = shown(&named(basic.clone(), "ann:canary-1"));
        assert_eq!(header, "Basic YW5uOmNhbmFyeS0x");
        assert!(
            ["ann:canary-1", "canary-1", "YW5uOmNhbmFyeS0x"].iter().all(|form| forms.contains(&(*form).to_owned()))
        );
        let (header, forms) = shown(&named(basic, "YW5uOmNhbmFyeS0x"));
        assert_eq!(header, "Basic YW5uOmNhbmFyeS0x", "encoded already");
        assert!(forms.contains(&"ann:canary-1".to_owned()) && forms.contains(&"canary-1".to_owned()), "{forms:?}");
        let bare = SecretSetup { header: "X-Api-Key".to_owned(), format: "{}".to_owned(), ..setup(&["a.b"]) };
        let bare = named(bare, "canary-123456");
        assert_eq!((shown(&bare).0.as_str(), bare.header.as_str()), ("canary-123456", "x-api-key"));
    }

    #[test]
    fn base64_is_seen_through_wherever_the_value_is_in_it() {
        let text = "can\u{7f}ry>>>?123~456";
        let known = forms(text);
        for ahead in ["", "a", "ab", "abc", "user:"] {
            for behind in ["", "\n", "xy", "xyz"] {
                let whole = format!("{ahead}{text}{behind}");
                for encoded in
                    [general_purpose::STANDARD.encode(&whole), general_purpose::URL_SAFE_NO_PAD.encode(&whole)]
                {
                    let fits = |form: &&String| encoded.contains(form.as_str());
                    let longest = known.iter().filter(fits).map(String::len).max().unwrap_or_default();
                    // All that depends on the value alone.
                    assert!(longest >= text.len() * 8 / 6 - 1, "{whole:?}: {encoded}: {longest}");
                }
            }
        }
        let known = forms("a=b+c/d:e f");
        assert!(
            ["a=b+c/d:e%20f", "a%3Db%2Bc/d%3Ae%20f", "a%3db%2bc%2fd%3ae%20f"]
                .iter()
                .all(|form| known.contains(&(*form).to_owned()))
        );
    }

    #[test]
    fn a_short_password_is_refused_and_not_let_through() {
        let basic = SecretSetup { format: "Basic {}".to_owned(), ..setup(&["a.b"]) };
        for value in ["somebody:short", "c29tZWJvZHk6c2hvcnQ="] {
            let why = named(basic.clone(), value).value().map(|_| ()).unwrap_err();
            assert!(why.contains("its password has less than 8 characters") && !why.contains("short,"), "{why}");
        }
    }

    #[test]
    fn a_failure_to_load_certificates_is_not_kept() {
        let mut named = named(setup(&["a.b"]), "canary-123456");
        let made = rcgen::generate_simple_self_signed(vec!["a.b".to_owned()]).unwrap();
        named.own = vec![made.cert.der().clone()];
        assert_eq!(named.loaded(|| Err("none".to_owned())).unwrap_err(), "none");
        let first = named.tls().unwrap();
        assert!(Arc::ptr_eq(&first, &named.loaded(|| Err("again".to_owned())).unwrap()), "it is loaded once");
    }

    #[test]
    fn what_cannot_be_read_is_said_without_a_word_of_it() {
        let env: Env = Arc::new(|name| {
            (name == "SHORT").then(|| "abc".to_owned()).or_else(|| (name == "WIDE").then(|| "canary canary".to_owned()))
        });
        let from = |setup: SecretSetup| Named::new("github", &setup, &env).unwrap().value().map(|_| ()).unwrap_err();
        let of = |variable: &str| from(SecretSetup { env: Some(variable.to_owned()), ..setup(&["a.b"]) });
        assert_eq!(
            of("NONE"),
            "the secret `github` cannot be used: set NONE in the environment of baton-vm-pool and start it again"
        );
        assert!(of("SHORT").contains("less than 8 characters") && of("WIDE").contains("WIDE holds white space"));
        assert!(!of("SHORT").contains("abc") && !of("WIDE").contains("canary"));
        let file = from(SecretSetup { file: Some("/nowhere/key".to_owned()), ..setup(&["a.b"]) });
        assert!(file.starts_with("the secret `github` cannot be used: file /nowhere/key: "), "{file}");
        let bad = Secrets::new(&BTreeMap::from([("github".to_owned(), SecretSetup::default())]), |_| None);
        assert!(bad.is_err_and(|why| why.starts_with("[secrets.github] its value is nowhere")));
        let secrets =
            BTreeMap::from([("github".to_owned(), SecretSetup { env: Some("X".to_owned()), ..setup(&["a.b"]) })]);
        let secrets = Secrets::new(&secrets, |_| None).unwrap();
        assert_eq!(secrets.problems().len(), 1);
        assert_eq!(secrets.missing(&["github".to_owned(), "aws".to_owned()]), ["aws"]);
    }
}
