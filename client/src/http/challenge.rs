//! The Bearer challenge of a refused request (RFC 6750 section 3).

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use tls_session_binding::challenge::Mend;

/// What the server says in `WWW-Authenticate: Bearer`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BearerChallenge {
    /// The error code.
    pub error: Option<String>,
    /// What failed, in words.
    pub error_description: Option<String>,
    /// What the verifier says would mend it (`mend`).
    pub mend: Option<String>,
}

impl BearerChallenge {
    /// Reads the Bearer challenge among the challenges of a response (RFC 9110 section 11.6.1): in any of the fields,
    /// at any place of a field's list. Of several, the first that names an error.
    ///
    /// What cannot be read ends its field: what stands before it counts. A parameter that stands twice in a challenge
    /// has no value.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let fields: Vec<_> = headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        let mut bearer: Vec<_> = fields
            .iter()
            .flat_map(|field| challenges(field))
            .filter(|challenge| challenge.scheme.eq_ignore_ascii_case("bearer"))
            .map(|challenge| Self {
                error: challenge.parameter("error"),
                error_description: challenge.parameter("error_description"),
                mend: challenge.parameter("mend"),
            })
            .collect();
        let told = bearer.iter().position(|one| one.error.is_some());
        (!bearer.is_empty()).then(|| bearer.swap_remove(told.unwrap_or(0)))
    }

    /// What a client can do about it.
    #[must_use]
    pub fn mend(&self) -> Mend {
        Mend::told(self.error.as_deref(), self.mend.as_deref())
    }
}

/// One challenge of a list.
struct Challenge<'a> {
    scheme: &'a str,
    parameters: Vec<(&'a str, String)>,
}

impl Challenge<'_> {
    /// The value of a parameter that stands there once.
    fn parameter(&self, name: &str) -> Option<String> {
        let mut found = self
            .parameters
            .iter()
            .filter(|(given, _)| given.eq_ignore_ascii_case(name));
        let (_, value) = found.next()?;
        found.next().is_none().then(|| value.clone())
    }
}

/// The challenges of a field, up to what cannot be read. Commas part challenges as well as parameters: a name with `=`
/// after it is a parameter of the challenge before, any other name begins a challenge.
fn challenges(field: &str) -> Vec<Challenge<'_>> {
    let mut list: Vec<Challenge<'_>> = Vec::new();
    let mut rest = field;
    loop {
        let Some((name, after)) = token(rest.trim_start_matches([',', ' ', '\t'])) else {
            return list;
        };
        match (spaces(after).strip_prefix('='), list.last_mut()) {
            (Some(value), Some(challenge)) => {
                let Some((value, after)) = parameter_value(spaces(value)) else {
                    return list;
                };
                challenge.parameters.push((name, value));
                rest = spaces(after);
                if !(rest.is_empty() || rest.starts_with(',')) {
                    return list;
                }
            }
            (Some(_), None) => return list,
            (None, _) => {
                list.push(Challenge {
                    scheme: name,
                    parameters: Vec::new(),
                });
                rest = token68(after).unwrap_or(after);
            }
        }
    }
}

/// What comes after the single value, without a name, that some schemes have instead of parameters.
fn token68(after_scheme: &str) -> Option<&str> {
    let text = after_scheme.strip_prefix(' ')?.trim_start_matches(' ');
    let legal = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
    let after = text.trim_start_matches(legal);
    let after = spaces(after.trim_start_matches('='));
    (after.len() < text.len() && (after.is_empty() || after.starts_with(','))).then_some(after)
}

fn token(text: &str) -> Option<(&str, &str)> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let after = text.trim_start_matches(legal);
    let name = text.strip_suffix(after)?;
    (!name.is_empty()).then_some((name, after))
}

fn parameter_value(text: &str) -> Option<(String, &str)> {
    match text.strip_prefix('"') {
        Some(quoted) => quoted_string(quoted),
        None => token(text).map(|(value, after)| (value.to_owned(), after)),
    }
}

/// Reads a quoted string up to its closing quote; a backslash quotes the next character.
fn quoted_string(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => value.push(characters.next()?),
            character => value.push(character),
        }
    }
}

fn spaces(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[&str]) -> Option<BearerChallenge> {
        let mut headers = HeaderMap::new();
        for field in fields {
            let value = http::HeaderValue::from_bytes(field.as_bytes()).unwrap();
            headers.append(WWW_AUTHENTICATE, value);
        }
        BearerChallenge::from_headers(&headers)
    }

    fn challenge(error: Option<&str>, description: Option<&str>) -> BearerChallenge {
        BearerChallenge {
            error: error.map(str::to_owned),
            error_description: description.map(str::to_owned),
            mend: None,
        }
    }

    #[test]
    fn error_and_description_are_read_from_a_bearer_challenge() {
        let cases = [
            (
                r#"Bearer error="invalid_proof", error_description="the proof is too old: sign a new one""#,
                challenge(
                    Some("invalid_proof"),
                    Some("the proof is too old: sign a new one"),
                ),
            ),
            (
                r#"bearer realm="a, b", error=invalid_token"#,
                challenge(Some("invalid_token"), None),
            ),
            (
                r#"Bearer error_description="say \"no\"""#,
                challenge(None, Some(r#"say "no""#)),
            ),
            (
                "Bearer error_description=\"caf\u{e9}\", error = \t\"x\"",
                challenge(Some("x"), Some("caf\u{e9}")),
            ),
            ("Bearer", challenge(None, None)),
            (r#"Bearer error="invalid_proof"#, challenge(None, None)),
            (
                r#"Bearer error="invalid_token", error="invalid_proof""#,
                challenge(None, None),
            ),
            (
                r#"Bearer error="invalid_token" error="invalid_proof""#,
                challenge(Some("invalid_token"), None),
            ),
        ];
        for (header, expected) in cases {
            assert_eq!(read(&[header]), Some(expected), "{header}");
        }
    }

    #[test]
    fn a_bearer_challenge_is_found_at_any_place_of_a_list() {
        let lists = [
            r#"DPoP algs="ES256", Bearer error="invalid_proof""#,
            r#"Basic, Bearer error="invalid_proof""#,
            r#"Negotiate YWJj==, Bearer error="invalid_proof", DPoP error="x""#,
            r#"Negotiate a, Bearer realm="Basic error=y", error="invalid_proof""#,
            r#", ,DPoP algs="ES256 ES384" , ,Bearer  error="invalid_proof",,"#,
            r#"Digest qop="auth, auth-int", nonce="a\"b, Bearer error=x", Bearer scope=a, error="invalid_proof""#,
            r#"Bearer realm="first", Bearer error="invalid_proof""#,
        ];
        for list in lists {
            assert_eq!(
                read(&[list]),
                Some(challenge(Some("invalid_proof"), None)),
                "{list}"
            );
        }
        let fields = [r#"DPoP algs="ES256""#, r#"Bearer error="invalid_proof""#];
        assert_eq!(read(&fields), Some(challenge(Some("invalid_proof"), None)));
    }

    #[test]
    fn the_words_of_another_scheme_are_not_those_of_bearer() {
        let lists = [
            r#"Bearer, DPoP error="invalid_proof""#,
            r#"Bearer realm="error=\"invalid_proof\"""#,
            r#"Bearer realm="x", Basic error="invalid_proof""#,
        ];
        for list in lists {
            assert_eq!(read(&[list]), Some(challenge(None, None)), "{list}");
        }
        for list in [
            r#"Basic realm="x""#,
            r#"error="x", Bearer"#,
            r#"BearerX error="x""#,
            r#"DPoP error="a Bearer error=b""#,
            "",
        ] {
            assert_eq!(read(&[list]), None, "{list}");
        }
    }

    #[test]
    fn what_mends_a_refusal_is_the_verifiers_to_say() {
        for (field, mend) in [
            (r#"Bearer error="invalid_proof""#, Mend::Proof),
            (r#"Bearer error="invalid_proof", mend="proof""#, Mend::Proof),
            (
                r#"Bearer mend=connection, error="invalid_proof""#,
                Mend::Connection,
            ),
            (
                r#"Bearer error="invalid_proof", mend="none""#,
                Mend::Nothing,
            ),
            (r#"Bearer error="invalid_token""#, Mend::Nothing),
            (
                r#"Bearer error="invalid_token", DPoP mend="proof""#,
                Mend::Nothing,
            ),
        ] {
            assert_eq!(read(&[field]).unwrap().mend(), mend, "{field}");
        }
    }
}
