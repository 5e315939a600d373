//! How long one durable acknowledgement of the embedded store takes while
//! others wait for theirs: 256 writers, each of which waits for one message
//! that is archived at its sender and at its recipient. Mark: p99 at most
//! 10 ms. Criterion tells means; here the tail counts, so it is told by hand.

#![allow(clippy::unwrap_used, reason = "a benchmark panics on failure")]
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it measures time and tells it"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use starling_store::archive::Change;
use starling_store::contract::sample;
use starling_store::{Stamp, Store, Write};
use starling_store_embedded::{Config, Embedded};
use starling_xmpp::BareJid;

// That of the program: a tenth of a commit is allocating.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const WRITERS: u64 = 256;
const WARM_UP: Duration = Duration::from_secs(3);
const DURATION: Duration = Duration::from_secs(20);

/// In the build folder, so that a real disk is measured and not one in memory.
const DISK: &str = env!("CARGO_TARGET_TMPDIR");

fn owner(number: u64) -> BareJid {
    sample::bare(&format!("user{number}@capulet.example"))
}

/// The row of one side of a message of 300 bytes.
fn row(owner: &BareJid, seq: u64) -> Write {
    let mut entry = sample::entry(1, seq, false);
    entry.stanza = vec![b'x'; 300].into();
    entry.is_archived = true;
    Write::new(owner.clone(), Stamp::new(1, seq), Change::Append(entry))
}

/// One writer: how long each of its acknowledgements took that counts.
async fn write(store: Arc<Embedded>, number: u64, since: Instant) -> Vec<Duration> {
    let (sender, recipient) = (owner(2 * number), owner(2 * number + 1));
    let mut taken = Vec::new();
    for seq in 1.. {
        let sent = Instant::now();
        if sent > since + DURATION {
            break;
        }
        let both = vec![row(&sender, seq), row(&recipient, seq)];
        store.commit(both).await.unwrap();
        if sent > since {
            taken.push(sent.elapsed());
        }
    }
    taken
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let folder = tempfile::tempdir_in(DISK).unwrap();
    let store = Arc::new(Embedded::open(folder.path(), &Config::default()).unwrap());
    let since = Instant::now() + WARM_UP;
    let mut taken = runtime.block_on(async {
        let writers = (0..WRITERS).map(|writer| write(Arc::clone(&store), writer, since));
        let writers: Vec<_> = writers.map(tokio::spawn).collect();
        let mut taken = Vec::new();
        for writer in writers {
            taken.extend(writer.await.unwrap());
        }
        taken
    });
    taken.sort_unstable();
    let seconds = DURATION.as_secs();
    println!("{} acknowledgements a second", taken.len() as u64 / seconds);
    for (name, per_mille) in [("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999)] {
        println!("{name}: {:?}", taken[(taken.len() - 1) * per_mille / 1_000]);
    }
    println!("longest: {:?}", taken[taken.len() - 1]);
}
