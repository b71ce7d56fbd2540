//! What a refused request costs the proxy, by the processor time of its workers.

use std::path::Path;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair,
    PKCS_RSA_SHA256, RsaKeySize,
};
use tls_session_binding_client::dev::authorization_server::Confirmation;
use tls_session_binding_client::http::Options;
use tls_session_binding_e2e::party::{Party, claims, proof_claims};
use tls_session_binding_e2e::raw::RawConnection;
use tls_session_binding_e2e::stack::Stack;
use tls_session_binding_wasm_tests::Result;

/// The name of the stack's CA.
const CA_NAME: &str = "Session Binding Development CA";
const REQUESTS: u32 = 300;
/// What a request may cost that is refused before its signature is verified, in requests without a proof.
const BEFORE_SIGNATURE: f64 = 10.0;
/// What any request may cost: Envoy takes a hundred times for a vulnerability.
const EVER: f64 = 100.0;

/// A connection, and what is presented on it.
struct Client {
    connection: RawConnection,
    token: String,
    party: Party,
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_costs_at_most_ten_times_a_request_without_proof() -> Result<()> {
    let stack = Stack::ingress().await?;
    let mut client = Client::connect(&stack, "client").await?;
    let nothing = client.cost(&stack, None, "use_session_binding").await?;
    let genuine = client.proof()?;
    let long = "A".repeat(8000);
    let many = members(400);
    let cases = [
        ("no JWS", "x".to_owned()),
        ("8,000 bytes", long.clone()),
        ("parts of nothing", format!("{long}..")),
        ("400 members", format!("{many}.{many}.AAAA")),
        (
            "a depth of 3,000",
            format!("{0}.{0}.AAAA", encode("[".repeat(3000).as_bytes())),
        ),
        (
            "another connection's",
            Client::connect(&stack, "client").await?.proof()?,
        ),
    ];
    println!("{nothing:9.1} us without a proof");
    for (case, proof) in cases {
        let cost = client.cost(&stack, Some(&proof), "invalid_proof").await?;
        println!("{cost:9.1} us {case}");
        assert!(
            cost < nothing * BEFORE_SIGNATURE,
            "{case}: {cost} us, without proof {nothing} us"
        );
    }
    let broken = replace_signature(&genuine, 64);
    let cost = client.cost(&stack, Some(&broken), "invalid_proof").await?;
    println!("{cost:9.1} us a P-256 signature that does not verify");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dearest_refusal_is_bounded() -> Result<()> {
    let stack = Stack::ingress().await?;
    issue_rsa_4096(&stack.pki())?;
    let mut client = Client::connect(&stack, "rsa-4096").await?;
    let nothing = client.cost(&stack, None, "use_session_binding").await?;
    println!("{nothing:9.1} us without a proof");
    for algorithm in ["RS256", "RS512", "PS256", "PS512"] {
        let proof = client.proof_with_bad_signature(algorithm)?;
        let cost = client.cost(&stack, Some(&proof), "invalid_proof").await?;
        println!("{cost:9.1} us an {algorithm} signature of 4096 bits that does not verify");
        assert!(
            cost < nothing * EVER,
            "{algorithm}: {cost} us, without proof {nothing} us"
        );
    }
    Ok(())
}

impl Client {
    async fn connect(stack: &Stack, name: &str) -> Result<Self> {
        let party = stack.party(name, Options::default())?;
        let confirmation = Confirmation::session_bound(party.signer.thumbprint());
        let token = stack
            .authorization_server
            .access_token(&claims("alice", confirmation))?;
        let connection =
            RawConnection::open(stack.address, &stack.pki(), Some(&party.signer)).await?;
        Ok(Self {
            connection,
            token,
            party,
        })
    }

    fn proof(&self) -> Result<String> {
        self.party.proof(&self.token, &self.connection.exporter()?)
    }

    /// Everything of it is right, but the signature.
    fn proof_with_bad_signature(&self, algorithm: &str) -> Result<String> {
        let mut header = self.party.proof_header();
        let members = header.as_object_mut().ok_or("not an object")?;
        members.insert("alg".to_owned(), algorithm.into());
        let claims = proof_claims(&self.token, &self.connection.exporter()?)?;
        Ok(replace_signature(&self.party.forge(&header, &claims)?, 512))
    }

    /// Microseconds of the workers for one request.
    async fn cost(&mut self, stack: &Stack, proof: Option<&str>, error: &str) -> Result<f64> {
        let proof = proof.map(|proof| format!("Session-Binding-Proof: {proof}\r\n"));
        let request = format!(
            "GET / HTTP/1.1\r\nHost: service.demo\r\nAuthorization: Bearer {}\r\n{}\r\n",
            self.token,
            proof.unwrap_or_default()
        );
        // The first requests find neither memory nor code warm.
        for _ in 0..REQUESTS / 10 {
            self.connection.exchange(request.as_bytes(), 1).await?;
        }
        let before = busy(stack.envoy.process_id())?;
        for _ in 0..REQUESTS {
            let answer = self.connection.exchange(request.as_bytes(), 1).await?;
            assert!(
                answer.starts_with("HTTP/1.1 401") && answer.contains(error),
                "{answer}"
            );
        }
        Ok((busy(stack.envoy.process_id())? - before) / 1000.0 / f64::from(REQUESTS))
    }
}

/// Nanoseconds that the worker threads of a process have run.
fn busy(process: u32) -> Result<f64> {
    let mut nanoseconds = 0.0;
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let task = task?.path();
        if std::fs::read_to_string(task.join("comm"))?.starts_with("wrk:worker") {
            let statistics = std::fs::read_to_string(task.join("schedstat"))?;
            nanoseconds += statistics
                .split(' ')
                .next()
                .ok_or("no schedstat")?
                .parse::<f64>()?;
        }
    }
    Ok(nanoseconds)
}

/// The proof with as many other bytes for its signature.
fn replace_signature(proof: &str, bytes: usize) -> String {
    let (signed, _) = proof.rsplit_once('.').unwrap_or_default();
    format!("{signed}.{}", encode(&vec![0x55; bytes]))
}

/// An object of many members, as a part of a JWS.
fn members(count: usize) -> String {
    let members: Vec<String> = (0..count)
        .map(|number| format!("\"a{number}\":0"))
        .collect();
    encode(format!("{{{}}}", members.join(",")).as_bytes())
}

fn encode(bytes: &[u8]) -> String {
    tls_session_binding::base64url::encode(bytes)
}

/// The largest key that proofs may be signed with, in a certificate of the stack's CA.
fn issue_rsa_4096(pki: &Path) -> Result<()> {
    let mut ca = CertificateParams::default();
    ca.distinguished_name = DistinguishedName::new();
    ca.distinguished_name.push(DnType::CommonName, CA_NAME);
    let ca_key = std::fs::read_to_string(pki.join("ca.key"))?;
    let issuer = Issuer::new(ca, KeyPair::from_pem(&ca_key)?);
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_4096)?;
    let mut params = CertificateParams::new(vec!["agent.demo".to_owned()])?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, &issuer)?;
    std::fs::write(pki.join("rsa-4096.pem"), certificate.pem())?;
    std::fs::write(pki.join("rsa-4096.key"), key.serialize_pem())?;
    Ok(())
}
