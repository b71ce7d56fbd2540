//! Requests that verification has a binding for.

use tls_session_binding::certificate::ClientCertificate;
use tls_session_binding::config::Config;
use tls_session_binding::exporter::ExporterValue;
use tls_session_binding::policy::{RequestHeaders, Step};
use tls_session_binding::signature::RustCrypto;
use tls_session_binding::target_uri::RequestTarget;
use tls_session_binding::verify::{Connection, RequestLine, VerifiedBinding};

use super::judge::Situation;
use super::recipe::Recipe;
use super::scene::Scene;

/// A request that is verified.
pub(crate) struct Request {
    pub(crate) situation: Situation,
    pub(crate) config: Config,
    pub(crate) connection: Connection,
}

/// Its header lines.
pub(crate) struct Lines<'a> {
    authorization: [&'a [u8]; 1],
    proof: [&'a [u8]; 1],
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
        Self {
            situation,
            config,
            connection,
        }
    }

    pub(crate) fn proof(&self) -> &[u8] {
        &self.situation.proof[0]
    }

    pub(crate) fn lines(&self) -> Lines<'_> {
        Lines {
            authorization: [&self.situation.authorization[0]],
            proof: [self.proof()],
        }
    }

    /// Everything that the filter does for a proof that it does not know, but for reading the
    /// connection's certificate.
    pub(crate) fn verify<'a>(&'a self, lines: &'a Lines<'a>) -> VerifiedBinding<'a> {
        let Situation {
            method,
            authority,
            path,
            now,
            ..
        } = &self.situation;
        let headers = RequestHeaders {
            authorization: &lines.authorization,
            proof: &lines.proof,
            line: RequestLine {
                method,
                target: RequestTarget { authority, path },
            },
        };
        let rule = self.config.policy.select(&headers.line).unwrap();
        let Ok(Step::Next(presented)) = rule.present(&headers) else {
            panic!("no token");
        };
        let claims = presented.token.claims().unwrap();
        let Ok(Step::Next(bound)) = presented.confirm(&claims, rule, *now) else {
            panic!("not bound");
        };
        let Ok(Step::Next(proved)) = bound.authenticate(&self.connection, *now) else {
            panic!("no proof");
        };
        let verified = proved.verify(&self.connection, rule, *now, &RustCrypto);
        verified.unwrap_or_else(|fault| panic!("{fault:?}"))
    }
}
