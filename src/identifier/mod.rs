//! Who takes part: communication users, phone numbers, Microsoft Teams users and apps, Teams extension users, and
//! whoever else the service may name one day.
//!
//! The services name a participant by a *raw id*, one string; and, in JSON, by its parts with the raw id beside them
//! (feature `serde`). [`CommunicationIdentifier`] is read from either and written to either.
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
//! Identifiers are personal data, but no secrets: `Debug` and `Display` show them.

mod kinds;
mod raw_id;
#[cfg(feature = "serde")]
mod wire;

pub use kinds::{
    Cloud, CommunicationUserIdentifier, InvalidIdentifier, MicrosoftTeamsAppIdentifier, MicrosoftTeamsUserIdentifier,
    OtherCloud, PhoneNumberIdentifier, TeamsExtensionUserIdentifier, UnknownIdentifier,
};

/// A participant of whichever kind.
///
/// **Two are equal if their raw ids are**, and they are hashed and ordered by them: the raw id is what the services
/// compare, and JSON may state what a raw id leaves open (a Teams visitor's cloud) about the same participant.
///
/// With the feature `serde` it is read from and written as the JSON of the REST services: the raw id, and at most one
/// nested object whose name says the kind.
///
/// - Written, the raw id is always there. Read, the one that is there wins, whatever the parts say; only a communication
///   user is named by its `id` alone.
/// - A missing property is an error that names it and the object it belongs to; so is a second nested object, a `null` one
///   too. `null` reads as the default where there is one (not anonymous, no asserted id, no cloud stated, the raw id
///   that follows from the parts), and as missing where there is none.
/// - A `kind` beside the nested object is optional; a `kind` without its object, or one that nobody knows, makes it
///   [`Unknown`](Self::Unknown), of which nothing but the raw id is kept. Other properties are ignored.
/// - A cloud that nobody knows is kept as [`Cloud::Other`].
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
    /// One of a kind this version does not know.
    Unknown(UnknownIdentifier),
}

impl CommunicationIdentifier {
    /// Reads any text: what is of no known form is [`Unknown`](Self::Unknown), and keeps its text. Whatever comes out,
    /// its [`raw_id`](Self::raw_id) is the text that went in.
    ///
    /// Prefixes are compared with regard to case, and no part but a phone number may hold a colon. Parts may be empty.
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

    /// The one string that names this participant: for storing, comparing, and for services that want no more.
    ///
    /// ```
    /// use acs_common::identifier::{Cloud, CommunicationIdentifier, MicrosoftTeamsAppIdentifier};
    ///
    /// let bot = MicrosoftTeamsAppIdentifier::new("01234567", Cloud::Dod)?;
    /// assert_eq!(CommunicationIdentifier::from(bot).raw_id(), "28:dod:01234567");
    /// # Ok::<(), acs_common::identifier::InvalidIdentifier>(())
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
