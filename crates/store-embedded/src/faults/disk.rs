//! A disk in memory that fails on demand. It keeps what was synced apart from
//! what was only written, so that a power cut can be played.

use std::io;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

/// What the disk does to the next request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Mode {
    #[default]
    Works,
    /// Writes fail for lack of space.
    IsFull,
    /// Syncs fail once; what was written is lost, as Linux does it.
    SyncFails,
    /// Reads fail.
    ReadFails,
}

#[derive(Debug, Default)]
struct State {
    mode: Mode,
    /// The data file, and both segments of the journal.
    files: [Content; 3],
}

#[derive(Debug, Default)]
struct Content {
    /// What a reader sees.
    written: Vec<u8>,
    /// What is left after a power cut.
    synced: Vec<u8>,
    /// Writes since the last sync.
    pending: Vec<(u64, Vec<u8>)>,
}

/// A disk in memory with all files of a store; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<Mutex<State>>);

impl Disk {
    pub(super) fn set(&self, mode: Mode) {
        self.0.lock().unwrap().mode = mode;
    }

    pub(super) fn file(&self, number: usize) -> File {
        File {
            disk: self.clone(),
            number,
        }
    }

    /// The disk after a power cut that let some unsynced writes through.
    pub(super) fn after_power_cut(&self, survives: impl Fn(usize) -> bool) -> Disk {
        let state = self.0.lock().unwrap();
        let files = state.files.each_ref().map(|file| {
            let mut image = file.synced.clone();
            image.resize(image.len().max(file.written.len()), 0);
            for (n, (offset, data)) in file.pending.iter().enumerate() {
                let at = usize::try_from(*offset).unwrap();
                if survives(n) && at + data.len() <= image.len() {
                    image[at..at + data.len()].copy_from_slice(data);
                }
            }
            Content {
                written: image.clone(),
                synced: image,
                pending: Vec::new(),
            }
        });
        let mode = Mode::Works;
        Disk(Arc::new(Mutex::new(State { mode, files })))
    }
}

/// One file of the disk.
#[derive(Clone, Debug)]
pub(super) struct File {
    disk: Disk,
    number: usize,
}

impl File {
    fn with<T>(&self, act: impl FnOnce(Mode, &mut Content) -> T) -> T {
        let mut state = self.disk.0.lock().unwrap();
        let mode = state.mode;
        act(mode, &mut state.files[self.number])
    }
}

impl StorageBackend for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.with(|_, file| file.written.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|mode, file| {
            if mode == Mode::ReadFails {
                return Err(io::Error::other("the disk does not answer"));
            }
            let at = usize::try_from(offset).unwrap();
            let data = file.written.get(at..at + out.len());
            out.copy_from_slice(data.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|_, file| file.written.resize(usize::try_from(len).unwrap(), 0));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|mode, file| {
            file.pending.clear();
            if mode == Mode::SyncFails {
                return Err(io::Error::other("the disk lost what was written"));
            }
            file.synced = file.written.clone();
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with(|mode, file| {
            if mode == Mode::IsFull {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let at = usize::try_from(offset).unwrap();
            file.written[at..at + data.len()].copy_from_slice(data);
            file.pending.push((offset, data.to_vec()));
            Ok(())
        })
    }
}
