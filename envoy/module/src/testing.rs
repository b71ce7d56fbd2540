//! Certificates and connections for the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConnection, Connection, ServerConnection};
use tempfile::TempDir;

use crate::config::Direction;
use crate::endpoint::Endpoint;

mod authority;

pub(crate) use authority::{Authority, Leaf, Says};

/// Files of one end, in a directory of its own.
pub(crate) struct Files {
    directory: TempDir,
}

impl Files {
    pub(crate) fn new(leaf: &Leaf, ca: &str) -> Self {
        let files = Self {
            directory: TempDir::new().unwrap(),
        };
        files.write("chain.pem", &leaf.certificate);
        files.write("key.pem", &leaf.key);
        files.write("ca.pem", ca);
        files
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// A configuration with these files; `peer` and `tls` are more members, with a comma in front.
    pub(crate) fn config(&self, peer: &str, tls: &str) -> String {
        self.config_of(
            &format!(r#""ca": {} {peer}"#, quoted(&self.path("ca.pem"))),
            tls,
        )
    }

    /// A configuration with this identity and all members of `peer`.
    pub(crate) fn config_of(&self, peer: &str, tls: &str) -> String {
        let path = |name: &str| quoted(&self.path(name));
        format!(
            r#"{{"identity": {{"certificate_chain": {}, "private_key": {}}},
                "peer": {{{peer}}}, "tls": {{"resumption": true {tls}}}}}"#,
            path("chain.pem"),
            path("key.pem"),
        )
    }
}

fn quoted(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}

/// Both ends, with one authority.
pub(crate) struct Ends {
    pub(crate) server: Arc<Endpoint>,
    pub(crate) client: Arc<Endpoint>,
    pub(crate) server_files: Files,
    pub(crate) client_files: Files,
    pub(crate) authority: Authority,
}

impl Ends {
    pub(crate) fn new() -> Self {
        Self::with("", "", &Says::default())
    }

    /// With more members of the server's `peer` and of both `tls`, and what the client says.
    pub(crate) fn with(peer: &str, tls: &str, client: &Says) -> Self {
        let authority = Authority::new("authority");
        let server_files = Files::new(&authority.issue(&Says::default()), authority.pem());
        let client_files = Files::new(&authority.issue(client), authority.pem());
        let server = endpoint(&server_files.config(peer, tls), Direction::Downstream);
        let named = r#", "server_name": "service.demo""#;
        let alpn = format!(r#", "alpn": ["h2"]{tls}"#);
        let client = endpoint(&client_files.config(named, &alpn), Direction::Upstream);
        Self {
            server,
            client,
            server_files,
            client_files,
            authority,
        }
    }
}

pub(crate) fn endpoint(config: &str, direction: Direction) -> Arc<Endpoint> {
    Arc::new(Endpoint::load(b"tls", config.as_bytes(), direction).unwrap())
}

/// Runs a handshake between two ends that nothing else touches.
pub(crate) fn handshake(
    client: &Endpoint,
    server: &Endpoint,
) -> (ClientConnection, ServerConnection) {
    let Connection::Client(mut client) = client.current().unwrap().open().unwrap() else {
        panic!("not a client")
    };
    let Connection::Server(mut server) = server.current().unwrap().open().unwrap() else {
        panic!("not a server")
    };
    while client.wants_write() || server.wants_write() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        feed(&bytes, &mut |bytes| server.read_tls(bytes));
        server.process_new_packets().unwrap();
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        feed(&bytes, &mut |bytes| client.read_tls(bytes));
        client.process_new_packets().unwrap();
    }
    (client, server)
}

fn feed(mut bytes: &[u8], read: &mut dyn FnMut(&mut dyn std::io::Read) -> std::io::Result<usize>) {
    while !bytes.is_empty() {
        read(&mut bytes).unwrap();
    }
}
