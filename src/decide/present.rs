//! What a request presents, and what its token is confirmed for.

use super::Judgement;
use super::host::Host;
use crate::access_token::AccessToken;
use crate::authorization::{Credentials, jwts_in};
use crate::claims::TokenClaims;
use crate::confirmation::Confirmation;
use crate::digest::CertificateThumbprint;
use crate::error::{ClientFault, HostFault, Refusal};
use crate::proof;
use crate::rule::{Mode, WithoutToken};
use crate::signature::SignatureVerifier;

impl<'a, H: Host, S: SignatureVerifier> Judgement<'a, H, S> {
    /// Reads the Bearer token; `None` if there is none and none is needed.
    pub(super) fn present(&self) -> Result<Option<(AccessToken<'a>, &'a [u8])>, Refusal> {
        self.refuse_token_elsewhere()?;
        let credentials = Credentials::parse(&self.request.authorization)?;
        let proof = proof::only(&self.request.proof)?;
        if let Credentials::Bearer {
            token,
            authorization,
        } = credentials
        {
            if token.as_str().len() > self.config.max_access_token_bytes {
                return Err(ClientFault::AccessTokenTooLong.into());
            }
            return Ok(Some((token, authorization)));
        }
        self.refuse_unseen_claims()?;
        match self.rule.without_token {
            WithoutToken::Refuse => Err(ClientFault::AccessTokenMissing.into()),
            WithoutToken::Pass if proof.is_some() => Err(ClientFault::ProofWithoutToken.into()),
            WithoutToken::Pass => self.refuse_unseen_token(&credentials),
        }
    }

    pub(super) fn refuse_token_elsewhere(&self) -> Result<(), ClientFault> {
        if self.request.has_token_elsewhere {
            return Err(ClientFault::TokenElsewhere);
        }
        let places = &self.config.tokens_elsewhere;
        places.refuse_in_query(self.request.line.target.path)
    }

    /// Without a Bearer token, no other filter may have verified one.
    fn refuse_unseen_claims(&self) -> Result<(), Refusal> {
        if self.facts.are_claims_by_host() && self.facts.claims() != Ok(None) {
            return Err(ClientFault::TokenElsewhere.into());
        }
        Ok(())
    }

    /// Without a Bearer token, no bound one may stand under another scheme, where another filter may take it.
    fn refuse_unseen_token<T>(&self, credentials: &Credentials<'_>) -> Result<Option<T>, Refusal> {
        let Credentials::Other { authorization } = credentials else {
            return Ok(None);
        };
        let is_unbound = |text| {
            let claims = AccessToken::parse(text).and_then(|token| token.claims());
            claims.is_ok_and(|claims| claims.confirmation == Confirmation::None)
        };
        if self.facts.are_claims_by_host() || jwts_in(authorization).all(is_unbound) {
            Ok(None)
        } else {
            Err(ClientFault::TokenElsewhere.into())
        }
    }

    /// The presented token's claims: its own, or those that another filter verified for it.
    pub(super) fn claims(&self, token: &AccessToken<'_>) -> Result<TokenClaims, Refusal> {
        if !self.facts.are_claims_by_host() {
            return Ok(token.claims()?);
        }
        let verified = self.facts.claims()?;
        let verified = verified.ok_or(HostFault::ConfirmationSourceMissing)?;
        if token.is_jwt() && token.claims()? != *verified {
            return Err(ClientFault::ClaimsOfAnotherToken.into());
        }
        Ok(verified.clone())
    }

    /// Applies what the token is confirmed for: the certificate, and whether a proof is needed; `None` for a
    /// token that is not bound. Only the confirmation decides, never the presence of a proof.
    pub(super) fn confirm(
        &self,
        claims: &TokenClaims,
    ) -> Result<Option<(CertificateThumbprint, bool)>, Refusal> {
        let (confirmed, needs_proof) = match (claims.confirmation, self.rule.mode) {
            (Confirmation::Session(confirmed), _) => (confirmed, true),
            (_, Mode::Enforce) => return Err(ClientFault::TokenNotBound.into()),
            (Confirmation::Certificate(confirmed), _) => (confirmed, false),
            (Confirmation::None, _) => return Ok(None),
        };
        if self.facts.now()? > claims.last_second() {
            return Err(ClientFault::AccessTokenExpired.into());
        }
        let line = &self.request.line;
        if line.target.path.is_empty() && !line.is_connect() {
            return Err(ClientFault::TargetUnreadable.into());
        }
        Ok(Some((confirmed, needs_proof)))
    }
}
