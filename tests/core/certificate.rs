//! How long a client certificate may be.

use tls_session_binding::certificate::ClientCertificate;
use tls_session_binding::error::HostFault;
use tls_session_binding::limits::MAX_CERTIFICATE_BYTES;

use crate::common::der::with_length;
use crate::common::files::read_pem;

#[test]
fn the_length_of_a_certificate_is_bounded_on_both_sides() {
    let certificate = read_pem("certificates/p256.pem");
    let read = |length: usize| {
        let certificate = with_length(&certificate, length);
        assert_eq!(certificate.len(), length);
        ClientCertificate::from_der(&certificate).map(drop)
    };
    for length in [MAX_CERTIFICATE_BYTES - 1, MAX_CERTIFICATE_BYTES] {
        assert_eq!(read(length), Ok(()), "{length}");
    }
    for length in [MAX_CERTIFICATE_BYTES + 1, MAX_CERTIFICATE_BYTES + 2] {
        let unreadable = Err(HostFault::CertificateUnreadable);
        assert_eq!(read(length), unreadable, "{length}");
    }
}
