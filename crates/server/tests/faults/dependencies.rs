//! etcd and the database, which die or hang.

use std::time::Duration;

use tokio::time::sleep;

use crate::line::Line;
use crate::stage::play;

/// Acknowledgements that everybody must see while a fault lasts.
const PROGRESS: usize = 20;

/// As many as take longer than a lease of a node.
const LONG_PROGRESS: usize = 150;

/// After so long without any acknowledgement senders are held back for good.
const SILENCE: Duration = Duration::from_secs(5);

/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// The other two go on.
#[test]
#[ignore = "needs etcd and a CQL database: cargo xtask test --only faults"]
fn a_member_of_etcd_is_killed() {
    play(
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
}

/// Attached sessions go on, and log-ins to shards that are known.
#[test]
#[ignore = "needs etcd and a CQL database: cargo xtask test --only faults"]
fn all_of_etcd_is_killed() {
    play("kill -9 of all of etcd", async |stage, load| {
        let account = stage.account().await;
        let before = load.book.connections_lost();
        for member in 0..3 {
            stage.etcd.kill(member).await;
        }
        load.goes_on(load.book.now(), LONG_PROGRESS).await;
        Line::open(stage.door(), &account).await.unwrap();
        assert_eq!(load.book.connections_lost(), before, "somebody was let go");
        stage.etcd.restart_all().await;
    });
}

/// Nothing is acknowledged meanwhile, and everything goes on by itself. A node that
/// cannot read its fence for ten seconds ends, and its supervisor starts it.
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

/// What was acknowledged is there when it comes back.
#[test]
#[ignore = "needs etcd and a CQL database: cargo xtask test --only faults"]
fn the_database_is_killed() {
    play(
        "kill -9 of the only node of the database",
        async |stage, load| {
            stage.database.kill(0).unwrap();
            while load.book.silence() < SILENCE {
                sleep(LOOK_INTERVAL).await;
            }
            stage.database.start_node(0).unwrap();
            stage.recover(load).await;
        },
    );
}
