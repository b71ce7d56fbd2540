//! The comparison of `htu` with a request's target.

use tls_session_binding::request::RequestTarget;
use tls_session_binding::target_uri::matches;

/// Query, fragment and the case of the host do not count; another host, scheme or user does.
pub fn run(input: &[u8]) {
    let mut lines = input.splitn(3, |&byte| byte == b'\n');
    let (Some(htu), Some(authority), Some(path)) = (lines.next(), lines.next(), lines.next())
    else {
        return;
    };
    let Ok(htu) = std::str::from_utf8(htu) else {
        return;
    };
    let target = RequestTarget { authority, path };
    let equal = matches(htu, target);
    let query = [path, b"?a=b"].concat();
    assert_eq!(
        equal,
        matches(
            htu,
            RequestTarget {
                path: &query,
                ..target
            }
        )
    );
    let upper = authority.to_ascii_uppercase();
    assert_eq!(
        equal,
        matches(
            htu,
            RequestTarget {
                authority: &upper,
                ..target
            }
        )
    );
    if !equal {
        return;
    }
    assert!(matches(&format!("{htu}#f"), target));
    let longer = [
        path.split(|byte| b"?#".contains(byte))
            .next()
            .unwrap_or_default(),
        b"x",
    ]
    .concat();
    assert!(!matches(
        htu,
        RequestTarget {
            path: &longer,
            ..target
        }
    ));
    if htu.starts_with('/') {
        return;
    }
    let (scheme, rest) = htu.split_at(8);
    assert!(scheme.eq_ignore_ascii_case("https://"));
    assert!(!matches(&format!("http://{rest}"), target));
    assert!(!matches(&format!("https://user@{rest}"), target));
    let elsewhere = [b"x", authority].concat();
    assert!(!matches(
        htu,
        RequestTarget {
            authority: &elsewhere,
            ..target
        }
    ));
}
