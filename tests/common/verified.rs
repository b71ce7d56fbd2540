//! Requests that verification has a binding for.

use tls_session_binding::authorization::Credentials;
use tls_session_binding::certificate::ClientCertificate;
use tls_session_binding::claims::TokenClaims;
use tls_session_binding::config::Config;
use tls_session_binding::exporter::ExporterValue;
use tls_session_binding::proof::UntrustedProof;
use tls_session_binding::request::{RequestLine, RequestTarget};
use tls_session_binding::signature::RustCrypto;
use tls_session_binding::verify::{Connection, PresentedToken, VerifiedBinding, verify};

use super::judge::Situation;
use super::recipe::Recipe;
use super::scene::Scene;

/// A request that is verified.
pub(crate) struct Request {
    pub(crate) situation: Situation,
    pub(crate) config: Config,
    pub(crate) connection: Connection,
    claims: TokenClaims,
}

impl Request {
    /// A token of `user`, and a proof by `client`.
    pub(crate) fn new(client: &str, algorithm: &str, user: usize) -> Self {
        let mut recipe = Recipe {
            client: Some(client.to_owned()),
            ..Recipe::default()
        };
        recipe.proof.alg = Some(algorithm.to_owned());
        let subject = Some(format!("\"user-{user}\""));
        recipe.token.claims.insert("sub".to_owned(), subject);
        Self::of(&Scene::default(), &recipe)
    }

    /// What a recipe makes in a scene.
    pub(crate) fn of(scene: &Scene, recipe: &Recipe) -> Self {
        let situation = scene.situation(recipe);
        let config = Config::parse(&situation.config).unwrap();
        let encoding = config.client_certificate.encoding;
        let connection = Connection {
            exporter: ExporterValue::parse(&situation.exporter, config.exporter.encoding).unwrap(),
            certificate: ClientCertificate::parse(&situation.certificate, encoding).unwrap(),
        };
        let credentials = Credentials::parse(&[&situation.authorization[0]]);
        let Ok(Credentials::Bearer { token, .. }) = credentials else {
            panic!("no token");
        };
        let claims = token.claims().unwrap();
        Self {
            situation,
            config,
            connection,
            claims,
        }
    }

    pub(crate) fn proof(&self) -> &[u8] {
        &self.situation.proof[0]
    }

    /// Verifies its proof, with the connection's certificate at hand.
    pub(crate) fn verify(&self) -> VerifiedBinding<'_> {
        let Situation {
            method,
            authority,
            path,
            now,
            ..
        } = &self.situation;
        let line = RequestLine {
            method,
            target: RequestTarget { authority, path },
        };
        let Credentials::Bearer {
            token,
            authorization,
        } = Credentials::parse(&[&self.situation.authorization[0]]).unwrap()
        else {
            panic!("no token");
        };
        let token = PresentedToken {
            token,
            authorization,
            claims: &self.claims,
            are_claims_by_host: false,
        };
        let rule = self.config.policy.select(&line).rule;
        let proof = UntrustedProof::parse(self.proof()).unwrap();
        let connection = &self.connection;
        let verified = verify(&proof, &token, &line, connection, rule, *now, &RustCrypto);
        verified.unwrap_or_else(|fault| panic!("{fault:?}"))
    }
}
