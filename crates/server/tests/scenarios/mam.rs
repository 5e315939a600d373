//! XEP-0313: message archives; XEP-0059: pages; XEP-0441: preferences.

use serde_json::Value;
use starling_testkit::{Client, Element, World, anything, iq, message, ns};

use crate::installed::Installed;
use crate::offline::dealt_with;

scenarios![
    both_sides_have_the_conversation,
    an_archive_is_paged_from_both_ends,
    one_conversation_is_asked_for,
    an_id_leads_back_to_what_was_delivered,
    nobody_reads_another_users_archive,
    users_say_what_is_archived,
    the_server_says_that_there_is_an_archive,
    queries_that_do_not_wait_are_all_answered,
];

/// Asks the own archive; the results and what closes them.
pub(crate) async fn query(client: &mut Client, inside: &str) -> (Vec<Element>, Element) {
    let id = client.next_id();
    let mam = ns::MAM;
    let query = format!("<query xmlns='{mam}' queryid='{id}'>{inside}</query>");
    client
        .send(format!("<iq type='set' id='{id}'>{query}</iq>"))
        .await;
    let mut results = Vec::new();
    loop {
        let got = client.next_is(anything()).await;
        if iq().id(&id).is_match(&got) {
            assert_eq!(got.attr("type"), Some("result"), "{got}");
            return (results, got.need(mam, "fin").clone());
        }
        if message().has(mam, "result").is_match(&got) {
            assert_eq!(got.need(mam, "result").attr("queryid"), Some(id.as_str()));
            results.push(got);
        }
    }
}

pub(crate) fn bodies(results: &[Element]) -> Vec<String> {
    let forwarded = |result: &Element| {
        let forwarded = result
            .need(ns::MAM, "result")
            .need("urn:xmpp:forward:0", "forwarded");
        let delay = forwarded.need(ns::DELAY, "delay");
        assert!(delay.attr("stamp").is_some(), "{result}");
        forwarded.need(ns::CLIENT, "message").body()
    };
    results.iter().filter_map(forwarded).collect()
}

pub(crate) fn id(result: &Element) -> &str {
    result.need(ns::MAM, "result").need_attr("id")
}

pub(crate) fn page(inside: &str) -> String {
    format!("<set xmlns='http://jabber.org/protocol/rsm'>{inside}</set>")
}

pub(crate) fn form(var: &str, value: &str) -> String {
    format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
         <value>{}</value></field><field var='{var}'><value>{value}</value></field></x>",
        ns::MAM
    )
}

/// Says something and waits until the other has it.
async fn say(from: &mut Client, to: &mut Client, body: &str) {
    let jid = to.jid().to_owned();
    from.chat(&jid, body).await;
    to.find(message().body(body)).await;
}

/// §6.1.1; also for a client that was not there.
async fn both_sides_have_the_conversation(world: &World) {
    let mut romeo = world.online("romeo").await;
    let account = world.account("juliet").await;
    let mut juliet = world.connect_available(&account, "balcony").await;
    say(&mut romeo, &mut juliet, "hark").await;
    say(&mut juliet, &mut romeo, "speak").await;
    for client in [&mut romeo, &mut juliet] {
        let (results, fin) = query(client, "").await;
        assert_eq!(bodies(&results), ["hark", "speak"]);
        assert_eq!(fin.attr("complete"), Some("true"), "{fin}");
    }
    juliet.into_stream().close().await;
    romeo.chat(&account.jid(), "again").await;
    dealt_with(&mut romeo, &account.jid()).await;
    let mut chamber = world.connect(&account, "chamber").await;
    let (results, _) = query(&mut chamber, "").await;
    assert_eq!(bodies(&results), ["hark", "speak", "again"]);
}

/// §4.3, while messages go on coming.
async fn an_archive_is_paged_from_both_ends(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    for number in 0..7 {
        say(&mut romeo, &mut juliet, &number.to_string()).await;
    }
    let (mut forwards, mut after, mut is_complete) = (Vec::new(), String::new(), false);
    while !is_complete {
        let (results, fin) = query(&mut juliet, &page(&format!("<max>3</max>{after}"))).await;
        is_complete = fin.attr("complete") == Some("true");
        if let Some(last) = results.last() {
            after = format!("<after>{}</after>", id(last));
        }
        forwards.extend(bodies(&results));
    }
    assert_eq!(forwards, ["0", "1", "2", "3", "4", "5", "6"]);
    let (last, fin) = query(&mut juliet, &page("<max>2</max><before/>")).await;
    assert_eq!(bodies(&last), ["5", "6"]);
    assert_eq!(fin.attr("complete"), None, "{fin}");
    say(&mut romeo, &mut juliet, "7").await;
    let before = page(&format!("<max>2</max><before>{}</before>", id(&last[0])));
    let (results, _) = query(&mut juliet, &before).await;
    assert_eq!(bodies(&results), ["3", "4"]);
    let (flipped, _) = query(&mut juliet, &format!("{before}<flip-page/>")).await;
    assert_eq!(bodies(&flipped), ["4", "3"]);
}

/// §4.1.1.
async fn one_conversation_is_asked_for(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut nurse = world.online("nurse").await;
    let mut juliet = world.online("juliet").await;
    say(&mut romeo, &mut juliet, "1").await;
    say(&mut nurse, &mut juliet, "2").await;
    say(&mut juliet, &mut romeo, "3").await;
    let (results, _) = query(&mut juliet, &form("with", &romeo.bare())).await;
    assert_eq!(bodies(&results), ["1", "3"]);
    let (results, _) = query(&mut juliet, &form("with", nurse.jid())).await;
    assert_eq!(bodies(&results), ["2"]);
}

/// §3.5, §4.1.3.
async fn an_id_leads_back_to_what_was_delivered(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    let to = juliet.bare();
    romeo.chat(&to, "hark").await;
    let got = juliet.find(message().body("hark")).await;
    let id = got.need("urn:xmpp:sid:0", "stanza-id").need_attr("id");
    let (results, _) = query(&mut juliet, &form("ids", id)).await;
    assert_eq!(bodies(&results), ["hark"]);
    for unknown in [form("ids", "x"), page("<after>x</after>")] {
        let query = format!("<query xmlns='{}'>{unknown}</query>", ns::MAM);
        let refused = juliet.set("", &query).await;
        assert_eq!(refused.error_condition(), Some("item-not-found"));
    }
}

/// §8.1.
async fn nobody_reads_another_users_archive(world: &World) {
    let mut romeo = world.online("romeo").await;
    let juliet = world.account("juliet").await;
    let query = format!("<query xmlns='{}'/>", ns::MAM);
    for to in [juliet.jid(), format!("nobody@{}", world.hosts().main)] {
        let refused = romeo.set(&to, &query).await;
        assert_eq!(refused.error_condition(), Some("forbidden"), "{refused}");
    }
}

/// XEP-0441 §2.
async fn users_say_what_is_archived(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    let never = format!(
        "<prefs xmlns='{}' default='always'><always/><never><jid>{}</jid></never></prefs>",
        ns::MAM,
        romeo.bare()
    );
    let set = juliet.set_ok("", &never).await;
    assert!(set.raw.contains(&romeo.bare()), "{set}");
    say(&mut romeo, &mut juliet, "secret").await;
    let (results, _) = query(&mut juliet, "").await;
    assert_eq!(bodies(&results), Vec::<String>::new());
    let (results, _) = query(&mut romeo, "").await;
    assert_eq!(bodies(&results), ["secret"], "he keeps his own copy");
}

/// §7: of the account, not of the host.
async fn the_server_says_that_there_is_an_archive(world: &World) {
    let mut juliet = world.online("juliet").await;
    let own = juliet.bare();
    let info = format!("<query xmlns='{}'/>", ns::DISCO_INFO);
    let info = juliet.get(&own, &info).await;
    // XEP-0059 §3.
    for feature in [
        "urn:xmpp:mam:2",
        "urn:xmpp:mam:2#extended",
        "http://jabber.org/protocol/rsm",
    ] {
        assert!(info.raw.contains(&format!("'{feature}'")), "{info}");
    }
}

/// §4.3: as many pages as are asked for, whole and one after the other.
async fn queries_that_do_not_wait_are_all_answered(world: &World) {
    const QUERIES: usize = 20;
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    let large = "x".repeat(60_000);
    for number in 0..6 {
        say(&mut romeo, &mut juliet, &format!("{number}{large}")).await;
    }
    let mam = ns::MAM;
    let asked: String = (0..QUERIES)
        .map(|n| format!("<iq type='set' id='q{n}'><query xmlns='{mam}' queryid='q{n}'/></iq>"))
        .collect();
    juliet.send(asked).await;
    for n in 0..QUERIES {
        let id = format!("q{n}");
        // As many as fit a page: four.
        for number in 0..4 {
            let result = juliet.find(message().has(mam, "result")).await;
            assert_eq!(
                result.need(mam, "result").attr("queryid"),
                Some(id.as_str())
            );
            let body = bodies(&[result]).remove(0);
            assert!(body.starts_with(&number.to_string()), "{body:.20}");
        }
        let fin = juliet.find(iq().id(&id)).await;
        assert_eq!(fin.need(mam, "fin").attr("complete"), None, "{fin}");
    }
}

/// XEP-0313 §3.2: what an operator says of one user's archive.
#[tokio::test]
async fn an_archive_is_shortened_and_erased() {
    let installed = Installed::new("cli-archive");
    let node = installed.start().await;
    let romeo = installed.account("romeo").await;
    let mut client = installed.connect(&romeo).await;
    client.become_available().await;
    let own = client.bare();
    client.chat(&own, "note").await;
    client.find(message().body("note")).await;
    assert_eq!(query(&mut client, "").await.0.len(), 1);
    let json = |text: String| -> Value { serde_json::from_str(&text).unwrap() };
    let archive = |options: &[&'static str]| {
        let mut command = vec!["user", "archive", "romeo@localhost", "--json"];
        command.extend(options);
        command
    };
    let shown = json(installed.run_ok(&archive(&[])).await);
    assert_eq!(shown["keep_days"], Value::Null);
    let kept = json(installed.run_ok(&archive(&["--keep-days", "30"])).await);
    assert_eq!(kept["keep_days"], 30);
    assert_eq!(query(&mut client, "").await.0.len(), 1);
    assert_ne!(installed.run(&archive(&["--erase"])).await.code, Some(0));
    let erased = json(installed.run_ok(&archive(&["--erase", "--yes"])).await);
    assert_eq!(
        (&erased["is_erased"], &erased["keep_days"]),
        (&true.into(), &30.into())
    );
    assert!(query(&mut client, "").await.0.is_empty());
    let kept = json(installed.run_ok(&archive(&["--keep-as-host"])).await);
    assert_eq!(kept["keep_days"], Value::Null);
    let nobody = ["user", "archive", "nobody@localhost", "--keep-days", "1"];
    assert_eq!(installed.run(&nobody).await.code, Some(5));
    node.kill().await;
}
