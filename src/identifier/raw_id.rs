//! From raw id to identifier, and the traits that every kind has by its raw id.

use alloc::borrow::ToOwned;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::convert::Infallible;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;

use super::{
    Cloud, CommunicationIdentifier, CommunicationUserIdentifier, MicrosoftTeamsAppIdentifier,
    MicrosoftTeamsUserIdentifier, PhoneNumberIdentifier, TeamsExtensionUserIdentifier, UnknownIdentifier,
};

pub(super) fn read(raw_id: &str) -> CommunicationIdentifier {
    if let Some(number) = raw_id.strip_prefix(PhoneNumberIdentifier::PREFIX) {
        return PhoneNumberIdentifier::new(number).into();
    }
    let mut segments = raw_id.split(':');
    match (segments.next(), segments.next(), segments.next(), segments.next()) {
        (Some("8"), Some(space), Some(id), None) => user(raw_id, space, id),
        (Some("28"), Some(space), Some(id), None) => app(space, id),
        _ => None,
    }
    .unwrap_or_else(|| UnknownIdentifier { raw_id: raw_id.to_owned() }.into())
}

fn user(raw_id: &str, space: &str, id: &str) -> Option<CommunicationIdentifier> {
    let communication_user = || CommunicationUserIdentifier { raw_id: raw_id.to_owned() }.into();
    let in_resource = |cloud| extension_user(id, cloud).unwrap_or_else(communication_user);
    let in_teams = |cloud| MicrosoftTeamsUserIdentifier::of(id, false, Some(cloud)).into();
    Some(match space {
        "acs" => in_resource(Cloud::Public),
        "dod-acs" => in_resource(Cloud::Dod),
        "gcch-acs" => in_resource(Cloud::Gcch),
        "spool" => communication_user(),
        "orgid" => in_teams(Cloud::Public),
        "dod" => in_teams(Cloud::Dod),
        "gcch" => in_teams(Cloud::Gcch),
        "teamsvisitor" => MicrosoftTeamsUserIdentifier::of(id, true, None).into(),
        _ => return None,
    })
}

/// `None` unless there are exactly three parts, which may be empty.
fn extension_user(id: &str, cloud: Cloud) -> Option<CommunicationIdentifier> {
    let mut parts = id.split('_');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(resource_id), Some(tenant_id), Some(user_id), None) => {
            Some(TeamsExtensionUserIdentifier::of(resource_id, tenant_id, user_id, cloud).into())
        }
        _ => None,
    }
}

fn app(space: &str, id: &str) -> Option<CommunicationIdentifier> {
    let cloud = match space {
        "orgid" => Cloud::Public,
        "dod" => Cloud::Dod,
        "gcch" => Cloud::Gcch,
        _ => return None,
    };
    Some(MicrosoftTeamsAppIdentifier::of(id, cloud).into())
}

impl From<&str> for CommunicationIdentifier {
    fn from(raw_id: &str) -> Self {
        Self::from_raw_id(raw_id)
    }
}

impl FromStr for CommunicationIdentifier {
    type Err = Infallible;

    fn from_str(raw_id: &str) -> Result<Self, Infallible> {
        Ok(Self::from_raw_id(raw_id))
    }
}

/// Equality, order, hash and text are those of the raw id, so that a map can be searched by it.
macro_rules! known_by_raw_id {
    ($($type:ident)*) => {$(
        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.raw_id() == other.raw_id()
            }
        }

        impl Eq for $type {}

        impl PartialOrd for $type {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $type {
            fn cmp(&self, other: &Self) -> Ordering {
                self.raw_id().cmp(other.raw_id())
            }
        }

        impl Hash for $type {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.raw_id().hash(state);
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                self.raw_id()
            }
        }

        /// The raw id.
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.raw_id())
            }
        }
    )*};
}

known_by_raw_id! {
    CommunicationIdentifier CommunicationUserIdentifier PhoneNumberIdentifier MicrosoftTeamsUserIdentifier
    MicrosoftTeamsAppIdentifier TeamsExtensionUserIdentifier UnknownIdentifier
}

macro_rules! is_one {
    ($($variant:ident $type:ident)*) => {$(
        impl From<$type> for CommunicationIdentifier {
            fn from(identifier: $type) -> Self {
                Self::$variant(identifier)
            }
        }
    )*};
}

is_one! {
    CommunicationUser CommunicationUserIdentifier
    PhoneNumber PhoneNumberIdentifier
    MicrosoftTeamsUser MicrosoftTeamsUserIdentifier
    MicrosoftTeamsApp MicrosoftTeamsAppIdentifier
    TeamsExtensionUser TeamsExtensionUserIdentifier
    Unknown UnknownIdentifier
}
