//! Letting clients go while others wait to take them: in waves, so that the
//! other edges are not asked to log everybody in at once.
//!
//! Where else a client can go, the rest of the node knows. Without any such
//! place there is nothing to wait for, and all go at once.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use smol_str::SmolStr;
use tokio::time::{Instant, sleep};

use crate::live::Live;
use crate::shared::Shared;

/// The other edges that clients can be sent to, as `host:port`; some may have
/// none. Asked for each client.
pub type Elsewhere = Arc<dyn Fn() -> Vec<SmolStr> + Send + Sync>;

/// From one wave to the next, on average.
const WAVE_INTERVAL: Duration = Duration::from_millis(250);

/// The longest from one wave to the next.
const PAUSE_SECONDS_MAX: f64 = 1.0;

/// Waves and pauses are so many times as large as on average, at least and at
/// most: edges that are drained together must not beat as one.
const JITTER: std::ops::RangeInclusive<f64> = 0.5..=1.5;

/// Lets clients go whenever it is asked for, until it is not any more.
pub(crate) async fn on_request(shared: &Shared, live: &Live) -> Infallible {
    let (mut begun, mut ended) = (live.draining(), live.draining());
    loop {
        if begun.wait_for(|is_draining| *is_draining).await.is_err() {
            return pending().await;
        }
        let per_second = shared.settings().config.tcp.drain_clients_per_second;
        let gone = async {
            let_go(live, per_second, None).await;
            // Whoever comes now is turned away as it comes.
            pending::<()>().await;
        };
        tokio::select! {
            () = gone => {}
            _ = ended.wait_for(|is_draining| !*is_draining) => {}
        }
    }
}

/// Lets every client go that is there, so many a second; faster if they would
/// not all be gone in time.
pub(crate) async fn let_go(live: &Live, per_second: u32, within: Option<Duration>) {
    let mut rest = live.numbers();
    rest.shuffle(&mut rand::rng());
    let deadline = within.map(|within| Instant::now() + within);
    while !rest.is_empty() {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let (size, pause) = match live.is_alone() {
            true => (rest.len(), Duration::ZERO),
            false => wave(rest.len(), per_second, left, jitter()),
        };
        for number in rest.split_off(rest.len().saturating_sub(size)) {
            live.let_go(number);
        }
        if !rest.is_empty() {
            sleep(pause.mul_f64(jitter())).await;
        }
    }
}

fn jitter() -> f64 {
    rand::rng().random_range(JITTER)
}

/// How many go with the next wave, and how long it is to the one after it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "clients are far below 2^52, and none of the factors is negative"
)]
fn wave(clients: usize, per_second: u32, left: Option<Duration>, jitter: f64) -> (usize, Duration) {
    let least = match left {
        // The last wave has all that are left.
        Some(left) if left <= WAVE_INTERVAL => return (clients, WAVE_INTERVAL),
        Some(left) => clients as f64 / left.as_secs_f64(),
        None => 0.0,
    };
    let per_second = f64::from(per_second).max(least).max(f64::MIN_POSITIVE);
    let size = per_second * WAVE_INTERVAL.as_secs_f64() * jitter;
    // Where few go at a time, there is longer from one to the next.
    let pause = WAVE_INTERVAL.as_secs_f64().max(per_second.recip());
    let size = (size.ceil() as usize).clamp(1, clients.max(1));
    (size, Duration::from_secs_f64(pause.min(PAUSE_SECONDS_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_has_what_the_rate_allows_and_the_deadline_asks() {
        let size = |clients, rate, left, jitter| wave(clients, rate, left, jitter).0;
        assert_eq!(size(10_000, 400, None, 1.0), 100);
        assert_eq!(size(10_000, 400, None, 0.5), 50);
        assert_eq!(size(7, 400, None, 1.0), 7);
        let slow = (1, Duration::from_secs(1));
        assert_eq!(wave(10_000, 1, None, 0.5), slow, "somebody always goes");
        let soon = Some(Duration::from_secs(5));
        assert_eq!(size(10_000, 400, soon, 1.0), 500, "2,000 a second");
        assert_eq!(size(10_000, 400, Some(Duration::ZERO), 1.0), 10_000);
    }
}
