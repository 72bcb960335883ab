//! Identifiers in the JSON of the REST services, by the reference's rules: only what the kind needs is looked at.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use serde_core::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_core::ser::{Serialize, SerializeMap as _, Serializer};

use super::{
    COMMUNICATION_USER, Cloud, CommunicationIdentifier, CommunicationUserIdentifier, MICROSOFT_TEAMS_APP,
    MICROSOFT_TEAMS_USER, MicrosoftTeamsAppIdentifier, MicrosoftTeamsUserIdentifier, PHONE_NUMBER,
    PhoneNumberIdentifier, TEAMS_EXTENSION_USER, TeamsExtensionUserIdentifier, UNKNOWN, UnknownIdentifier,
};

/// The nested objects, each named as the kind it belongs to.
const MODELS: [&str; 5] =
    [COMMUNICATION_USER, MICROSOFT_TEAMS_USER, MICROSOFT_TEAMS_APP, PHONE_NUMBER, TEAMS_EXTENSION_USER];

// Writing.

impl Serialize for CommunicationIdentifier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let properties = properties(self);
        let mut map = serializer.serialize_map(Some(if properties.is_some() { 2 } else { 1 }))?;
        map.serialize_entry("rawId", self.raw_id())?;
        if let Some(properties) = properties {
            map.serialize_entry(self.kind(), &Model(properties))?;
        }
        map.end()
    }
}

type Properties<'a> = Vec<(&'static str, Property<'a>)>;

enum Property<'a> {
    Flag(bool),
    Text(&'a str),
}

/// What the nested object holds; `None` if the kind has no such object.
fn properties(identifier: &CommunicationIdentifier) -> Option<Properties<'_>> {
    use Property::{Flag, Text};

    Some(match identifier {
        CommunicationIdentifier::CommunicationUser(user) => vec![("id", Text(user.id()))],
        CommunicationIdentifier::PhoneNumber(number) => {
            let mut properties =
                vec![("value", Text(number.phone_number())), ("isAnonymous", Flag(number.is_anonymous()))];
            properties.extend(number.asserted_id().map(|asserted_id| ("assertedId", Text(asserted_id))));
            properties
        }
        CommunicationIdentifier::MicrosoftTeamsUser(user) => vec![
            ("userId", Text(user.user_id())),
            ("isAnonymous", Flag(user.is_anonymous())),
            ("cloud", Text(user.cloud().unwrap_or(&Cloud::Public).as_str())),
        ],
        CommunicationIdentifier::MicrosoftTeamsApp(app) => {
            vec![("appId", Text(app.app_id())), ("cloud", Text(app.cloud().as_str()))]
        }
        CommunicationIdentifier::TeamsExtensionUser(user) => vec![
            ("userId", Text(user.user_id())),
            ("tenantId", Text(user.tenant_id())),
            ("resourceId", Text(user.resource_id())),
            ("cloud", Text(user.cloud().as_str())),
        ],
        CommunicationIdentifier::Unknown(_) => return None,
    })
}

struct Model<'a>(Properties<'a>);

impl Serialize for Model<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, property) in &self.0 {
            match property {
                Property::Flag(flag) => map.serialize_entry(name, flag)?,
                Property::Text(text) => map.serialize_entry(name, text)?,
            }
        }
        map.end()
    }
}

// Reading.

impl<'de> Deserialize<'de> for CommunicationIdentifier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Object(object) => read(&object).map_err(D::Error::custom),
            Value::Null | Value::Flag(_) | Value::Text(_) | Value::Number { .. } => {
                Err(D::Error::custom(Unreadable::NoObject { name: "the identifier" }))
            }
        }
    }
}

/// Why an object is not an identifier.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("the property `{property}` of `{of}` is missing or null, but it is required")]
    Missing { property: &'static str, of: &'static str },
    #[error("the property `{property}` of `{of}` is not a {expected}")]
    WrongType { property: &'static str, of: &'static str, expected: &'static str },
    #[error("`{one}` and `{other}` are both present, but only one of them can say who it is")]
    Several { one: &'static str, other: &'static str },
    #[error("{name} is not a JSON object")]
    NoObject { name: &'static str },
}

fn read(object: &Object) -> Result<CommunicationIdentifier, Unreadable> {
    let mut present = MODELS.into_iter().filter_map(|name| Some((name, object.get(name)?)));
    let found = present.next();
    if let (Some((one, _)), Some((other, _))) = (found, present.next()) {
        return Err(Unreadable::Several { one, other });
    }
    // A model of false, zero or "" says nothing, though it counted above.
    let kind = object.get("kind");
    let names = |kind: &Value, name: &str| matches!(kind, Value::Text(kind) if kind.eq_ignore_ascii_case(name));
    let model =
        found.filter(|(_, value)| value.is_truthy()).filter(|(name, _)| kind.is_none_or(|kind| names(kind, name)));
    let Some((of, value)) = model else {
        let raw_id = Reader { of: UNKNOWN, object }.text("rawId")?.to_owned();
        return Ok(UnknownIdentifier { raw_id }.into());
    };
    let Value::Object(model) = value else { return Err(Unreadable::NoObject { name: of }) };
    let model = Reader { of, object: model };
    let explicit = || Reader { of, object }.raw_id();
    Ok(match of {
        COMMUNICATION_USER => CommunicationUserIdentifier { raw_id: model.text("id")?.to_owned() }.into(),
        PHONE_NUMBER => {
            let number = PhoneNumberIdentifier::new(model.text("value")?);
            PhoneNumberIdentifier {
                raw_id: explicit()?.unwrap_or(number.raw_id),
                is_anonymous: model.flag("isAnonymous")?,
                asserted_id: model.optional_text("assertedId")?.map(str::to_owned),
                phone_number: number.phone_number,
            }
            .into()
        }
        MICROSOFT_TEAMS_USER => {
            let user_id = model.text("userId")?;
            let user = MicrosoftTeamsUserIdentifier::of(user_id, model.flag("isAnonymous")?, Some(model.cloud()?));
            MicrosoftTeamsUserIdentifier { raw_id: explicit()?.unwrap_or(user.raw_id), ..user }.into()
        }
        MICROSOFT_TEAMS_APP => {
            let app = MicrosoftTeamsAppIdentifier::of(model.text("appId")?, model.cloud()?);
            MicrosoftTeamsAppIdentifier { raw_id: explicit()?.unwrap_or(app.raw_id), ..app }.into()
        }
        _ => {
            let (user_id, tenant_id) = (model.text("userId")?, model.text("tenantId")?);
            let user = TeamsExtensionUserIdentifier::of(model.text("resourceId")?, tenant_id, user_id, model.cloud()?);
            TeamsExtensionUserIdentifier { raw_id: explicit()?.unwrap_or(user.raw_id), ..user }.into()
        }
    })
}

/// Takes properties out of an object, as belonging to what `of` names.
#[derive(Clone, Copy)]
struct Reader<'a> {
    of: &'static str,
    object: &'a Object,
}

impl<'a> Reader<'a> {
    fn optional_text(self, property: &'static str) -> Result<Option<&'a str>, Unreadable> {
        match self.object.get(property) {
            Some(Value::Text(text)) => Ok(Some(text)),
            None => Ok(None),
            Some(_) => Err(Unreadable::WrongType { property, of: self.of, expected: "string" }),
        }
    }

    fn text(self, property: &'static str) -> Result<&'a str, Unreadable> {
        self.optional_text(property)?.ok_or(Unreadable::Missing { property, of: self.of })
    }

    fn flag(self, property: &'static str) -> Result<bool, Unreadable> {
        match self.object.get(property) {
            Some(Value::Flag(flag)) => Ok(*flag),
            None => Ok(false),
            Some(_) => Err(Unreadable::WrongType { property, of: self.of, expected: "boolean" }),
        }
    }

    fn cloud(self) -> Result<Cloud, Unreadable> {
        Ok(self.optional_text("cloud")?.map(Cloud::from_name).unwrap_or_default())
    }

    /// `None` if it is null, so that it follows from the parts. The reference demands that it is there.
    fn raw_id(self) -> Result<Option<String>, Unreadable> {
        if !self.object.names("rawId") {
            return Err(Unreadable::Missing { property: "rawId", of: self.of });
        }
        Ok(self.optional_text("rawId")?.map(str::to_owned))
    }
}

/// The names that mean something, at any depth; nothing is kept of the others.
const NAMES: [&str; 16] = [
    "rawId",
    "kind",
    COMMUNICATION_USER,
    MICROSOFT_TEAMS_USER,
    MICROSOFT_TEAMS_APP,
    PHONE_NUMBER,
    TEAMS_EXTENSION_USER,
    "id",
    "value",
    "isAnonymous",
    "assertedId",
    "userId",
    "appId",
    "tenantId",
    "resourceId",
    "cloud",
];

/// Properties with names that mean something; of duplicates the last counts, as in `JSON.parse`.
struct Object(Vec<(&'static str, Value)>);

impl Object {
    /// `None` for null too: it means absent.
    fn get(&self, name: &str) -> Option<&Value> {
        let (_, value) = self.0.iter().rev().find(|(other, _)| *other == name)?;
        Some(value).filter(|value| !matches!(value, Value::Null))
    }

    /// Whether there is a property of this name, null or not.
    fn names(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| *other == name)
    }
}

enum Value {
    Null,
    Flag(bool),
    Number {
        zero: bool,
    },
    Text(String),
    /// A list too, which has no properties.
    Object(Object),
}

impl Value {
    /// What counts as true in JavaScript.
    fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Flag(flag) => *flag,
            Self::Number { zero } => !zero,
            Self::Text(text) => !text.is_empty(),
            Self::Object(_) => true,
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a communication identifier")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number { zero: number == 0 })
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number { zero: number == 0 })
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number { zero: number == 0.0 })
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Object(Object(Vec::new())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut properties = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            match name {
                Some(name) => properties.push((name, map.next_value()?)),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Value::Object(Object(properties)))
    }
}

/// `None`: one that means nothing.
struct Name(Option<&'static str>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(NameVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a property")
    }

    fn visit_str<E>(self, name: &str) -> Result<Name, E> {
        Ok(Name(NAMES.into_iter().find(|known| *known == name)))
    }
}
