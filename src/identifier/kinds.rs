//! The kinds of participants, each with its parts.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::fmt;

/// The cloud that a Microsoft Teams user, app or tenant belongs to.
///
/// ```
/// use acs_common::identifier::Cloud;
///
/// assert_eq!(Cloud::default(), Cloud::Public);
/// assert_eq!(Cloud::Gcch.as_str(), "gcch");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cloud {
    /// The public one.
    #[default]
    Public,
    /// That of the US Department of Defense.
    Dod,
    /// That of the US government (Government Community Cloud High).
    Gcch,
    /// One that a service named, and this version does not know.
    Other(OtherCloud),
}

impl Cloud {
    /// Its name in JSON.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Public => "public",
            Self::Dod => "dod",
            Self::Gcch => "gcch",
            Self::Other(other) => other.as_str(),
        }
    }

    #[cfg(feature = "serde")]
    pub(super) fn from_name(name: &str) -> Self {
        match name {
            "public" => Self::Public,
            "dod" => Self::Dod,
            "gcch" => Self::Gcch,
            _ => Self::Other(OtherCloud(name.to_owned())),
        }
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The name of a cloud that this version does not know. Only JSON brings one: no raw id is known that would.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OtherCloud(String);

impl OtherCloud {
    /// The name, as the service wrote it: case counts.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A user of Azure Communication Services. There is no constructor: the service makes the ids, and
/// [`from_raw_id`](crate::identifier::CommunicationIdentifier::from_raw_id) reads them.
#[derive(Clone, Debug)]
pub struct CommunicationUserIdentifier {
    pub(super) raw_id: String,
}

impl CommunicationUserIdentifier {
    /// The user's id, which is the whole raw id, prefix and all.
    ///
    /// ```
    /// use acs_common::identifier::CommunicationIdentifier;
    ///
    /// let user = CommunicationIdentifier::from_raw_id("8:acs:5c8e_9d01");
    /// let CommunicationIdentifier::CommunicationUser(user) = user else { panic!() };
    /// assert_eq!(user.id(), "8:acs:5c8e_9d01");
    /// ```
    #[must_use]
    pub fn id(&self) -> &str {
        &self.raw_id
    }

    /// The same.
    #[must_use]
    pub fn raw_id(&self) -> &str {
        &self.raw_id
    }
}

/// A phone number.
///
/// Made here or read from a raw id, whether it is anonymous and which id was asserted with it follow from the number
/// itself; JSON states them, and is believed.
#[derive(Clone, Debug)]
pub struct PhoneNumberIdentifier {
    pub(super) raw_id: String,
    pub(super) phone_number: String,
    pub(super) is_anonymous: bool,
    pub(super) asserted_id: Option<String>,
}

impl PhoneNumberIdentifier {
    pub(super) const PREFIX: &str = "4:";
    const ANONYMOUS: &str = "anonymous";

    /// The number in the form of E.164, its `+` included; `anonymous` for a caller who withholds it. Nothing is checked:
    /// the service does that.
    ///
    /// ```
    /// use acs_common::identifier::PhoneNumberIdentifier;
    ///
    /// let number = PhoneNumberIdentifier::new("+14255550123");
    /// assert_eq!((number.raw_id(), number.is_anonymous()), ("4:+14255550123", false));
    /// assert!(PhoneNumberIdentifier::new("anonymous").is_anonymous());
    /// ```
    #[must_use]
    pub fn new(phone_number: &str) -> Self {
        let asserted = phone_number.rsplit_once('_').map(|(_, asserted_id)| asserted_id);
        Self {
            raw_id: format!("{}{phone_number}", Self::PREFIX),
            phone_number: phone_number.to_owned(),
            is_anonymous: phone_number == Self::ANONYMOUS,
            asserted_id: asserted.filter(|asserted_id| !asserted_id.is_empty()).map(ToOwned::to_owned),
        }
    }

    /// The number as it was given, an asserted id and the underscore before it included.
    #[must_use]
    pub fn phone_number(&self) -> &str {
        &self.phone_number
    }

    /// Whether the caller withholds his number: it is `anonymous`, that and nothing more.
    ///
    /// ```
    /// use acs_common::identifier::PhoneNumberIdentifier;
    ///
    /// assert!(!PhoneNumberIdentifier::new("anonymous_12").is_anonymous());
    /// ```
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.is_anonymous
    }

    /// What tells apart several participants with one number: the text behind the *last* underscore, if there is one
    /// and any text behind it, whatever stands before it.
    ///
    /// ```
    /// use acs_common::identifier::PhoneNumberIdentifier;
    ///
    /// let asserted = |number| PhoneNumberIdentifier::new(number).asserted_id().map(str::to_owned);
    /// assert_eq!(asserted("+14255550123_cd9e-3a45").as_deref(), Some("cd9e-3a45"));
    /// assert_eq!(asserted("+1_2_3").as_deref(), Some("3"));
    /// assert_eq!(asserted("_123").as_deref(), Some("123"));
    /// assert_eq!(asserted("+14255550123_"), None);
    /// ```
    #[must_use]
    pub fn asserted_id(&self) -> Option<&str> {
        self.asserted_id.as_deref()
    }

    /// `4:` and the number.
    #[must_use]
    pub fn raw_id(&self) -> &str {
        &self.raw_id
    }
}

/// A user of Microsoft Teams: signed in, or a visitor without an account.
#[derive(Clone, Debug)]
pub struct MicrosoftTeamsUserIdentifier {
    pub(super) raw_id: String,
    pub(super) user_id: String,
    pub(super) is_anonymous: bool,
    pub(super) cloud: Option<Cloud>,
}

impl MicrosoftTeamsUserIdentifier {
    /// A user who has signed in, by his Entra object id.
    ///
    /// ```
    /// use acs_common::identifier::{Cloud, MicrosoftTeamsUserIdentifier};
    ///
    /// let user = MicrosoftTeamsUserIdentifier::new("45ab2481", Cloud::Public)?;
    /// assert_eq!(user.raw_id(), "8:orgid:45ab2481");
    ///
    /// let pasted = MicrosoftTeamsUserIdentifier::new("8:orgid:45ab2481", Cloud::Public).unwrap_err();
    /// assert!(pasted.to_string().ends_with("pass the bare id, or read the whole raw id with `from_raw_id`"));
    /// # Ok::<(), acs_common::identifier::InvalidIdentifier>(())
    /// ```
    ///
    /// # Errors
    /// If the raw id would not read back as this user.
    pub fn new(user_id: &str, cloud: Cloud) -> Result<Self, InvalidIdentifier> {
        Ok(Self::of(bare("user id", user_id, &[':'])?, false, Some(known(cloud)?)))
    }

    /// A visitor: joined without signing in.
    ///
    /// ```
    /// use acs_common::identifier::MicrosoftTeamsUserIdentifier;
    ///
    /// let visitor = MicrosoftTeamsUserIdentifier::visitor("45ab2481")?;
    /// assert_eq!((visitor.raw_id(), visitor.cloud()), ("8:teamsvisitor:45ab2481", None));
    /// # Ok::<(), acs_common::identifier::InvalidIdentifier>(())
    /// ```
    ///
    /// # Errors
    /// If the raw id would not read back as this visitor.
    pub fn visitor(user_id: &str) -> Result<Self, InvalidIdentifier> {
        Ok(Self::of(bare("user id", user_id, &[':'])?, true, None))
    }

    pub(super) fn of(user_id: &str, is_anonymous: bool, cloud: Option<Cloud>) -> Self {
        let space = if is_anonymous { "teamsvisitor" } else { space(cloud.as_ref(), ["orgid", "dod", "gcch"]) };
        Self { raw_id: format!("8:{space}:{user_id}"), user_id: user_id.to_owned(), is_anonymous, cloud }
    }

    /// The Entra object id; a visitor's id is the meeting's own.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// Whether it is a visitor.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.is_anonymous
    }

    /// The cloud, if it is stated: a visitor's raw id does not. JSON cannot leave it open, and says `public` then.
    #[must_use]
    pub fn cloud(&self) -> Option<&Cloud> {
        self.cloud.as_ref()
    }

    /// What names this user.
    #[must_use]
    pub fn raw_id(&self) -> &str {
        &self.raw_id
    }
}

/// An app in Microsoft Teams: a bot, a call queue, an auto attendant.
#[derive(Clone, Debug)]
pub struct MicrosoftTeamsAppIdentifier {
    pub(super) raw_id: String,
    pub(super) app_id: String,
    pub(super) cloud: Cloud,
}

impl MicrosoftTeamsAppIdentifier {
    /// An app, by its Entra object id.
    ///
    /// ```
    /// use acs_common::identifier::{Cloud, MicrosoftTeamsAppIdentifier};
    ///
    /// let app = MicrosoftTeamsAppIdentifier::new("01234567", Cloud::Gcch)?;
    /// assert_eq!(app.raw_id(), "28:gcch:01234567");
    /// # Ok::<(), acs_common::identifier::InvalidIdentifier>(())
    /// ```
    ///
    /// # Errors
    /// If the raw id would not read back as this app.
    pub fn new(app_id: &str, cloud: Cloud) -> Result<Self, InvalidIdentifier> {
        Ok(Self::of(bare("app id", app_id, &[':'])?, known(cloud)?))
    }

    pub(super) fn of(app_id: &str, cloud: Cloud) -> Self {
        let space = space(Some(&cloud), ["orgid", "dod", "gcch"]);
        Self { raw_id: format!("28:{space}:{app_id}"), app_id: app_id.to_owned(), cloud }
    }

    /// The Entra object id.
    #[must_use]
    pub fn app_id(&self) -> &str {
        &self.app_id
    }

    /// The cloud the app belongs to.
    #[must_use]
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// What names this app.
    #[must_use]
    pub fn raw_id(&self) -> &str {
        &self.raw_id
    }
}

/// An Entra user who uses a resource of Azure Communication Services.
///
/// His raw id looks like that of a communication user, with three parts between underscores: exactly three make it one of
/// these, even if all are empty (`8:acs:__`), two or four leave it a communication user.
#[derive(Clone, Debug)]
pub struct TeamsExtensionUserIdentifier {
    pub(super) raw_id: String,
    pub(super) resource_id: String,
    pub(super) tenant_id: String,
    pub(super) user_id: String,
    pub(super) cloud: Cloud,
}

impl TeamsExtensionUserIdentifier {
    /// The parts, in the order in which the raw id has them.
    ///
    /// ```
    /// use acs_common::identifier::{Cloud, TeamsExtensionUserIdentifier};
    ///
    /// let user = TeamsExtensionUserIdentifier::new("resource", "tenant", "user", Cloud::Dod)?;
    /// assert_eq!(user.raw_id(), "8:dod-acs:resource_tenant_user");
    /// # Ok::<(), acs_common::identifier::InvalidIdentifier>(())
    /// ```
    ///
    /// # Errors
    /// If the raw id would not read back as this user.
    pub fn new(resource_id: &str, tenant_id: &str, user_id: &str, cloud: Cloud) -> Result<Self, InvalidIdentifier> {
        Ok(Self::of(
            bare("resource id", resource_id, &[':', '_'])?,
            bare("tenant id", tenant_id, &[':', '_'])?,
            bare("user id", user_id, &[':', '_'])?,
            known(cloud)?,
        ))
    }

    pub(super) fn of(resource_id: &str, tenant_id: &str, user_id: &str, cloud: Cloud) -> Self {
        let space = space(Some(&cloud), ["acs", "dod-acs", "gcch-acs"]);
        Self {
            raw_id: format!("8:{space}:{resource_id}_{tenant_id}_{user_id}"),
            resource_id: resource_id.to_owned(),
            tenant_id: tenant_id.to_owned(),
            user_id: user_id.to_owned(),
            cloud,
        }
    }

    /// The immutable id of the resource of Azure Communication Services.
    #[must_use]
    pub fn resource_id(&self) -> &str {
        &self.resource_id
    }

    /// The id of the user's Entra tenant.
    #[must_use]
    pub fn tenant_id(&self) -> &str {
        &self.tenant_id
    }

    /// The user's Entra object id.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// The cloud the resource belongs to.
    #[must_use]
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// What names this user.
    #[must_use]
    pub fn raw_id(&self) -> &str {
        &self.raw_id
    }
}

/// A participant of a kind that this version does not know; its raw id is kept as it is.
#[derive(Clone, Debug)]
pub struct UnknownIdentifier {
    pub(super) raw_id: String,
}

impl UnknownIdentifier {
    /// All that is known.
    ///
    /// ```
    /// use acs_common::identifier::CommunicationIdentifier;
    ///
    /// let stranger = CommunicationIdentifier::from_raw_id("48:45ab2481");
    /// let CommunicationIdentifier::Unknown(stranger) = stranger else { panic!() };
    /// assert_eq!(stranger.raw_id(), "48:45ab2481");
    /// ```
    #[must_use]
    pub fn raw_id(&self) -> &str {
        &self.raw_id
    }
}

/// Why an identifier cannot be made of these parts.
///
/// ```
/// use acs_common::identifier::{Cloud, InvalidIdentifier, TeamsExtensionUserIdentifier};
///
/// let refused = TeamsExtensionUserIdentifier::new("resource", "tenant", "the_user", Cloud::Public).unwrap_err();
/// assert!(matches!(refused, InvalidIdentifier::Separator { part: "user id", separator: '_', .. }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidIdentifier {
    /// A part is empty.
    #[error("the {part} is empty: pass the id that the service or Entra gave")]
    #[non_exhaustive]
    Empty {
        /// Which part.
        part: &'static str,
    },
    /// A part holds what separates the parts of a raw id.
    #[error(
        "the {part} holds a `{separator}`, which separates the parts of a raw id: pass the bare id, or read the whole raw id with `from_raw_id`"
    )]
    #[non_exhaustive]
    Separator {
        /// Which part.
        part: &'static str,
        /// What it holds.
        separator: char,
    },
    /// How raw ids of this cloud look is not known.
    #[error("no form of raw id is known for this cloud: read the raw id that the service gave with `from_raw_id`")]
    UnknownCloud,
}

fn bare<'a>(part: &'static str, id: &'a str, separators: &[char]) -> Result<&'a str, InvalidIdentifier> {
    match id.chars().find(|letter| separators.contains(letter)) {
        Some(separator) => Err(InvalidIdentifier::Separator { part, separator }),
        None if id.is_empty() => Err(InvalidIdentifier::Empty { part }),
        None => Ok(id),
    }
}

fn known(cloud: Cloud) -> Result<Cloud, InvalidIdentifier> {
    if matches!(cloud, Cloud::Other(_)) { Err(InvalidIdentifier::UnknownCloud) } else { Ok(cloud) }
}

/// What says the cloud in a raw id; one that is not known counts as the public one, as it does for the reference.
fn space(cloud: Option<&Cloud>, [public, dod, gcch]: [&'static str; 3]) -> &'static str {
    match cloud {
        Some(Cloud::Public | Cloud::Other(_)) | None => public,
        Some(Cloud::Dod) => dod,
        Some(Cloud::Gcch) => gcch,
    }
}
