use tls_session_binding::base64url;
use tls_session_binding::confirmation::Confirmation;
use tls_session_binding::digest::CertificateThumbprint;
use tls_session_binding::error::ClientFault;
use tls_session_binding::exporter;

/// `THUMBPRINT` and `LABEL` stand for valid values.
fn parse(cnf: &str) -> Result<Confirmation, ClientFault> {
    let cnf = cnf
        .replace("THUMBPRINT", &base64url::encode(&[1; 32]))
        .replace("LABEL", exporter::LABEL);
    Confirmation::from_json(serde_json::from_str(&cnf).unwrap())
}

#[test]
fn the_known_members_decide_what_a_token_is_bound_to() {
    let thumbprint = CertificateThumbprint::parse(base64url::encode(&[1; 32]).as_bytes()).unwrap();
    assert_eq!(parse("{}"), Ok(Confirmation::None));
    assert_eq!(parse(r#"{"other":[1]}"#), Ok(Confirmation::None));
    assert_eq!(
        parse(r#"{"x5t#S256":"THUMBPRINT"}"#),
        Ok(Confirmation::Certificate(thumbprint))
    );
    let session = parse(r#"{"x5t#S256":"THUMBPRINT","tls_exp":"LABEL","other":1}"#);
    assert_eq!(session, Ok(Confirmation::Session(thumbprint)));
}

#[test]
fn what_cannot_be_enforced_is_refused() {
    let refused = [
        (
            r#"{"x5t#S256":"THUMBPRINT","tls_exp":"EXPORTER-Channel-Binding"}"#,
            ClientFault::ExporterLabelUnknown,
        ),
        (
            r#"{"x5t#S256":"THUMBPRINT","tls_exp":""}"#,
            ClientFault::ExporterLabelUnknown,
        ),
        (
            r#"{"x5t#S256":"THUMBPRINT","tls_exp":null}"#,
            ClientFault::ConfirmationUnreadable,
        ),
        (
            r#"{"x5t#S256":"THUMBPRINT","tls_exp":["a"]}"#,
            ClientFault::ConfirmationUnreadable,
        ),
        (
            r#"{"x5t#S256":"THUMBPRINT="}"#,
            ClientFault::ConfirmationUnreadable,
        ),
        (r#"{"x5t#S256":""}"#, ClientFault::ConfirmationUnreadable),
        (r#"{"x5t#S256":null}"#, ClientFault::ConfirmationUnreadable),
        (r#"{"x5t#S256":1}"#, ClientFault::ConfirmationUnreadable),
        (
            r#"{"tls_exp":"LABEL"}"#,
            ClientFault::ConfirmationIncomplete,
        ),
        ("[]", ClientFault::ConfirmationUnreadable),
    ];
    for (cnf, fault) in refused {
        assert_eq!(parse(cnf), Err(fault), "{cnf}");
    }
}

#[test]
fn a_method_of_another_specification_is_refused_even_beside_a_known_one() {
    for member in ["jkt", "jwk", "jwe", "jku", "kid"] {
        for value in ["\"x\"", "null", "{}"] {
            let refused = parse(&format!(
                r#"{{"x5t#S256":"THUMBPRINT","{member}":{value}}}"#
            ));
            assert_eq!(
                refused,
                Err(ClientFault::ConfirmationUnsupported),
                "{member}"
            );
        }
    }
}
