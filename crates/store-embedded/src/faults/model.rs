//! A model: random writes, a power cut at any moment, also during a start, and
//! then everything that was acknowledged is there, in order, and of the rest
//! the beginning.

use std::panic::{AssertUnwindSafe, catch_unwind};

use starling_store::cursor::Change as Cursor;
use starling_store::{
    Account, Change, Memory, Position, account, archive, blocklist, outbox, pep, roster, vcard,
};

use super::disk::Dice;
use super::*;

/// Power cuts and clean ends of one store.
const LIVES: u64 = 12;

/// Stores that are played through; each is a seed.
const SEEDS: u64 = 4;

const OWNERS: [&str; 3] = ["ann@a.example", "anna@a.example", "ann@b.example"];

const PEERS: [&str; 3] = [
    "romeo@montague.example/orchard",
    "romeo@montague.example/garden",
    "nurse@capulet.example",
];

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Write>),
    Create(Account),
    Meta(Bytes),
}

async fn take(step: &Step, store: &dyn Store) -> Result<(), Error> {
    match step {
        Step::Commit(writes) => store.commit(writes.clone()).await,
        Step::Create(account) => store.create_account(account.clone()).await.map(|_| ()),
        Step::Meta(value) => store.set_meta("key", value.clone()).await,
    }
}

fn any_step(dice: &mut Dice) -> Step {
    match dice.below(8) {
        0 => Step::Create(sample::account(any_owner(dice))),
        1 => Step::Meta(dice.next().to_string().into()),
        _ => Step::Commit((0..=dice.below(3)).map(|_| any_write(dice)).collect()),
    }
}

fn any_owner(dice: &mut Dice) -> &'static str {
    OWNERS[dice.below(3) as usize]
}

fn any_write(dice: &mut Dice) -> Write {
    let owner = sample::bare(any_owner(dice));
    Write::new(owner, Stamp::new(1, 1), any_change(dice))
}

fn any_change(dice: &mut Dice) -> Change {
    let jid = sample::jid(&format!("c{}@example.org", dice.below(4)));
    let version = dice.below(9);
    let position = Position::new(dice.below(3) as u32, dice.below(12) + 1);
    match dice.below(18) {
        0 => account::Change::Remove.into(),
        1 => archive::Change::Purge { through: position }.into(),
        2 => archive::Change::Sweep {
            after: Position::START,
            through: position,
            is_offline: true,
        }
        .into(),
        3 => Cursor::SetOffline(position).into(),
        4 => blocklist::Change::Block(jid).into(),
        5 => blocklist::Change::Unblock(jid).into(),
        6 => blocklist::Change::Clear.into(),
        7 => roster::Change::Put(roster::Item {
            version,
            ..roster::Item::new(jid)
        })
        .into(),
        8 => roster::Change::Remove { jid, version }.into(),
        9 => roster::Change::Forget { jid, version }.into(),
        10 => vcard::Change::Remove.into(),
        11 | 12 => {
            // Some are longer than a sector, few than what a segment grows by.
            let length = [7, 700, 7_000, 300_000][(dice.below(40) as usize).min(3)];
            vcard::Change::Put(vec![b'a' + version as u8; length].into()).into()
        }
        13 => pep::Change::PutNode(sample::pep_node("node", version as u32)).into(),
        14 => pep::Change::RemoveNode {
            node: "node".into(),
        }
        .into(),
        _ => {
            let entry = sample::entry(position.epoch, position.seq, dice.below(2) == 0);
            let peer = sample::jid(PEERS[dice.below(3) as usize]);
            let is_archived = dice.below(4) > 0;
            archive::Change::Append(archive::Entry {
                peer,
                is_archived,
                ..entry
            })
            .into()
        }
    }
}

/// All that can be read of a store, as text.
async fn seen(store: &dyn Store) -> Result<Vec<String>, Error> {
    let mut seen = Vec::new();
    for owner in OWNERS.map(sample::bare) {
        let log = Query::before(None, 99);
        let romeo = sample::jid("romeo@montague.example");
        let forwards = Query::after(Position::START, 5);
        let conversation = |with: &Query, peer| with.clone().archived_only().with(peer);
        let mut say = |what: &dyn std::fmt::Debug| seen.push(format!("{owner} {what:?}"));
        say(&store.login(&owner).await?);
        say(&store.roster(&owner).await?);
        say(&store.archive_page(&owner, &log).await?);
        say(&store
            .archive_page(&owner, &conversation(&log, romeo))
            .await?);
        for peer in PEERS.map(sample::jid) {
            let page = conversation(&forwards, peer);
            say(&store.archive_page(&owner, &page).await?);
        }
        say(&store.archive_page(&owner, &forwards).await?);
        say(&store.archive_last(&owner).await?);
        let card = store.vcard(&owner).await?;
        say(&card.map(|card| (card.len(), card.first().copied())));
        say(&store.cursors(&owner).await?);
        say(&store.blocklist(&owner).await?);
        say(&store.pep_nodes(&owner).await?);
    }
    let accounts = store.accounts("a.example", None, 99).await?;
    let meta = store.meta("key").await?;
    let bucket = outbox::Bucket { shard: 0, hour: 0 };
    let outbox = store.outbox_page(bucket, Position::START, 9).await?;
    seen.push(format!("{accounts:?} {meta:?} {outbox:?}"));
    Ok(seen)
}

async fn seen_after<'a>(steps: impl Iterator<Item = &'a Step>) -> Vec<String> {
    let model = Memory::new();
    for step in steps {
        take(step, &model).await.unwrap();
    }
    seen(&model).await.unwrap()
}

/// `None` if the power was cut before it was open.
fn try_open(disk: &Disk, config: &Config, seed: u64) -> Option<Embedded> {
    let mut builder = Database::builder();
    builder.set_cache_size(1 << 20);
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let database = builder.create_with_backend(disk.file(0));
        let database = database.map_err(|error| format!("{error:?}"))?;
        let media = [1, 2].map(|number| Box::new(disk.file(number)) as Medium);
        Opened::of(database, media).map_err(|unfit| format!("{unfit:?}"))
    }));
    let opened = match opened.unwrap_or_else(|_| Err("it panicked".to_owned())) {
        Ok(opened) => opened,
        Err(_) if disk.is_cut() => return None,
        Err(error) => panic!("seed {seed}: it does not open: {error}"),
    };
    let space = Space::new(space::endless(), 0);
    Some(Embedded::start(opened, space, config, PathBuf::new()).unwrap())
}

/// A new data file: it gets its name when it is whole.
fn begun() -> Disk {
    let disk = Disk::default();
    let database = Database::builder().create_with_backend(disk.file(0));
    drop(database.unwrap());
    disk
}

/// What the test knows of a store.
struct World {
    dice: Dice,
    disk: Disk,
    /// What was acknowledged.
    done: Vec<Step>,
    /// What was asked for when the power was cut: some of it may be there.
    asked: Vec<Step>,
}

impl World {
    /// Finds out how much of what was asked for is there.
    async fn settle(&mut self, store: &Embedded, seed: u64) {
        let Ok(found) = seen(store).await else {
            return; // The power was cut meanwhile.
        };
        let mut nearest = None;
        for count in 0..=self.asked.len() {
            let steps = self.done.iter().chain(&self.asked[..count]);
            let expected = seen_after(steps).await;
            if expected == found {
                self.done.extend(self.asked.drain(..count));
                self.asked.clear();
                return;
            }
            nearest = Some(expected);
        }
        assert_eq!(Some(found), nearest, "seed {seed}: {:?}", self.asked);
    }

    /// Writes until the power is cut, or the store is closed.
    async fn work(&mut self, store: &Embedded, seed: u64) {
        for _ in 0..self.dice.below(30) {
            let steps: Vec<_> = (0..=self.dice.below(4))
                .map(|_| any_step(&mut self.dice))
                .collect();
            let results = results_of(steps.iter().map(|step| take(step, store))).await;
            let done = results.iter().take_while(|result| result.is_ok()).count();
            let is_rest_unsaid = results[done..].iter().all(Result::is_err);
            assert!(is_rest_unsaid, "seed {seed}: in order: {results:?}");
            let mut steps = steps.into_iter();
            self.done.extend(steps.by_ref().take(done));
            self.asked.extend(steps);
            if done < results.len() {
                return;
            }
            if self.dice.below(10) == 0 {
                self.settle(store, seed).await;
            }
        }
    }
}

/// The results in the order of the futures, all polled before one is awaited.
async fn results_of<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let numbered = futures
        .enumerate()
        .map(|(n, future)| async move { (n, future.await) });
    let mut results = futures_of(numbered).await;
    results.sort_by_key(|(n, _)| *n);
    results.into_iter().map(|(_, result)| result).collect()
}

async fn play(seed: u64) {
    let mut world = World {
        dice: Dice(seed),
        disk: begun(),
        done: Vec::new(),
        asked: Vec::new(),
    };
    for _ in 0..LIVES {
        let config = Config {
            journal_bytes: [1, 1_000, 5_000, 1 << 20][world.dice.below(4) as usize],
            is_recovery_instant: world.dice.below(2) == 0,
            ..Config::default()
        };
        // Often during the start, whose requests are few.
        let soon = [30, 100, 300, 3_000][world.dice.below(4) as usize];
        let requests = world.dice.below(soon) + 1;
        let dice = Dice(world.dice.next());
        if world.dice.below(8) > 0 {
            world.disk.cut_after(requests, dice);
        }
        if let Some(store) = try_open(&world.disk, &config, seed) {
            world.settle(&store, seed).await;
            world.work(&store, seed).await;
        }
        world.disk = world.disk.remains();
    }
    let store = try_open(&world.disk, &Config::default(), seed);
    world.settle(&store.expect("it opens"), seed).await;
}

#[tokio::test]
async fn whatever_is_cut_off_everything_acknowledged_is_there_in_order() {
    for seed in 0..SEEDS {
        play(seed).await;
    }
}
