//! One configured verifier, its connections and clients, and what becomes of their requests.

use tls_session_binding::base64url;
use tls_session_binding::config::Config;
use tls_session_binding::request::{RequestLine, RequestTarget};
use tls_session_binding::rule::Mode;

use base64::Engine as _;

use super::configuration::{Configuration, METHODS, TOKEN_HEADER};
use super::dice::Dice;
use super::reference::{Case, Expected, Reference};
use super::traffic::{
    Authorization, Bound, CERTIFICATES, Claims, Connection, ENDS, Proof, Request, Shown, Token,
    roll_host, roll_path, signature,
};
use crate::common::judge::{Judge, Outcome, Situation};

/// Reasons that something had to be forgotten, or that more is remembered than has to be.
const FORGOTTEN: [&str; 4] = [
    "proof_too_old",
    "proof_not_yet_valid",
    "proof_replayed",
    "replay_memory_unusable",
];

pub(super) struct World {
    seed: u64,
    dice: Dice,
    now: u64,
    configurations: Vec<(Configuration, Config)>,
    active: usize,
    opened: u64,
    connections: Vec<Connection>,
    tokens: Vec<Token>,
    /// Each with the connection and the token that it was made for.
    made: Vec<(u64, usize)>,
    proofs: Vec<Proof>,
    judge: Judge,
    reference: Reference,
    last: Option<Request>,
    /// What the request before presented, if it went on.
    carried: Option<usize>,
    /// Whether the last thing that happened was a request, and it went on: then it may be redirected.
    is_under_way: bool,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let now = dice.pick(&[1_800_000_000, ENDS - 200]);
        let mut world = Self {
            seed,
            dice,
            now,
            configurations: Vec::new(),
            active: 0,
            opened: 0,
            connections: Vec::new(),
            tokens: Vec::new(),
            made: Vec::new(),
            proofs: Vec::new(),
            judge: Judge::default(),
            reference: Reference::default(),
            last: None,
            carried: None,
            is_under_way: false,
        };
        world.judge.sign = Some(signature);
        world.configure();
        for _ in 0..3 {
            world.open();
            world.issue();
        }
        world
    }

    /// Something happens; how a request ended, if it was one.
    pub(super) fn step(&mut self) -> Option<&'static str> {
        let event = self.dice.roll(40);
        let is_under_way = std::mem::take(&mut self.is_under_way);
        match event {
            0 | 1 => self.now += self.dice.pick(&[1_u64, 10, 19, 21, 29, 31, 60, 301]),
            2 if self.dice.once_in(4) => self.now -= 45,
            3 => self.reopen(),
            4 => self.issue(),
            5 if self.dice.once_in(2) => self.configure(),
            6 => self.active = self.dice.roll(self.configurations.len()),
            7 => self.judge.restart(),
            8 => self.judge.lost_swaps.set(self.dice.pick(&[1, 2, 8])),
            _ => return Some(self.request(is_under_way)),
        }
        None
    }

    fn configure(&mut self) {
        let configuration = Configuration::roll(&mut self.dice);
        let config = Config::parse(configuration.text.as_bytes());
        let config = config.unwrap_or_else(|mistakes| panic!("{mistakes}: {}", configuration.text));
        self.active = self.configurations.len();
        self.configurations.push((configuration, config));
    }

    fn open(&mut self) {
        self.opened += 1;
        let connection = Connection::roll(&mut self.dice, self.opened, &self.connections);
        self.connections.push(connection);
    }

    /// A connection ends, and another one begins. The host does not always tell.
    fn reopen(&mut self) {
        let number = self.dice.roll(self.connections.len());
        if self.dice.once_in(2)
            && let Some(request) = self.last.clone()
        {
            let request = Request {
                connection: number,
                ..request
            };
            let situation = self.situation(&request, false);
            let (_, config) = &self.configurations[self.active];
            self.judge.close(&situation, config);
        }
        self.connections.remove(number);
        self.last = None;
        self.open();
    }

    fn issue(&mut self) {
        let token = Token::roll(&mut self.dice, self.tokens.len(), self.now);
        self.tokens.push(token);
    }

    fn request(&mut self, is_under_way: bool) -> &'static str {
        let is_redirected = is_under_way && self.last.is_some() && self.dice.once_in(12);
        let request = match self.last.clone() {
            Some(last) if is_redirected => self.redirected(&last),
            Some(last) if self.dice.once_in(2) => self.nearly_again(last),
            _ => self.roll(),
        };
        self.send(request, is_redirected)
    }

    fn roll(&mut self) -> Request {
        let connection = self.dice.roll(self.connections.len());
        let token = self.token_for(connection);
        let authorization = match self.dice.roll(20) {
            0 => Authorization::Nothing,
            1 => Authorization::Basic,
            2 => Authorization::Twice(token),
            3 | 4 => Authorization::Within(token),
            _ => Authorization::Bearer(token),
        };
        let is_plain = !matches!(authorization, Authorization::Bearer(_));
        let proofs = match self.dice.roll(16) {
            0 => Vec::new(),
            1 => vec![self.proof(connection, token), self.proof(connection, token)],
            _ if is_plain && self.dice.once_in(2) => Vec::new(),
            _ => vec![self.proof(connection, token)],
        };
        let is_connect = self.dice.once_in(40);
        Request {
            connection,
            authorization,
            proofs,
            claims: self.claims(token),
            method: if is_connect {
                "CONNECT"
            } else {
                self.dice.pick(&METHODS)
            },
            host: roll_host(&mut self.dice),
            path: (!is_connect).then(|| roll_path(&mut self.dice)),
            has_token_header: self.dice.once_in(24),
        }
    }

    /// Mostly one that is bound to this client, if there is any.
    fn token_for(&mut self, connection: usize) -> usize {
        let own = |bound| match bound {
            Bound::Certificate(number) | Bound::Session(number) => {
                self.connections[connection].shown == Shown::Certificate(number)
            }
            _ => false,
        };
        let fitting: Vec<usize> = (0..self.tokens.len())
            .filter(|&token| own(self.tokens[token].claims.bound))
            .collect();
        if fitting.is_empty() || self.dice.once_in(3) {
            return self.dice.roll(self.tokens.len());
        }
        self.dice.pick(&fitting)
    }

    /// One that was made for this, one that was made for anything, or a new one.
    fn proof(&mut self, connection: usize, token: usize) -> usize {
        let own = (self.connections[connection].id, token);
        let made: Vec<usize> = (0..self.made.len())
            .filter(|&number| self.made[number] == own)
            .collect();
        match self.dice.roll(12) {
            0 if !self.proofs.is_empty() => self.dice.roll(self.proofs.len()),
            1..=8 if !made.is_empty() => self.dice.pick(&made),
            _ => {
                let (connection, text) = (&self.connections[connection], &self.tokens[token]);
                let proof = Proof::roll(&mut self.dice, connection, text, self.now);
                self.made.push(own);
                self.proofs.push(proof);
                self.proofs.len() - 1
            }
        }
    }

    fn claims(&mut self, token: usize) -> Option<Claims> {
        let own = self.tokens[token].claims;
        match self.dice.roll(12) {
            0 => None,
            1 => Some(own.changed(&mut self.dice)),
            _ => Some(own),
        }
    }

    /// The same again, but perhaps for one thing.
    fn nearly_again(&mut self, last: Request) -> Request {
        let mut request = last;
        let Authorization::Bearer(token) = request.authorization else {
            return request;
        };
        match self.dice.roll(12) {
            0 => request.claims = self.claims(token),
            1 => request.claims = None,
            2 | 10 => request.connection = self.dice.roll(self.connections.len()),
            3 => request.authorization = Authorization::Bearer(self.dice.roll(self.tokens.len())),
            4 => request.path = Some(roll_path(&mut self.dice)),
            5 => request.host = roll_host(&mut self.dice),
            6 => request.proofs = vec![self.proof(request.connection, token)],
            7 => request.proofs = Vec::new(),
            8 => request.has_token_header = !request.has_token_header,
            9 => request.authorization = Authorization::Within(token),
            _ => {}
        }
        if request.path.is_some() && request.method == "CONNECT" {
            request.method = "GET";
        }
        request
    }

    /// The same for another target, its proof taken away when it went on the first time.
    fn redirected(&mut self, last: &Request) -> Request {
        Request {
            method: "GET",
            host: roll_host(&mut self.dice),
            path: Some(roll_path(&mut self.dice)),
            proofs: Vec::new(),
            ..last.clone()
        }
    }

    fn send(&mut self, request: Request, is_redirected: bool) -> &'static str {
        let situation = self.situation(&request, is_redirected);
        let (configuration, config) = &self.configurations[self.active];
        let (outcome, _) = self.judge.judge_under(&situation, config);
        let mut judged = request.clone();
        if is_redirected {
            // A proof of the connection counts again, one for the request before does not.
            let counts = |proof: &usize| !self.proofs[*proof].is_for_one_request();
            judged.proofs = self.carried.into_iter().filter(counts).collect();
        }
        let case = Case {
            configuration,
            connection: &self.connections[request.connection],
            request: &judged,
            tokens: &self.tokens,
            proofs: &self.proofs,
            now: self.now,
        };
        let (expected, observes) = self.reference.judge(&case);
        let rule = config.policy.select(&line(&situation)).rule;
        let is_right = match (expected, &outcome) {
            (Expected::Goes(verdict) | Expected::MayGo(verdict), Outcome::Accepted(said)) => {
                *said == verdict
            }
            (Expected::MayGo(_), refused) => FORGOTTEN.contains(&refused.reason()),
            (Expected::Goes(_), refused) => refused.reason() == "replay_memory_unusable",
            (Expected::Refused, refused) => {
                !refused.is_accepted() && (rule.mode == Mode::Observe) == observes
            }
            (Expected::Either, _) => true,
        };
        assert!(
            is_right,
            "world {}: {outcome:?}, but {expected:?} (observes: {observes}) at {} of {judged:?} on {:?}\n{}\n{:?}",
            self.seed,
            self.now,
            case.connection,
            configuration.text,
            judged
                .proofs
                .iter()
                .map(|&proof| Proof {
                    text: String::new(),
                    ..self.proofs[proof].clone()
                })
                .collect::<Vec<_>>(),
        );
        let went = outcome.reason();
        if went == "session_bound" {
            self.reference.note(&case);
        }
        let presented = judged.proofs.first().copied();
        self.carried = presented.filter(|_| went == "session_bound");
        self.is_under_way = outcome.is_accepted();
        self.last = Some(request);
        went
    }

    fn situation(&self, request: &Request, is_redirected: bool) -> Situation {
        let connection = &self.connections[request.connection];
        let (configuration, _) = &self.configurations[self.active];
        let bearer = |token: usize| format!("Bearer {}", self.tokens[token].text);
        let authorization = match request.authorization {
            Authorization::Nothing => Vec::new(),
            Authorization::Basic => vec!["Basic eDp5".to_owned()],
            Authorization::Bearer(token) => vec![bearer(token)],
            Authorization::Twice(token) => vec![format!("{0},{0}", bearer(token))],
            Authorization::Within(token) => {
                vec![format!("Digest a=\"{}\", b=c", self.tokens[token].text)]
            }
        };
        let standard = base64::engine::general_purpose::STANDARD;
        Situation {
            config: configuration.text.clone().into_bytes(),
            exporter: connection
                .exporter
                .map_or(Vec::new(), |value| base64url::encode(&value).into_bytes()),
            certificate: match connection.shown {
                Shown::Certificate(number) => standard.encode(&CERTIFICATES[number].der).into(),
                Shown::NotPresented => b"none".to_vec(),
                Shown::Nothing => Vec::new(),
            },
            now: self.now,
            method: request.method.into(),
            authority: request.host.text.into(),
            path: request.path.map_or("", |path| path.text).into(),
            authorization: authorization.into_iter().map(String::into_bytes).collect(),
            proof: (request.proofs.iter())
                .map(|&proof| self.proofs[proof].text.clone().into_bytes())
                .collect(),
            headers: (request.has_token_header)
                .then(|| (TOKEN_HEADER.to_owned(), b"a.b.c".to_vec()))
                .into_iter()
                .collect(),
            claims: request.claims.map(|claims| claims.json()),
            connection_id: connection.id,
            is_redirected,
        }
    }
}

fn line(situation: &Situation) -> RequestLine<'_> {
    RequestLine {
        method: &situation.method,
        target: RequestTarget {
            authority: &situation.authority,
            path: &situation.path,
        },
    }
}
