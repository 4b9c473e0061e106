//! The real one: the gateway and the proxy.

use std::sync::{Arc, Mutex, PoisonError};

use bus_schemas::v1::{
    agent::{EgressRecord, ModelBrief, Role, Spend},
    guest::Service,
};
use futures::future::BoxFuture;

use super::{Outside, Reach, Visitor};
use crate::adapter::{
    egress::{self, EgressAccess, Rules, Secrets},
    gateway::{Access, Gateway, Meter},
    session::DataStream,
};

/// What this host lets guests reach.
#[derive(Clone, Debug)]
pub struct HostOutside {
    gateway: Gateway,
    private: Arc<Rules>,
    secrets: Secrets,
}

impl HostOutside {
    /// Models by way of this gateway; hosts by each task's list.
    #[must_use]
    pub fn new(gateway: Gateway) -> Self {
        Self { gateway, private: Arc::default(), secrets: Secrets::default() }
    }

    /// The hosts that may have a private address, where a task's list names them.
    #[must_use]
    pub fn with_private(self, private: Rules) -> Self {
        Self { private: Arc::new(private), ..self }
    }

    /// The secrets that its proxy uses on guests' behalf, where their tasks were granted them.
    #[must_use]
    pub fn with_secrets(self, secrets: Secrets) -> Self {
        Self { secrets, ..self }
    }
}

/// What one attempt's guest reaches.
#[derive(Debug)]
struct HostReach {
    gateway: Gateway,
    models: Arc<Access>,
    network: Arc<EgressAccess>,
    records: Arc<Mutex<Vec<EgressRecord>>>,
    meter: Meter,
}

impl Outside for HostOutside {
    fn briefs(&self, role: Role, models: &[String]) -> Result<Vec<ModelBrief>, String> {
        self.gateway.briefs(role, models)
    }

    fn problems(&self) -> Vec<String> {
        self.secrets.problems()
    }

    fn admit(&self, visitor: Visitor) -> Arc<dyn Reach> {
        let Visitor { attempt, models, network, secrets, secret_terms, purse, log, stop, deadline } = visitor;
        let rules = Rules::parse(&network).unwrap_or_else(|flaw| {
            // The plan was checked before: this is another version's. What cannot be read lets nothing through.
            let _ = log.try_send(format!("no network for this attempt: {flaw}"));
            Rules::default()
        });
        for name in self.secrets.missing(&secrets) {
            let _ = log.try_send(format!(
                "the secret `{name}` is not configured on this host: add [secrets.{name}] to its baton.toml"
            ));
        }
        for (name, here) in self.secrets.differing(&secrets, &secret_terms) {
            let agreed = secret_terms.get(name).map_or("nothing that is known", String::as_str);
            let _ = log.try_send(format!(
                "the secret `{name}` is not used: agreed was {agreed}, and [secrets.{name}] of this host says {here}"
            ));
        }
        let (records, meter) = (Arc::<Mutex<Vec<EgressRecord>>>::default(), Meter::default());
        let network = EgressAccess::new(rules, Arc::clone(&records), log.clone(), stop.clone())
            .with_private(Arc::clone(&self.private))
            .with_secrets(self.secrets.clone(), &secrets, &secret_terms);
        let access = Access { attempt, models, purse, meter: meter.clone(), stop, log, deadline };
        let gateway = self.gateway.clone();
        Arc::new(HostReach { gateway, models: Arc::new(access), network: Arc::new(network), records, meter })
    }
}

impl Reach for HostReach {
    fn connect(&self, service: Service, stream: DataStream) -> BoxFuture<'static, ()> {
        match service {
            Service::Models => {
                let (gateway, access) = (self.gateway.clone(), Arc::clone(&self.models));
                Box::pin(async move { gateway.serve(stream, access).await })
            }
            Service::Proxy => Box::pin(egress::serve(stream, Arc::clone(&self.network))),
        }
    }

    fn spent(&self) -> Spend {
        self.meter.spent()
    }

    fn egress(&self) -> Vec<EgressRecord> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.meter.settled())
    }
}
