//! Every namespace in use, by one name each.
//!
//! Only names: what is supported is told by the manifests of the features.
//! A few are `FORM_TYPE`s or features and never name an element.

// Streams and stanzas (RFC 6120, RFC 6121, RFC 7395).

/// What the prefix `xml` always stands for.
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// What the prefix `xmlns` always stands for.
pub const XMLNS: &str = "http://www.w3.org/2000/xmlns/";
/// The stream's own elements, RFC 6120 §4.8.1.
pub const STREAM: &str = "http://etherx.jabber.org/streams";
/// Content of streams with clients.
pub const CLIENT: &str = "jabber:client";
/// Content of streams between servers.
pub const SERVER: &str = "jabber:server";
/// Conditions of stream errors, RFC 6120 §4.9.
pub const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// Conditions of stanza errors, RFC 6120 §8.3.
pub const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// STARTTLS, RFC 6120 §5.
pub const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
/// SASL, RFC 6120 §6.
pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
/// Resource binding, RFC 6120 §7.
pub const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
/// Session establishment of RFC 3921, which old clients still ask for.
pub const SESSION: &str = "urn:ietf:params:xml:ns:xmpp-session";
/// WebSocket framing, RFC 7395.
pub const FRAMING: &str = "urn:ietf:params:xml:ns:xmpp-framing";
/// Roster, RFC 6121 §2.
pub const ROSTER: &str = "jabber:iq:roster";
/// Roster versioning, RFC 6121 §2.6.
pub const ROSTER_VERSIONING: &str = "urn:xmpp:features:rosterver";
/// Subscription pre-approval, RFC 6121 §3.4.
pub const PRE_APPROVAL: &str = "urn:xmpp:features:pre-approval";

// Before a session.

/// XEP-0388: SASL2.
pub const SASL2: &str = "urn:xmpp:sasl:2";
/// XEP-0386: Bind 2.
pub const BIND2: &str = "urn:xmpp:bind:0";
/// XEP-0484: FAST.
pub const FAST: &str = "urn:xmpp:fast:0";
/// XEP-0440: channel binding types.
pub const CHANNEL_BINDING: &str = "urn:xmpp:sasl-cb:0";
/// XEP-0480: SASL upgrade tasks.
pub const SASL_UPGRADE: &str = "urn:xmpp:sasl:upgrade:0";
/// XEP-0480: SASL upgrade to another SCRAM hash.
pub const SCRAM_UPGRADE: &str = "urn:xmpp:scram-upgrade:0";
/// XEP-0478: stream limits.
pub const STREAM_LIMITS: &str = "urn:xmpp:stream-limits:0";
/// XEP-0509: initial authentication pipelining.
pub const PIPELINING: &str = "urn:xmpp:iap:0";
/// XEP-0077: in-band registration.
pub const REGISTER: &str = "jabber:iq:register";
/// XEP-0077: the stream feature.
pub const REGISTER_FEATURE: &str = "http://jabber.org/features/iq-register";
/// XEP-0445: pre-authenticated registration.
pub const REGISTER_TOKEN: &str = "urn:xmpp:ibr-token:0";
/// XEP-0158: CAPTCHA forms.
pub const CAPTCHA: &str = "urn:xmpp:captcha";
/// XEP-0198: stream management.
pub const SM: &str = "urn:xmpp:sm:3";
/// XEP-0352: client state indication.
pub const CSI: &str = "urn:xmpp:csi:0";
/// XEP-0138: stream compression, which Starling never offers.
pub const COMPRESSION: &str = "http://jabber.org/protocol/compress";
/// XEP-0124: BOSH.
pub const HTTP_BIND: &str = "http://jabber.org/protocol/httpbind";
/// XEP-0206: XMPP over BOSH.
pub const XBOSH: &str = "urn:xmpp:xbosh";
/// XEP-0156: where WebSocket is served.
pub const ALT_CONNECTIONS_WEBSOCKET: &str = "urn:xmpp:alt-connections:websocket";
/// XEP-0156: where BOSH is served.
pub const ALT_CONNECTIONS_XBOSH: &str = "urn:xmpp:alt-connections:xbosh";

// Discovery and forms.

/// XEP-0030: identities and features.
pub const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
/// XEP-0030: items.
pub const DISCO_ITEMS: &str = "http://jabber.org/protocol/disco#items";
/// XEP-0115: entity capabilities.
pub const CAPS: &str = "http://jabber.org/protocol/caps";
/// XEP-0115 §8.4: caps optimisation.
pub const CAPS_OPTIMIZE: &str = "http://jabber.org/protocol/caps#optimize";
/// XEP-0004: data forms.
pub const FORM: &str = "jabber:x:data";
/// XEP-0122: data forms validation.
pub const FORM_VALIDATE: &str = "http://jabber.org/protocol/xdata-validate";
/// XEP-0221: media in data forms.
pub const FORM_MEDIA: &str = "urn:xmpp:media-element";
/// XEP-0157: contact addresses, a FORM_TYPE.
pub const SERVER_INFO: &str = "http://jabber.org/network/serverinfo";
/// XEP-0059: result set management.
pub const RSM: &str = "http://jabber.org/protocol/rsm";
/// XEP-0050: ad-hoc commands.
pub const COMMANDS: &str = "http://jabber.org/protocol/commands";
/// XEP-0215: external services.
pub const EXTERNAL_DISCO: &str = "urn:xmpp:extdisco:2";
/// XEP-0455: service outage status.
pub const OUTAGE: &str = "urn:xmpp:sos:0";

// Messaging.

/// XEP-0203: delayed delivery.
pub const DELAY: &str = "urn:xmpp:delay";
/// XEP-0297: stanza forwarding.
pub const FORWARD: &str = "urn:xmpp:forward:0";
/// XEP-0280: message carbons.
pub const CARBONS: &str = "urn:xmpp:carbons:2";
/// XEP-0280 §6.1: which messages are copied.
pub const CARBONS_RULES: &str = "urn:xmpp:carbons:rules:0";
/// XEP-0334: processing hints.
pub const HINTS: &str = "urn:xmpp:hints";
/// XEP-0359: unique and stable stanza ids.
pub const SID: &str = "urn:xmpp:sid:0";
/// XEP-0313: message archive.
pub const MAM: &str = "urn:xmpp:mam:2";
/// XEP-0313: ids, metadata, flipped pages.
pub const MAM_EXTENDED: &str = "urn:xmpp:mam:2#extended";
/// XEP-0313: choosing group chat messages.
pub const MAM_GROUPCHAT_FIELD: &str = "urn:xmpp:mam:2#groupchat-field";
/// XEP-0313: group chat messages may be in the archive.
pub const MAM_GROUPCHAT_AVAILABLE: &str = "urn:xmpp:mam:2#groupchat-available";
/// XEP-0160: the disco feature of offline messages.
pub const OFFLINE_FEATURE: &str = "msgoffline";
/// XEP-0184: delivery receipts.
pub const RECEIPTS: &str = "urn:xmpp:receipts";
/// XEP-0085: chat states.
pub const CHAT_STATES: &str = "http://jabber.org/protocol/chatstates";
/// XEP-0333: displayed markers.
pub const CHAT_MARKERS: &str = "urn:xmpp:chat-markers:0";
/// XEP-0308: last message correction.
pub const CORRECT: &str = "urn:xmpp:message-correct:0";
/// XEP-0424: message retraction.
pub const RETRACT: &str = "urn:xmpp:message-retract:1";
/// XEP-0424: what is left of a message.
pub const RETRACT_TOMBSTONE: &str = "urn:xmpp:message-retract:1#tombstone";
/// XEP-0425: moderated retraction.
pub const MODERATE: &str = "urn:xmpp:message-moderate:1";
/// XEP-0444: reactions.
pub const REACTIONS: &str = "urn:xmpp:reactions:0";
/// XEP-0461: replies.
pub const REPLY: &str = "urn:xmpp:reply:0";
/// XEP-0428: fallback indication.
pub const FALLBACK: &str = "urn:xmpp:fallback:0";
/// XEP-0380: explicit message encryption.
pub const ENCRYPTION: &str = "urn:xmpp:eme:0";
/// XEP-0384: OMEMO.
pub const OMEMO: &str = "urn:xmpp:omemo:2";
/// XEP-0384 before version 0.4.
pub const OMEMO_LEGACY: &str = "eu.siacs.conversations.axolotl";
/// XEP-0066: out of band data.
pub const OOB: &str = "jabber:x:oob";
/// XEP-0224: attention.
pub const ATTENTION: &str = "urn:xmpp:attention:0";
/// XEP-0353: Jingle message initiation.
pub const JINGLE_MESSAGE: &str = "urn:xmpp:jingle-message:0";
/// XEP-0071: XHTML-IM.
pub const HTML: &str = "http://jabber.org/protocol/xhtml-im";
/// XEP-0033: extended addressing.
pub const ADDRESS: &str = "http://jabber.org/protocol/address";

// Accounts.

/// XEP-0199: ping.
pub const PING: &str = "urn:xmpp:ping";
/// XEP-0092: software version.
pub const VERSION: &str = "jabber:iq:version";
/// XEP-0202: entity time.
pub const TIME: &str = "urn:xmpp:time";
/// XEP-0012: last activity.
pub const LAST: &str = "jabber:iq:last";
/// XEP-0319: last user interaction.
pub const IDLE: &str = "urn:xmpp:idle:1";
/// XEP-0049: private XML.
pub const PRIVATE: &str = "jabber:iq:private";
/// XEP-0054: vcard-temp.
pub const VCARD: &str = "vcard-temp";
/// XEP-0153: avatar hash in presence.
pub const VCARD_UPDATE: &str = "vcard-temp:x:update";
/// XEP-0292: vCard4.
pub const VCARD4: &str = "urn:ietf:params:xml:ns:vcard-4.0";
/// XEP-0172: nickname.
pub const NICK: &str = "http://jabber.org/protocol/nick";
/// XEP-0191: blocking.
pub const BLOCKING: &str = "urn:xmpp:blocking";
/// XEP-0191: what is said to who writes to someone they blocked.
pub const BLOCKING_ERRORS: &str = "urn:xmpp:blocking:errors";
/// XEP-0377: reports of abuse and spam.
pub const REPORTING: &str = "urn:xmpp:reporting:1";
/// XEP-0377: the reason abuse.
pub const REPORTING_ABUSE: &str = "urn:xmpp:reporting:abuse";
/// XEP-0377: the reason spam.
pub const REPORTING_SPAM: &str = "urn:xmpp:reporting:spam";
/// XEP-0357: push notifications.
pub const PUSH: &str = "urn:xmpp:push:0";
/// XEP-0357: summary form of a notification.
pub const PUSH_SUMMARY: &str = "urn:xmpp:push:summary";
/// XEP-0494: client access management.
pub const CLIENT_ACCESS: &str = "urn:xmpp:cam:0";
/// XEP-0401: the command that invites a contact.
pub const INVITE_INVITE: &str = "urn:xmpp:invite#invite";
/// XEP-0401: the command that invites a new user.
pub const INVITE_CREATE_ACCOUNT: &str = "urn:xmpp:invite#create-account";
/// XEP-0379: pre-authenticated roster subscription.
pub const PARS: &str = "urn:xmpp:pars:0";
/// XEP-0492: chat notification settings.
pub const NOTIFICATION_SETTINGS: &str = "urn:xmpp:notification-settings:1";
/// XEP-0363: HTTP file upload.
pub const UPLOAD: &str = "urn:xmpp:http:upload:0";
/// XEP-0363: what an upload is for.
pub const UPLOAD_PURPOSE: &str = "urn:xmpp:http:upload:purpose:0";

// Publishing.

/// XEP-0060: publish-subscribe.
pub const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
/// XEP-0060: event notifications.
pub const PUBSUB_EVENT: &str = "http://jabber.org/protocol/pubsub#event";
/// XEP-0060: owner use cases.
pub const PUBSUB_OWNER: &str = "http://jabber.org/protocol/pubsub#owner";
/// XEP-0060: application conditions.
pub const PUBSUB_ERRORS: &str = "http://jabber.org/protocol/pubsub#errors";
/// XEP-0060: node configuration, a FORM_TYPE.
pub const PUBSUB_NODE_CONFIG: &str = "http://jabber.org/protocol/pubsub#node_config";
/// XEP-0060: preconditions of a publication, a FORM_TYPE.
pub const PUBSUB_PUBLISH_OPTIONS: &str = "http://jabber.org/protocol/pubsub#publish-options";
/// XEP-0060: subscription options, a FORM_TYPE.
pub const PUBSUB_SUBSCRIBE_OPTIONS: &str = "http://jabber.org/protocol/pubsub#subscribe_options";
/// XEP-0060: node metadata, a FORM_TYPE.
pub const PUBSUB_META_DATA: &str = "http://jabber.org/protocol/pubsub#meta-data";
/// XEP-0402: bookmarks.
pub const BOOKMARKS: &str = "urn:xmpp:bookmarks:1";
/// XEP-0402: bookmarks kept in step with private XML.
pub const BOOKMARKS_COMPAT: &str = "urn:xmpp:bookmarks:1#compat";
/// XEP-0402: bookmarks kept in step with their older node.
pub const BOOKMARKS_COMPAT_PEP: &str = "urn:xmpp:bookmarks:1#compat-pep";
/// XEP-0048: bookmarks.
pub const BOOKMARKS_LEGACY: &str = "storage:bookmarks";
/// XEP-0490: what was displayed on another device.
pub const DISPLAYED: &str = "urn:xmpp:mds:displayed:0";
/// XEP-0490: the server does it for the client.
pub const DISPLAYED_SERVER_ASSIST: &str = "urn:xmpp:mds:server-assist:0";
/// XEP-0084: avatar images.
pub const AVATAR_DATA: &str = "urn:xmpp:avatar:data";
/// XEP-0084: avatar metadata.
pub const AVATAR_METADATA: &str = "urn:xmpp:avatar:metadata";
/// XEP-0398: avatars of both kinds kept in step.
pub const PEP_VCARD_CONVERSION: &str = "urn:xmpp:pep-vcard-conversion:0";

// Rooms.

/// XEP-0045: rooms.
pub const MUC: &str = "http://jabber.org/protocol/muc";
/// XEP-0045: what a room tells occupants.
pub const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
/// XEP-0045: administration.
pub const MUC_ADMIN: &str = "http://jabber.org/protocol/muc#admin";
/// XEP-0045: ownership.
pub const MUC_OWNER: &str = "http://jabber.org/protocol/muc#owner";
/// XEP-0045: configuration, a FORM_TYPE.
pub const MUC_ROOM_CONFIG: &str = "http://jabber.org/protocol/muc#roomconfig";
/// XEP-0045: description, a FORM_TYPE.
pub const MUC_ROOM_INFO: &str = "http://jabber.org/protocol/muc#roominfo";
/// XEP-0045: registration with a room, a FORM_TYPE.
pub const MUC_REGISTER: &str = "http://jabber.org/protocol/muc#register";
/// XEP-0045: asking for voice, a FORM_TYPE.
pub const MUC_REQUEST: &str = "http://jabber.org/protocol/muc#request";
/// XEP-0410: the room answers pings to oneself.
pub const MUC_SELF_PING: &str = "http://jabber.org/protocol/muc#self-ping-optimization";
/// XEP-0045: the room keeps message ids.
pub const MUC_STABLE_ID: &str = "http://jabber.org/protocol/muc#stable_id";
/// XEP-0249: direct invitations.
pub const CONFERENCE: &str = "jabber:x:conference";
/// XEP-0421: occupant ids.
pub const OCCUPANT_ID: &str = "urn:xmpp:occupant-id:0";
/// XEP-0317: hats.
pub const HATS: &str = "urn:xmpp:hats:0";
/// XEP-0437: room activity indicators.
pub const ROOM_ACTIVITY: &str = "urn:xmpp:rai:0";
/// XEP-0433: search for rooms.
pub const CHANNEL_SEARCH: &str = "urn:xmpp:channel-search:0:search";
/// XEP-0433: what to search for, a FORM_TYPE.
pub const CHANNEL_SEARCH_PARAMS: &str = "urn:xmpp:channel-search:0:search-params";

// Servers and components.

/// XEP-0114: components that connect to the server.
pub const COMPONENT_ACCEPT: &str = "jabber:component:accept";
/// XEP-0220: dialback.
pub const DIALBACK: &str = "jabber:server:dialback";
/// XEP-0220: the stream feature.
pub const DIALBACK_FEATURE: &str = "urn:xmpp:features:dialback";
/// XEP-0220: the stream feature that promises errors.
pub const DIALBACK_ERRORS: &str = "urn:xmpp:dialback:errors";
/// XEP-0288: both directions on one stream.
pub const BIDI: &str = "urn:xmpp:bidi";
/// XEP-0288: the stream feature.
pub const BIDI_FEATURE: &str = "urn:xmpp:features:bidi";
/// XEP-0356: privileged entities.
pub const PRIVILEGE: &str = "urn:xmpp:privilege:2";
/// XEP-0355: namespace delegation.
pub const DELEGATION: &str = "urn:xmpp:delegation:2";
