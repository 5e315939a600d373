//! The time by the clock that all processes of a machine share, so that what
//! one worker sends may be timed by another. What time it is in the world only
//! reports know.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since the machine started.
pub(crate) type Nanos = u64;

/// One second.
pub(crate) const SECOND: Nanos = 1_000_000_000;

/// Nanoseconds of a microsecond, in which latencies are told.
pub(crate) const MICROSECOND: Nanos = 1_000;

/// The time now.
pub(crate) fn now() -> Nanos {
    let time = clock_gettime(ClockId::Monotonic);
    let part = |value: i64| u64::try_from(value).unwrap_or_default();
    part(time.tv_sec) * SECOND + part(time.tv_nsec)
}

/// So long in nanoseconds.
pub(crate) fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
