//! A listener and a cluster of the module, and connections between them.

use std::ffi::c_void;
use std::fs;
use std::path::Path;
use std::ptr::null_mut;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tls_session_binding_module as _;

use crate::envoy::*;
use crate::exports::*;

/// A listener and a cluster of the module, and files for both.
pub struct Module {
    pub downstream: *const c_void,
    pub upstream: *const c_void,
    _files: TempDir,
}

impl Module {
    pub fn load() -> Self {
        program_init();
        let files = TempDir::new().unwrap();
        write_pki(files.path());
        let text = |peer: &str, alpn: &str| {
            let directory = files.path().display();
            format!(
                r#"{{"identity": {{"certificate_chain": "{directory}/leaf.pem", "private_key": "{directory}/leaf.key"}},
                "peer": {{"ca": "{directory}/ca.pem"{peer}}}, "tls": {{"alpn": {alpn}}}}}"#
            )
        };
        let new = |json: String, upstream| {
            let config = socket_config_new(
                null_mut(),
                Buffer::of(b"tls"),
                Buffer::of(json.as_bytes()),
                upstream,
            );
            assert!(!config.is_null());
            config
        };
        Self {
            downstream: new(text("", r#"["h2", "http/1.1"]"#), false),
            upstream: new(
                text(r#", "server_name": "service.demo""#, r#"["h2"]"#),
                true,
            ),
            _files: files,
        }
    }

    pub fn connect(&self, id: u64) -> (Socket, Socket) {
        let server = Socket::new(self.downstream, id);
        let client = Socket::new(self.upstream, id + 1);
        client.start();
        shuttle(&client, &server);
        (client, server)
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        socket_config_destroy(self.downstream);
        socket_config_destroy(self.upstream);
    }
}

fn write_pki(directory: &Path) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["service.demo".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    fs::write(directory.join("ca.pem"), ca_pem).unwrap();
    fs::write(directory.join("leaf.pem"), leaf.pem()).unwrap();
    fs::write(directory.join("leaf.key"), key.serialize_pem()).unwrap();
}

/// One end of a connection: Envoy's side and the module's.
pub struct Socket {
    pub envoy: Box<Connection>,
    pub module: *const c_void,
}

impl Socket {
    pub fn new(config: *const c_void, id: u64) -> Self {
        let envoy = Box::new(Connection {
            id,
            ..Connection::default()
        });
        let module = socket_new(config, pointer(&*envoy));
        assert!(!module.is_null());
        Self { envoy, module }
    }

    pub fn start(&self) {
        socket_connected(pointer(&*self.envoy), self.module);
    }

    pub fn read(&self) -> IoResult {
        socket_read(pointer(&*self.envoy), self.module)
    }

    pub fn send(&self, bytes: &[u8]) -> IoResult {
        self.envoy.to_send.borrow_mut().extend(bytes);
        socket_write(pointer(&*self.envoy), self.module, false)
    }

    pub fn protocol(&self) -> Buffer {
        let mut result = Buffer::of(b"");
        socket_protocol(pointer(&*self.envoy), self.module, &raw mut result);
        result
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        socket_close(pointer(&*self.envoy), self.module, 1, false);
        socket_destroy(self.module);
    }
}

/// Carries ciphertext both ways until there is none.
pub fn shuttle(one: &Socket, other: &Socket) {
    loop {
        let there = one.envoy.to_peer.take();
        let back = other.envoy.to_peer.take();
        if there.is_empty() && back.is_empty() {
            return;
        }
        other.envoy.from_peer.borrow_mut().extend(there);
        one.envoy.from_peer.borrow_mut().extend(back);
        other.read();
        one.read();
    }
}
