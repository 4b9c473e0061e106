//! Our own look into the DNS.

use std::{
    borrow::Borrow,
    collections::HashMap,
    fmt,
    hash::Hash,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use hickory_resolver::{
    TokioResolver,
    config::{NameServerConfig, ResolverConfig, ResolverOpts},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::rr::{Name, RData, RecordType},
    system_conf::read_system_conf,
};
use mail_auth::{MX, MessageAuthenticator, Parameters, RecordSet, ResolverCache, Txt};

/// How long one name server is waited for, and how often it is asked.
const TIMEOUT: Duration = Duration::from_secs(3);
const ATTEMPTS: usize = 2;
/// Answers that are remembered.
const REMEMBERED: u64 = 4_096;
/// Records that are remembered as they were understood: keys, policies.
const UNDERSTOOD: usize = 4_096;
/// No record is believed for longer than this, whatever its time to live.
const LONGEST_TTL: Duration = Duration::from_secs(3_600);

/// The DNS. Cheap to clone; what was looked up is remembered.
#[derive(Clone)]
pub struct Dns(Arc<Inner>);

struct Inner {
    asks: MessageAuthenticator,
    txt: Remembered<Box<str>, Txt>,
    mx: Remembered<Box<str>, RecordSet<MX>>,
    v4: Remembered<Box<str>, RecordSet<Ipv4Addr>>,
    v6: Remembered<Box<str>, RecordSet<Ipv6Addr>>,
    ptr: Remembered<IpAddr, RecordSet<Box<str>>>,
}

impl fmt::Debug for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dns").finish_non_exhaustive()
    }
}

/// Parameters of a check, with what is remembered.
pub(super) type Asked<'x, P> = Parameters<
    'x,
    P,
    Remembered<Box<str>, Txt>,
    Remembered<Box<str>, RecordSet<MX>>,
    Remembered<Box<str>, RecordSet<Ipv4Addr>>,
    Remembered<Box<str>, RecordSet<Ipv6Addr>>,
    Remembered<IpAddr, RecordSet<Box<str>>>,
>;

impl Dns {
    /// Asks these name servers, else those of the system.
    ///
    /// # Errors
    /// The system's name servers are not known.
    pub fn new(servers: &[SocketAddr]) -> Result<Self, String> {
        let (config, mut options) = if servers.is_empty() {
            read_system_conf().map_err(|error| {
                format!(
                    "the system's name servers are not known ({error}): name some in mail.dns, as [\"192.0.2.1:53\"]"
                )
            })?
        } else {
            (ResolverConfig::from_name_servers(servers.iter().map(server).collect()), ResolverOpts::default())
        };
        options.timeout = TIMEOUT;
        options.attempts = ATTEMPTS;
        options.cache_size = REMEMBERED;
        options.positive_max_ttl = Some(LONGEST_TTL);
        options.negative_max_ttl = Some(Duration::from_secs(60));
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()
            .map_err(|error| format!("the DNS cannot be asked: {error}"))?;
        Ok(Self(Arc::new(Inner {
            asks: MessageAuthenticator(resolver),
            txt: Remembered::default(),
            mx: Remembered::default(),
            v4: Remembered::default(),
            v6: Remembered::default(),
            ptr: Remembered::default(),
        })))
    }

    pub(super) fn asks(&self) -> &MessageAuthenticator {
        &self.0.asks
    }

    /// Adds what is remembered to the parameters of a check.
    pub(super) fn with<P>(&self, params: P) -> Asked<'_, P> {
        Parameters {
            params,
            cache_txt: Some(&self.0.txt),
            cache_mx: Some(&self.0.mx),
            cache_ptr: Some(&self.0.ptr),
            cache_ipv4: Some(&self.0.v4),
            cache_ipv6: Some(&self.0.v6),
        }
    }

    /// The TXT records of a name; none if there are none.
    ///
    /// # Errors
    /// No name server answers.
    pub async fn txt(&self, name: &str) -> Result<Vec<String>, String> {
        self.look_up(name, RecordType::TXT, |data| match data {
            RData::TXT(txt) => {
                let bytes: Vec<u8> = txt.txt_data.iter().flat_map(|part| part.iter().copied()).collect();
                Some(String::from_utf8_lossy(&bytes).into_owned())
            }
            _ => None,
        })
        .await
    }

    /// The mail exchangers of a domain, the preferred first.
    ///
    /// # Errors
    /// No name server answers.
    pub async fn mx(&self, domain: &str) -> Result<Vec<String>, String> {
        let mut found = self
            .look_up(domain, RecordType::MX, |data| match data {
                RData::MX(mx) => Some((mx.preference, mx.exchange.to_ascii().trim_end_matches('.').to_lowercase())),
                _ => None,
            })
            .await?;
        found.sort();
        Ok(found.into_iter().map(|(_, host)| host).collect())
    }

    async fn look_up<R>(
        &self,
        name: &str,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<R>,
    ) -> Result<Vec<R>, String> {
        let mut absolute =
            Name::from_str_relaxed(name).map_err(|error| format!("{name} is no name of a host: {error}"))?;
        absolute.set_fqdn(true);
        match self.0.asks.resolver().lookup(absolute, kind).await {
            Ok(found) => Ok(found.answers().iter().filter_map(|record| read(&record.data)).collect()),
            Err(NetError::Dns(DnsError::NoRecordsFound(_))) => Ok(Vec::new()),
            Err(error) => Err(format!("no name server answers about {name}: {error}")),
        }
    }
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

/// What was looked up, for as long as it may be believed.
pub(super) struct Remembered<K, V>(Mutex<HashMap<K, (V, Instant)>>);

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Eq + Hash, V: Clone> ResolverCache<K, V> for Remembered<K, V> {
    fn get<Q>(&self, name: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(name).filter(|(_, until)| *until > Instant::now()).map(|(value, _)| value.clone())
    }

    fn remove<Q>(&self, name: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name).map(|(value, _)| value)
    }

    fn insert(&self, key: K, value: V, valid_until: Instant) {
        let now = Instant::now();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= UNDERSTOOD {
            known.retain(|_, (_, until)| *until > now);
        }
        // Strangers choose the names that are looked up: who fills this only makes us ask again.
        if known.len() >= UNDERSTOOD {
            known.clear();
        }
        known.insert(key, (value, valid_until.min(now + LONGEST_TTL)));
    }
}
