//! One address to listen on, or several, or none.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where to listen: `"[::]:5222"`, `["127.0.0.1:5222", "[::1]:5222"]` or `[]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listen(pub Vec<SocketAddr>);

impl Listen {
    /// All addresses of the machine.
    #[must_use]
    pub fn any(port: u16) -> Self {
        Self(vec![SocketAddr::new(
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            port,
        )])
    }
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self(vec![address])
    }
}

#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "an address such as \"[::]:5222\", or a list of them"
)]
enum Form {
    One(SocketAddr),
    Many(Vec<SocketAddr>),
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => Form::One(*one).serialize(to),
            many => Form::Many(many.to_vec()).serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match Form::deserialize(from)? {
            Form::One(one) => Self(vec![one]),
            Form::Many(many) => Self(many),
        })
    }
}

impl JsonSchema for Listen {
    fn schema_name() -> Cow<'static, str> {
        "Listen".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array",
            "items": { "type": "string", "format": "socket-address" },
            // A single one needs no brackets.
            "x-one-or-many": true,
        })
    }
}
