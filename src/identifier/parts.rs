//! The parts of identifiers, and their checks.

use super::Cloud;

/// Why an identifier cannot be made from these parts.
///
/// ```
/// use acs_common::identifier::{Cloud, IdentifierError, TeamsExtensionUserIdentifier};
///
/// let refused = TeamsExtensionUserIdentifier::new("resource", "tenant", "the_user", Cloud::Public).unwrap_err();
/// assert!(matches!(refused, IdentifierError::Separator { part: "user id", separator: '_', .. }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentifierError {
    /// A part is empty.
    #[error("the {part} is empty: pass the one that the service or Entra gave")]
    #[non_exhaustive]
    Empty {
        /// Which part.
        part: &'static str,
    },
    /// A part holds a separator of the parts of a raw id.
    #[error(
        "the {part} holds a `{separator}`, which separates the parts of a raw id: pass the bare id, or read the whole raw id with `from_raw_id`"
    )]
    #[non_exhaustive]
    Separator {
        /// Which part.
        part: &'static str,
        /// The separator.
        separator: char,
    },
    /// The form of raw ids in this cloud is not known.
    #[error("the form of raw ids in this cloud is not known: read the raw id that the service gave with `from_raw_id`")]
    UnknownCloud,
}

pub(super) fn bare<'a>(part: &'static str, id: &'a str, separators: &[char]) -> Result<&'a str, IdentifierError> {
    match id.chars().find(|letter| separators.contains(letter)) {
        Some(separator) => Err(IdentifierError::Separator { part, separator }),
        None => filled(part, id),
    }
}

pub(super) fn filled<'a>(part: &'static str, text: &'a str) -> Result<&'a str, IdentifierError> {
    if text.is_empty() { Err(IdentifierError::Empty { part }) } else { Ok(text) }
}

pub(super) fn known(cloud: Cloud) -> Result<Cloud, IdentifierError> {
    if matches!(cloud, Cloud::Other(_)) { Err(IdentifierError::UnknownCloud) } else { Ok(cloud) }
}

/// The part of a raw id that states the cloud. A cloud that is not known counts as the public one, as in the reference.
pub(super) fn space(cloud: Option<&Cloud>, [public, dod, gcch]: [&'static str; 3]) -> &'static str {
    match cloud {
        Some(Cloud::Public | Cloud::Other(_)) | None => public,
        Some(Cloud::Dod) => dod,
        Some(Cloud::Gcch) => gcch,
    }
}
