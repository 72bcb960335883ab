//! The kinds of participants, each with its parts.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use super::Cloud;
use super::parts::{IdentifierError, bare, filled, known, space};

/// A user of Azure Communication Services.
#[derive(Clone, Debug)]
pub struct CommunicationUserIdentifier {
    pub(super) raw_id: String,
}

impl CommunicationUserIdentifier {
    /// Makes a user from the id that the service gave: the whole raw id, with its prefix. Only an empty id is refused, so
    /// [`from_raw_id`](crate::identifier::CommunicationIdentifier::from_raw_id) may read the same text as another kind.
    ///
    /// ```
    /// use acs_common::identifier::CommunicationUserIdentifier;
    ///
    /// let user = CommunicationUserIdentifier::new("8:acs:5c8e_9d01")?;
    /// assert_eq!((user.id(), user.raw_id()), ("8:acs:5c8e_9d01", "8:acs:5c8e_9d01"));
    /// # Ok::<(), acs_common::identifier::IdentifierError>(())
    /// ```
    ///
    /// # Errors
    /// [`IdentifierError::Empty`]: the id is empty.
    pub fn new(id: &str) -> Result<Self, IdentifierError> {
        Ok(Self { raw_id: filled("user id", id)?.to_owned() })
    }

    /// The user's id, which is the whole raw id, with its prefix.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.raw_id
    }

    /// The raw id, which is the user's id.
    #[must_use]
    pub fn raw_id(&self) -> &str {
        &self.raw_id
    }
}

/// A phone number.
///
/// Whether it is anonymous, and its asserted id, follow from the number, unless you state them
/// ([`with_anonymous`](Self::with_anonymous), [`with_asserted_id`](Self::with_asserted_id)) or the JSON states them.
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

    /// Makes a phone number from its E.164 form, with the `+`; or from `anonymous`, if the caller withholds the number. Nothing
    /// is checked, and an empty number is accepted: the service checks it.
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

    /// States whether the caller withholds the number. The number and the raw id stay as they are.
    ///
    /// ```
    /// use acs_common::identifier::PhoneNumberIdentifier;
    ///
    /// let hidden = PhoneNumberIdentifier::new("+14255550123").with_anonymous(true);
    /// assert_eq!((hidden.is_anonymous(), hidden.raw_id()), (true, "4:+14255550123"));
    /// ```
    #[must_use]
    pub fn with_anonymous(self, is_anonymous: bool) -> Self {
        Self { is_anonymous, ..self }
    }

    /// States the asserted id, which tells apart participants with the same number. The number and the raw id stay as they
    /// are.
    ///
    /// ```
    /// use acs_common::identifier::PhoneNumberIdentifier;
    ///
    /// let second = PhoneNumberIdentifier::new("+14255550123").with_asserted_id("cd9e-3a45")?;
    /// assert_eq!((second.asserted_id(), second.raw_id()), (Some("cd9e-3a45"), "4:+14255550123"));
    /// # Ok::<(), acs_common::identifier::IdentifierError>(())
    /// ```
    ///
    /// # Errors
    /// [`IdentifierError::Empty`]: the id is empty.
    pub fn with_asserted_id(self, asserted_id: &str) -> Result<Self, IdentifierError> {
        Ok(Self { asserted_id: Some(filled("asserted id", asserted_id)?.to_owned()), ..self })
    }

    /// The number as it was passed in, with an asserted id and its underscore if it holds them.
    #[must_use]
    pub fn phone_number(&self) -> &str {
        &self.phone_number
    }

    /// Whether the caller withholds the number. If that is not stated: whether the number is exactly `anonymous`.
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

    /// The asserted id, which tells apart participants with the same number. If it is not stated: the text after the *last*
    /// underscore of the number. `None` if there is no such text.
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

    /// The raw id: `4:` and the number, unless another one is stated.
    #[must_use]
    pub fn raw_id(&self) -> &str {
        &self.raw_id
    }
}

/// A user of Microsoft Teams: a signed-in user, or a visitor without an account.
#[derive(Clone, Debug)]
pub struct MicrosoftTeamsUserIdentifier {
    pub(super) raw_id: String,
    pub(super) user_id: String,
    pub(super) is_anonymous: bool,
    pub(super) cloud: Option<Cloud>,
}

impl MicrosoftTeamsUserIdentifier {
    /// Makes a signed-in user from the user's Entra object id.
    ///
    /// ```
    /// use acs_common::identifier::{Cloud, MicrosoftTeamsUserIdentifier};
    ///
    /// let user = MicrosoftTeamsUserIdentifier::new("45ab2481", Cloud::Public)?;
    /// assert_eq!(user.raw_id(), "8:orgid:45ab2481");
    ///
    /// let pasted = MicrosoftTeamsUserIdentifier::new("8:orgid:45ab2481", Cloud::Public).unwrap_err();
    /// assert!(pasted.to_string().ends_with("pass the bare id, or read the whole raw id with `from_raw_id`"));
    /// # Ok::<(), acs_common::identifier::IdentifierError>(())
    /// ```
    ///
    /// # Errors
    /// [`IdentifierError`]: the id is empty or holds a `:`, or the cloud is not known. The raw id would not read back as this
    /// user.
    pub fn new(user_id: &str, cloud: Cloud) -> Result<Self, IdentifierError> {
        Ok(Self::of(bare("user id", user_id, &[':'])?, false, Some(known(cloud)?)))
    }

    /// Makes a visitor, who joined without signing in and is anonymous.
    ///
    /// ```
    /// use acs_common::identifier::MicrosoftTeamsUserIdentifier;
    ///
    /// let visitor = MicrosoftTeamsUserIdentifier::visitor("45ab2481")?;
    /// assert_eq!((visitor.raw_id(), visitor.cloud()), ("8:teamsvisitor:45ab2481", None));
    /// # Ok::<(), acs_common::identifier::IdentifierError>(())
    /// ```
    ///
    /// # Errors
    /// [`IdentifierError`]: the id is empty or holds a `:`. The raw id would not read back as this visitor.
    pub fn visitor(user_id: &str) -> Result<Self, IdentifierError> {
        Ok(Self::of(bare("user id", user_id, &[':'])?, true, None))
    }

    pub(super) fn of(user_id: &str, is_anonymous: bool, cloud: Option<Cloud>) -> Self {
        let space = if is_anonymous { "teamsvisitor" } else { space(cloud.as_ref(), ["orgid", "dod", "gcch"]) };
        Self { raw_id: format!("8:{space}:{user_id}"), user_id: user_id.to_owned(), is_anonymous, cloud }
    }

    /// The user's Entra object id. A visitor has an id from the meeting.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// Whether the user is a visitor.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.is_anonymous
    }

    /// The user's cloud. `None` for a visitor that was read from a raw id, which does not state it. JSON without a cloud means
    /// [`Cloud::Public`].
    #[must_use]
    pub fn cloud(&self) -> Option<&Cloud> {
        self.cloud.as_ref()
    }

    /// The raw id.
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
    /// Makes an app from its Entra object id.
    ///
    /// ```
    /// use acs_common::identifier::{Cloud, MicrosoftTeamsAppIdentifier};
    ///
    /// let app = MicrosoftTeamsAppIdentifier::new("01234567", Cloud::Gcch)?;
    /// assert_eq!(app.raw_id(), "28:gcch:01234567");
    /// # Ok::<(), acs_common::identifier::IdentifierError>(())
    /// ```
    ///
    /// # Errors
    /// [`IdentifierError`]: the id is empty or holds a `:`, or the cloud is not known. The raw id would not read back as this
    /// app.
    pub fn new(app_id: &str, cloud: Cloud) -> Result<Self, IdentifierError> {
        Ok(Self::of(bare("app id", app_id, &[':'])?, known(cloud)?))
    }

    pub(super) fn of(app_id: &str, cloud: Cloud) -> Self {
        let space = space(Some(&cloud), ["orgid", "dod", "gcch"]);
        Self { raw_id: format!("28:{space}:{app_id}"), app_id: app_id.to_owned(), cloud }
    }

    /// The app's Entra object id.
    #[must_use]
    pub fn app_id(&self) -> &str {
        &self.app_id
    }

    /// The cloud the app belongs to.
    #[must_use]
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// The raw id.
    #[must_use]
    pub fn raw_id(&self) -> &str {
        &self.raw_id
    }
}

/// An Entra user who uses a resource of Azure Communication Services.
///
/// The raw id looks like that of a communication user, but has exactly three parts between underscores. The parts may be empty
/// (`8:acs:__`). With two or four parts it is a communication user.
#[derive(Clone, Debug)]
pub struct TeamsExtensionUserIdentifier {
    pub(super) raw_id: String,
    pub(super) resource_id: String,
    pub(super) tenant_id: String,
    pub(super) user_id: String,
    pub(super) cloud: Cloud,
}

impl TeamsExtensionUserIdentifier {
    /// Makes a user from the parts, in the order of the raw id.
    ///
    /// ```
    /// use acs_common::identifier::{Cloud, TeamsExtensionUserIdentifier};
    ///
    /// let user = TeamsExtensionUserIdentifier::new("resource", "tenant", "user", Cloud::Dod)?;
    /// assert_eq!(user.raw_id(), "8:dod-acs:resource_tenant_user");
    /// # Ok::<(), acs_common::identifier::IdentifierError>(())
    /// ```
    ///
    /// # Errors
    /// [`IdentifierError`]: a part is empty or holds a `:` or a `_`, or the cloud is not known. The raw id would not read back
    /// as this user.
    pub fn new(resource_id: &str, tenant_id: &str, user_id: &str, cloud: Cloud) -> Result<Self, IdentifierError> {
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

    /// The raw id.
    #[must_use]
    pub fn raw_id(&self) -> &str {
        &self.raw_id
    }
}

/// A participant of a kind that this version does not know. Its raw id is kept as it is.
#[derive(Clone, Debug)]
pub struct UnknownIdentifier {
    pub(super) raw_id: String,
}

impl UnknownIdentifier {
    /// The raw id.
    ///
    /// ```
    /// use acs_common::identifier::CommunicationIdentifier;
    ///
    /// let unknown = CommunicationIdentifier::from_raw_id("48:45ab2481");
    /// let CommunicationIdentifier::Unknown(unknown) = unknown else { panic!() };
    /// assert_eq!(unknown.raw_id(), "48:45ab2481");
    /// ```
    #[must_use]
    pub fn raw_id(&self) -> &str {
        &self.raw_id
    }
}

macro_rules! state_their_raw_id {
    ($($type:ident)*) => {$(
        impl $type {
            /// States the raw id that the service gave. It replaces the one that follows from the parts. The parts stay as they
            /// are.
            ///
            /// # Errors
            /// [`IdentifierError::Empty`]: the raw id is empty.
            pub fn with_raw_id(self, raw_id: &str) -> Result<Self, IdentifierError> {
                Ok(Self { raw_id: filled("raw id", raw_id)?.to_owned(), ..self })
            }
        }
    )*};
}

state_their_raw_id! {
    PhoneNumberIdentifier MicrosoftTeamsUserIdentifier MicrosoftTeamsAppIdentifier TeamsExtensionUserIdentifier
}
