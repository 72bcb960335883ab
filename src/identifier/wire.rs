//! Identifiers in the JSON of the REST services, by the reference's rules. Only the properties of the kind are read.

use alloc::borrow::{Cow, ToOwned as _};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use serde_core::de::{Deserialize, Deserializer, Error as _};
use serde_core::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value;

use super::{
    COMMUNICATION_USER, Cloud, CommunicationIdentifier, CommunicationUserIdentifier, MICROSOFT_TEAMS_APP,
    MICROSOFT_TEAMS_USER, MicrosoftTeamsAppIdentifier, MicrosoftTeamsUserIdentifier, PHONE_NUMBER,
    PhoneNumberIdentifier, TEAMS_EXTENSION_USER, TeamsExtensionUserIdentifier, UNKNOWN, UnknownIdentifier,
};

/// The nested objects, each with the name of its kind.
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

/// The properties of the nested object; `None` if the kind has no such object.
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

type Object = serde_json::Map<String, Value>;

impl<'de> Deserialize<'de> for CommunicationIdentifier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let identifier = Value::deserialize(deserializer)?;
        let object = as_object(&identifier, "the identifier").and_then(|object| read(&object));
        object.map_err(D::Error::custom)
    }
}

/// Why an object is not an identifier.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("the property `{property}` of `{of}` is missing or null, but it is required")]
    Missing { property: &'static str, of: &'static str },
    #[error("the property `{property}` of `{of}` is not a {expected}")]
    WrongType { property: &'static str, of: &'static str, expected: &'static str },
    #[error("`{one}` and `{other}` are both present, but an identifier has only one of them")]
    Several { one: &'static str, other: &'static str },
    #[error("{name} is not a JSON object")]
    NoObject { name: &'static str },
}

/// A list is an object without properties, as in JavaScript.
fn as_object<'a>(value: &'a Value, name: &'static str) -> Result<Cow<'a, Object>, Unreadable> {
    match value {
        Value::Object(object) => Ok(Cow::Borrowed(object)),
        Value::Array(_) => Ok(Cow::Owned(Object::new())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Err(Unreadable::NoObject { name }),
    }
}

fn read(object: &Object) -> Result<CommunicationIdentifier, Unreadable> {
    let mut present = MODELS.into_iter().filter_map(|name| Some((name, get(object, name)?)));
    let found = present.next();
    if let (Some((one, _)), Some((other, _))) = (found, present.next()) {
        return Err(Unreadable::Several { one, other });
    }
    // A model of false, zero or "" is ignored, although it counts above.
    let kind = get(object, "kind");
    let names = |kind: &Value, name: &str| kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case(name));
    let model =
        found.filter(|(_, value)| is_truthy(value)).filter(|(name, _)| kind.is_none_or(|kind| names(kind, name)));
    let Some((of, value)) = model else {
        let raw_id = Reader { of: UNKNOWN, object }.text("rawId")?.to_owned();
        return Ok(UnknownIdentifier { raw_id }.into());
    };
    let model = as_object(value, of)?;
    let model = Reader { of, object: &model };
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

/// Reads the properties of an object. `of` names it in errors.
#[derive(Clone, Copy)]
struct Reader<'a> {
    of: &'static str,
    object: &'a Object,
}

impl<'a> Reader<'a> {
    fn optional_text(self, property: &'static str) -> Result<Option<&'a str>, Unreadable> {
        match get(self.object, property) {
            Some(Value::String(text)) => Ok(Some(text)),
            None => Ok(None),
            Some(_) => Err(Unreadable::WrongType { property, of: self.of, expected: "string" }),
        }
    }

    fn text(self, property: &'static str) -> Result<&'a str, Unreadable> {
        self.optional_text(property)?.ok_or(Unreadable::Missing { property, of: self.of })
    }

    fn flag(self, property: &'static str) -> Result<bool, Unreadable> {
        match get(self.object, property) {
            Some(Value::Bool(flag)) => Ok(*flag),
            None => Ok(false),
            Some(_) => Err(Unreadable::WrongType { property, of: self.of, expected: "boolean" }),
        }
    }

    fn cloud(self) -> Result<Cloud, Unreadable> {
        Ok(self.optional_text("cloud")?.map(Cloud::from_name).unwrap_or_default())
    }

    /// `None` if it is null: then it follows from the parts. The reference requires that it is present.
    fn raw_id(self) -> Result<Option<String>, Unreadable> {
        if !self.object.contains_key("rawId") {
            return Err(Unreadable::Missing { property: "rawId", of: self.of });
        }
        Ok(self.optional_text("rawId")?.map(str::to_owned))
    }
}

/// Whether the value counts as true in JavaScript.
fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

/// `None` for null too: it means absent.
fn get<'a>(object: &'a Object, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| !value.is_null())
}
