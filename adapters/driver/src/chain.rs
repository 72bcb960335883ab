//! An error with all its causes, on one line.

use std::error::Error;
use std::fmt::{self, Write as _};

/// `error: its cause: the cause of that`. A cause that the text before it ends with is not repeated. Control characters are
/// escaped, so that an error cannot forge a line of the log.
pub(crate) struct Chain<'a>(pub(crate) &'a dyn Error);

/// A chain of causes that is longer may be endless.
const MOST: usize = 16;

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = String::new();
        let mut next = Some(self.0);
        for _ in 0..MOST {
            let Some(error) = next else { break };
            let text = error.to_string();
            if !before.ends_with(&text) {
                if !before.is_empty() {
                    f.write_str(": ")?;
                }
                text.chars().try_for_each(|character| match character {
                    control if control.is_control() => write!(f, "{}", control.escape_default()),
                    other => f.write_char(other),
                })?;
                before = text;
            }
            next = error.source();
        }
        Ok(())
    }
}
