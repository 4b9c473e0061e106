//! A team with mail: two members with addresses (ann, bob) and one without (carl), somebody from elsewhere (eve), `baton serve`,
//! and a host that works in no time.

use std::{
    collections::BTreeMap,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use bus_schemas::v1::{
    agent::Role,
    api::{ApprovalView, JournalEntry, NewProject, PlanSource, ProjectView},
    approval::Decision,
    project::ProjectState,
    task::{Offer, Program},
};
use harness::{
    dns::Dns,
    hostsim::{HostSim, Played, Player},
    mail::{ANN, Algorithm, BATON, Envelope, Key, Mail, MailServer, Signer, Wire},
    nats::{NatsServer, free_port},
    serve::Serve,
    wait,
};
use orchestrator::adapter::web::Client;
use serde_json::Value;

use super::written::{Written, domain_of};

/// Long enough for a busy machine and for a mail that is tried again; only a broken test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// Nobody is anybody by uid alone, since one person runs all tests.
pub(crate) const MEMBERS: &str = "
[members.ann]
email = [\"ann@team.test\"]
groups = [\"leads\"]
[members.bob]
email = [\"bob@team.test\"]
groups = [\"leads\"]
[members.carl]
";

/// One task that a person approves, and one that comes after it.
pub(crate) const ONE: &str = "
version: 1
title: one
tasks:
  - { id: one, run: 'true', checks: ['true'], approval: ask }
  - { id: two, needs: [one], run: 'true', checks: ['true'] }
";

/// What planners plan.
const PLAN: &str = r#"{"version": 1, "title": "worked out", "tasks": [{"id": "one", "run": "true", "checks": ["true"], "approval": "auto"}]}"#;

/// Where the mail of a domain comes from: name and address of the machine.
pub(crate) const SENDERS: [(&str, &str, &str); 5] = [
    ("orch.test", "mx.orch.test", "127.0.0.1"),
    ("team.test", "mx.team.test", "127.0.0.5"),
    ("elsewhere.test", "mx.elsewhere.test", "127.0.0.6"),
    ("tearn.test", "mx.tearn.test", "127.0.0.7"),
    ("other.test", "mx.other.test", "127.0.0.8"),
];

pub(crate) type Offers = Arc<Mutex<Vec<Offer>>>;

/// A planner that always has the same plan; keeps what was offered.
pub(crate) fn planner() -> (Player, Offers) {
    let offers = Offers::default();
    let kept = Arc::clone(&offers);
    let player: Player = Arc::new(move |played: Played| {
        kept.lock().expect("no poison").push(played.offer.clone());
        Box::pin(async move {
            let plans = matches!(&played.offer.program, Program::Agent(work) if work.role == Role::Planner);
            if plans {
                return played.handoff_with(|handoff| handoff.result = serde_json::from_str(PLAN).ok());
            }
            played.handoff()
        })
    });
    (player, offers)
}

/// What an office is opened with.
pub(crate) struct Setup {
    members: String,
    keys: String,
    player: Option<Player>,
    wired: bool,
    beside: Option<Neighbour>,
}

/// What two offices share.
struct Neighbour {
    address: String,
    mail: Arc<MailServer>,
    dns: Arc<Dns>,
    signers: BTreeMap<&'static str, Signer>,
}

impl Setup {
    /// With a wire before the server that takes its mail.
    pub(crate) fn wired(mut self) -> Self {
        self.wired = true;
        self
    }

    /// With another office's mail server, and this mailbox of it.
    pub(crate) fn beside(mut self, office: &Office, address: &str) -> Self {
        office.mail.add_user(address);
        self.beside = Some(Neighbour {
            address: address.to_owned(),
            mail: Arc::clone(&office.mail),
            dns: Arc::clone(&office.dns),
            signers: office.signers.clone(),
        });
        self
    }

    /// With these members in place of [`MEMBERS`].
    pub(crate) fn members(mut self, members: &str) -> Self {
        self.members = members.to_owned();
        self
    }

    /// With these further keys of `[mail]`.
    pub(crate) fn keys(mut self, keys: &str) -> Self {
        self.keys = keys.to_owned();
        self
    }

    /// With attempts played by this player.
    pub(crate) fn played(mut self, player: Player) -> Self {
        self.player = Some(player);
        self
    }

    /// Starts everything.
    pub(crate) async fn open(self) -> Office {
        let mut office = self.closed().await;
        office.serve.start().await;
        office
    }

    /// Starts everything but `baton serve`.
    pub(crate) async fn closed(self) -> Office {
        let nats = NatsServer::start().await;
        let Neighbour { address, mail, dns, signers } = self.beside.unwrap_or_else(Neighbour::new);
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let folders = std::env::temp_dir().display().to_string();
        let config = format!(
            "{}listen = \"127.0.0.1:{port}\"\npublic_url = \"{url}\"\nfolders = [{folders:?}]\n{}\n{}
[models]\ndefault = \"anthropic/claude-sonnet-4-5\"\n[approvals]\ntrust_cli_names = true\n",
            mail.config_of(&address, &dns),
            self.keys,
            self.members
        );
        let wire = self.wired.then(|| Wire::to(mail.smtp()));
        let config = match &wire {
            Some(wire) => through(wire, &config),
            None => config,
        };
        let serve = Serve::new(&nats.url(), &config);
        let bus = nats.bus().await;
        let host = match self.player {
            Some(player) => HostSim::playing(&bus, 2, player).await,
            None => HostSim::start(&bus, 2).await,
        };
        Office { serve, mail, dns, url, wire, signers, _nats: nats, _host: host }
    }
}

impl Neighbour {
    /// Servers of one's own, and what is published about [`SENDERS`].
    fn new() -> Self {
        let (mail, dns) = (MailServer::start(), Dns::start());
        let mut signers = BTreeMap::new();
        for (domain, host, address) in SENDERS {
            let signer = Signer::new(Key::new(Algorithm::Ed25519), domain, "s1");
            dns.txt(&signer.record_name(), &signer.record());
            dns.txt(domain, &format!("v=spf1 ip4:{address} -all"));
            dns.txt(&format!("_dmarc.{domain}"), "v=DMARC1; p=reject");
            dns.mx(domain, &[host]);
            dns.addresses(host, &[address]);
            signers.insert(domain, signer);
        }
        Self { address: BATON.to_owned(), mail: Arc::new(mail), dns: Arc::new(dns), signers }
    }
}

/// The configuration with mail going out over a wire.
fn through(wire: &Wire, config: &str) -> String {
    let smtp = format!("smtp = {{ host = \"127.0.0.1\", port = {}, tls = \"none\" }}", wire.port());
    let lines = config.lines().map(|line| if line.starts_with("smtp = ") { smtp.as_str() } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

pub(crate) struct Office {
    // First: it hangs up before the servers go.
    pub(crate) serve: Serve,
    pub(crate) mail: Arc<MailServer>,
    pub(crate) dns: Arc<Dns>,
    /// How the pages are reached.
    pub(crate) url: String,
    wire: Option<Wire>,
    signers: BTreeMap<&'static str, Signer>,
    _nats: NatsServer,
    _host: HostSim,
}

impl Office {
    pub(crate) fn setup() -> Setup {
        Setup { members: MEMBERS.to_owned(), keys: String::new(), player: None, wired: false, beside: None }
    }

    /// Two members and a planner.
    pub(crate) async fn open() -> Self {
        Self::setup().played(planner().0).open().await
    }

    pub(crate) fn client(&self) -> Client {
        self.serve.client()
    }

    /// The wire before the server that takes its mail.
    pub(crate) fn wire(&self) -> &Wire {
        self.wire.as_ref().expect("an office that was set up with a wire")
    }

    /// How a domain signs.
    pub(crate) fn signer(&self, domain: &str) -> &Signer {
        self.signers.get(domain).unwrap_or_else(|| panic!("{domain} has no key"))
    }

    /// Sends a mail as its sender's own server does: from its machine, signed.
    pub(crate) fn sends(&self, written: &Written) {
        let signed = self.signer(domain_of(&written.from)).sign(&written.raw());
        self.hands_on(written.sender(), &written.to, &signed);
    }

    /// Sends a mail as it is, from the machine of the sender's domain.
    pub(crate) fn hands_on(&self, from: &str, to: &str, raw: &[u8]) {
        let machine = SENDERS.iter().find(|(domain, ..)| *domain == domain_of(from));
        let (_, host, address) = machine.unwrap_or_else(|| panic!("{from} has no machine"));
        self.mail.deliver(&Envelope::new(from, to).by(host, address), raw);
    }

    /// Answers a mail.
    pub(crate) fn replies(&self, from: &str, mail: &Mail, text: &str) {
        self.sends(&Written::reply(from, mail, text));
    }

    /// A project of carl's, from the command line, its plan approved.
    pub(crate) async fn project(&self, plan: &str) -> ProjectView {
        let new = NewProject {
            plan: PlanSource { file: "plan.yaml".to_owned(), text: plan.to_owned(), ..PlanSource::default() },
            folder: self.serve.folder().display().to_string(),
            owner: "carl".to_owned(),
            channel: "cli".to_owned(),
            approve_plan: true,
            ..NewProject::default()
        };
        self.client().create_project(&new).await.expect("a project")
    }

    /// A project whose first task waits for people, its request, and the mail about it to ann.
    pub(crate) async fn waiting(&self) -> (ProjectView, ApprovalView, Mail) {
        let project = self.project(ONE).await;
        let approval = self.asked().await;
        let mail = self.request(ANN, 0).await;
        (project, approval, mail)
    }

    /// The only project there is, once there is one.
    pub(crate) async fn only_project(&self) -> ProjectView {
        let client = self.client();
        let found = wait::until("a project", PATIENCE, || async { client.projects().await.ok()?.pop() }).await;
        client.project(&found.project_id.to_string()).await.expect("the project")
    }

    /// The only project with this title, once it is there.
    pub(crate) async fn only_of(&self, title: &str) -> ProjectView {
        let client = self.client();
        let found = wait::until(&format!("the project {title:?}"), PATIENCE, || async {
            client.projects().await.ok()?.into_iter().find(|project| project.title.contains(title))
        })
        .await;
        client.project(&found.project_id.to_string()).await.expect("the project")
    }

    /// How many projects there are.
    pub(crate) async fn projects(&self) -> usize {
        self.client().projects().await.expect("projects").len()
    }

    /// Waits for a request that waits for people.
    pub(crate) async fn asked(&self) -> ApprovalView {
        let client = self.client();
        wait::until("a request", PATIENCE, || async { client.approvals(false).await.ok()?.pop() }).await
    }

    /// Waits until a request is decided.
    pub(crate) async fn decided(&self, approval: &ApprovalView) -> Decision {
        let (client, id) = (self.client(), approval.approval_id.to_string());
        let look = || async { client.approval(&id).await.ok()?.decision };
        wait::until("a decision", PATIENCE, look).await
    }

    /// The request as it is now.
    pub(crate) async fn request_now(&self, approval: &ApprovalView) -> ApprovalView {
        self.client().approval(&approval.approval_id.to_string()).await.expect("the request")
    }

    /// Waits until the project is final.
    pub(crate) async fn finished(&self, project: &ProjectView) -> ProjectView {
        let (client, id) = (self.client(), project.project_id.to_string());
        wait::until("the project to be final", PATIENCE, || async {
            let view = client.project(&id).await.ok()?;
            view.state.is_final().then_some(view)
        })
        .await
    }

    /// Waits until the project is completed.
    pub(crate) async fn completed(&self, project: &ProjectView) -> ProjectView {
        let view = self.finished(project).await;
        assert_eq!(view.state, ProjectState::Completed, "{view:?}");
        view
    }

    /// How many decisions about this request the journal holds.
    pub(crate) async fn decisions(&self, approval: &ApprovalView) -> usize {
        let journal = self.client().journal(&approval.project_id.to_string()).await.expect("the journal");
        let id = approval.approval_id.to_string();
        let is_about = |entry: &&JournalEntry| {
            entry.kind == "approval_decided" && serde_json::to_string(&entry.event).is_ok_and(|text| text.contains(&id))
        };
        journal.iter().filter(is_about).count()
    }

    /// A file of a project's base, as the orchestrator keeps it.
    pub(crate) fn base_file(&self, project: &ProjectView, path: &str) -> Option<Vec<u8>> {
        let repository = self.serve.home().join(format!("state/shadow/{}.git", project.project_id));
        let shown = Command::new("git")
            .arg("--git-dir")
            .arg(repository)
            .args(["show", &format!("{}:{path}", project.base_commit)])
            .output()
            .expect("git");
        shown.status.success().then_some(shown.stdout)
    }

    /// Whether a mail asks for a decision: it has a link to a page that decides.
    pub(crate) fn is_request(&self, mail: &Mail) -> bool {
        mail.text().contains(&format!("{}/r/", self.url))
    }

    /// The mails to an address that ask for a decision, the oldest first.
    pub(crate) fn requests(&self, to: &str) -> Vec<Mail> {
        self.mail.mails(to).into_iter().filter(|mail| self.is_request(mail)).collect()
    }

    /// The mail to an address that asks for a decision, once it is there; behind the first so many.
    pub(crate) async fn request(&self, to: &str, skip: usize) -> Mail {
        wait::until(&format!("request {skip} to {to}"), PATIENCE, || async { self.requests(to).into_iter().nth(skip) })
            .await
    }

    /// The link of a mail that asks for a decision.
    pub(crate) fn link(&self, mail: &Mail) -> String {
        let (text, start) = (mail.text(), format!("{}/r/", self.url));
        let at = text.find(&start).unwrap_or_else(|| panic!("no link: {text}"));
        let token: String = text[at + start.len()..].chars().take_while(char::is_ascii_alphanumeric).collect();
        format!("{start}{token}")
    }

    /// The first mail to an address that asks for no decision and says all this, once it is there; behind the first so many of
    /// them.
    pub(crate) async fn told(&self, to: &str, words: &[&str], skip: usize) -> Mail {
        wait::until(&format!("a mail to {to} with {words:?}"), PATIENCE, || async {
            let mails = self.mail.mails(to).into_iter().filter(|mail| !self.is_request(mail));
            mails.filter(|mail| says(mail, words)).nth(skip)
        })
        .await
    }

    /// All that came in, as `baton mail log` shows it, the newest first.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.lines(&["--json", "mail", "log", "--limit", "1000"])
    }

    /// All that goes out, as `baton mail outbox` shows it, the newest first.
    pub(crate) fn outbox(&self) -> Vec<Value> {
        self.lines(&["--json", "mail", "outbox", "--limit", "1000"])
    }

    fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.serve.baton(arguments);
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "baton {}: {err}", arguments.join(" "));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// What became of the mail with this Message-ID, once it is known.
    pub(crate) async fn outcome(&self, written: &Written) -> Value {
        wait::until(&format!("the end of {:?}", written.subject), PATIENCE, || async {
            let is_it = |letter: &&Value| letter["message_id"] == written.id.as_str() && letter["state"] != "kept";
            self.log().iter().find(is_it).cloned()
        })
        .await
    }

    /// Waits until the mail is put aside; the reason must say all this.
    pub(crate) async fn put_aside(&self, written: &Written, words: &[&str]) {
        let letter = self.outcome(written).await;
        assert_eq!(
            (letter["state"].as_str(), &letter["trusted"]),
            (Some("quarantined"), &Value::Bool(false)),
            "{letter}"
        );
        let reason = letter["outcome"].as_str().unwrap_or_default().to_lowercase();
        for word in words {
            assert!(reason.contains(&word.to_lowercase()), "{word:?} is not in {reason:?}");
        }
    }

    /// Waits until `count` mails have come in and nothing is left to do about any.
    pub(crate) async fn judged(&self, count: usize) -> Vec<Value> {
        wait::until(&format!("{count} mails to be judged"), PATIENCE, || async {
            let log = self.log();
            let all = log.len() >= count && log.iter().all(|letter| letter["state"] != "kept");
            all.then_some(log)
        })
        .await
    }
}

/// All of these words are in the mail, whatever their case.
pub(crate) fn says(mail: &Mail, words: &[&str]) -> bool {
    let text = format!("{}\n{}", mail.subject(), mail.text()).to_lowercase();
    // Lines are broken where they are long.
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.iter().all(|word| text.contains(&word.to_lowercase()))
}

/// A client that follows nothing and keeps nothing, as a scanner's.
pub(crate) fn browser() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client")
}
