//! The Microsoft clouds.

#[cfg(feature = "serde")]
use alloc::borrow::ToOwned as _;
use alloc::string::String;
use core::fmt;
use core::hash::{Hash, Hasher};

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
    /// The public cloud.
    #[default]
    Public,
    /// The cloud of the US Department of Defense.
    Dod,
    /// The cloud of the US government (Government Community Cloud High).
    Gcch,
    /// A cloud in a service's JSON that this version does not know.
    Other(OtherCloud),
}

impl Cloud {
    /// The cloud's name in JSON.
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
        let known = [Self::Public, Self::Dod, Self::Gcch];
        let same = |cloud: &Self| cloud.as_str().eq_ignore_ascii_case(name);
        known.into_iter().find(same).unwrap_or_else(|| Self::Other(OtherCloud(name.to_owned())))
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The name of a cloud that this version does not know. It comes from JSON only, never from a raw id.
///
/// Two of them are equal if their names are equal without regard to case.
#[derive(Clone, Debug)]
pub struct OtherCloud(String);

impl OtherCloud {
    /// The name, as the service wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for OtherCloud {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for OtherCloud {}

impl Hash for OtherCloud {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_ascii_lowercase().hash(state);
    }
}
