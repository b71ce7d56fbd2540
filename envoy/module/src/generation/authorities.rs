//! Authorities and their revocation lists, made into verifiers.

use std::collections::{BTreeMap, BTreeSet};
use std::slice::from_ref;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use tls_session_binding_client::pem;

use super::material::mistake;
use crate::certificate::{Certificate, list_scope};
use crate::config::peer::Bundle;
use crate::config::{Config, Mistakes};
use crate::files::Contents;
use crate::spiffe::TrustDomain;
use crate::verifier::{Authorities, Judges};

/// Choices among revocation lists of one name: each costs a verification where the list is another
/// issuer's. Two rollovers at once, of a root and of an intermediate, make four.
const MAX_CHOICES: usize = 16;

/// Revocation lists.
pub(super) type Lists = Vec<CertificateRevocationListDer<'static>>;

/// Authorities and what they revoked.
pub(super) struct Material {
    /// By trust domain; with `peer.ca` one for all.
    bundles: Vec<(Option<TrustDomain>, Option<Arc<RootCertStore>>)>,
    pub(super) lists: Lists,
    choices: Vec<Lists>,
    /// What an operator should know of files that are in use nevertheless.
    pub(super) warnings: Vec<String>,
}

impl Material {
    pub(super) fn read(config: &Config, contents: &Contents) -> Result<Self, Mistakes> {
        let mut warnings = Vec::new();
        let mut bundles = Vec::new();
        for (bundle, pem) in config.peer.bundles.iter().zip(&contents.bundles) {
            let read = pem.clone().and_then(|pem| roots(bundle, &pem));
            let roots = match (read, &bundle.domain) {
                (Ok(roots), _) => Some(roots),
                // Missing, or broken from the start. It closes its own domain alone.
                (Err(mistakes), Some(_)) => {
                    warnings.push(closed(&mistakes));
                    None
                }
                (Err(mistakes), None) => return Err(mistakes),
            };
            if roots
                .as_ref()
                .is_some_and(|roots| has_several_domains(config, roots))
            {
                warnings.push(several_domains(bundle));
            }
            bundles.push((
                bundle.domain.clone(),
                roots.map(|(store, _)| Arc::new(store)),
            ));
        }
        let lists = lists(&contents.crls)?;
        Ok(Self {
            bundles,
            choices: choices(&lists)?,
            lists,
            warnings,
        })
    }

    /// The authorities' verifiers: `verifier` makes one of roots and lists.
    pub(super) fn authorities<V: ?Sized>(
        &self,
        verifier: impl Fn(Arc<RootCertStore>, Lists) -> Result<Arc<V>, Mistakes>,
    ) -> Result<Authorities<V>, Mistakes> {
        let judges = |roots: &Arc<RootCertStore>| {
            let each = self.choices.iter();
            let judges = each.map(|lists| verifier(Arc::clone(roots), lists.clone()));
            Ok(Judges::new(judges.collect::<Result<_, _>>()?))
        };
        let mut domains = BTreeMap::new();
        for (domain, roots) in &self.bundles {
            let judges = roots.as_ref().map(judges).transpose()?;
            match (domain, judges) {
                (Some(domain), judges) => drop(domains.insert(domain.clone(), judges)),
                (None, Some(judges)) => return Ok(Authorities::All(judges)),
                (None, None) => {}
            }
        }
        Ok(Authorities::ByDomain(domains))
    }

    /// The authorities of all bundles.
    pub(super) fn roots(&self) -> impl Iterator<Item = &RootCertStore> {
        self.bundles
            .iter()
            .filter_map(|(_, roots)| roots.as_deref())
    }
}

/// The store, and the trust domains that its authorities say they are of.
fn roots(bundle: &Bundle, pem: &[u8]) -> Result<(RootCertStore, BTreeSet<TrustDomain>), Mistakes> {
    let key = bundle.key();
    let (mut store, mut domains) = (RootCertStore::empty(), BTreeSet::new());
    let blocks = pem::blocks::<CertificateDer<'_>>(pem, "certificate");
    for (number, der) in blocks.map_err(|error| mistake(&key, error))? {
        let unusable = |error| {
            mistake(
                &key,
                format!("block {number} is no usable authority: {error}"),
            )
        };
        let names = Certificate::of_der(&der).map(|authority| authority.uris().to_vec());
        domains.extend(
            names
                .iter()
                .flatten()
                .filter_map(|uri| TrustDomain::of_uri(uri)),
        );
        store.add(der).map_err(unusable)?;
    }
    Ok((store, domains))
}

/// Whether a bundle holds authorities, and nothing that is none.
pub(crate) fn usable(bundle: &Bundle, pem: &[u8]) -> Result<(), Mistakes> {
    roots(bundle, pem).map(drop)
}

fn lists(files: &[Vec<u8>]) -> Result<Lists, Mistakes> {
    let mut lists = Lists::new();
    for (index, pem) in files.iter().enumerate() {
        let found = pem::blocks(pem, "revocation list");
        let found = found.map_err(|error| mistake(&format!("peer.crls[{index}]"), error))?;
        lists.extend(found.into_iter().map(|(_, list)| list));
    }
    Ok(lists)
}

/// Every way to have one list of each name and scope. Lists of one name may be those of two authorities,
/// and only the verification of a chain tells whose is whose.
fn choices(lists: &Lists) -> Result<Vec<Lists>, Mistakes> {
    let mut scopes = BTreeMap::<_, Lists>::new();
    for (index, list) in lists.iter().enumerate() {
        // One that cannot be read has a scope of its own: whoever loads it says what is wrong.
        let scope = list_scope(list).map_err(|_| index);
        scopes.entry(scope).or_default().push(list.clone());
    }
    let mut choices = vec![Lists::new()];
    for same in scopes.into_values() {
        if choices.len().saturating_mul(same.len()) > MAX_CHOICES {
            return Err(mistake(
                "peer.crls",
                format!(
                    "too many lists of one issuer's name: they make more than {MAX_CHOICES} choices"
                ),
            ));
        }
        choices = choices
            .iter()
            .flat_map(|choice| {
                same.iter()
                    .map(|list| [choice.as_slice(), from_ref(list)].concat())
            })
            .collect();
    }
    Ok(choices)
}

fn has_several_domains(
    config: &Config,
    (_, domains): &(RootCertStore, BTreeSet<TrustDomain>),
) -> bool {
    domains.len() > 1 && !config.peer.allow.spiffe_ids().is_empty()
}

fn several_domains(bundle: &Bundle) -> String {
    format!(
        "{}: {} holds authorities of several SPIFFE trust domains, and each of them can vouch for the IDs of \
         the others: give each trust domain its own file in `peer.trust_domains`",
        bundle.key(),
        bundle.path.display()
    )
}

fn closed(mistakes: &Mistakes) -> String {
    format!("{mistakes}: nobody of this trust domain is accepted")
}
