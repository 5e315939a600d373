//! The compression of SHA-256 and SHA-512 (FIPS 180-4 §6.2.2, §6.4.2), several
//! blocks side by side. The two differ in their words and a few numbers.
//!
//! Padding and chaining are left to `many`.

use super::lanes::{Lanes, Word};
use super::many::{Block, Compression, State};

/// FIPS 180-4 §4.2.3: of the cube roots of the first 80 primes, the first 64
/// bits after the point. SHA-256 takes the first halves (§4.2.2).
const ROOTS: [u64; 80] = [
    0x428a_2f98_d728_ae22,
    0x7137_4491_23ef_65cd,
    0xb5c0_fbcf_ec4d_3b2f,
    0xe9b5_dba5_8189_dbbc,
    0x3956_c25b_f348_b538,
    0x59f1_11f1_b605_d019,
    0x923f_82a4_af19_4f9b,
    0xab1c_5ed5_da6d_8118,
    0xd807_aa98_a303_0242,
    0x1283_5b01_4570_6fbe,
    0x2431_85be_4ee4_b28c,
    0x550c_7dc3_d5ff_b4e2,
    0x72be_5d74_f27b_896f,
    0x80de_b1fe_3b16_96b1,
    0x9bdc_06a7_25c7_1235,
    0xc19b_f174_cf69_2694,
    0xe49b_69c1_9ef1_4ad2,
    0xefbe_4786_384f_25e3,
    0x0fc1_9dc6_8b8c_d5b5,
    0x240c_a1cc_77ac_9c65,
    0x2de9_2c6f_592b_0275,
    0x4a74_84aa_6ea6_e483,
    0x5cb0_a9dc_bd41_fbd4,
    0x76f9_88da_8311_53b5,
    0x983e_5152_ee66_dfab,
    0xa831_c66d_2db4_3210,
    0xb003_27c8_98fb_213f,
    0xbf59_7fc7_beef_0ee4,
    0xc6e0_0bf3_3da8_8fc2,
    0xd5a7_9147_930a_a725,
    0x06ca_6351_e003_826f,
    0x1429_2967_0a0e_6e70,
    0x27b7_0a85_46d2_2ffc,
    0x2e1b_2138_5c26_c926,
    0x4d2c_6dfc_5ac4_2aed,
    0x5338_0d13_9d95_b3df,
    0x650a_7354_8baf_63de,
    0x766a_0abb_3c77_b2a8,
    0x81c2_c92e_47ed_aee6,
    0x9272_2c85_1482_353b,
    0xa2bf_e8a1_4cf1_0364,
    0xa81a_664b_bc42_3001,
    0xc24b_8b70_d0f8_9791,
    0xc76c_51a3_0654_be30,
    0xd192_e819_d6ef_5218,
    0xd699_0624_5565_a910,
    0xf40e_3585_5771_202a,
    0x106a_a070_32bb_d1b8,
    0x19a4_c116_b8d2_d0c8,
    0x1e37_6c08_5141_ab53,
    0x2748_774c_df8e_eb99,
    0x34b0_bcb5_e19b_48a8,
    0x391c_0cb3_c5c9_5a63,
    0x4ed8_aa4a_e341_8acb,
    0x5b9c_ca4f_7763_e373,
    0x682e_6ff3_d6b2_b8a3,
    0x748f_82ee_5def_b2fc,
    0x78a5_636f_4317_2f60,
    0x84c8_7814_a1f0_ab72,
    0x8cc7_0208_1a64_39ec,
    0x90be_fffa_2363_1e28,
    0xa450_6ceb_de82_bde9,
    0xbef9_a3f7_b2c6_7915,
    0xc671_78f2_e372_532b,
    0xca27_3ece_ea26_619c,
    0xd186_b8c7_21c0_c207,
    0xeada_7dd6_cde0_eb1e,
    0xf57d_4f7f_ee6e_d178,
    0x06f0_67aa_7217_6fba,
    0x0a63_7dc5_a2c8_98a6,
    0x113f_9804_bef9_0dae,
    0x1b71_0b35_131c_471b,
    0x28db_77f5_2304_7d84,
    0x32ca_ab7b_40c7_2493,
    0x3c9e_be0a_15c9_bebc,
    0x431d_67c4_9c10_0d4c,
    0x4cc5_d4be_cb3e_42b6,
    0x597f_299c_fc65_7e2a,
    0x5fcb_6fab_3ad6_faec,
    0x6c44_198c_4a47_5817,
];

/// FIPS 180-4 §5.3.5: the same of the square roots of the first eight.
const INITIAL: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

const fn first_halves<const N: usize>(of: &[u64]) -> [u32; N] {
    let mut halves = [0; N];
    let mut at = 0;
    while at < N {
        halves[at] = (of[at] >> 32) as u32;
        at += 1;
    }
    halves
}

/// What tells one from the other.
pub(super) trait Numbers {
    type Word: Word;
    const INITIAL: [Self::Word; 8];
    /// One for each round.
    const ROUNDS: &'static [Self::Word];
    /// How far Σ0 and Σ1 rotate (§4.1.2, §4.1.3).
    const SUMS: [[u8; 3]; 2];
    /// How far σ0 and σ1 rotate, twice, and shift.
    const SIGMAS: [[u8; 3]; 2];
}

/// SHA-256.
pub(super) struct Sha256;

impl Numbers for Sha256 {
    type Word = u32;
    const INITIAL: [u32; 8] = first_halves(&INITIAL);
    const ROUNDS: &'static [u32] = &first_halves::<64>(&ROOTS);
    const SUMS: [[u8; 3]; 2] = [[2, 13, 22], [6, 11, 25]];
    const SIGMAS: [[u8; 3]; 2] = [[7, 18, 3], [17, 19, 10]];
}

/// SHA-512.
pub(super) struct Sha512;

impl Numbers for Sha512 {
    type Word = u64;
    const INITIAL: [u64; 8] = INITIAL;
    const ROUNDS: &'static [u64] = &ROOTS;
    const SUMS: [[u8; 3]; 2] = [[28, 34, 39], [14, 18, 41]];
    const SIGMAS: [[u8; 3]; 2] = [[1, 8, 7], [19, 61, 6]];
}

impl<N: Numbers> Compression for N {
    type Word = N::Word;
    const WORDS: usize = 8;
    const INITIAL: [N::Word; 8] = <N as Numbers>::INITIAL;

    #[inline(always)]
    fn compress<L: Lanes<N::Word>>(
        lanes: L,
        state: State<L::Register>,
        mut block: Block<L::Register>,
    ) -> State<L::Register> {
        let mut new = rounds::<N, L>(lanes, state, &block, 0);
        for first in (16..N::ROUNDS.len()).step_by(16) {
            extend::<N, L>(lanes, &mut block);
            new = rounds::<N, L>(lanes, new, &block, first);
        }
        std::array::from_fn(|at| lanes.add(state[at], new[at]))
    }
}

/// Sixteen rounds, the first of which has the number `first`.
#[inline(always)]
fn rounds<N: Numbers, L: Lanes<N::Word>>(
    lanes: L,
    state: State<L::Register>,
    block: &Block<L::Register>,
    first: usize,
) -> State<L::Register> {
    let add = |one, other| lanes.add(one, other);
    let xor = |one, other| lanes.xor(one, other);
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
    let numbers = &N::ROUNDS[first..first + 16];
    for (&word, &number) in block.iter().zip(numbers) {
        let choice = xor(g, lanes.and(e, xor(f, g)));
        let majority = xor(lanes.and(a, b), lanes.and(c, xor(a, b)));
        let fixed = add(add(word, lanes.splat(number)), h);
        let one = add(add(fixed, choice), sum(lanes, e, N::SUMS[1]));
        let other = add(sum(lanes, a, N::SUMS[0]), majority);
        (h, g, f, e) = (g, f, e, add(d, one));
        (d, c, b, a) = (c, b, a, add(one, other));
    }
    [a, b, c, d, e, f, g, h]
}

/// The next sixteen words of the message schedule, in place of the last.
#[inline(always)]
fn extend<N: Numbers, L: Lanes<N::Word>>(lanes: L, block: &mut Block<L::Register>) {
    for at in 0..16 {
        let [before, after] = [block[(at + 1) % 16], block[(at + 14) % 16]];
        let plain = lanes.add(block[at], block[(at + 9) % 16]);
        let mixed = lanes.add(
            sigma(lanes, before, N::SIGMAS[0]),
            sigma(lanes, after, N::SIGMAS[1]),
        );
        block[at] = lanes.add(plain, mixed);
    }
}

#[inline(always)]
fn sum<W, L: Lanes<W>>(lanes: L, word: L::Register, by: [u8; 3]) -> L::Register {
    let [one, two, three] = by.map(|bits| lanes.rotate_right(word, bits));
    lanes.xor(lanes.xor(one, two), three)
}

#[inline(always)]
fn sigma<W, L: Lanes<W>>(lanes: L, word: L::Register, by: [u8; 3]) -> L::Register {
    let rotated = lanes.xor(
        lanes.rotate_right(word, by[0]),
        lanes.rotate_right(word, by[1]),
    );
    lanes.xor(rotated, lanes.shift_right(word, by[2]))
}
