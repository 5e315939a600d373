//! etcd and the database, which die or hang.

use std::time::Duration;

use starling_testkit::Element;
use tokio::time::{sleep, timeout};

use crate::line::Line;
use crate::load::refusal;
use crate::stage::{Stage, play};

/// Acknowledgements that everybody must see while a fault lasts.
const PROGRESS: usize = 20;

/// As many as take longer than a lease of a node.
const LONG_PROGRESS: usize = 150;

/// After so long without any acknowledgement senders are held back for good.
const SILENCE: Duration = Duration::from_secs(5);

/// Between two messages of somebody who is told to wait in the end.
const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// Messages until then: more than `session.store_patience` has intervals, fewer
/// than a client may have without an answer.
const ASKS_MAX: usize = 60;

/// A member of etcd that is gone is not missed for longer.
const ETCD_PAUSE_MAX: Duration = Duration::from_secs(60);

/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// The other two go on.
#[test]
#[ignore = "needs etcd and a CQL database: cargo xtask test --only faults"]
fn a_member_of_etcd_is_killed() {
    let summary = play(
        "kill -9 of one of three members of etcd",
        async |stage, load| {
            stage.etcd.kill(1).await;
            load.goes_on(load.book.now(), PROGRESS).await;
            Line::open(stage.door(), &stage.account().await)
                .await
                .unwrap();
            stage.etcd.restart(1).await;
        },
    );
    summary.keeps_everybody(ETCD_PAUSE_MAX);
}

/// Attached sessions go on, and log-ins to shards that are known.
#[test]
#[ignore = "needs etcd and a CQL database: cargo xtask test --only faults"]
fn all_of_etcd_is_killed() {
    let summary = play("kill -9 of all of etcd", async |stage, load| {
        let account = stage.account().await;
        for member in 0..3 {
            stage.etcd.kill(member).await;
        }
        load.goes_on(load.book.now(), LONG_PROGRESS).await;
        Line::open(stage.door(), &account).await.unwrap();
        stage.etcd.restart_all().await;
    });
    summary.keeps_everybody(ETCD_PAUSE_MAX);
}

/// Nothing is acknowledged meanwhile, and everything goes on by itself.
#[test]
#[ignore = "needs etcd and a CQL database: cargo xtask test --only faults"]
fn the_database_hangs() {
    play("halt of the database", async |stage, load| {
        stage.database.signal(0, "STOP").unwrap();
        while load.book.silence() < SILENCE {
            sleep(LOOK_INTERVAL).await;
        }
        stage.database.signal(0, "CONT").unwrap();
        stage.recover(load).await;
    });
}

/// What was acknowledged is there when it comes back. Until then whoever has
/// nothing on its way hears that it is to wait.
#[test]
#[ignore = "needs etcd and a CQL database: cargo xtask test --only faults"]
fn the_database_is_killed() {
    play(
        "kill -9 of the only node of the database",
        async |stage, load| {
            let mut asker = Asker::online(stage).await;
            stage.database.kill(0).unwrap();
            while load.book.silence() < SILENCE {
                sleep(LOOK_INTERVAL).await;
            }
            let answer = refusal(&asker.refused().await);
            assert!(answer.starts_with("wait resource-constraint"), "{answer}");
            stage.database.start_node(0).unwrap();
            stage.recover(load).await;
        },
    );
}

/// Somebody who says something every now and then.
struct Asker {
    line: Line,
    to: String,
}

impl Asker {
    async fn online(stage: &Stage) -> Self {
        let account = stage.account().await;
        let mut line = Line::open(stage.door(), &account).await.unwrap();
        let bind = format!(
            "<iq type='set' id='bind'><bind xmlns='{}'/></iq>",
            starling_testkit::ns::BIND
        );
        line.send(&bind).await.unwrap();
        let bound = line.answer().await.unwrap();
        assert_eq!(bound.attr("type"), Some("result"), "{bound}");
        let to = account.jid();
        Self { line, to }
    }

    /// RFC 6120 §8.3.2: the error that a message meets in the end. Those before it
    /// wait for the database.
    async fn refused(&mut self) -> Element {
        for _ in 0..ASKS_MAX {
            let message = format!(
                "<message to='{}' type='chat'><body>are you there?</body></message>",
                self.to
            );
            self.line.send(&message).await.unwrap();
            match timeout(ASK_INTERVAL, self.line.next()).await {
                Ok(Ok(answer)) if answer.attr("type") == Some("error") => return answer,
                Ok(Ok(_)) | Err(_) => {}
                Ok(Err(why)) => panic!("its stream ended: {why}"),
            }
        }
        panic!("nobody tells it to wait");
    }
}
