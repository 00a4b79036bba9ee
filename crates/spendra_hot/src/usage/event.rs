//! The members of one JSON event that a meter may want, found in one pass and not copied.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::read::counts::Object;

macro_rules! members {
    ($($name:literal => $field:ident),* $(,)?) => {
        /// Members by name; the last one wins when a name repeats.
        #[derive(Clone, Copy, Debug, Default)]
        pub(in crate::usage) struct Event<'a> { $(pub $field: Option<&'a RawValue>,)* }

        enum Name { $($field,)* Other }

        impl Name {
            fn of(name: &str) -> Self {
                match name { $($name => Self::$field,)* _ => Self::Other }
            }
        }

        impl<'a> Event<'a> {
            fn take<A: MapAccess<'a>>(&mut self, name: &Name, map: &mut A) -> Result<(), A::Error> {
                match name {
                    $(Name::$field => self.$field = Some(map.next_value()?),)*
                    Name::Other => { map.next_value::<IgnoredAny>()?; }
                }
                Ok(())
            }
        }
    };
}

#[allow(non_camel_case_types)]
mod names {
    use super::{Deserialize, Deserializer, IgnoredAny, MapAccess, RawValue, Visitor};

    members! {
        "type" => kind,
        "event_type" => event_type,
        "object" => object,
        "status" => status,
        "model" => model,
        "modelVersion" => model_version,
        "service_tier" => service_tier,
        "usage" => usage,
        "usageMetadata" => usage_metadata,
        "usage_info" => usage_info,
        "meta" => meta,
        "metadata" => metadata,
        "x_groq" => x_groq,
        "response" => response,
        "message" => message,
        "interaction" => interaction,
        "delta" => delta,
        "choices" => choices,
        "candidates" => candidates,
        "output" => output,
        "tool_usage" => tool_usage,
        "is_finished" => is_finished,
        "error" => error,
        "detail" => detail,
    }

    struct Field(Name);

    impl<'de> Deserialize<'de> for Field {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Text;
            impl Visitor<'_> for Text {
                type Value = Field;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("a member's name")
                }
                fn visit_str<E>(self, name: &str) -> Result<Field, E> {
                    Ok(Field(Name::of(name)))
                }
            }
            deserializer.deserialize_str(Text)
        }
    }

    impl<'de: 'a, 'a> Deserialize<'de> for Event<'a> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Members;
            impl<'de> Visitor<'de> for Members {
                type Value = Event<'de>;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("a JSON object")
                }
                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Event<'de>, A::Error> {
                    let mut event = Event::default();
                    while let Some(Field(name)) = map.next_key()? {
                        event.take(&name, &mut map)?;
                    }
                    Ok(event)
                }
            }
            deserializer.deserialize_map(Members)
        }
    }
}

pub(super) use names::Event;

impl<'a> Event<'a> {
    /// None for what is not one JSON object.
    pub fn read(json: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    pub fn inside(raw: Option<&'a RawValue>) -> Option<Self> {
        Self::read(raw?.get().as_bytes())
    }

    /// The event's own name of what it is, under any of the names protocols give it.
    pub fn name(&self) -> String {
        string(self.kind)
            .or_else(|| string(self.event_type))
            .unwrap_or_default()
    }
}

/// A member that is a string, and not an empty one.
pub(super) fn string(raw: Option<&RawValue>) -> Option<String> {
    let text: String = serde_json::from_str(raw?.get()).ok()?;
    Some(text).filter(|text| !text.is_empty())
}

pub(super) fn object(raw: Option<&RawValue>) -> Option<Object> {
    serde_json::from_str(raw?.get()).ok()
}

pub(super) fn is_present(raw: Option<&RawValue>) -> bool {
    raw.is_some_and(|raw| !matches!(raw.get(), "null" | "false" | "\"\"" | "{}"))
}
