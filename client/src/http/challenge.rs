//! The Bearer challenge of a refused request (RFC 6750 section 3).

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// What the server says in `WWW-Authenticate: Bearer`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BearerChallenge {
    /// The error code.
    pub error: Option<String>,
    /// What failed, in words.
    pub error_description: Option<String>,
}

impl BearerChallenge {
    /// Reads the first Bearer challenge among the headers of a response.
    ///
    /// Parameters that cannot be read end the challenge: what stands before them counts.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .find_map(|value| Self::parse(value.to_str().ok()?))
    }

    fn parse(value: &str) -> Option<Self> {
        let (scheme, mut rest) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut challenge = Self::default();
        while let Some((name, value, after)) = parameter(rest) {
            match name.to_ascii_lowercase().as_str() {
                "error" => challenge.error = Some(value),
                "error_description" => challenge.error_description = Some(value),
                _ => {}
            }
            rest = after;
        }
        Some(challenge)
    }
}

/// Splits `name=value` or `name="value"` from the front of a list.
fn parameter(list: &str) -> Option<(&str, String, &str)> {
    let (name, rest) = list.trim_start_matches([' ', '\t', ',']).split_once('=')?;
    let (value, after) = if let Some(quoted) = rest.strip_prefix('"') {
        quoted_string(quoted)?
    } else {
        let (value, after) = rest.split_once(',').unwrap_or((rest, ""));
        (value.trim().to_owned(), after)
    };
    Some((name.trim(), value, after))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(error: Option<&str>, description: Option<&str>) -> BearerChallenge {
        BearerChallenge {
            error: error.map(str::to_owned),
            error_description: description.map(str::to_owned),
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
            ("Bearer", challenge(None, None)),
            (r#"Bearer error="invalid_proof"#, challenge(None, None)),
        ];
        for (header, expected) in cases {
            assert_eq!(BearerChallenge::parse(header), Some(expected), "{header}");
        }
    }

    #[test]
    fn a_challenge_of_another_scheme_is_passed_over() {
        assert_eq!(BearerChallenge::parse(r#"Basic realm="x""#), None);
        let mut headers = HeaderMap::new();
        headers.append(WWW_AUTHENTICATE, "Basic realm=x".parse().unwrap());
        headers.append(
            WWW_AUTHENTICATE,
            r#"Bearer error="invalid_token""#.parse().unwrap(),
        );
        let expected = challenge(Some("invalid_token"), None);
        assert_eq!(BearerChallenge::from_headers(&headers), Some(expected));
    }
}
