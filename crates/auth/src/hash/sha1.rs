//! The compression of SHA-1 (FIPS 180-4 §6.1.2), several blocks side by side.
//!
//! Padding and chaining are left to `many`.

use super::lanes::Lanes;
use super::many::{Block, Compression, State};

/// SHA-1. Its state has five words: the last three of a [`State`] stay zero.
pub(super) struct Sha1;

/// FIPS 180-4 §4.2.1: one for each twenty rounds.
const ROUNDS: [u32; 4] = [0x5a82_7999, 0x6ed9_eba1, 0x8f1b_bcdc, 0xca62_c1d6];

impl Compression for Sha1 {
    type Word = u32;
    const WORDS: usize = 5;
    /// FIPS 180-4 §5.3.1.
    const INITIAL: [u32; 8] = [
        0x6745_2301,
        0xefcd_ab89,
        0x98ba_dcfe,
        0x1032_5476,
        0xc3d2_e1f0,
        0,
        0,
        0,
    ];

    #[inline(always)]
    fn compress<L: Lanes<u32>>(
        lanes: L,
        state: State<L::Register>,
        mut block: Block<L::Register>,
    ) -> State<L::Register> {
        let [mut a, mut b, mut c, mut d, mut e, ..] = state;
        for round in 0..80 {
            let word = schedule(lanes, &mut block, round);
            let fixed = lanes.add(lanes.add(e, word), lanes.splat(ROUNDS[round / 20]));
            let mixed = lanes.add(lanes.rotate_right(a, 27), choice(lanes, round, b, c, d));
            (e, d, c, b) = (d, c, lanes.rotate_right(b, 2), a);
            a = lanes.add(fixed, mixed);
        }
        let mut new = state;
        for (word, more) in new.iter_mut().zip([a, b, c, d, e]) {
            *word = lanes.add(*word, more);
        }
        new
    }
}

/// The word of the message schedule for a round, which takes the place of the
/// one sixteen rounds before.
#[inline(always)]
fn schedule<L: Lanes<u32>>(lanes: L, block: &mut Block<L::Register>, round: usize) -> L::Register {
    let at = |back: usize| (round + 16 - back) % 16;
    if round >= 16 {
        let near = lanes.xor(block[at(3)], block[at(8)]);
        let far = lanes.xor(block[at(14)], block[at(16)]);
        block[at(16)] = lanes.rotate_right(lanes.xor(near, far), 31);
    }
    block[at(16)]
}

/// The function of a round (§4.1.1).
#[inline(always)]
fn choice<L: Lanes<u32>>(
    lanes: L,
    round: usize,
    b: L::Register,
    c: L::Register,
    d: L::Register,
) -> L::Register {
    match round / 20 {
        0 => lanes.xor(d, lanes.and(b, lanes.xor(c, d))),
        2 => lanes.xor(lanes.and(b, c), lanes.and(d, lanes.xor(b, c))),
        _ => lanes.xor(lanes.xor(b, c), d),
    }
}
