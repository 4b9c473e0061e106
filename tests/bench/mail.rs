//! Mail: how many mails one core judges, and how long a reply takes from the mailbox to the durable decision.

use std::{
    collections::HashMap,
    fmt::Write as _,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use bus_schemas::{
    id::ApprovalId,
    time::UnixMs,
    v1::api::{NewProject, PlanSource},
};
use futures::StreamExt as _;
use harness::{
    dns::Dns,
    hostsim::HostSim,
    mail::{Algorithm, Key, MailServer, Signer},
    nats::NatsServer,
    serve::Serve,
};
use orchestrator::{
    adapter::{
        mail::{
            Authentic, Desk as _, OutKind, OutMail,
            auth::MailAuth,
            bridge::{Answered, Rules, answered, check},
            imap::TOLD,
        },
        sqlite::MailStore,
    },
    mail::{
        addressed,
        allow::Allow,
        intent::{About, Wish, of_reply},
        letter::Delivery,
        token,
    },
};
use uuid::Uuid;

use crate::{report::Report, rig::PATIENCE};

const BATON: &str = "baton@orch.test";
const ANN: &str = "ann@team.test";
/// Mails that are judged, each signed by itself.
const MAILS: usize = 1_000;
/// Mails per second and core.
const RATE: f64 = 200.0;
/// Replies that decide, one after the other.
const REPLIES: usize = 100;
/// From the server's news to the durable decision, in milliseconds. How long the server takes to tell of a mail is its own affair
/// (Dovecot waits on purpose, so as to tell of several at once), and is reported beside.
const WAKE: f64 = 200.0;

/// Measures both.
pub async fn mail(report: &mut Report) -> Result<()> {
    let dns = Dns::start();
    let signer = Signer::new(Key::new(Algorithm::Rsa), "team.test", "s1");
    dns.txt(&signer.record_name(), &signer.record());
    dns.txt("_dmarc.team.test", "v=DMARC1; p=reject");
    let servers = vec![dns.address()];
    let (mails, folder) = (signer.clone(), tempfile::tempdir()?);
    let data = folder.path().to_owned();
    let rate = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(judged(&servers, &mails, &data))
    })
    .await??;
    report.at_least("mail: parsed, authenticated, threaded and understood, one core", rate, "/s", Some(RATE));
    let (mut told, mut decided) = wake(&dns, &signer).await?;
    report.spread("mail: reply in the mailbox → the server tells of it (Dovecot's own delay)", &mut told, None, None);
    report.spread(
        "mail: the server tells of a reply → journalled decision, heard in the feed",
        &mut decided,
        None,
        Some(WAKE),
    );
    Ok(())
}

/// How many mails per second go from their bytes to what they want.
async fn judged(servers: &[std::net::SocketAddr], signer: &Signer, data: &Path) -> Result<f64> {
    let store = MailStore::open(data)?;
    let key = store.key().await?;
    let mut mails = Vec::with_capacity(MAILS);
    for number in 0..MAILS {
        let id = Uuid::now_v7();
        let out = OutMail {
            id,
            name: format!("request:{number}"),
            to: ANN.to_owned(),
            person: "ann".to_owned(),
            kind: OutKind::Request,
            message_id: format!("{}@baton.orch.test", id.simple()),
            created_at: UnixMs(1),
            ..OutMail::default()
        };
        store.intend(out, bytes::Bytes::from_static(b"asked")).await?;
        let to = format!("baton+{}@orch.test", token::plus(&key, id));
        mails.push((id, bytes::Bytes::from(signer.sign(reply(&to, number).as_bytes()))));
    }
    let verifier = MailAuth::new(servers, &[], &[], BATON).map_err(anyhow::Error::msg)?;
    let allow = Allow::new(&[], [(ANN, "ann")]);
    let rules = Rules { address: BATON, allow: &allow };
    let begun = Instant::now();
    for (id, raw) in &mails {
        // What the bridge does with every mail, by its own functions.
        let delivery = Delivery::default();
        let (letter, proof) = check(&verifier, rules, raw, &delivery).await?;
        let proof = proof.context("a person's mail, from a member")?;
        ensure!(proof.author == ANN && matches!(proof.authentic, Authentic::Yes(_)), "{proof:?}");
        let details = addressed::details(&letter, &delivery, BATON);
        let Answered::Mail(about) = answered(&store, &key, &details, &letter, "ann").await? else {
            bail!("its own token")
        };
        ensure!(about.id == *id && about.person == "ann", "who was asked");
        ensure!(matches!(of_reply(&letter, About::Request), Wish::Approve), "what it wants");
    }
    #[expect(clippy::cast_precision_loss, reason = "a thousand")]
    let count = mails.len() as f64;
    Ok(count / begun.elapsed().as_secs_f64())
}

/// An answer as mail programs write it, with a page of quoted text.
fn reply(to: &str, number: usize) -> String {
    let date = jiff::fmt::rfc2822::to_string(&jiff::Zoned::now()).unwrap_or_default();
    let quoted: String = (0..60).fold(String::new(), |mut text, line| {
        let _ = write!(text, "> Line {line} of what was asked, with some words in it.\r\n");
        text
    });
    format!(
        "From: Ann <{ANN}>\r\nTo: Baton <{to}>\r\nSubject: Re: Handoff of t{number}\r\nDate: {date}\r\n\
         Message-ID: <{}@team.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
         approve\r\n\r\nOn Mon, 23 Nov 2026 at 10:00, Baton <{BATON}> wrote:\r\n{quoted}",
        Uuid::now_v7().simple()
    )
}

/// Replies put into the mailbox of a running `baton serve`, one after the other: until it is told of each, and from then on.
async fn wake(dns: &Dns, signer: &Signer) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let nats = NatsServer::start().await;
    let mail = MailServer::start();
    let config = format!(
        "{}per_sender = 10000\nper_hour = 10000\nper_thread = 10000\nnews = \"off\"\n[members.ann]\nemail = [\"{ANN}\"]\n\
         [approvals]\nbatch = false\ntrust_cli_names = true\n\
         [orchestrator]\nlog = \"info,orchestrator::adapter::mail::imap=debug\"\n",
        mail.config(dns)
    );
    let mut serve = Serve::new(&nats.url(), &config);
    serve.start().await;
    let host = HostSim::start(&nats.bus().await, 8).await;
    let mut plan = "version: 1\ntitle: bench\napproval: auto\ntasks:\n".to_owned();
    for number in 0..REPLIES {
        writeln!(plan, "  - {{ id: t{number}, run: 'true', checks: ['true'], approval: ask }}")?;
    }
    let new = NewProject {
        plan: PlanSource { file: "plan.yaml".to_owned(), text: plan, ..PlanSource::default() },
        folder: serve.folder().display().to_string(),
        owner: "carl".to_owned(),
        approve_plan: true,
        ..NewProject::default()
    };
    let client = serve.client();
    let project = client.create_project(&new).await?;
    let asked = mail.wait_for_mails(ANN, REPLIES, |mail| !mail.header("Reply-To").is_empty()).await;
    let mut waiting: HashMap<String, ApprovalId> = HashMap::new();
    for approval in client.approvals(false).await? {
        waiting.insert(approval.task_key.clone().unwrap_or_default(), approval.approval_id);
    }
    ensure!(waiting.len() == REPLIES, "{} requests", waiting.len());
    let mut feed = client.feed(&project.project_id.to_string(), 0).await?;
    let (mut told, mut decided) = (Vec::with_capacity(REPLIES), Vec::with_capacity(REPLIES));
    for (number, request) in asked.iter().enumerate() {
        let parsed = request.parsed();
        let to = parsed.reply_to().and_then(|to| to.first()).and_then(|to| to.address()).context("where to answer")?;
        let raw = signer.sign(reply(to, number).as_bytes());
        // It may be told of while it is still being handed in.
        let handing = jiff::Timestamp::now();
        handed_in(&mail.lmtp(), to, &raw)?;
        let begun = jiff::Timestamp::now();
        let heard = async {
            while let Some(event) = feed.next().await {
                if event?.kind == "approval.decided" {
                    return Ok(jiff::Timestamp::now());
                }
            }
            bail!("the feed ended")
        };
        let ended = tokio::time::timeout(PATIENCE, heard).await??;
        // The log says when: it is another process, under the same clock.
        let news = first_told(&serve.log_text(), handing, ended).context("when the server told of the mail")?;
        told.push(news.max(begun).duration_since(begun).unsigned_abs());
        decided.push(ended.duration_since(news).unsigned_abs());
    }
    drop(host);
    serve.stop().await;
    Ok((told, decided))
}

/// When the mailbox told of news between two instants: the first time, since what comes later is about our own marks.
fn first_told(log: &str, from: jiff::Timestamp, to: jiff::Timestamp) -> Option<jiff::Timestamp> {
    let lines = log.lines().rev().filter(|line| line.contains(TOLD));
    let at = lines.map_while(|line| line.split_whitespace().next()?.parse::<jiff::Timestamp>().ok());
    at.take_while(|at| *at >= from).filter(|at| *at <= to).last()
}

/// Puts a mail into the mailbox itself; it lies there when this returns.
fn handed_in(socket: &Path, to: &str, raw: &[u8]) -> Result<()> {
    let stream = UnixStream::connect(socket).with_context(|| format!("connect to {}", socket.display()))?;
    let (mut reader, mut writer) = (BufReader::new(stream.try_clone()?), stream);
    let mut answer = |wanted: &str| -> Result<()> {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            ensure!(line.starts_with(wanted), "the mailbox says {line:?}");
            if line.as_bytes().get(3) == Some(&b' ') {
                return Ok(());
            }
        }
    };
    answer("220")?;
    for (said, wanted) in [
        ("LHLO bench.test\r\n".to_owned(), "250"),
        (format!("MAIL FROM:<{ANN}>\r\n"), "250"),
        (format!("RCPT TO:<{to}>\r\n"), "250"),
        ("DATA\r\n".to_owned(), "354"),
    ] {
        writer.write_all(said.as_bytes())?;
        answer(wanted)?;
    }
    writer.write_all(raw)?;
    writer.write_all(b"\r\n.\r\n")?;
    answer("250")
}
