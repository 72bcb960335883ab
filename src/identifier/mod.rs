//! The participants of a call or a chat: communication users, phone numbers, Microsoft Teams users and apps, Teams extension
//! users, and kinds that the service may add later.
//!
//! The services name a participant by its *raw id*, one string. In JSON they name it by its parts, with the raw id beside them
//! (feature `serde`). [`CommunicationIdentifier`] reads and writes both.
//!
//! ```
//! use acs_common::identifier::{Cloud, CommunicationIdentifier, PhoneNumberIdentifier};
//! use std::collections::HashMap;
//!
//! let caller = CommunicationIdentifier::from_raw_id("8:gcch:45ab2481-1c1c-4005-be24-0ffb879b1130");
//! let CommunicationIdentifier::MicrosoftTeamsUser(user) = &caller else { panic!() };
//! assert_eq!((user.user_id(), user.cloud()), ("45ab2481-1c1c-4005-be24-0ffb879b1130", Some(&Cloud::Gcch)));
//!
//! let called = PhoneNumberIdentifier::new("+14255550123");
//! assert_eq!(called.to_string(), "4:+14255550123");
//!
//! let lines = HashMap::from([(caller, 1), (called.into(), 2)]);
//! assert_eq!(lines.get("4:+14255550123"), Some(&2), "maps are searched by raw id too");
//! ```
//!
//! Identifiers are personal data, but not secrets: `Debug` and `Display` show them.

mod cloud;
mod kinds;
mod parts;
mod raw_id;
#[cfg(feature = "serde")]
mod wire;

pub use cloud::{Cloud, OtherCloud};
pub use kinds::{
    CommunicationUserIdentifier, MicrosoftTeamsAppIdentifier, MicrosoftTeamsUserIdentifier, PhoneNumberIdentifier,
    TeamsExtensionUserIdentifier, UnknownIdentifier,
};
pub use parts::IdentifierError;

const COMMUNICATION_USER: &str = "communicationUser";
const PHONE_NUMBER: &str = "phoneNumber";
const MICROSOFT_TEAMS_USER: &str = "microsoftTeamsUser";
const MICROSOFT_TEAMS_APP: &str = "microsoftTeamsApp";
const TEAMS_EXTENSION_USER: &str = "teamsExtensionUser";
const UNKNOWN: &str = "unknown";

/// A participant of any kind.
///
/// **Two identifiers are equal if their raw ids are equal.** Hash and order are those of the raw id too. The services compare
/// raw ids, and JSON may state more about the same participant than the raw id (a Teams visitor's cloud).
///
/// The feature `serde` reads and writes it as the JSON of the REST services: the raw id, and at most one nested object whose
/// name is the kind.
///
/// - The raw id is always written. The raw id that is read counts, even if the parts do not match it. Only a communication
///   user is read from its `id` alone.
/// - `null` means absent, for a nested object too. A second nested object is an error.
/// - A missing property takes its default: `isAnonymous` is false, `cloud` is public, there is no `assertedId`. If it has
///   no default, the error names the property and its object.
/// - The raw id is required. If it is `null` beside a nested object, it follows from the parts.
/// - A `kind` beside the nested object is optional. A `kind` without its object, or one that is not known, makes it
///   [`Unknown`](Self::Unknown): only the raw id is kept. Other properties are ignored.
/// - Kinds and clouds are compared without regard to case. A cloud that is not known is kept as [`Cloud::Other`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CommunicationIdentifier {
    /// A user of Azure Communication Services.
    CommunicationUser(CommunicationUserIdentifier),
    /// A phone number.
    PhoneNumber(PhoneNumberIdentifier),
    /// A user of Microsoft Teams, signed in or a visitor.
    MicrosoftTeamsUser(MicrosoftTeamsUserIdentifier),
    /// An app in Microsoft Teams: a bot, a call queue.
    MicrosoftTeamsApp(MicrosoftTeamsAppIdentifier),
    /// An Entra user who uses a resource of Azure Communication Services.
    TeamsExtensionUser(TeamsExtensionUserIdentifier),
    /// A participant of a kind that this version does not know.
    Unknown(UnknownIdentifier),
}

impl CommunicationIdentifier {
    /// Reads any text. It never fails: a text of a form that is not known becomes [`Unknown`](Self::Unknown). The
    /// [`raw_id`](Self::raw_id) is always the text that was read.
    ///
    /// Prefixes are compared with regard to case. Only a phone number may hold a colon. Parts may be empty.
    ///
    /// ```
    /// use acs_common::identifier::CommunicationIdentifier;
    ///
    /// for raw_id in ["8:acs:5c8e_9d01", "4:anonymous", "28:orgid:01234567", "48:a kind of tomorrow", ""] {
    ///     assert_eq!(CommunicationIdentifier::from_raw_id(raw_id).raw_id(), raw_id);
    /// }
    /// assert!(matches!(CommunicationIdentifier::from_raw_id("8:ORGID:x"), CommunicationIdentifier::Unknown(_)));
    /// ```
    #[must_use]
    pub fn from_raw_id(raw_id: &str) -> Self {
        raw_id::read(raw_id)
    }

    /// The kind, as the reference and the JSON of the services name it.
    ///
    /// ```
    /// use acs_common::identifier::CommunicationIdentifier;
    ///
    /// let kind = |raw_id| CommunicationIdentifier::from_raw_id(raw_id).kind();
    /// assert_eq!((kind("8:acs:5c8e_9d01"), kind("4:+14255550123")), ("communicationUser", "phoneNumber"));
    /// assert_eq!((kind("8:orgid:45ab2481"), kind("28:orgid:01234567")), ("microsoftTeamsUser", "microsoftTeamsApp"));
    /// assert_eq!((kind("8:acs:a_b_c"), kind("48:45ab2481")), ("teamsExtensionUser", "unknown"));
    /// ```
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CommunicationUser(_) => COMMUNICATION_USER,
            Self::PhoneNumber(_) => PHONE_NUMBER,
            Self::MicrosoftTeamsUser(_) => MICROSOFT_TEAMS_USER,
            Self::MicrosoftTeamsApp(_) => MICROSOFT_TEAMS_APP,
            Self::TeamsExtensionUser(_) => TEAMS_EXTENSION_USER,
            Self::Unknown(_) => UNKNOWN,
        }
    }

    /// The string that names this participant. Use it to store and to compare participants, and for services that take only
    /// this.
    ///
    /// ```
    /// use acs_common::identifier::{Cloud, CommunicationIdentifier, MicrosoftTeamsAppIdentifier};
    ///
    /// let bot = MicrosoftTeamsAppIdentifier::new("01234567", Cloud::Dod)?;
    /// assert_eq!(CommunicationIdentifier::from(bot).raw_id(), "28:dod:01234567");
    /// # Ok::<(), acs_common::identifier::IdentifierError>(())
    /// ```
    #[must_use]
    pub fn raw_id(&self) -> &str {
        match self {
            Self::CommunicationUser(user) => user.raw_id(),
            Self::PhoneNumber(number) => number.raw_id(),
            Self::MicrosoftTeamsUser(user) => user.raw_id(),
            Self::MicrosoftTeamsApp(app) => app.raw_id(),
            Self::TeamsExtensionUser(user) => user.raw_id(),
            Self::Unknown(unknown) => unknown.raw_id(),
        }
    }
}
