//! Mail over webhooks: what Postmark, Mailgun, SendGrid and SES (over SNS) hand on. Each service signs in its own way; all of them
//! end in one thing: the mail as it came, kept before it is acknowledged.
//!
//! What cannot be checked is refused. What is genuine and cannot be taken now (the disk is full, the service was not told to send
//! the whole mail, this machine's clock is wrong) is answered with 503, so that the service sends it again.

mod body;
mod certificate;
mod fetch;
mod form;
mod mailgun;
mod postmark;
mod replay;
mod sendgrid;
mod ses;
mod sns;
#[cfg(test)]
mod tests;

use std::{future::Future, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use bus_schemas::time::UnixMs;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use self::{
    body::Room,
    form::Form,
    replay::{Known, Replays},
};
use super::Kept;
use crate::{config::Webhooks, mail::letter::Delivery, port::Clock};

pub use fetch::{Fetch, Web};

/// How far a signed time may be off this machine's clock.
const WINDOW_MS: u64 = 5 * 60 * 1000;
/// How long SNS repeats a notification, which keeps its first time: an hour, and the window.
const SNS_WINDOW_MS: u64 = 60 * 60 * 1000 + WINDOW_MS;
/// A whole mail, and again its parts, decoded or in base64, with what is put around them.
const WRAPPED: usize = 3;
/// What comes with a mail beside it.
const EXTRAS: usize = 1 << 20;
/// SNS sends 256 KiB at most.
const SNS_BODY: usize = 1 << 20;
/// All of SNS at the same time.
const SNS_ROOM: usize = 16 << 20;

/// Takes mails, for good.
pub trait Intake: Clone + Send + Sync + 'static {
    /// Keeps a mail; it is durable when this returns. One that is known changes nothing.
    fn keep(&self, raw: Bytes, delivery: Delivery) -> impl Future<Output = Kept<()>> + Send;
}

/// A mail out of a webhook.
#[derive(Debug)]
struct Mail {
    raw: Bytes,
    delivery: Delivery,
    /// What names this message for its service, and until when it must not come with another mail.
    token: Option<(String, UnixMs)>,
}

/// What a genuine webhook brings.
#[derive(Debug)]
enum Said {
    Mail(Mail),
    /// Nothing to keep; why, for the log.
    Nothing(String),
}

/// Why a webhook was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Refused {
    /// This service is not set up.
    Off,
    /// Not from this service, or changed on the way. Why, for the log: whoever it is learns nothing.
    Forged(String),
    /// Signed for another mail.
    Replayed,
    /// Larger than it may be.
    TooLarge,
    /// It did not come in time.
    Slow,
    /// There is no room for it now.
    Full,
    /// Genuine, but it cannot be taken now, or not as it is: what to do, for the log. It comes again.
    Later(String),
}

/// What the webhooks stand on.
pub struct Doors<I, F> {
    /// Who takes mails.
    pub intake: I,
    /// Who gets certificates.
    pub fetch: F,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// What signs them.
    pub webhooks: Webhooks,
    /// The largest mail, in bytes.
    pub max_mail: usize,
}

impl<I, F> std::fmt::Debug for Doors<I, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Doors").field("max_mail", &self.max_mail).finish_non_exhaustive()
    }
}

/// The doors, with what is remembered between two webhooks.
struct Ingress<I, F> {
    doors: Doors<I, F>,
    rooms: Rooms,
    replays: Replays,
    certificates: sns::Certificates,
}

/// The memory for bodies: each service has its own, so that a flood at one door leaves the others open.
struct Rooms {
    postmark: Room,
    mailgun: Room,
    sendgrid: Room,
    ses: Room,
}

/// The routes of the webhooks.
pub fn router<I: Intake, F: Fetch>(doors: Doors<I, F>) -> Router {
    let room = || Room::new(2 * body_limit(doors.max_mail));
    let rooms = Rooms { postmark: room(), mailgun: room(), sendgrid: room(), ses: Room::new(SNS_ROOM) };
    let ingress = Ingress { doors, rooms, replays: Replays::default(), certificates: sns::Certificates::default() };
    Router::new()
        .route("/in/postmark", post(take_postmark::<I, F>))
        .route("/in/mailgun", post(take_mailgun::<I, F>))
        // Mailgun sends whole mails only to addresses that end so.
        .route("/in/mailgun/mime", post(take_mailgun::<I, F>))
        .route("/in/sendgrid", post(take_sendgrid::<I, F>))
        .route("/in/ses", post(take_ses::<I, F>))
        .with_state(Arc::new(ingress))
}

const fn body_limit(max_mail: usize) -> usize {
    max_mail.saturating_mul(WRAPPED).saturating_add(EXTRAS)
}

type Shared<I, F> = State<Arc<Ingress<I, F>>>;

async fn take_postmark<I: Intake, F: Fetch>(State(ingress): Shared<I, F>, request: Request) -> Response {
    let answer = async {
        let secret = ingress.doors.webhooks.postmark.as_ref().ok_or(Refused::Off)?;
        // Who cannot say the password need not send a mail.
        postmark::check(secret, text(request.headers(), header::AUTHORIZATION.as_str()))?;
        let (_, body, _room) = ingress.read(&ingress.rooms.postmark, request, ingress.limit()).await?;
        ingress.keep("Postmark", postmark::read(&body)?).await
    };
    respond("Postmark", answer.await)
}

async fn take_mailgun<I: Intake, F: Fetch>(State(ingress): Shared<I, F>, request: Request) -> Response {
    let answer = async {
        let secret = ingress.doors.webhooks.mailgun.as_ref().ok_or(Refused::Off)?;
        // Its signature is in the body; what is no form at all need not be read for it.
        Form::check(text(request.headers(), header::CONTENT_TYPE.as_str()))?;
        let (headers, body, _room) = ingress.read(&ingress.rooms.mailgun, request, ingress.limit()).await?;
        let said = mailgun::read(secret, text(&headers, header::CONTENT_TYPE.as_str()), &body, ingress.now())?;
        ingress.keep("Mailgun", said).await
    };
    respond("Mailgun", answer.await)
}

async fn take_sendgrid<I: Intake, F: Fetch>(State(ingress): Shared<I, F>, request: Request) -> Response {
    let answer = async {
        let key = ingress.doors.webhooks.sendgrid.as_deref().ok_or(Refused::Off)?;
        // Who has no signature of these minutes need not send a mail.
        let signed = sendgrid::signed(key, request.headers(), ingress.now())?;
        let (headers, body, _room) = ingress.read(&ingress.rooms.sendgrid, request, ingress.limit()).await?;
        signed.check(&body)?;
        ingress.keep("SendGrid", sendgrid::read(text(&headers, header::CONTENT_TYPE.as_str()), &body)?).await
    };
    respond("SendGrid", answer.await)
}

async fn take_ses<I: Intake, F: Fetch>(State(ingress): Shared<I, F>, request: Request) -> Response {
    let answer = async {
        let topic = ingress.doors.webhooks.ses.as_deref().ok_or(Refused::Off)?;
        sns::is_of(topic, text(request.headers(), sns::TOPIC))?;
        let (_, body, _room) = ingress.read(&ingress.rooms.ses, request, SNS_BODY).await?;
        let message = sns::read(&body, topic)?;
        ingress.certificates.check(&ingress.doors.fetch, &message, topic, ingress.now()).await?;
        let said = match message.kind.as_str() {
            "Notification" => ses::read(&message, ingress.now())?,
            "SubscriptionConfirmation" => sns::confirm(&ingress.doors.fetch, &message, topic).await?,
            kind => Said::Nothing(format!("SNS says {kind} about {topic}")),
        };
        ingress.keep("SES", said).await
    };
    respond("SES", answer.await)
}

impl<I: Intake, F: Fetch> Ingress<I, F> {
    fn now(&self) -> UnixMs {
        self.doors.clock.now()
    }

    fn limit(&self) -> usize {
        body_limit(self.doors.max_mail)
    }

    async fn read(
        &self,
        room: &Room,
        request: Request,
        limit: usize,
    ) -> Result<(HeaderMap, Bytes, body::Taken), Refused> {
        let (parts, body) = request.into_parts();
        let (body, taken) = room.read(&parts.headers, body, limit).await?;
        Ok((parts.headers, body, taken))
    }

    async fn keep(&self, service: &str, said: Said) -> Result<(), Refused> {
        let Mail { raw, delivery, token } = match said {
            Said::Mail(mail) => mail,
            Said::Nothing(why) => {
                tracing::info!(service, why, "mail: a webhook without a mail");
                return Ok(());
            }
        };
        if raw.is_empty() {
            return Err(Refused::Later("the mail is empty".to_owned()));
        }
        if raw.len() > self.doors.max_mail {
            return Err(Refused::TooLarge);
        }
        let mut place = None;
        if let Some((token, until)) = token {
            match self.replays.begin(format!("{service} {token}"), Sha256::digest(&raw).into(), until, self.now()) {
                Known::New(new) => place = Some(new),
                // Our answer was lost, or somebody sends it once more: there is nothing to be done.
                Known::Same => return Ok(()),
                Known::Other => return Err(Refused::Replayed),
                Known::UnderWay => return Err(Refused::Later("it is being kept this moment".to_owned())),
            }
        }
        self.doors.intake.keep(raw, delivery).await.map_err(|error| Refused::Later(format!("not kept: {error}")))?;
        if let Some(place) = place {
            place.done();
        }
        Ok(())
    }
}

const UNSIGNED: &str = "This is not signed as this service signs.\n";

fn respond(service: &str, answer: Result<(), Refused>) -> Response {
    let refused = match answer {
        Ok(()) => return StatusCode::OK.into_response(),
        Err(refused) => refused,
    };
    match refused {
        Refused::Off => {
            tracing::warn!(service, "mail: a webhook of a service that [mail.webhooks] has no key for");
            (StatusCode::NOT_FOUND, "This service is not set up here.\n").into_response()
        }
        Refused::Forged(why) => {
            tracing::warn!(service, why, "mail: a webhook was refused");
            let basic = [(header::WWW_AUTHENTICATE, "Basic realm=\"mail\"")];
            match service {
                "Postmark" => (StatusCode::UNAUTHORIZED, basic, UNSIGNED).into_response(),
                _ => (StatusCode::UNAUTHORIZED, UNSIGNED).into_response(),
            }
        }
        Refused::Replayed => {
            tracing::warn!(service, "mail: a webhook's signature came a second time, with another mail");
            (StatusCode::FORBIDDEN, "This signature came before, with another mail.\n").into_response()
        }
        Refused::TooLarge => {
            tracing::warn!(service, "mail: a webhook is larger than mail.max_mail_mib allows");
            (StatusCode::PAYLOAD_TOO_LARGE, "This is larger than a mail may be here.\n").into_response()
        }
        Refused::Slow => (StatusCode::REQUEST_TIMEOUT, "It did not come in time.\n").into_response(),
        // Some services throw away what is answered with 429: this is 503, which all of them send again.
        Refused::Full => {
            tracing::warn!(service, "mail: more webhooks come in at the same time than there is room for");
            let text = "Too many mails of this service come in at the same time. Send it again.\n";
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "60")], text).into_response()
        }
        Refused::Later(why) => {
            tracing::error!(service, why, "mail: a webhook was not taken; the service sends it again");
            let text = "It cannot be taken now; the log of the receiver says why. Send it again.\n";
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "60")], text).into_response()
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Seconds of a signed time, if they are within the window.
fn fresh(seconds: &str, now: UnixMs) -> Result<UnixMs, Refused> {
    let seconds: i64 = seconds.parse().map_err(|_| Refused::Forged("its time is not a number".to_owned()))?;
    let at = UnixMs(seconds.saturating_mul(1000));
    if at.0.abs_diff(now.0) > WINDOW_MS {
        return Err(off_the_clock(at, now));
    }
    Ok(at)
}

/// It is signed, and of another time: kept by somebody and sent again, or this machine's clock is wrong.
fn off_the_clock(at: UnixMs, now: UnixMs) -> Refused {
    let seconds = at.0.abs_diff(now.0) / 1000;
    Refused::Later(format!("it was signed {seconds} s off this machine's clock: is the clock right?"))
}
