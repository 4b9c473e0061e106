//! Mail over API and commands.

use bus_schemas::v1::api::{LetterQuery, LetterRequest, LetterState};
use orchestrator::adapter::web::ClientError;

use crate::world::World;

#[tokio::test]
async fn without_mail_every_route_says_so() {
    let world = World::served().await;
    let client = world.client();
    let request = LetterRequest { by: "ada".to_owned(), channel: "cli".to_owned() };
    let query = LetterQuery { state: Some(LetterState::Quarantined), limit: 5 };
    let answers = [
        client.letters(&query).await.map(drop),
        client.letter("ab").await.map(drop),
        client.letter_text("ab").await.map(drop),
        client.release_letter("ab", &request).await.map(drop),
        client.drop_letter("ab", &request).await.map(drop),
        client.mail_outbox(5).await.map(drop),
    ];
    for answer in answers {
        assert!(matches!(answer, Err(ClientError::Problem(problem)) if problem.code == "mail_off"));
    }
    for command in [&["mail", "log"][..], &["mail", "quarantine"], &["mail", "release", "ab12"], &["mail", "outbox"]] {
        let ran = world.baton(command).await.expect(4);
        assert!(ran.err.contains("mail is not set up") && ran.err.contains("mail.address"), "{ran:?}");
    }
    let ran = world.baton(&["mail", "show", "../x"]).await.expect(4);
    assert!(ran.err.contains("is not a mail's id"), "{ran:?}");
}

#[tokio::test]
async fn a_mail_is_released_under_the_name_the_socket_says() {
    let world = World::served().await;
    world.fake.state().trusting = false;
    let request = LetterRequest { by: "somebody".to_owned(), channel: "email".to_owned() };
    let refused = world.client().release_letter("ab", &request).await;
    assert!(matches!(refused, Err(ClientError::Problem(problem)) if problem.code == "bad_channel"), "not by mail");
}
