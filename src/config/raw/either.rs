//! How values are read that are written in one of two forms, a text or a map, a text or a list, a list or a map: by hand, since
//! serde's untagged enums forget where in the map the fault is.

use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Include, MergedClaims, ScopeClaims, SecretSource, Tls, TlsFiles, Upstream, UpstreamMap};

impl<'de> Deserialize<'de> for Tls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrMap;
        impl<'de> Visitor<'de> for TextOrMap {
            type Value = Tls;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the word `external` or a map with certificate and private_key")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Tls, E> {
                if text == "external" {
                    Ok(Tls::External)
                } else {
                    Err(E::invalid_value(de::Unexpected::Str(text), &self))
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Tls, A::Error> {
                TlsFiles::deserialize(MapAccessDeserializer::new(map)).map(Tls::Files)
            }
        }
        deserializer.deserialize_any(TextOrMap)
    }
}

impl<'de> Deserialize<'de> for Include {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrList;
        impl<'de> Visitor<'de> for TextOrList {
            type Value = Include;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a folder, or a list of names of folders and files")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Include, E> {
                Ok(Include::One(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Include, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Include::List)
            }
        }
        deserializer.deserialize_any(TextOrList)
    }
}

impl<'de> Deserialize<'de> for Upstream {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrMap;
        impl<'de> Visitor<'de> for TextOrMap {
            type Value = Upstream;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the URL of the MCP server, or a map with url")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Upstream, E> {
                Ok(Upstream::Url(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Upstream, A::Error> {
                UpstreamMap::deserialize(MapAccessDeserializer::new(map)).map(|map| Upstream::Map(Box::new(map)))
            }
        }
        deserializer.deserialize_any(TextOrMap)
    }
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            file: Option<String>,
            env: Option<String>,
        }
        struct NeverInline;
        impl<'de> Visitor<'de> for NeverInline {
            type Value = SecretSource;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a map that says where the secret is: {file: session.key} or {env: SESSION_KEY}; the secret itself \
                     never stands in the file",
                )
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretSource, A::Error> {
                Written::deserialize(MapAccessDeserializer::new(map))
                    .map(|Written { file, env }| SecretSource { file, env })
            }
        }
        deserializer.deserialize_any(NeverInline)
    }
}

impl<'de> Deserialize<'de> for ScopeClaims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListOrMap;
        impl<'de> Visitor<'de> for ListOrMap {
            type Value = ScopeClaims;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a list of claims, of which the first present one counts, or a map: {merge: [scope, roles]}",
                )
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<ScopeClaims, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(ScopeClaims::First)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ScopeClaims, A::Error> {
                MergedClaims::deserialize(MapAccessDeserializer::new(map)).map(ScopeClaims::Merged)
            }
        }
        deserializer.deserialize_any(ListOrMap)
    }
}
