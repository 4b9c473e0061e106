//! Links in mails: opening one changes nothing, a form decides, once.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bus_schemas::v1::approval::Verdict;
use harness::mail::{ANN, BOB};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::rig::{Office, PATIENCE, browser, says};

/// The value of a hidden field of a page's form.
pub(super) fn hidden(page: &str, name: &str) -> String {
    let at = page.find(&format!("name=\"{name}\"")).unwrap_or_else(|| panic!("no field {name}: {page}"));
    let rest = page[at..].split_once("value=\"").map_or("", |(_, rest)| rest);
    rest.split('"').next().unwrap_or_default().to_owned()
}

fn form(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| -> String {
        text.bytes()
            .map(|b| if b.is_ascii_alphanumeric() { (b as char).to_string() } else { format!("%{b:02X}") })
            .collect()
    };
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.join("&")
}

pub(super) async fn post(url: &str, fields: &[(&str, &str)]) -> (u16, String) {
    let request = browser().post(url).header("content-type", "application/x-www-form-urlencoded").body(form(fields));
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a page"))
}

/// Scanners that look at a link again and again.
struct Storm {
    stop: CancellationToken,
    looks: Arc<AtomicUsize>,
    scanners: Vec<JoinHandle<()>>,
}

impl Storm {
    fn at(link: &str) -> Self {
        let (stop, looks) = (CancellationToken::new(), Arc::<AtomicUsize>::default());
        let scanners = (0..100).map(|number| {
            let (link, stop, looks, client) = (link.to_owned(), stop.clone(), Arc::clone(&looks), browser());
            tokio::spawn(async move {
                while !stop.is_cancelled() {
                    let request = if number % 2 == 0 { client.get(&link) } else { client.head(&link) };
                    let status = request.send().await.expect("an answer").status().as_u16();
                    assert!([200, 503].contains(&status), "{status}");
                    looks.fetch_add(1, Ordering::SeqCst);
                }
            })
        });
        Self { scanners: scanners.collect(), stop, looks }
    }

    /// Waits until they looked so often again.
    async fn goes_on(&self, more: usize) {
        let from = self.looks.load(Ordering::SeqCst);
        harness::wait::until("more looks", PATIENCE, || {
            let enough = self.looks.load(Ordering::SeqCst) >= from + more;
            async move { enough.then_some(()) }
        })
        .await;
    }

    async fn ends(self) {
        self.stop.cancel();
        for scanner in self.scanners {
            scanner.await.expect("a scanner that was answered well");
        }
    }
}

#[tokio::test]
async fn a_storm_of_scanners_changes_nothing_and_one_form_decides() {
    let office = Office::open().await;
    let (project, approval, mail) = office.waiting().await;
    let link = office.link(&mail);
    let client = browser();
    let answer = client.get(&link).send().await.expect("an answer");
    let header = |name: &str| answer.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    assert_eq!((header("cache-control").as_str(), header("referrer-policy").as_str()), ("no-store", "no-referrer"));
    assert!(header("content-security-policy").contains("default-src 'none'"));
    let page = answer.text().await.expect("a page");
    assert!(page.contains("simulated") && !page.contains("<script"), "{page}");
    let digest = hidden(&page, "digest");
    assert_eq!(digest, approval.digest);

    // Not for what was not shown, not without a reason.
    assert_ne!(post(&link, &[("verdict", "approve"), ("digest", "0000")]).await.0, 200);
    assert_eq!(post(&link, &[("verdict", "reject"), ("digest", &digest)]).await.0, 422);
    assert_eq!(office.request_now(&approval).await.decision, None);

    let before = office.request_now(&approval).await;
    let storm = Storm::at(&link);
    storm.goes_on(300).await;
    assert_eq!(office.request_now(&approval).await, before, "nothing changed");
    // In the midst of it.
    let fields = [("verdict", "approve"), ("note", ""), ("digest", digest.as_str())];
    let pressed = (0..5).map(|_| post(&link, &fields));
    for (status, page) in futures::future::join_all(pressed).await {
        assert!([200, 409].contains(&status), "{status} {page}");
        assert!(page.to_lowercase().contains("approved"), "{page}");
    }
    storm.goes_on(100).await;
    storm.ends().await;
    let decision = office.decided(&approval).await;
    assert_eq!(
        (decision.verdict, decision.by.as_str(), decision.channel.as_str()),
        (Verdict::Approved, "ann", "email")
    );
    office.completed(&project).await;

    // A used link shows what came of it, to the end of days, and decides nothing more.
    let page = client.get(&link).send().await.expect("an answer").text().await.expect("a page");
    assert!(page.contains("ann") && page.to_lowercase().contains("approved") && !page.contains("<form"), "{page}");
    let (_, page) = post(&link, &[("verdict", "reject"), ("note", "changed my mind"), ("digest", &digest)]).await;
    assert!(page.to_lowercase().contains("approved"), "{page}");
    assert_eq!(office.decisions(&approval).await, 1);
    office.told(BOB, &["approved", "ann"], 0).await;
}

#[tokio::test]
async fn everybody_has_a_link_of_their_own_and_the_second_sees_the_first_ones_decision() {
    let office = Office::open().await;
    let (_, approval, mail) = office.waiting().await;
    let (ann, bob) = (office.link(&mail), office.link(&office.request(BOB, 0).await));
    assert_ne!(ann, bob);
    let fields = [("verdict", "reject"), ("note", "not what was asked for"), ("digest", approval.digest.as_str())];
    assert_eq!(post(&bob, &fields).await.0, 200);
    let decision = office.decided(&approval).await;
    assert_eq!((decision.verdict, decision.by.as_str()), (Verdict::Rejected, "bob"));
    let (status, page) = post(&ann, &[("verdict", "approve"), ("digest", approval.digest.as_str())]).await;
    assert_eq!(status, 409);
    assert!(page.contains("bob") && page.contains("not what was asked for"), "{page}");
    let outcome = office.told(ANN, &["rejected", "bob"], 0).await;
    assert!(says(&outcome, &["not what was asked for"]), "{outcome:?}");
    assert_eq!(office.decisions(&approval).await, 1);
}

#[tokio::test]
async fn a_link_that_was_guessed_or_changed_leads_nowhere() {
    let office = Office::open().await;
    let (_, approval, mail) = office.waiting().await;
    let link = office.link(&mail);
    let (last, other) = (link.chars().last().expect("a character"), ["a", "b"]);
    let changed = format!("{}{}", &link[..link.len() - 3], if last == 'a' { "bbb" } else { "aaa" });
    let guessed = format!("{}/r/{}", office.url, other[0].repeat(52));
    for wrong in [&changed, &guessed, &format!("{link}a"), &format!("{}/r/", office.url)] {
        assert_eq!(browser().get(wrong).send().await.expect("an answer").status().as_u16(), 404, "{wrong}");
        assert_eq!(post(wrong, &[("verdict", "approve"), ("digest", &approval.digest)]).await.0, 404, "{wrong}");
    }
    // The token of the address is not the token of the link.
    let address = super::written::answer_address(&mail);
    let token = address.split(['+', '@']).nth(1).expect("a token");
    assert_eq!(post(&format!("{}/r/{token}", office.url), &[("verdict", "approve")]).await.0, 404);
    assert_eq!(office.request_now(&approval).await.decision, None);
}
