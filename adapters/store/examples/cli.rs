//! A command-line tool that keeps its token between runs: run it twice, and the second run asks the issuer for nothing.
//!
//! ```sh
//! cargo run -p acs-common-store --example cli
//! cargo run -p acs-common-store --example cli
//! ```
//!
//! It keeps its keys in a file beside the store that only its user can read. So a thief of the whole folder can read the token,
//! as long as it is valid. Where the system has a keyring, keep the keys there (the crate `keyring`):
//!
//! ```text
//! let entry = keyring::Entry::new("acs-common", "contoso-cli")?;
//! let keys = match entry.get_secret() {
//!     Err(keyring::Error::NoEntry) => { let keys = new_keys()?; entry.set_secret(&keys)?; keys }
//!     kept => kept?,
//! };
//! ```

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use acs_common_store::{FileStore, NamingKey, SealingKeys, SharedStore};
use acs_common_tokio::{CommunicationTokenCredential, NewToken};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // A tool of your own would take `FileStore::default_folder()`, and nothing else.
    let folder =
        std::env::args_os().nth(1).map_or_else(FileStore::default_folder, |folder| Ok(PathBuf::from(folder)))?;

    // The three lines: a store, the keys, and the name of the credential.
    let files = FileStore::new(&folder)?;
    let (naming, sealing) = keys(&folder.join("cli.keys"))?;
    let shared = CommunicationTokenCredential::with_refresher(refresher)
        .shared_through(SharedStore::new(files, naming, sealing), "the user of contoso-cli");

    // `build` instead of `spawn`, so that the end can be waited for.
    let (credential, driver) = shared.build()?;
    let driver = tokio::spawn(driver);

    let token = credential.get_token().await?;
    let whence = if token.is_from_store() { "an earlier run" } else { "the issuer" };
    println!("a token of {whence}, valid until {}", token.expires_on());

    // The driver ends when the token is stored.
    credential.dispose();
    driver.await?;
    Ok(())
}

/// Your request to your server.
async fn refresher() -> Result<NewToken, std::io::Error> {
    println!("asking the issuer");
    Ok(NewToken::new("eyJhbGci").with_expires_in(Duration::from_secs(3_600)))
}

/// The keys of an earlier run, or new ones: 64 random bytes.
fn keys(path: &Path) -> Result<(NamingKey, SealingKeys), Box<dyn Error>> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(mut file) => {
            let mut bytes = [0; 64];
            getrandom::fill(&mut bytes)?;
            file.write_all(&bytes)?;
            println!("new keys are in {}: only you can read them", path.display());
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.into()),
    }
    let bytes = fs::read(path)?;
    let (naming, sealing) = bytes.split_at_checked(32).ok_or("the file of the keys is cut off: delete it")?;
    Ok((NamingKey::from_bytes(naming)?, SealingKeys::from_bytes(1, sealing)?))
}
