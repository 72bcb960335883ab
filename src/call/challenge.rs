//! The challenges in a line of `WWW-Authenticate` ([RFC 9110, section 11.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1)).

/// A challenge that can be read.
pub(super) enum Challenge<'a> {
    Bearer {
        /// Its first parameter `error`, if there is one.
        error: Option<Value<'a>>,
    },
    /// Any other scheme.
    Other,
}

/// The value of a parameter: a token, or the inside of a quoted string.
#[derive(Clone, Copy)]
pub(super) struct Value<'a>(&'a [u8]);

impl Value<'_> {
    /// Whether the text is this, once its backslashes are taken away.
    pub(super) fn says(self, text: &str) -> bool {
        let mut escaped = false;
        let read = self.0.iter().filter(|byte| {
            escaped = !escaped && **byte == b'\\';
            !escaped
        });
        read.eq(text.as_bytes())
    }
}

/// Hands over each challenge of the line that can be read. What comes after the first mistake cannot, nor can the challenge that
/// the mistake is in.
pub(super) fn read<'a>(line: &'a [u8], mut found: impl FnMut(Challenge<'a>)) {
    let mut line = Line(line);
    let mut open: Option<Challenge<'a>> = None;
    loop {
        line.skip(|byte| is_space(byte) || byte == b',');
        if line.0.is_empty() {
            open.into_iter().for_each(found);
            return;
        }
        // A parameter belongs to the challenge before it; anything else begins the next one.
        if let Some(challenge) = &mut open
            && let Some(parameter) = line.parameter()
        {
            note(challenge, parameter);
            continue;
        }
        // What does not begin like one is a mistake in the challenge that is open.
        let Some(scheme) = line.scheme() else { return };
        open.take().into_iter().for_each(&mut found);
        let Some(parameter) = line.first_parameter() else { return };
        let is_bearer = scheme.eq_ignore_ascii_case(b"bearer");
        let mut challenge = if is_bearer { Challenge::Bearer { error: None } } else { Challenge::Other };
        if let Some(parameter) = parameter {
            note(&mut challenge, parameter);
        }
        open = Some(challenge);
    }
}

type Parameter<'a> = (&'a [u8], Value<'a>);

fn note<'a>(challenge: &mut Challenge<'a>, (name, value): Parameter<'a>) {
    match challenge {
        Challenge::Bearer { error } if name.eq_ignore_ascii_case(b"error") => *error = error.or(Some(value)),
        Challenge::Bearer { .. } | Challenge::Other => {}
    }
}

/// The rest of a line.
#[derive(Clone, Copy)]
struct Line<'a>(&'a [u8]);

impl<'a> Line<'a> {
    /// `name = value`, and the comma or the end after it.
    fn parameter(&mut self) -> Option<Parameter<'a>> {
        let mut line = *self;
        let name = line.word(is_token)?;
        line.skip(is_space);
        line.take(b'=')?;
        line.skip(is_space);
        let value = if line.take(b'"').is_some() { line.quoted()? } else { line.word(is_token)? };
        line.end_of_element()?;
        *self = line;
        Some((name, Value(value)))
    }

    /// A word that is the whole element, or has white space behind it, which stays.
    fn scheme(&mut self) -> Option<&'a [u8]> {
        let scheme = self.word(is_token)?;
        matches!(self.0.first(), None | Some(b' ' | b'\t' | b',')).then_some(scheme)
    }

    /// What follows the scheme: a parameter, or nothing, or a token of its own.
    fn first_parameter(&mut self) -> Option<Option<Parameter<'a>>> {
        if self.end_of_element().is_some() {
            return Some(None);
        }
        self.skip(is_space);
        if let Some(parameter) = self.parameter() {
            return Some(Some(parameter));
        }
        self.word(is_token_68)?;
        self.skip(|byte| byte == b'=');
        self.end_of_element()?;
        Some(None)
    }

    /// The inside of a quoted string, and the quote after it.
    fn quoted(&mut self) -> Option<&'a [u8]> {
        let mut escaped = false;
        let end = self.0.iter().position(|byte| {
            let ends = !escaped && *byte == b'"';
            escaped = !escaped && *byte == b'\\';
            ends
        })?;
        let (inside, rest) = self.0.split_at_checked(end)?;
        if inside.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return None;
        }
        self.0 = rest;
        self.take(b'"')?;
        Some(inside)
    }

    /// White space, then a comma, which stays, or the end. Otherwise nothing is taken.
    fn end_of_element(&mut self) -> Option<()> {
        let mut line = *self;
        line.skip(is_space);
        matches!(line.0.first(), None | Some(b',')).then(|| *self = line)
    }

    fn word(&mut self, belongs: fn(u8) -> bool) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| !belongs(*byte)).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }

    fn take(&mut self, expected: u8) -> Option<()> {
        let (first, rest) = self.0.split_first()?;
        (*first == expected).then(|| self.0 = rest)
    }

    fn skip(&mut self, belongs: impl Fn(u8) -> bool) {
        let end = self.0.iter().position(|byte| !belongs(*byte)).unwrap_or(self.0.len());
        self.0 = self.0.get(end..).unwrap_or_default();
    }
}

fn is_space(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_token_68(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte)
}
