//! Many words side by side: what a vector register of the processor at hand
//! does to all of them with one instruction.
//!
//! `pulp` has the instructions behind proofs that the processor knows them, so
//! that nothing here is unsafe. Which hash they make is left to `sha1`, `sha2`.

/// A word of a hash, as it stands in a block.
pub(super) trait Word: Copy + Default + 'static {
    const OCTETS: usize;
    /// The word whose first bit alone is set: it follows a hashed text.
    const MARK: Self;
    /// The word at the beginning of `octets`, each xored with `mask`.
    fn read(octets: &[u8], mask: u8) -> Self;
    /// Fills `out`, which is as long as a word.
    fn write(self, out: &mut [u8]);
    /// A number that fits any word.
    fn of(number: u16) -> Self;
}

macro_rules! word {
    ($word:ty) => {
        impl Word for $word {
            const OCTETS: usize = size_of::<$word>();
            const MARK: Self = 1 << (Self::BITS - 1);

            #[inline(always)]
            fn read(octets: &[u8], mask: u8) -> Self {
                let octets = octets.iter().take(Self::OCTETS);
                octets.fold(0, |word, &octet| word << 8 | Self::from(octet ^ mask))
            }

            #[inline(always)]
            fn write(self, out: &mut [u8]) {
                out.copy_from_slice(&self.to_be_bytes());
            }

            #[inline(always)]
            fn of(number: u16) -> Self {
                Self::from(number)
            }
        }
    };
}

word!(u32);
word!(u64);

/// Registers of words `W`, and a proof that the processor has them.
pub(super) trait Lanes<W>: Copy {
    /// One register.
    type Register: Copy;
    /// Words in it.
    const COUNT: usize;

    /// A register whose words are `word(0)`, `word(1)`…
    fn gather(self, word: impl Fn(usize) -> W) -> Self::Register;
    /// The word of one lane.
    fn word(self, register: Self::Register, lane: usize) -> W;
    /// The same word in each lane.
    fn splat(self, word: W) -> Self::Register;
    /// The sum, which wraps around.
    fn add(self, one: Self::Register, other: Self::Register) -> Self::Register;
    fn xor(self, one: Self::Register, other: Self::Register) -> Self::Register;
    fn and(self, one: Self::Register, other: Self::Register) -> Self::Register;
    fn shift_right(self, register: Self::Register, bits: u8) -> Self::Register;
    fn rotate_right(self, register: Self::Register, bits: u8) -> Self::Register;
}

/// A processor with registers for the words of every hash.
pub(super) trait Machine: Lanes<u32> + Lanes<u64> {
    /// Runs `work`, compiled for this processor.
    fn run<F: pulp::NullaryFnOnce>(self, work: F) -> F::Output;
}

macro_rules! machine {
    ($simd:ty) => {
        impl super::Machine for $simd {
            fn run<F: pulp::NullaryFnOnce>(self, work: F) -> F::Output {
                self.vectorize(work)
            }
        }
    };
}

macro_rules! lanes {
    ($simd:ty, $word:ident, $count:literal, $register:ident, $splat:ident,
        $add:ident, $xor:ident, $and:ident, $or:ident, $left:ident, $right:ident) => {
        impl Lanes<$word> for $simd {
            type Register = pulp::$register;
            const COUNT: usize = $count;

            #[inline(always)]
            fn gather(self, word: impl Fn(usize) -> $word) -> Self::Register {
                pulp::cast(std::array::from_fn::<$word, $count, _>(word))
            }

            #[inline(always)]
            fn word(self, register: Self::Register, lane: usize) -> $word {
                pulp::cast::<_, [$word; $count]>(register)[lane]
            }

            #[inline(always)]
            fn splat(self, word: $word) -> Self::Register {
                self.$splat(word)
            }

            #[inline(always)]
            fn add(self, one: Self::Register, other: Self::Register) -> Self::Register {
                self.$add(one, other)
            }

            #[inline(always)]
            fn xor(self, one: Self::Register, other: Self::Register) -> Self::Register {
                self.$xor(one, other)
            }

            #[inline(always)]
            fn and(self, one: Self::Register, other: Self::Register) -> Self::Register {
                self.$and(one, other)
            }

            #[inline(always)]
            fn shift_right(self, register: Self::Register, bits: u8) -> Self::Register {
                self.$right(register, self.$splat(bits.into()))
            }

            // The compiler finds the one instruction where there is one.
            #[inline(always)]
            fn rotate_right(self, register: Self::Register, bits: u8) -> Self::Register {
                let left = self.$splat(<$word>::OCTETS as $word * 8 - $word::from(bits));
                let right = <Self as Lanes<$word>>::shift_right(self, register, bits);
                self.$or(right, self.$left(register, left))
            }
        }
    };
}

/// AVX-512.
#[cfg(target_arch = "x86_64")]
mod v4 {
    use super::{Lanes, Word};
    use pulp::x86::V4;
    machine!(V4);
    lanes!(
        V4,
        u64,
        8,
        u64x8,
        splat_u64x8,
        wrapping_add_u64x8,
        xor_u64x8,
        and_u64x8,
        or_u64x8,
        shl_dyn_u64x8,
        shr_dyn_u64x8
    );
    lanes!(
        V4,
        u32,
        16,
        u32x16,
        splat_u32x16,
        wrapping_add_u32x16,
        xor_u32x16,
        and_u32x16,
        or_u32x16,
        shl_dyn_u32x16,
        shr_dyn_u32x16
    );
}

/// AVX2.
#[cfg(target_arch = "x86_64")]
mod v3 {
    use super::{Lanes, Word};
    use pulp::x86::V3;
    machine!(V3);
    lanes!(
        V3,
        u64,
        4,
        u64x4,
        splat_u64x4,
        wrapping_add_u64x4,
        xor_u64x4,
        and_u64x4,
        or_u64x4,
        shl_dyn_u64x4,
        shr_dyn_u64x4
    );
    lanes!(
        V3,
        u32,
        8,
        u32x8,
        splat_u32x8,
        wrapping_add_u32x8,
        xor_u32x8,
        and_u32x8,
        or_u32x8,
        shl_dyn_u32x8,
        shr_dyn_u32x8
    );
}
