use tls_session_binding::base64url;
use tls_session_binding::error::HostFault;
use tls_session_binding::exporter::{ExporterEncoding, ExporterValue};

#[test]
fn both_encodings_of_the_same_bytes_are_equal() {
    let text = base64url::encode(&[0xa5; 32]);
    let value = ExporterValue::parse(text.as_bytes(), ExporterEncoding::Base64url);
    assert_eq!(
        value,
        ExporterValue::parse("a5".repeat(32).as_bytes(), ExporterEncoding::Hex)
    );
    assert_eq!(
        value,
        ExporterValue::parse("A5".repeat(32).as_bytes(), ExporterEncoding::Hex)
    );
    assert_eq!(value.map(|value| value.to_base64url()), Ok(text));
}

#[test]
fn an_empty_property_is_missing_and_any_other_length_or_alphabet_is_unreadable() {
    for encoding in [ExporterEncoding::Base64url, ExporterEncoding::Hex] {
        assert_eq!(
            ExporterValue::parse(b"", encoding),
            Err(HostFault::ExporterMissing)
        );
    }
    let unreadable = |text: &[u8], encoding| {
        assert_eq!(
            ExporterValue::parse(text, encoding),
            Err(HostFault::ExporterUnreadable)
        );
    };
    for bytes in [31, 33, 48] {
        unreadable(
            base64url::encode(&vec![1; bytes]).as_bytes(),
            ExporterEncoding::Base64url,
        );
    }
    unreadable("a5".repeat(32).as_bytes(), ExporterEncoding::Base64url);
    unreadable("a5".repeat(31).as_bytes(), ExporterEncoding::Hex);
    unreadable("a5".repeat(33).as_bytes(), ExporterEncoding::Hex);
    unreadable("g5".repeat(32).as_bytes(), ExporterEncoding::Hex);
    unreadable(&[0xff; 64], ExporterEncoding::Hex);
}

#[test]
fn debug_shows_nothing_of_the_value() {
    let value = ExporterValue::from_bytes([7; 32]);
    assert_eq!(format!("{value:?}"), "ExporterValue(redacted)");
}
