//! What travels: certificates, connections, tokens, proofs and requests, each as the reference knows it and
//! with its text.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tls_session_binding::base64url;
use tls_session_binding::exporter::LABEL;

use super::configuration::{HOSTS, METHODS, PATHS};
use super::dice::Dice;
use crate::common::{der, files};

pub(super) struct Certificate {
    pub(super) der: Vec<u8>,
    pub(super) thumbprint: [u8; 32],
    pub(super) spki: Vec<u8>,
    pub(super) not_after: u64,
}

/// The first and the last have the same key. The first two end while some of the requests are still coming.
pub(super) static CERTIFICATES: LazyLock<Vec<Certificate>> = LazyLock::new(|| {
    [
        ("p256", ENDS),
        ("thief", ENDS + 1),
        ("p256-not-after-2079", 3_436_964_707),
    ]
    .map(|(name, not_after)| {
        let der = files::read_pem(&format!("certificates/{name}.pem"));
        Certificate {
            thumbprint: Sha256::digest(&der).into(),
            spki: der::spki_of(&der),
            der,
            not_after,
        }
    })
    .into()
});

/// `notAfter` of the first certificate.
pub(super) const ENDS: u64 = 2_486_564_681;

/// What stands for a signature here, so that millions can be verified: nobody but the holder of a key is
/// supposed to know how to make one.
pub(super) fn signature(spki: &[u8], message: &[u8]) -> [u8; 64] {
    let half: [u8; 32] = Sha256::new()
        .chain_update(spki)
        .chain_update(message)
        .finalize()
        .into();
    let mut whole = [1; 64];
    whole[..32].copy_from_slice(&half);
    whole
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Certificate(usize),
    NotPresented,
    Nothing,
}

#[derive(Debug, Clone)]
pub(super) struct Connection {
    pub(super) id: u64,
    /// `None`: the host has no exporter value.
    pub(super) exporter: Option<[u8; 32]>,
    pub(super) shown: Shown,
}

impl Connection {
    /// `others`: now and then, a host that is wired wrongly shows the value of another connection.
    pub(super) fn roll(dice: &mut Dice, id: u64, others: &[Self]) -> Self {
        let fresh = Sha256::digest(id.to_le_bytes()).into();
        let exporter = match dice.roll(12) {
            0 => None,
            1 | 2 if !others.is_empty() => others[dice.roll(others.len())].exporter,
            _ => Some(fresh),
        };
        let shown = match dice.roll(16) {
            0 => Shown::NotPresented,
            1 => Shown::Nothing,
            _ => Shown::Certificate(dice.pick(&[0, 0, 1, 2])),
        };
        Self {
            id,
            exporter,
            shown,
        }
    }
}

/// What a token is bound to, by index of the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Bound {
    No,
    Certificate(usize),
    Session(usize),
    /// A method that nobody here can check.
    Unsupported,
    /// `cnf` is a text, or a list.
    Text,
    List,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Claims {
    pub(super) subject: &'static str,
    pub(super) exp: Option<u64>,
    pub(super) bound: Bound,
}

impl Claims {
    pub(super) fn roll(dice: &mut Dice, now: u64) -> Self {
        let certificate = dice.pick(&[0, 0, 1, 2]);
        Self {
            subject: dice.pick(&["alice", "bob"]),
            exp: dice.pick(&[None, Some(now + 40), Some(now + 600)]),
            bound: match dice.roll(16) {
                0 => Bound::No,
                1 | 2 => Bound::Certificate(certificate),
                3 => Bound::Unsupported,
                4 => Bound::Text,
                5 => Bound::List,
                _ => Bound::Session(certificate),
            },
        }
    }

    /// The same but for one of them.
    pub(super) fn changed(self, dice: &mut Dice) -> Self {
        let other = |bound| match bound {
            Bound::Session(number) => Bound::Session((number + 1) % 3),
            Bound::No => Bound::Session(0),
            _ => Bound::No,
        };
        match dice.roll(3) {
            0 => Self {
                subject: "carol",
                ..self
            },
            1 => Self {
                exp: self.exp.map_or(Some(4_000_000_000), |exp| Some(exp + 7)),
                ..self
            },
            _ => Self {
                bound: other(self.bound),
                ..self
            },
        }
    }

    pub(super) fn json(&self) -> Value {
        let mut claims = Map::new();
        claims.insert("iss".to_owned(), "https://issuer.example".into());
        claims.insert("sub".to_owned(), self.subject.into());
        if let Some(exp) = self.exp {
            claims.insert("exp".to_owned(), exp.into());
        }
        let x5t = |number: usize| base64url::encode(&CERTIFICATES[number].thumbprint);
        let cnf = match self.bound {
            Bound::No => None,
            Bound::Certificate(number) => Some(json!({ "x5t#S256": x5t(number) })),
            Bound::Session(number) => Some(json!({ "x5t#S256": x5t(number), "tls_exp": LABEL })),
            Bound::Unsupported => Some(json!({ "x5t#S256": x5t(0), "jkt": "a" })),
            Bound::Text => Some("x5t#S256".into()),
            Bound::List => Some(json!([x5t(0)])),
        };
        claims.extend(cnf.map(|cnf| ("cnf".to_owned(), cnf)));
        Value::Object(claims)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) is_jwt: bool,
    pub(super) claims: Claims,
}

impl Token {
    pub(super) fn roll(dice: &mut Dice, number: usize, now: u64) -> Self {
        let claims = Claims::roll(dice, now);
        let is_jwt = !dice.once_in(6);
        let text = if is_jwt {
            let part = |value: &Value| base64url::encode(value.to_string().as_bytes());
            let header = part(&json!({ "alg": "ES256", "kid": number }));
            format!("{header}.{}.c2ln", part(&claims.json()))
        } else {
            format!("opaque{number}")
        };
        Self {
            text,
            is_jwt,
            claims,
        }
    }
}

/// Where a request goes: as written, and as meant if that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) text: &'static str,
    pub(super) meant: Option<&'static str>,
}

pub(super) fn roll_host(dice: &mut Dice) -> Part {
    let plain = dice.pick(&HOSTS);
    match dice.roll(24) {
        0 => Part {
            text: "u@a.example",
            meant: None,
        },
        1 => Part {
            text: "A.Example:443",
            meant: Some("a.example"),
        },
        _ => Part {
            text: plain,
            meant: Some(plain),
        },
    }
}

pub(super) fn roll_path(dice: &mut Dice) -> Part {
    let plain = dice.pick(&PATHS);
    match dice.roll(24) {
        0 => Part {
            text: "/pay/%zz",
            meant: None,
        },
        1 => Part {
            text: "/free/../%70ay?a=b",
            meant: Some("/pay"),
        },
        _ => Part {
            text: plain,
            meant: Some(plain),
        },
    }
}

#[derive(Debug, Clone)]
pub(super) struct Proof {
    pub(super) text: String,
    pub(super) named: usize,
    /// By whose key the signature is; `None` for one that nobody made.
    pub(super) signer: Option<usize>,
    pub(super) exporter: [u8; 32],
    pub(super) token: String,
    pub(super) iat: u64,
    pub(super) exp: Option<u64>,
    pub(super) jti: Option<&'static str>,
    pub(super) htm: Option<&'static str>,
    pub(super) htu: Option<(&'static str, &'static str)>,
}

impl Proof {
    /// Mostly genuine for this token on this connection.
    pub(super) fn roll(dice: &mut Dice, connection: &Connection, token: &Token, now: u64) -> Self {
        let holder = match connection.shown {
            Shown::Certificate(number) => number,
            _ => 0,
        };
        let mut proof = Self {
            text: String::new(),
            named: holder,
            signer: Some(holder),
            exporter: connection.exporter.unwrap_or([9; 32]),
            token: token.text.clone(),
            iat: now,
            exp: dice.once_in(8).then_some(now + 100),
            jti: dice.once_in(6).then(|| dice.pick(&["one", "two", "three"])),
            htm: dice.once_in(6).then(|| dice.pick(&METHODS)),
            htu: dice
                .once_in(6)
                .then(|| (dice.pick(&HOSTS), dice.pick(&PATHS))),
        };
        match dice.roll(24) {
            0 => proof.named = (holder + 1) % 3,
            1 => proof.signer = Some((holder + 1) % 3),
            2 => proof.signer = None,
            3 => proof.exporter[0] ^= 1,
            4 => proof.token.push('x'),
            5 => proof.iat = now + dice.pick(&[1, 29, 30, 31, 60]),
            6 => {
                let ages = [29, 30, 31, 60, 61, 90, 91, 300, 330, 331];
                proof.iat = now - dice.pick(&ages);
            }
            _ => {}
        }
        proof.text = proof.write();
        proof
    }

    pub(super) const fn is_for_one_request(&self) -> bool {
        self.jti.is_some() || self.htm.is_some() || self.htu.is_some()
    }

    fn write(&self) -> String {
        let part = |value: &Value| base64url::encode(value.to_string().as_bytes());
        let x5t = base64url::encode(&CERTIFICATES[self.named].thumbprint);
        let header = json!({ "typ": "tls-binding-proof+jwt", "alg": "ES256", "x5t#S256": x5t });
        let ath = base64url::encode(&Sha256::digest(&self.token));
        let ekm = base64url::encode(&self.exporter);
        let mut claims = json!({ "ath": ath, "ekm": ekm, "iat": self.iat });
        let htu = self.htu.map(|(host, path)| format!("https://{host}{path}"));
        let texts = [
            ("jti", self.jti),
            ("htm", self.htm),
            ("htu", htu.as_deref()),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                claims[name] = text.into();
            }
        }
        if let Some(exp) = self.exp {
            claims["exp"] = exp.into();
        }
        let input = format!("{}.{}", part(&header), part(&claims));
        let signature = self.signer.map_or([7; 64], |signer| {
            signature(&CERTIFICATES[signer].spki, input.as_bytes())
        });
        format!("{input}.{}", base64url::encode(&signature))
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Authorization {
    Nothing,
    Basic,
    Bearer(usize),
    Twice(usize),
    /// Within another scheme's credentials, where some filters find it.
    Within(usize),
}

#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) connection: usize,
    pub(super) authorization: Authorization,
    pub(super) proofs: Vec<usize>,
    /// What another filter says.
    pub(super) claims: Option<Claims>,
    pub(super) method: &'static str,
    pub(super) host: Part,
    /// `None` for `CONNECT`.
    pub(super) path: Option<Part>,
    pub(super) has_token_header: bool,
}
