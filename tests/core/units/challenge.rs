use tls_session_binding::challenge::{
    Challenge, ChallengeRules, ErrorDescription, Mend, is_quotable,
};
use tls_session_binding::error::{ClientFault, HostFault};
use tls_session_binding::limits::MAX_CHALLENGE_TEXT_BYTES;

const FULL: ChallengeRules = ChallengeRules {
    error_description: ErrorDescription::Full,
    realm: None,
    resource_metadata: None,
};

/// Every fault of a request whose target can be read.
fn answered() -> impl Iterator<Item = ClientFault> {
    let readable = |fault: &ClientFault| *fault != ClientFault::TargetUnreadable;
    ClientFault::ALL.iter().copied().filter(readable)
}

#[test]
fn a_request_whose_target_nobody_can_read_is_400_without_a_challenge() {
    let challenge = Challenge::new(ClientFault::TargetUnreadable.into(), &FULL);
    assert_eq!((challenge.status, challenge.www_authenticate), (400, None));
}

fn shown(fault: ClientFault, rules: &ChallengeRules) -> String {
    let challenge = Challenge::new(fault.into(), rules);
    assert_eq!(challenge.status, 401);
    challenge.www_authenticate.unwrap_or_default()
}

#[test]
fn a_client_fault_is_401_with_a_quotable_challenge() {
    for fault in answered() {
        let description = Challenge::new(fault.into(), &FULL).body;
        assert!(is_quotable(description), "{description}");
        assert!(shown(fault, &FULL).starts_with("Bearer "));
    }
}

#[test]
fn a_host_fault_is_503_and_tells_the_client_nothing() {
    for &fault in HostFault::ALL {
        let challenge = Challenge::new(fault.into(), &FULL);
        assert_eq!((challenge.status, challenge.www_authenticate), (503, None));
    }
}

#[test]
fn the_wire_form_is_that_of_rfc_6750() {
    assert_eq!(
        shown(ClientFault::AccessTokenMissing, &FULL),
        "Bearer realm=\"session-binding\""
    );
    assert_eq!(
        shown(ClientFault::ProofMissing, &FULL),
        "Bearer error=\"use_session_binding\", mend=\"proof\", \
         error_description=\"the access token needs a session-binding proof\""
    );
}

#[test]
fn realm_and_resource_metadata_stand_in_every_challenge() {
    let rules = ChallengeRules {
        error_description: ErrorDescription::Code,
        realm: Some("shop".into()),
        resource_metadata: Some("https://shop.example/.well-known/oauth-protected-resource".into()),
    };
    let ours = "realm=\"shop\", \
         resource_metadata=\"https://shop.example/.well-known/oauth-protected-resource\"";
    for fault in answered() {
        assert!(shown(fault, &rules).ends_with(ours));
    }
    let missing = shown(ClientFault::AccessTokenMissing, &rules);
    assert_eq!(missing, format!("Bearer {ours}"));
}

#[test]
fn what_mends_a_refusal_is_told_however_little_else_is() {
    let code = ChallengeRules {
        error_description: ErrorDescription::Code,
        ..FULL
    };
    for fault in answered() {
        for rules in [&FULL, &code] {
            let shown = shown(fault, rules);
            let parameter = |name| {
                let (_, rest) = shown.split_once(name)?;
                rest.split('"').next()
            };
            let told = Mend::told(parameter("error=\""), parameter("mend=\""));
            assert_eq!(told, Mend::of(fault), "{shown}");
        }
    }
}

#[test]
fn a_verifier_that_does_not_tell_what_mends_asks_for_a_proof_with_invalid_proof_alone() {
    let told = |error, mend| Mend::told(Some(error), mend);
    assert_eq!(told("invalid_proof", None), Mend::Proof);
    for (error, mend) in [
        ("invalid_proof", Some("none")),
        ("invalid_proof", Some("prayer")),
        ("invalid_token", None),
        ("use_session_binding", None),
    ] {
        assert_eq!(told(error, mend), Mend::Nothing, "{error} {mend:?}");
    }
}

#[test]
fn nothing_is_sent_again_for_what_the_token_or_the_request_lacks() {
    use ClientFault as Fault;
    let table = [
        (Fault::AccessTokenExpired, Mend::Nothing),
        (Fault::TokenNotBound, Mend::Nothing),
        (Fault::CertificateNotPresented, Mend::Nothing),
        (Fault::CertificateKeyUnsupported, Mend::Nothing),
        (Fault::TargetUnreadable, Mend::Nothing),
        (Fault::ProofWithoutToken, Mend::Nothing),
        (Fault::CertificateExpired, Mend::Connection),
        (Fault::CertificateNotConfirmed, Mend::Connection),
        (Fault::ReplayMemoryFull, Mend::Connection),
        (Fault::ProofMissing, Mend::Proof),
        (Fault::ProofTooOld, Mend::Proof),
        (Fault::ProofReplayed, Mend::Proof),
    ];
    for (fault, mend) in table {
        assert_eq!(Mend::of(fault), mend, "{fault:?}");
    }
}

#[test]
fn quotable_is_printable_ascii_without_quotes_up_to_the_bound() {
    let long = |bytes| is_quotable(&"a".repeat(bytes));
    assert!(long(MAX_CHALLENGE_TEXT_BYTES) && !long(MAX_CHALLENGE_TEXT_BYTES + 1));
    for text in ["", "a\"b", "a\\b", "a\r\nb", "\u{e4}", "\u{7f}"] {
        assert!(!is_quotable(text), "{text}");
    }
}
