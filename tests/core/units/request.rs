use tls_session_binding::request::is_spelling_of;

#[test]
fn a_header_has_as_many_spellings_as_services_have_variables_for_it() {
    for name in [
        "x-verified-by",
        "x_verified_by",
        "X-Verified_By",
        "x.verified.by",
        "x-verified~by",
    ] {
        assert!(is_spelling_of(name, "x-verified-by"), "{name}");
    }
    for name in [
        "x-verified-b",
        "x-verified-by-",
        "x-verifiedby",
        "xverifiedby",
        "",
        "y-verified-by",
    ] {
        assert!(!is_spelling_of(name, "x-verified-by"), "{name}");
    }
}
