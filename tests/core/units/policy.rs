use tls_session_binding::config::Config;
use tls_session_binding::proof::RequestClaims;
use tls_session_binding::request::{RequestLine, RequestTarget};

/// The rule's name, and whether it is certain.
fn select(config: &str, method: &str, authority: &str, path: &str) -> (String, bool) {
    let policy = Config::parse(config.as_bytes()).unwrap().policy;
    let (authority, path) = (authority.as_bytes(), path.as_bytes());
    let selection = policy.select(&RequestLine {
        method: method.as_bytes(),
        target: RequestTarget { authority, path },
    });
    (selection.rule.name.clone(), selection.is_certain)
}

#[test]
fn the_first_matching_rule_decides_on_the_normal_form_of_the_path() {
    let config = r#"{"rules":[
        {"name":"writes","methods":["POST","DELETE"],"path":{"prefix":"/orders"},"mode":"enforce"},
        {"name":"orders","path":{"prefix":"/orders"}}]}"#;
    let cases = [
        ("POST", "/orders/7?x", "writes"),
        ("POST", "/x/../orders", "writes"),
        ("POST", "/%6frders", "writes"),
        ("GET", "/orders", "orders"),
        ("POST", "/ordersx", "default"),
    ];
    for (method, path, name) in cases {
        let selected = select(config, method, "a", path);
        assert_eq!(selected, (name.to_owned(), true), "{method} {path}");
    }
}

#[test]
fn what_cannot_be_read_is_judged_under_the_strictest_rule_that_is_possible() {
    let config = r#"{"mode":"observe","rules":[
        {"name":"bank","host":"bank.example","methods":["GET","CONNECT"],"mode":"enforce"},
        {"name":"open","methods":["PUT"]},
        {"name":"payments","path":{"prefix":"/payments"},"mode":"enforce_if_bound"}]}"#;
    let cases = [
        ("GET", "a", "/payments/%zz", "payments", false),
        ("GET", "a", "*", "payments", false),
        ("POST", "a", "", "payments", false),
        // The first rule needs no path, and the rule for all PUTs neither.
        ("GET", "bank.example", "/%zz", "bank", true),
        ("PUT", "a", "/%zz", "open", true),
        ("GET", "u@bank.example", "/orders", "bank", false),
        ("GET", "", "/orders", "bank", false),
        // No rule for POST asks for the host.
        ("POST", "u@bank.example", "/orders", "default", true),
        ("CONNECT", "bank.example:443", "", "bank", true),
        ("CONNECT", "a:443", "", "payments", true),
    ];
    for (method, authority, path, name, is_certain) in cases {
        let selected = select(config, method, authority, path);
        let expected = (name.to_owned(), is_certain);
        assert_eq!(selected, expected, "{method} {authority} {path}");
    }
    for path in ["", "*", "/%zz"] {
        let selected = select("{}", "GET", "u@a", path);
        assert_eq!(selected, ("default".to_owned(), true));
    }
}

#[test]
fn a_jti_is_remembered_for_the_largest_window_in_which_its_proof_could_pass() {
    let config = r#"{"max_proof_age":"60s","clock_tolerance":"0s","rules":[
        {"name":"slow","path":{"prefix":"/slow"},"max_proof_age":"900s"},
        {"name":"posts","methods":["POST"],"host":"a.example","max_proof_age":"300s"},
        {"name":"strict","host":"b.example","required_claims":["htm"],"max_proof_age":"3600s"}]}"#;
    let policy = Config::parse(config.as_bytes()).unwrap().policy;
    let cases = [
        // Without claims, any rule but the one that requires some.
        (None, None, 900),
        (Some("GET"), None, 3600),
        (None, Some("/slow/x"), 900),
        (None, Some("https://a.example/x"), 300),
        (Some("GET"), Some("https://a.example/x"), 60),
        (Some("POST"), Some("https://a.example:8443/x"), 300),
        (Some("POST"), Some("https://a.example/slow"), 900),
        (Some("GET"), Some("https://b.example/x"), 3600),
        (Some("GET"), Some("https://c.example/x"), 60),
        // A host that is not named may be any.
        (Some("POST"), Some("/x"), 3600),
        // Nobody knows what this is for.
        (Some("GET"), Some("x"), 3600),
    ];
    for (method, target_uri, last) in cases {
        let claims = RequestClaims {
            jti: Some("a".to_owned()),
            method: method.map(str::to_owned),
            target_uri: target_uri.map(str::to_owned),
        };
        let found = policy.acceptable_until(&claims, 1000);
        assert_eq!(found, 1000 + last, "{method:?} {target_uri:?}");
    }
}
