//! What is demanded of a request, and of a proof.

use serde::Deserialize;

use crate::algorithm::AlgorithmSet;
use crate::proof::RequestClaims;

/// How strictly a rule is applied. What a token is bound to is read in its `cnf`, never from the
/// presence of a header. The laxest comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// As [`Self::EnforceIfBound`], but what would be refused is counted and goes on.
    Observe,
    /// A token must be bound if its `cnf` says so.
    EnforceIfBound,
    /// Every token must be session-bound.
    Enforce,
}

/// What becomes of a request without a Bearer token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithoutToken {
    /// It goes on to the next filter.
    Pass,
    /// It is refused with a plain Bearer challenge.
    Refuse,
}

/// What is demanded of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Number of the rule, unique in its policy; 0 is the default rule.
    pub number: u16,
    /// The lowest number of a rule with equal [`ProofRules`]: what was verified under one such rule is known
    /// under all of them.
    pub proof_number: u16,
    /// Name for metrics and access logs.
    pub name: String,
    /// How strictly it is applied.
    pub mode: Mode,
    /// What becomes of requests without a token.
    pub without_token: WithoutToken,
    /// What a proof must be like.
    pub proof: ProofRules,
}

impl Rule {
    /// Rules compare by it: the stricter is the greater.
    pub(crate) fn strictness(&self) -> impl Ord + use<> {
        let RequiredClaims {
            method,
            target_uri,
            jti,
        } = self.proof.required_claims;
        let claims = [method, target_uri, jti]
            .iter()
            .filter(|claim| **claim)
            .count();
        let age = std::cmp::Reverse(self.proof.max_proof_age);
        (self.mode, self.without_token, claims, age)
    }
}

/// The operator's part of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProofRules {
    /// Algorithms a proof may be signed with.
    pub algorithms: AlgorithmSet,
    /// How old a proof may be, in seconds.
    pub max_proof_age: u64,
    /// How far the client's clock may be off, in seconds.
    pub clock_tolerance: u64,
    /// Claims a proof must have.
    pub required_claims: RequiredClaims,
}

/// Which of the claims that tie a proof to one request it must have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequiredClaims {
    /// `htm`.
    pub method: bool,
    /// `htu`.
    pub target_uri: bool,
    /// `jti`.
    pub jti: bool,
}

impl RequiredClaims {
    pub(crate) const fn are_in(self, claims: &RequestClaims) -> bool {
        (!self.method || claims.method.is_some())
            && (!self.target_uri || claims.target_uri.is_some())
            && (!self.jti || claims.jti.is_some())
    }
}

impl ProofRules {
    /// The last second at which a proof issued at `issued_at` is accepted.
    pub(crate) const fn last_second(&self, issued_at: u64) -> u64 {
        issued_at
            .saturating_add(self.max_proof_age)
            .saturating_add(self.clock_tolerance)
    }

    /// The last second at which a proof that expires at `expires` is accepted.
    pub(crate) const fn last_second_before(&self, expires: u64) -> u64 {
        expires
            .saturating_add(self.clock_tolerance)
            .saturating_sub(1)
    }
}
