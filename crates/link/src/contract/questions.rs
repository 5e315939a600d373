//! Questions to a session node and their answers.

use std::sync::Arc;

use super::sample::client;
use super::{Event, Recorder, ScriptedNode, account, bind, bound};
use crate::{
    Attach, Bind, BindError, CredentialChange, Error, Link, Registration, Resume, ResumeError,
};

/// Questions and their answers cross whole, refusals too.
pub async fn questions_are_answered(link: &dyn Link, node: &ScriptedNode) {
    let outlet = Recorder::new();
    let (session, answer) = bound(link, &outlet).await;
    assert_eq!(answer.jid.as_str(), "juliet@example.org/x");
    assert_eq!(answer.management, Some(ScriptedNode::management()));
    assert_eq!(
        answer.inline,
        [starling_xmpp::Element::new("urn:x", "enable")]
    );
    let owner = link.owner(&account()).unwrap();
    assert_eq!(
        owner.credentials(&account()).await,
        Ok(Some(ScriptedNode::credentials()))
    );
    let basis = Some(ScriptedNode::credentials().fingerprint());
    let verifiers = ScriptedNode::credentials().verifiers;
    let changes = vec![
        CredentialChange::Password(verifiers.clone()),
        CredentialChange::PutToken(ScriptedNode::credentials().tokens.remove(0)),
        CredentialChange::Disabled(false),
        CredentialChange::Attribute {
            name: "a".into(),
            value: Some("b".into()),
        },
    ];
    let changed = owner.change_credentials(&account(), basis, changes).await;
    assert_eq!(changed.ok(), basis);
    let stale = owner.change_credentials(&account(), None, Vec::new()).await;
    assert_eq!(stale, Err(Error::Stale));
    let registration = Registration {
        account: account(),
        verifiers,
    };
    assert_eq!(owner.register(registration).await, Ok(true));
    assert_eq!(owner.remove(&account()).await, Ok(true));
    assert_eq!(owner.kick(&session).await, Ok(true));
    let sessions = owner.sessions(&account()).await.unwrap();
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0].client, client());
    assert_eq!(sessions[0].priority, Some(-1));
    assert_eq!(owner.all_sessions(10).await.map(|all| all.len()), Ok(1));
    let refused = Bind {
        resource: Some("taken".into()),
        ..bind(&outlet)
    };
    let refused = owner.bind(refused).await;
    assert_eq!(refused, Err(BindError::Conflict));
    let resume = |token: &str| Resume {
        account: account(),
        token: token.into(),
        h: 3,
        basis,
        client: client(),
        outlet: Arc::clone(&outlet) as _,
    };
    let resumed = owner.resume(resume("secret")).await.unwrap();
    assert_eq!((resumed.attach, resumed.committed), (Attach(1), 5));
    let unknown = owner.resume(resume("other")).await;
    assert_eq!(unknown, Err(ResumeError::Unknown { h: Some(3) }));
    node.outlet(session.id).committed(9);
    outlet.wait_for(&[Event::Committed(9)]).await;
}
