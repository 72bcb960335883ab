//! A store with the caller's keys.

use std::fmt;
use std::sync::Arc;

use crate::keys::{NamingKey, SealingKeys};
use crate::store::Store;

/// A store and the keys to it: what a credential is shared through. A clone is cheap.
///
/// The keys are the same in all processes that share. Keep them apart from the store: with the sealing keys the records can be
/// read.
///
/// ```
/// use acs_common_store::{KeyError, NamingKey, SealingKeys, SharedStore, Store};
///
/// fn share(store: impl Store + 'static) -> Result<SharedStore, KeyError> {
///     // In your program, from where it keeps its secrets.
///     let naming = NamingKey::from_base64("cz6Q7dHkgGqVUPq4kd+mkLc7vC4gT1m1Yq0wT7m6iJ8=")?;
///     let sealing = SealingKeys::from_base64(1, "nVQk0KYqDx9dZ3WxEw9zmd5TMuLx3cTjRkqyhZ1MPks=")?;
///     Ok(SharedStore::new(store, naming, sealing))
/// }
/// ```
#[derive(Clone)]
pub struct SharedStore(Arc<Parts>);

struct Parts {
    store: Box<dyn Store>,
    naming: NamingKey,
    sealing: SealingKeys,
}

impl SharedStore {
    /// This store, with these keys.
    pub fn new(store: impl Store + 'static, naming: NamingKey, sealing: SealingKeys) -> Self {
        Self(Arc::new(Parts { store: Box::new(store), naming, sealing }))
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.0.store
    }

    /// The key that names entries.
    #[must_use]
    pub fn naming(&self) -> &NamingKey {
        &self.0.naming
    }

    /// The keys that seal and open records.
    #[must_use]
    pub fn sealing(&self) -> &SealingKeys {
        &self.0.sealing
    }
}

impl fmt::Debug for SharedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedStore")
            .field("naming", &self.0.naming)
            .field("sealing", &self.0.sealing)
            .finish_non_exhaustive()
    }
}
