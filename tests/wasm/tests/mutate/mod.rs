//! Mutants of a genuine request.

mod random;

pub(crate) use random::Random;

/// What a genuine request carries.
pub(crate) struct Genuine {
    pub(crate) token: Vec<u8>,
    pub(crate) proof: Vec<u8>,
}

const METHODS: &[&str] = &["GET", "POST", "OPTIONS", "DELETE", "PATCH"];
const PATHS: &[&str] = &[
    "/",
    "/orders?page=2",
    "/a/../b",
    "/a/%2e%2e/b",
    "//",
    "/?access_token=x",
    "/?%61ccess_token=x",
];
const SCHEMES: &[&str] = &[
    "Bearer ",
    "bearer  ",
    "Bearer",
    "DPoP ",
    "Basic ",
    "Bearer x, Bearer ",
    "\t",
];
const WORDS: &[&str] = &[
    "tls-binding-proof+jwt",
    "\"alg\":\"none\"",
    "\"crit\":[]",
    "ES256",
    "x5t#S256",
    ".",
    "..",
    "=",
    "eyJ",
    "\u{e4}",
    "e30",
    "AAAA",
    ",",
    ";",
    "\"",
    "{",
    "}",
    "1e309",
];

impl Random {
    /// A request that Envoy can most often read, with anything in its values.
    pub(crate) fn mutant(&mut self, genuine: &Genuine) -> Vec<u8> {
        let mut request = Vec::new();
        let (method, path) = if self.one_in(4) {
            (self.pick(METHODS), self.pick(PATHS))
        } else {
            ("GET", "/orders")
        };
        request.extend(format!("{method} {path} HTTP/1.1\r\nHost: service.demo\r\n").bytes());
        for (name, scheme, value) in [
            ("Authorization", true, &genuine.token),
            ("Session-Binding-Proof", false, &genuine.proof),
        ] {
            let lines = if self.one_in(16) { self.below(3) } else { 1 };
            for _ in 0..lines {
                let scheme = match (scheme, self.one_in(8)) {
                    (true, true) => self.pick(SCHEMES),
                    (true, false) => "Bearer ",
                    (false, _) => "",
                };
                request.extend(format!("{name}: {scheme}").bytes());
                request.extend(self.value(value));
                request.extend(b"\r\n");
            }
        }
        if self.one_in(4) {
            request.extend(b"X-Other: ");
            request.extend(self.value(b"\xff\xfe"));
            request.extend(b"\r\n");
        }
        request.extend(b"\r\n");
        request
    }

    fn value(&mut self, genuine: &[u8]) -> Vec<u8> {
        let mut value = genuine.to_vec();
        if self.one_in(2) {
            return value;
        }
        for _ in 0..=self.below(3) {
            let at = self.below(value.len() + 1);
            match self.below(5) {
                0 => value.truncate(at),
                1 => value.insert(at, u8::try_from(self.below(256)).unwrap_or(0)),
                2 => drop(value.splice(at..at, self.pick(WORDS).bytes())),
                3 => value.extend_from_within(..at),
                _ => value
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|byte| *byte ^= 1),
            }
        }
        // Envoy refuses control characters, and what follows on the connection with them.
        value.retain(|&byte| byte >= b' ' && byte != 0x7f);
        value
    }
}
