//! What an application may ask for, and what becomes of its request's head.

use std::path::PathBuf;

use http::header::{
    AUTHORIZATION, CONNECTION, HOST, HeaderMap, HeaderName, ORIGIN, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderValue, Method, Request, Uri, Version, request::Parts};
use tls_session_binding_client::{AccessToken, AccessTokenHash};

use super::fault::Fault;

/// Longest token file that is read. Our own bound: no server takes a longer field.
const MAX_TOKEN_BYTES: u64 = 64 << 10;

/// What is known of the application and asked of its requests.
pub(super) struct Application {
    pub(super) upstream: Uri,
    pub(super) token_file: Option<PathBuf>,
    /// None means all.
    pub(super) allowed: Vec<PathPrefix>,
    /// How the proxy is called in `Host`; none where no web page can reach it.
    pub(super) hosts: Option<Vec<String>>,
}

/// A path and all below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PathPrefix(String);

impl std::str::FromStr for PathPrefix {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_normal(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err("a path begins with /, without query, dot segments, // or escapes")
        }
    }
}

impl PathPrefix {
    fn matches(&self, path: &str) -> bool {
        path.strip_prefix(self.0.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || self.0.ends_with('/'))
    }
}

/// Whether there is one reading of a path only. Services differ on what the others mean.
fn is_normal(path: &str) -> bool {
    let Some(path) = path.strip_prefix('/') else {
        return false;
    };
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if matches!(segment, "." | "..") || (segment.is_empty() && !is_last) {
            return false;
        }
    }
    let lower = path.to_ascii_lowercase();
    let ambiguous = ["%2e", "%2f", "%5c", "%25", "%3b", "\\", ";", "?", "#"];
    !ambiguous.iter().any(|text| lower.contains(text))
}

impl Application {
    /// Makes of the application's request the one for the service, and tells the token that it carries.
    pub(super) fn admit<B>(
        &self,
        request: Request<B>,
    ) -> Result<(Request<B>, Option<AccessTokenHash>), Fault> {
        let (mut parts, body) = request.into_parts();
        self.refuse_web_pages(&parts)?;
        if parts.method == Method::CONNECT {
            return Err(Fault::MethodRefused);
        }
        let path = parts.uri.path();
        if !self.allows(path) {
            return Err(Fault::PathNotAllowed);
        }
        let token = self.token(&mut parts.headers)?;
        parts.uri = self.target(&parts.uri)?;
        parts.version = Version::default();
        remove_hop_by_hop(&mut parts.headers);
        parts.headers.remove(HOST);
        Ok((Request::from_parts(parts, body), token))
    }

    fn allows(&self, path: &str) -> bool {
        self.allowed.is_empty()
            || (is_normal(path) && self.allowed.iter().any(|allowed| allowed.matches(path)))
    }

    /// Where the proxy brings the token, a web page could have a browser post to it.
    fn refuse_web_pages(&self, parts: &Parts) -> Result<(), Fault> {
        if self.token_file.is_none() {
            return Ok(());
        }
        if parts.headers.contains_key(ORIGIN) {
            return Err(Fault::OriginRefused);
        }
        let Some(own) = &self.hosts else {
            return Ok(());
        };
        let is_own = |host: &[u8]| {
            own.iter()
                .any(|own| own.as_bytes().eq_ignore_ascii_case(host))
        };
        let authority = parts.uri.authority().map(|one| one.as_str().as_bytes());
        let fields = parts
            .headers
            .get_all(HOST)
            .iter()
            .map(HeaderValue::as_bytes);
        let mut named = authority.into_iter().chain(fields).peekable();
        if named.peek().is_some() && named.all(is_own) {
            Ok(())
        } else {
            Err(Fault::HostRefused)
        }
    }

    fn token(&self, headers: &mut HeaderMap) -> Result<Option<AccessTokenHash>, Fault> {
        let mut fields = headers.get_all(AUTHORIZATION).iter();
        match (fields.next(), fields.next(), &self.token_file) {
            (_, Some(_), _) => Err(Fault::AuthorizationRepeated),
            (Some(field), None, _) => Ok(bearer(field)),
            (None, None, None) => Ok(None),
            (None, None, Some(file)) => {
                let text = token_in(file).ok_or(Fault::TokenUnavailable)?;
                let hash = AccessToken::parse(&text)
                    .map_err(|_| Fault::TokenUnavailable)?
                    .hash();
                let mut field = HeaderValue::from_str(&format!("Bearer {text}"))
                    .map_err(|_| Fault::TokenUnavailable)?;
                field.set_sensitive(true);
                headers.insert(AUTHORIZATION, field);
                Ok(Some(hash))
            }
        }
    }

    fn target(&self, asked: &Uri) -> Result<Uri, Fault> {
        let mut parts = self.upstream.clone().into_parts();
        parts.path_and_query = asked.path_and_query().cloned();
        Uri::from_parts(parts).map_err(|_| Fault::PathNotAllowed)
    }
}

/// The token of a Bearer field; what is none goes to the service without proof, which judges it.
fn bearer(field: &HeaderValue) -> Option<AccessTokenHash> {
    let (scheme, token) = field.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    Some(AccessToken::parse(token.trim_matches(' ')).ok()?.hash())
}

fn token_in(file: &std::path::Path) -> Option<String> {
    if std::fs::metadata(file).ok()?.len() > MAX_TOKEN_BYTES {
        return None;
    }
    Some(std::fs::read_to_string(file).ok()?.trim().to_owned())
}

/// Removes what is said to the next hop alone (RFC 9110 section 7.6.1); `TE: trailers`, which gRPC asks for, stays.
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let trailers = headers.get_all(TE).iter().any(|value| value == "trailers");
    for name in named {
        headers.remove(name);
    }
    for name in ["keep-alive", "proxy-connection", "proxy-authorization"] {
        headers.remove(name);
    }
    for name in [CONNECTION, TE, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application(allowed: &[&str], token_file: Option<PathBuf>) -> Application {
        Application {
            upstream: Uri::from_static("https://service.demo:8443"),
            token_file,
            allowed: allowed.iter().map(|path| path.parse().unwrap()).collect(),
            hosts: Some(vec!["127.0.0.1:8081".into()]),
        }
    }

    fn admit(
        application: &Application,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Result<Request<()>, Fault> {
        let mut request = Request::get(path);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        application
            .admit(request.body(()).unwrap())
            .map(|(request, _)| request)
    }

    #[test]
    fn an_allowed_path_matches_at_segments_and_only_in_normal_form() {
        let application = application(&["/a", "/b/"], None);
        for path in ["/a", "/a/", "/a/b?x=/../c", "/b/", "/b/c", "/a/%20b"] {
            assert!(admit(&application, path, &[]).is_ok(), "{path}");
        }
        for path in [
            "/",
            "/ab",
            "/b",
            "/A",
            "/a/../c",
            "/a/..",
            "/a/./b",
            "/a//b",
            "//a",
            "/a/%2e%2e/c",
            "/a/%2E%2e/c",
            "/a%2fb",
            "/a/..%5cc",
            "/a/..;/c",
            "/a;x",
            "/a/%252e%252e/c",
            "/c?/a",
        ] {
            let refused = admit(&application, path, &[]).err();
            assert_eq!(refused, Some(Fault::PathNotAllowed), "{path}");
        }
    }

    #[test]
    fn the_services_url_is_asked_for_with_path_and_query_and_without_what_is_for_the_proxy() {
        let fields = [
            ("host", "127.0.0.1:8081"),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("x-kept", "1"),
        ];
        let request = admit(&application(&[], None), "/orders?a=b", &fields).unwrap();
        assert_eq!(request.uri(), "https://service.demo:8443/orders?a=b");
        let mut names: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["te", "x-kept"]);
    }

    #[test]
    fn where_the_proxy_brings_the_token_no_web_page_gets_through() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        std::fs::write(&file, "a-token\n").unwrap();
        let application = application(&[], Some(file.clone()));
        let own = ("host", "127.0.0.1:8081");
        let request = admit(&application, "/", &[own]).unwrap();
        assert_eq!(request.headers()[AUTHORIZATION], "Bearer a-token");
        for (fields, fault) in [
            (
                &[own, ("origin", "https://evil.example")][..],
                Fault::OriginRefused,
            ),
            (&[own, ("origin", "null")], Fault::OriginRefused),
            (&[("host", "evil.example:8081")], Fault::HostRefused),
            (&[("host", "127.0.0.1")], Fault::HostRefused),
            (&[("host", "127.0.0.1:8082")], Fault::HostRefused),
            (&[own, ("host", "evil.example")], Fault::HostRefused),
            (&[], Fault::HostRefused),
        ] {
            assert_eq!(
                admit(&application, "/", fields).err(),
                Some(fault),
                "{fields:?}"
            );
        }
        let absolute = admit(&application, "http://evil.example/", &[own]);
        assert_eq!(absolute.err(), Some(Fault::HostRefused));
        for content in ["", "two words", "line\nbreak"] {
            std::fs::write(&file, content).unwrap();
            let refused = admit(&application, "/", &[own]).err();
            assert_eq!(refused, Some(Fault::TokenUnavailable), "{content:?}");
        }
        std::fs::remove_file(&file).unwrap();
        assert_eq!(
            admit(&application, "/", &[own]).err(),
            Some(Fault::TokenUnavailable)
        );
    }

    #[test]
    fn only_one_bearer_token_gets_a_proof() {
        let application = application(&[], None);
        let token = |fields: &[&str]| {
            let request = fields.iter().fold(Request::get("/"), |request, field| {
                request.header(AUTHORIZATION, *field)
            });
            application
                .admit(request.body(()).unwrap())
                .map(|(_, token)| token.is_some())
        };
        assert_eq!(token(&["Bearer a"]), Ok(true));
        assert_eq!(token(&["bEARER  a"]), Ok(true));
        for field in [
            "Basic YTpi",
            "Bearer",
            "Bearer ",
            "Bearer a b",
            "Bearera",
            "DPoP a",
        ] {
            assert_eq!(token(&[field]), Ok(false), "{field}");
        }
        assert_eq!(token(&[]), Ok(false));
        assert_eq!(
            token(&["Bearer a", "Bearer a"]),
            Err(Fault::AuthorizationRepeated)
        );
    }
}
