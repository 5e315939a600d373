//! XEP-0484: Fast Authentication Streamlining Tokens, version 0.2.0.
//!
//! Which token a device may use, when it gets another, and what that changes.
//! The messages of the mechanism are in `ht`. The elements are left to the
//! edge, storing to the account's owner:
//!
//! 1. [`Request::new`] reads `<fast/>` and goes into [`crate::Exchange::new`].
//! 2. [`due`] says after success whether the device gets a token, and
//!    [`issue`] makes it.
//! 3. [`changes`] says what that does to the account's tokens; only when it is
//!    committed may `<success/>` with `<token/>` be sent.

use smol_str::SmolStr;
use starling_xmpp::credentials::{Credentials, FastSlot, FastToken};
use starling_xmpp::time::UnixMillis;
use zeroize::Zeroizing;

use crate::error::{Condition, Failure};
use crate::exchange::Success;
use crate::mechanism::Mechanism;
use crate::offer::Offer;
use crate::random;

/// The longest user-agent id that tokens are kept for. XEP-0388 §2.3 wants a
/// UUID, which has 36.
pub const DEVICE_BYTES_MAX: usize = 64;

/// Devices of one account that may hold tokens.
pub const DEVICES_MAX: usize = 32;

/// The order in which tokens are tried (XEP-0484 §5.1).
pub(crate) const SLOTS: [FastSlot; 2] = [FastSlot::Next, FastSlot::Current];

/// How long tokens live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// From being issued to being refused.
    pub ttl_ms: i64,
    /// From being issued to being replaced at the next login.
    pub rotate_after_ms: i64,
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

impl Default for Lifetime {
    fn default() -> Self {
        Self {
            ttl_ms: 21 * DAY_MS,
            rotate_after_ms: DAY_MS,
        }
    }
}

/// What a client says with `<fast/>` in its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The id of its user agent.
    pub device: SmolStr,
    /// Attribute `count`.
    pub count: Option<u32>,
    /// Attribute `invalidate`.
    pub is_invalidating: bool,
    /// Whether the request came as TLS early data, and so may be a replay.
    pub is_early_data: bool,
}

impl Request {
    /// Reads the attributes of `<fast/>`; `device` is the `id` of `<user-agent/>`.
    ///
    /// # Errors
    ///
    /// `malformed-request` when there is no device (XEP-0484 §4.1), `count` is
    /// no positive integer, or `invalidate` no boolean.
    pub fn new(
        device: Option<&str>,
        count: Option<&str>,
        invalidate: Option<&str>,
        is_early_data: bool,
    ) -> Result<Self, Failure> {
        let device = device
            .filter(|id| is_device(id))
            .ok_or(Failure::malformed("a token needs the id of a user agent"))?;
        let count = count
            .map(|text| text.parse().ok().filter(|&count| count > 0))
            .map(|count| count.ok_or(Failure::malformed("the count is no positive integer")))
            .transpose()?;
        let is_invalidating = match invalidate {
            None | Some("0" | "false") => false,
            Some("1" | "true") => true,
            Some(_) => return Err(Failure::malformed("invalidate is no boolean")),
        };
        Ok(Self {
            device: device.into(),
            count,
            is_invalidating,
            is_early_data,
        })
    }
}

/// Whether tokens can be kept for a user agent of that id.
#[must_use]
pub fn is_device(id: &str) -> bool {
    !id.is_empty() && id.len() <= DEVICE_BYTES_MAX
}

/// A token that was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The token as it was before.
    pub token: FastToken,
    /// The count the client gave.
    pub count: Option<u32>,
    /// Whether the client wants it, and the other of its device, gone.
    pub is_invalidating: bool,
    /// Whether it is old enough to be replaced.
    pub is_rotation_due: bool,
}

/// A token that nobody has yet.
#[derive(Debug)]
pub struct Issued {
    /// Attribute `token` of `<token/>`; its `expiry` is `record.expires_at`.
    pub token: Zeroizing<String>,
    /// What is stored.
    pub record: FastToken,
}

/// The token of a device in one slot. It is bound to its mechanism (XEP-0484
/// §3.4): with another one it is as good as none.
pub(crate) fn find<'a>(
    credentials: &'a Credentials,
    device: &'a str,
    mechanism: Mechanism,
    slot: FastSlot,
) -> Option<&'a FastToken> {
    credentials
        .tokens_of(device)
        .find(|t| t.slot == slot && t.mechanism == mechanism.as_str())
}

/// Whether a token, whose possession is proved, may be used for this request.
pub(crate) fn check(
    request: &Request,
    token: &FastToken,
    lifetime: &Lifetime,
    now: UnixMillis,
) -> Result<Use, Failure> {
    if token.is_expired(now) {
        return Err(Condition::CredentialsExpired.into());
    }
    let is_replay = request.count.is_none_or(|count| Some(count) <= token.count);
    if request.is_early_data && is_replay {
        // XEP-0484 §3.4.
        return Err(Failure::with_text(
            Condition::NotAuthorized,
            "early data needs a count greater than any before",
        ));
    }
    let issued_at = token.expires_at.plus_millis(-lifetime.ttl_ms);
    Ok(Use {
        token: token.clone(),
        count: request.count,
        is_invalidating: request.is_invalidating,
        is_rotation_due: now >= issued_at.plus_millis(lifetime.rotate_after_ms),
    })
}

/// Whether the client gets a token with its success, and for which mechanism.
/// `requested` is the mechanism of `<request-token/>`; one that was not
/// offered is ignored.
///
/// A device that invalidates its token gets none unless it asks (XEP-0484
/// §3.6); an account that ends with its connection never gets one.
#[must_use]
pub fn due(success: &Success, offer: &Offer, requested: Option<&str>) -> Option<Mechanism> {
    if success.mechanism == Mechanism::Anonymous {
        return None;
    }
    let requested = requested
        .and_then(Mechanism::parse)
        .filter(|m| offer.fast.contains(m));
    let rotated = success
        .token
        .as_ref()
        .filter(|t| t.is_rotation_due && !t.is_invalidating)
        .map(|_| success.mechanism);
    requested.or(rotated)
}

/// A new token for one device and one mechanism.
#[must_use]
pub fn issue(device: &str, mechanism: Mechanism, lifetime: &Lifetime, now: UnixMillis) -> Issued {
    let token = random::token();
    let record = FastToken {
        device: device.into(),
        slot: FastSlot::Next,
        mechanism: SmolStr::new_static(mechanism.as_str()),
        secret: token.as_bytes().to_vec(),
        // Whole seconds: what the client is told is what is meant.
        expires_at: UnixMillis::from_seconds(now.plus_millis(lifetime.ttl_ms).seconds()),
        count: None,
    };
    Issued { token, record }
}

/// One change to the tokens of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Store it under its device and slot, over what is there.
    Put(FastToken),
    /// Forget what a device has in a slot, if anything.
    Remove {
        /// Whose token.
        device: SmolStr,
        /// Which of its tokens.
        slot: FastSlot,
    },
}

/// What a login changes, to be applied in this order and at once.
///
/// A token stays valid until the one that replaces it is used; a token that
/// was issued and not used gives way to the next (XEP-0484 §3.5, §5.1).
/// Tokens of other devices go when they have expired, or when there are more
/// devices than [`DEVICES_MAX`]: those that expire first.
#[must_use]
pub fn changes(
    credentials: &Credentials,
    success: &Success,
    issued: Option<&Issued>,
    now: UnixMillis,
) -> Vec<Change> {
    let mut changes = Vec::new();
    if let Some(used) = &success.token {
        book(used, &mut changes);
    }
    if let Some(issued) = issued {
        make_room(credentials, &issued.record.device, now, &mut changes);
        changes.push(Change::Put(issued.record.clone()));
    }
    changes
}

/// Notes that a token was used.
fn book(used: &Use, changes: &mut Vec<Change>) {
    let device = &used.token.device;
    let remove = |slot| Change::Remove {
        device: device.clone(),
        slot,
    };
    if used.is_invalidating {
        changes.extend(SLOTS.map(remove));
        return;
    }
    let mut token = used.token.clone();
    token.slot = FastSlot::Current;
    token.count = token.count.max(used.count);
    if token != used.token {
        changes.push(Change::Put(token));
    }
    if used.token.slot == FastSlot::Next {
        changes.push(remove(FastSlot::Next));
    }
}

/// Forgets expired tokens, and the oldest devices when there are too many.
fn make_room(
    credentials: &Credentials,
    device: &SmolStr,
    now: UnixMillis,
    changes: &mut Vec<Change>,
) {
    let mut others: Vec<&FastToken> = credentials
        .tokens
        .iter()
        .filter(|t| t.device != *device)
        .collect();
    others.sort_by_key(|t| t.expires_at);
    let tokens_max = (DEVICES_MAX - 1) * SLOTS.len();
    let excess = others.len().saturating_sub(tokens_max);
    for (index, token) in others.into_iter().enumerate() {
        if index < excess || token.is_expired(now) {
            changes.push(Change::Remove {
                device: token.device.clone(),
                slot: token.slot,
            });
        }
    }
}
