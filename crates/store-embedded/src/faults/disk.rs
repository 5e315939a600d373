//! A disk in memory that fails on demand. It keeps what was synced apart from
//! what was only written, so that a power cut can be played: at a moment that
//! the test chooses, or after so many more requests.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use redb::StorageBackend;

/// A power cut lets some of these through, of each write.
const SECTOR_BYTES: usize = 512;

/// The number of the data file; the others are the journal's.
const DATA: usize = 0;

/// What the disk does to the next request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Mode {
    #[default]
    Works,
    /// Writes fail for lack of space.
    IsFull,
    /// Syncs fail; what was written is lost, as Linux does it: it is still
    /// read, until the cache forgets it, but no later sync writes it.
    SyncFails,
    /// The same, only of the data file.
    DataSyncFails,
    /// Writes of the data file end in a panic.
    DataPanics,
    /// Syncs of the data file take until the mode is another one.
    DataHangs,
    /// Reads fail.
    ReadFails,
}

#[derive(Debug, Default)]
struct State {
    mode: Mode,
    /// The data file, and both segments of the journal.
    files: [Content; 3],
    fuse: Option<Fuse>,
    /// What the files were when the power was cut.
    remains: Option<[Vec<u8>; 3]>,
}

/// Cuts the power after so many more requests.
#[derive(Debug)]
struct Fuse {
    requests: u64,
    /// Decides what of the unsynced gets through.
    dice: Dice,
}

#[derive(Debug, Default)]
struct Content {
    /// What a reader sees.
    written: Vec<u8>,
    /// What is left after a power cut.
    synced: Vec<u8>,
    /// What was asked for since the last sync.
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Change {
    /// Does it to the content of a file, as far as its sectors survive.
    fn apply(&self, to: &mut Vec<u8>, mut survives: impl FnMut() -> bool) {
        match self {
            Change::Write(offset, data) => {
                for (n, sector) in data.chunks(SECTOR_BYTES).enumerate() {
                    let at = offset + n * SECTOR_BYTES;
                    if survives() {
                        to.resize(to.len().max(at + sector.len()), 0);
                        to[at..at + sector.len()].copy_from_slice(sector);
                    }
                }
            }
            Change::Length(length) => {
                if survives() {
                    to.resize(*length, 0);
                }
            }
        }
    }
}

impl Content {
    fn of(bytes: Vec<u8>) -> Self {
        Content {
            written: bytes.clone(),
            synced: bytes,
            pending: Vec::new(),
        }
    }

    fn after_power_cut(&self, survives: &mut impl FnMut() -> bool) -> Vec<u8> {
        let mut image = self.synced.clone();
        for change in &self.pending {
            change.apply(&mut image, &mut *survives);
        }
        image
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.written, || true);
        self.pending.push(change);
    }

    fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            change.apply(&mut self.synced, || true);
        }
    }
}

/// Numbers that look random and are the same for the same seed.
#[derive(Clone, Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// A disk in memory with all files of a store; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<(Mutex<State>, Condvar)>);

impl Disk {
    fn of(files: [Vec<u8>; 3]) -> Self {
        let state = State {
            files: files.map(Content::of),
            ..State::default()
        };
        Disk(Arc::new((Mutex::new(state), Condvar::new())))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap()
    }

    pub(super) fn set(&self, mode: Mode) {
        self.state().mode = mode;
        self.0.1.notify_all();
    }

    pub(super) fn file(&self, number: usize) -> File {
        File {
            disk: self.clone(),
            number,
        }
    }

    /// What a reader sees of a file.
    pub(super) fn content(&self, number: usize) -> Vec<u8> {
        self.state().files[number].written.clone()
    }

    /// The disk with other bytes in a file.
    pub(super) fn with(&self, number: usize, bytes: Vec<u8>) -> Disk {
        let mut files = self
            .state()
            .files
            .each_ref()
            .map(|file| file.written.clone());
        files[number] = bytes;
        Disk::of(files)
    }

    /// The disk after a power cut that let some unsynced sectors through.
    pub(super) fn after_power_cut(&self, survives: impl Fn(usize) -> bool) -> Disk {
        let mut n = 0;
        let mut survives = || {
            n += 1;
            survives(n - 1)
        };
        let state = self.state();
        let files = state.files.each_ref();
        Disk::of(files.map(|file| file.after_power_cut(&mut survives)))
    }

    /// Cuts the power after so many more writes and syncs; nothing is written
    /// from then on.
    pub(super) fn cut_after(&self, requests: u64, dice: Dice) {
        self.state().fuse = Some(Fuse { requests, dice });
    }

    pub(super) fn is_cut(&self) -> bool {
        self.state().remains.is_some()
    }

    /// The disk after that cut, or as it is if there was none.
    pub(super) fn remains(&self) -> Disk {
        let state = self.state();
        let now = || state.files.each_ref().map(|file| file.written.clone());
        Disk::of(state.remains.clone().unwrap_or_else(now))
    }
}

/// One file of the disk.
#[derive(Clone, Debug)]
pub(super) struct File {
    disk: Disk,
    number: usize,
}

impl File {
    /// Changes the file, while there is power.
    fn change(&self, act: impl FnOnce(Mode, &mut Content) -> io::Result<()>) -> io::Result<()> {
        let mut state = self.disk.state();
        if state.remains.is_some() {
            return Err(io::Error::other("there is no power"));
        }
        let mode = state.mode;
        let done = act(mode, &mut state.files[self.number]);
        let State { fuse, files, .. } = &mut *state;
        if let Some(Fuse { requests, dice }) = fuse {
            *requests = requests.saturating_sub(1);
            if *requests == 0 {
                // All, nothing, or some of it.
                let chance = dice.below(3);
                let mut survives = || dice.below(2) < chance;
                let remains = files.each_ref();
                let remains = remains.map(|file| file.after_power_cut(&mut survives));
                state.remains = Some(remains);
                return Err(io::Error::other("the power was cut"));
            }
        }
        done
    }
}

impl StorageBackend for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state().files[self.number].written.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.disk.state();
        if state.mode == Mode::ReadFails {
            return Err(io::Error::other("the disk does not answer"));
        }
        let at = usize::try_from(offset).unwrap();
        let data = state.files[self.number].written.get(at..at + out.len());
        out.copy_from_slice(data.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(|_, file| {
            file.change(Change::Length(usize::try_from(len).unwrap()));
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        let is_data = self.number == DATA;
        let mut state = self.disk.state();
        while state.mode == Mode::DataHangs && is_data {
            state = self.disk.0.1.wait(state).unwrap();
        }
        drop(state);
        self.change(|mode, file| {
            if mode == Mode::SyncFails || mode == Mode::DataSyncFails && is_data {
                file.pending.clear();
                return Err(io::Error::other("the disk lost what was written"));
            }
            file.sync();
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let is_data = self.number == DATA;
        let mode = self.disk.state().mode;
        assert!(
            mode != Mode::DataPanics || !is_data,
            "a disk that makes the program panic"
        );
        self.change(|mode, file| {
            if mode == Mode::IsFull {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let at = usize::try_from(offset).unwrap();
            file.change(Change::Write(at, data.to_vec()));
            Ok(())
        })
    }
}
