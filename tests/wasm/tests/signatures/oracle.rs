//! The filter's code for signatures in a real Envoy, and questions to it.

use std::fmt;
use std::net::TcpListener;
use std::time::Duration;

use futures_util::future::try_join_all;
use tempfile::TempDir;
use tls_session_binding::algorithm::Algorithm;
use tls_session_binding::public_key::PublicKey;
use tls_session_binding::signature::{RustCrypto, SignatureVerifier as _};
use tls_session_binding_e2e::envoy::Envoy;
use tls_session_binding_module::verify::AwsLc;
use tls_session_binding_wasm_tests::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Questions on their way: few enough for Envoy to hold their bytes.
pub(crate) const AT_ONCE: usize = 400;
const LANES: usize = 8;
/// The algorithms that Envoy verifies for the filter.
pub(crate) const BY_HOST: [&str; 5] = ["ES256", "ES384", "RS256", "RS384", "RS512"];
const FILTER: &str = "target/wasm32-wasip1/release/examples/signatures.wasm";

const BOOTSTRAP: &str = r#"
admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }
static_resources:
  listeners:
    - name: oracle
      address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: oracle
                # Where the filter lets the head of a request go until it has the body: nobody answers there.
                route_config:
                  virtual_hosts:
                    - { name: nobody, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: nobody } }] }
                http_filters:
                  - name: signatures
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
                      config:
                        name: signatures
                        vm_config: { runtime: envoy.wasm.runtime.v8, code: { local: { filename: FILTER } } }
                  - name: envoy.filters.http.router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
    - name: nobody
      load_assignment:
        cluster_name: nobody
        endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: NOBODY } } } }] }]
"#;
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether a signature is good.
#[derive(Clone)]
pub(crate) struct Question {
    pub(crate) algorithm: Algorithm,
    pub(crate) spki: Vec<u8>,
    pub(crate) message: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

impl Question {
    pub(crate) fn new(algorithm: Algorithm, [spki, message, signature]: [Vec<u8>; 3]) -> Self {
        Self {
            algorithm,
            spki,
            message,
            signature,
        }
    }

    /// The verdict of this machine.
    pub(crate) fn judge(&self) -> bool {
        self.fitting_key().is_some_and(|key| {
            RustCrypto.verify(self.algorithm, &key, &self.message, &self.signature)
        })
    }

    /// Whether the native filter verifies as this machine does, under the algorithm and under those that do not
    /// fit the key.
    pub(crate) fn is_judged_natively_alike(&self) -> bool {
        let Ok(key) = PublicKey::from_spki_der(&self.spki) else {
            return true;
        };
        let judges_alike = |algorithm| {
            let (message, signature) = (&self.message, &self.signature);
            AwsLc.verify(algorithm, &key, message, signature)
                == RustCrypto.verify(algorithm, &key, message, signature)
        };
        let misfits = Algorithm::ALL.into_iter();
        misfits
            .filter(|algorithm| algorithm.key_kind() != key.kind())
            .chain([self.algorithm])
            .all(judges_alike)
    }

    pub(crate) fn has_fitting_key(&self) -> bool {
        self.fitting_key().is_some()
    }

    fn fitting_key(&self) -> Option<PublicKey> {
        let key = PublicKey::from_spki_der(&self.spki).ok()?;
        (key.kind() == self.algorithm.key_kind()).then_some(key)
    }

    /// In the form that `examples/signatures.rs` reads.
    fn write(&self, body: &mut Vec<u8>) -> Result<()> {
        let number = Algorithm::ALL
            .iter()
            .position(|algorithm| *algorithm == self.algorithm);
        body.push(u8::try_from(number.ok_or("no such algorithm")?)?);
        for field in [&self.spki, &self.message, &self.signature] {
            body.extend(u32::try_from(field.len())?.to_le_bytes());
            body.extend(field);
        }
        Ok(())
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [spki, message, signature] = [&self.spki, &self.message, &self.signature]
            .map(|bytes| tls_session_binding::base64url::encode(bytes));
        write!(
            formatter,
            "{} key {spki} message {message} signature {signature}",
            self.algorithm.name()
        )
    }
}

/// What the filter's code says.
#[expect(clippy::struct_excessive_bools, reason = "one letter of an answer")]
pub(crate) struct Answer {
    /// It accepts the key for the algorithm.
    pub(crate) key: bool,
    /// The signature is good by the filter's own machine.
    pub(crate) here: bool,
    /// It is good as the filter verifies.
    pub(crate) filter: bool,
    /// The host had a say in that.
    pub(crate) by_host: bool,
}

/// A running Envoy with the code.
pub(crate) struct Oracle {
    envoy: Envoy,
    _directory: TempDir,
    _nobody: TcpListener,
}

impl Oracle {
    pub(crate) async fn start() -> Result<Self> {
        let filter = tls_session_binding_e2e::root().join(FILTER);
        if !filter.exists() {
            return Err(format!("{FILTER} is missing: run `make test-filters` first").into());
        }
        let directory = TempDir::new()?;
        let nobody = TcpListener::bind("127.0.0.1:0")?;
        let bootstrap = BOOTSTRAP
            .replace("FILTER", &filter.display().to_string())
            .replace("NOBODY", &nobody.local_addr()?.port().to_string());
        let envoy = Envoy::start(&bootstrap, directory.path()).await?;
        let says = format!("signatures by the host: {};", BY_HOST.join(" "));
        assert!(envoy.log().contains(&says), "{}", envoy.log());
        Ok(Self {
            envoy,
            _directory: directory,
            _nobody: nobody,
        })
    }

    /// Asks on several connections at once, as many as keep both workers busy.
    pub(crate) async fn ask(&self, questions: &[&Question]) -> Result<Vec<Answer>> {
        let mut answers = Vec::new();
        for round in questions.chunks(AT_ONCE) {
            let lanes = round
                .chunks(AT_ONCE / LANES)
                .map(|lane| self.ask_once(lane));
            answers.extend(try_join_all(lanes).await?.into_iter().flatten());
        }
        Ok(answers)
    }

    async fn ask_once(&self, questions: &[&Question]) -> Result<Vec<Answer>> {
        let mut body = Vec::new();
        for question in questions {
            question.write(&mut body)?;
        }
        let mut stream = TcpStream::connect(self.envoy.listener("oracle").await?).await?;
        let head = format!(
            "POST / HTTP/1.1\r\nHost: oracle\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), &body].concat()).await?;
        let mut response = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut response)).await??;
        let (_, letters) = response.split_once("\r\n\r\n").ok_or("no answer")?;
        assert_eq!(letters.len(), questions.len(), "{response}");
        let answer = |letter: u8| {
            let bits = letter.wrapping_sub(b'a');
            Answer {
                key: bits & 1 > 0,
                here: bits & 2 > 0,
                filter: bits & 4 > 0,
                by_host: bits & 8 > 0,
            }
        };
        Ok(letters.bytes().map(answer).collect())
    }
}
