use tls_session_binding::error::{ClientFault, HostFault};

#[test]
fn every_reason_is_unique_and_fit_for_a_metric_name() {
    let reasons: Vec<&str> = (ClientFault::ALL.iter().map(|fault| fault.reason()))
        .chain(HostFault::ALL.iter().map(|fault| fault.reason()))
        .collect();
    for (index, reason) in reasons.iter().enumerate() {
        assert!(
            reason
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            "{reason}"
        );
        assert!(!reasons[..index].contains(reason), "{reason} twice");
    }
}
