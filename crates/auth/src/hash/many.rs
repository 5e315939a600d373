//! PBKDF2 of several passwords at once (RFC 8018 §5.2), for imports.
//!
//! The chain of one password cannot be shortened, but a vector register walks
//! several chains with the same instructions: sixteen of SHA-1 and SHA-256 and
//! eight of SHA-512 with AVX-512, half as many with AVX2. Where there is
//! neither, they are walked one after the other by the `pbkdf2` crate, which is
//! also what the tests compare with.

use std::marker::PhantomData;

use starling_xmpp::credentials::ScramHash;
use zeroize::Zeroizing;

use super::lanes::{Lanes, Machine, Word};
use super::sha1::Sha1;
use super::sha2::{Sha256, Sha512};
use super::{Output, digest, hi, hmac};

/// RFC 8018 §5.2: no hash of ours is shorter than what is derived, so there
/// is only a first block.
const FIRST_BLOCK: [u8; 4] = 1u32.to_be_bytes();

/// The most lanes that any hash has anywhere.
pub(crate) const LANES_MAX: usize = 16;

/// The words a hash goes on with; SHA-1 has five and leaves the rest alone.
pub(super) type State<R> = [R; 8];

/// The words of one block.
pub(super) type Block<R> = [R; 16];

/// The compression function of a hash.
pub(super) trait Compression {
    type Word: Word;
    /// Words of the state and of the output.
    const WORDS: usize;
    const INITIAL: State<Self::Word>;

    fn compress<L: Lanes<Self::Word>>(
        lanes: L,
        state: State<L::Register>,
        block: Block<L::Register>,
    ) -> State<L::Register>;
}

/// One password, prepared, and its salt.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) password: &'a [u8],
    pub(crate) salt: &'a [u8],
}

/// [`hi`] of each, in their order.
pub(crate) fn hi_many(hash: ScramHash, jobs: &[Job<'_>], iterations: u32) -> Vec<Output> {
    match pulp::Arch::new() {
        #[cfg(target_arch = "x86_64")]
        pulp::Arch::V4(v4) => in_lanes(hash, jobs, iterations, v4),
        #[cfg(target_arch = "x86_64")]
        pulp::Arch::V3(v3) => in_lanes(hash, jobs, iterations, v3),
        _ => one_by_one(hash, jobs, iterations),
    }
}

pub(super) fn one_by_one(hash: ScramHash, jobs: &[Job<'_>], iterations: u32) -> Vec<Output> {
    let one = |job: &Job<'_>| hi(hash, job.password, job.salt, iterations);
    jobs.iter().map(one).collect()
}

fn in_lanes<M: Machine>(
    hash: ScramHash,
    jobs: &[Job<'_>],
    iterations: u32,
    machine: M,
) -> Vec<Output> {
    match hash {
        ScramHash::Sha1 => split::<Sha1, M>(hash, jobs, iterations, machine),
        ScramHash::Sha256 => split::<Sha256, M>(hash, jobs, iterations, machine),
        ScramHash::Sha512 => split::<Sha512, M>(hash, jobs, iterations, machine),
    }
}

/// As many at a time as there are lanes.
fn split<C: Compression, M: Machine + Lanes<C::Word>>(
    hash: ScramHash,
    jobs: &[Job<'_>],
    iterations: u32,
    lanes: M,
) -> Vec<Output> {
    let mut outputs = Vec::with_capacity(jobs.len());
    for jobs in jobs.chunks(<M as Lanes<C::Word>>::COUNT) {
        let walk = Walk::<C, M> {
            hash,
            jobs,
            iterations,
            lanes,
            compression: PhantomData,
        };
        outputs.extend(match jobs {
            // One alone is faster with instructions made for the hash.
            [_] => one_by_one(hash, jobs, iterations),
            _ => lanes.run(walk),
        });
    }
    outputs
}

/// The chains of some passwords, one in each lane.
struct Walk<'a, C, L> {
    hash: ScramHash,
    jobs: &'a [Job<'a>],
    iterations: u32,
    lanes: L,
    compression: PhantomData<C>,
}

impl<C: Compression, L: Lanes<C::Word>> pulp::NullaryFnOnce for Walk<'_, C, L> {
    type Output = Vec<Output>;

    #[inline(always)]
    fn call(self) -> Vec<Output> {
        let lanes = self.lanes;
        let [inner, outer] = self.keyed();
        let mut last = self.first();
        let mut sum = last;
        for _ in 1..self.iterations {
            let middle = C::compress(lanes, inner, self.pad(last));
            last = C::compress(lanes, outer, self.pad(middle));
            sum = std::array::from_fn(|at| lanes.xor(sum[at], last[at]));
        }
        (0..self.jobs.len())
            .map(|lane| self.output(sum, lane))
            .collect()
    }
}

impl<C: Compression, L: Lanes<C::Word>> Walk<'_, C, L> {
    const BLOCK_OCTETS: usize = 16 * C::Word::OCTETS;

    /// The two states in which HMAC has read its key (RFC 2104 §2): they are
    /// the same for every link of a chain.
    #[inline(always)]
    fn keyed(&self) -> [State<L::Register>; 2] {
        let keys: Vec<_> = self.jobs.iter().map(|job| self.key(job)).collect();
        let initial = C::INITIAL.map(|word| self.lanes.splat(word));
        [0x36, 0x5c].map(|mask| {
            let block = std::array::from_fn(|at| {
                self.lanes.gather(|lane| {
                    let octets = &self.of_lane(&keys, lane)[at * C::Word::OCTETS..];
                    C::Word::read(octets, mask)
                })
            });
            C::compress(self.lanes, initial, block)
        })
    }

    /// A key as HMAC wants it: hashed if it is longer than a block.
    fn key(&self, job: &Job<'_>) -> Output {
        let mut key = Zeroizing::new(Vec::with_capacity(Self::BLOCK_OCTETS));
        if job.password.len() > Self::BLOCK_OCTETS {
            key.extend_from_slice(&digest(self.hash, job.password));
        } else {
            key.extend_from_slice(job.password);
        }
        key.resize(Self::BLOCK_OCTETS, 0);
        key
    }

    /// The first link of each chain: its salt may have any length.
    #[inline(always)]
    fn first(&self) -> State<L::Register> {
        let first = |job: &Job<'_>| hmac(self.hash, job.password, &[job.salt, &FIRST_BLOCK]);
        let links: Vec<_> = self.jobs.iter().map(first).collect();
        std::array::from_fn(|at| {
            self.lanes.gather(|lane| match at < C::WORDS {
                true => C::Word::read(&self.of_lane(&links, lane)[at * C::Word::OCTETS..], 0),
                false => C::Word::default(),
            })
        })
    }

    /// The block that ends a text of one block and one output.
    #[inline(always)]
    fn pad(&self, state: State<L::Register>) -> Block<L::Register> {
        let octets = (16 + C::WORDS) * C::Word::OCTETS;
        std::array::from_fn(|at| match at {
            at if at < C::WORDS => state[at],
            at if at == C::WORDS => self.lanes.splat(C::Word::MARK),
            15 => self.lanes.splat(C::Word::of(8 * octets as u16)),
            _ => self.lanes.splat(C::Word::default()),
        })
    }

    fn output(&self, state: State<L::Register>, lane: usize) -> Output {
        let mut output = Zeroizing::new(vec![0; C::WORDS * C::Word::OCTETS]);
        let places = output.chunks_exact_mut(C::Word::OCTETS);
        for (place, register) in places.zip(state) {
            self.lanes.word(register, lane).write(place);
        }
        output
    }

    /// What belongs to a lane; lanes without work repeat the first's.
    #[inline(always)]
    fn of_lane<'b>(&self, all: &'b [Output], lane: usize) -> &'b [u8] {
        all.get(lane).unwrap_or(&all[0])
    }
}

/// The same on each kind of processor that this one contains.
#[cfg(test)]
pub(super) fn on_every_machine(
    hash: ScramHash,
    jobs: &[Job<'_>],
    iterations: u32,
) -> Vec<(&'static str, Vec<Output>)> {
    let mut all = vec![("the best", hi_many(hash, jobs, iterations))];
    #[cfg(target_arch = "x86_64")]
    if let Some(v3) = pulp::x86::V3::try_new() {
        all.push(("AVX2", in_lanes(hash, jobs, iterations, v3)));
    }
    all
}
