//! Tells, line by line and against a real Envoy, what a bound token is worth and to whom.
//!
//! Ends with an error when any answer is not what the story says.
#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::io::{IsTerminal as _, stdout};
use std::process::ExitCode;

use http::{Request, Response};
use hyper::body::Bytes;
use tls_session_binding_client::http::{BearerChallenge, HttpVersion, Options, Session};
use tls_session_binding_client::proof::ProofBuilder;
use tls_session_binding_client::{AccessToken, ExporterValue};
use tls_session_binding_e2e::application::Application;
use tls_session_binding_e2e::ask::{Outcome, Present, SERVICE, get, present};
use tls_session_binding_e2e::party::Party;
use tls_session_binding_e2e::raw::RawConnection;
use tls_session_binding_e2e::stack::{Bootstrap, Stack, Verifier};
use tls_session_binding_e2e::{Result, now};

#[tokio::main]
async fn main() -> ExitCode {
    match tell().await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(wrong) => {
            eprintln!("{wrong} lines of the story are not as they should be");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("the story broke off: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn tell() -> Result<usize> {
    let verifier = match std::env::var("HOST").as_deref() {
        Ok("native") => Verifier::Native,
        Ok("wasm") | Err(_) => Verifier::Wasm,
        Ok(other) => return Err(format!("HOST={other}: it is wasm or native").into()),
    };
    let stack = Stack::verified_by(verifier).await?;
    let mut story = Story {
        stack: &stack,
        lines: 0,
        wrong: 0,
    };
    println!(
        "An unmodified Envoy, mutual TLS, HTTP/2; behind it a service that counts its requests.\n"
    );
    let agent = stack.party(
        "client",
        Options {
            http: HttpVersion::Http2,
            ..Options::default()
        },
    )?;
    let thief = stack.party(
        "thief",
        Options {
            http: HttpVersion::Http2,
            ..Options::default()
        },
    )?;
    let stolen = genuine_use(&mut story, &agent).await?;
    theft(&mut story, &agent, &thief, &stolen).await?;
    one_request_only(&mut story, &agent).await?;
    sidecar(&mut story, &agent).await?;
    Ok(story.end())
}

/// What the thief gets hold of later.
struct Loot {
    token: String,
    proof: String,
}

async fn genuine_use(story: &mut Story<'_>, agent: &Party) -> Result<Loot> {
    let issuer = &story.stack.authorization_server;
    let connection = agent.connect().await?;
    let (alice, bob) = (agent.token(issuer, "alice")?, agent.token(issuer, "bob")?);
    let alices = agent.proof(&alice, connection.exporter())?;
    let bobs = agent.proof(&bob, connection.exporter())?;

    story.chapter("An agent works for two users over one connection");
    let line = Line {
        sent: "Alice's token, and a proof signed for this token on this connection",
        why: "token, certificate and connection belong together",
        expected: Outcome::Passed,
    };
    story
        .tell(&line, &connection, present(&alice, Some(&alices)))
        .await?;
    let line = Line {
        sent: "Alice's token with the same proof again",
        why: "one signature serves every request of the token on its connection",
        expected: Outcome::Passed,
    };
    story
        .tell(&line, &connection, present(&alice, Some(&alices)))
        .await?;
    let line = Line {
        sent: "Bob's token with its own proof, on the same connection",
        why: "a second user costs a second signature, not a second connection",
        expected: Outcome::Passed,
    };
    story
        .tell(&line, &connection, present(&bob, Some(&bobs)))
        .await?;
    let line = Line {
        sent: "Bob's token with Alice's proof",
        why: "a proof names the token that it is for",
        expected: Outcome::refused("invalid_proof"),
    };
    story
        .tell(&line, &connection, present(&bob, Some(&alices)))
        .await?;
    let line = Line {
        sent: "Alice's token without proof",
        why: "no request is spared the proof, not even after good ones",
        expected: Outcome::refused("use_session_binding"),
    };
    story
        .tell(&line, &connection, present(&alice, None))
        .await?;
    Ok(Loot {
        token: alice,
        proof: alices,
    })
}

async fn theft(story: &mut Story<'_>, agent: &Party, thief: &Party, stolen: &Loot) -> Result<()> {
    story.chapter("A thief with a valid certificate has read Alice's token and proof");
    let thiefs = thief.connect().await?;
    let line = Line {
        sent: "the stolen token, from the thief's connection",
        why: "the token names the agent's certificate, not the thief's",
        expected: Outcome::refused("invalid_token"),
    };
    story
        .tell(&line, &thiefs, present(&stolen.token, None))
        .await?;
    let line = Line {
        sent: "the stolen token and the stolen proof, from the thief's connection",
        why: "the proof does not change whose token it is",
        expected: Outcome::refused("invalid_token"),
    };
    story
        .tell(&line, &thiefs, present(&stolen.token, Some(&stolen.proof)))
        .await?;
    story
        .refused_handshake("a connection without client certificate")
        .await;

    story.chapter("The thief can even open connections with the agent's certificate");
    let other = agent.connect().await?;
    let line = Line {
        sent: "the stolen token, from another connection with the same certificate",
        why: "this is where a certificate-bound token alone would pass",
        expected: Outcome::refused("use_session_binding"),
    };
    story
        .tell(&line, &other, present(&stolen.token, None))
        .await?;
    let line = Line {
        sent: "the stolen token and proof, from another connection with the same certificate",
        why: "every TLS connection has another exporter value, and the proof names its own",
        expected: Outcome::refused("invalid_proof"),
    };
    story
        .tell(&line, &other, present(&stolen.token, Some(&stolen.proof)))
        .await
}

async fn one_request_only(story: &mut Story<'_>, agent: &Party) -> Result<()> {
    story.chapter("A proof for one request only");
    let connection = agent.connect().await?;
    let token = agent.token(&story.stack.authorization_server, "alice")?;
    let proof = single_use_proof(agent, &token, connection.exporter())?;
    let line = Line {
        sent: "a proof that names method, target and an id of its own",
        why: "the request is the one that the proof names",
        expected: Outcome::Passed,
    };
    story
        .tell(&line, &connection, present(&token, Some(&proof)))
        .await?;
    let line = Line {
        sent: "the same proof a second time, on the same connection",
        why: "its id has been seen",
        expected: Outcome::refused("invalid_proof"),
    };
    story
        .tell(&line, &connection, present(&token, Some(&proof)))
        .await?;
    let proof = single_use_proof(agent, &token, connection.exporter())?;
    let line = Line {
        sent: "another such proof, with a request for another path",
        why: "the proof names another target",
        expected: Outcome::refused("invalid_proof"),
    };
    let request = get("/accounts").token(&token).proof(&proof).empty();
    story.tell(&line, &connection, request).await
}

async fn sidecar(story: &mut Story<'_>, agent: &Party) -> Result<()> {
    let stack = story.stack;
    let egress = stack.egress(Bootstrap::shipped("egress.yaml")?).await?;
    let token = agent.token(&stack.authorization_server, "alice")?;
    let mut application = Application::connect(egress.address, HttpVersion::Http1).await?;

    story.chapter("An application that knows its token and nothing else, and its sidecar");
    let line = Line {
        sent: "the token alone, in plain HTTP to the sidecar on the application's own machine",
        why: "the sidecar holds the key, and adds the proof for the connection it sends on",
        expected: Outcome::Passed,
    };
    let before = stack.upstream.requests();
    let response = application.send(present(&token, None)).await?;
    let reached = stack.upstream.requests() - before;
    story.judge(&line, &response, reached);
    let line = Line {
        sent: "the same request without the sidecar, with the agent's certificate",
        why: "the proof came from the sidecar",
        expected: Outcome::refused("use_session_binding"),
    };
    let connection = agent.connect().await?;
    story
        .tell(&line, &connection, present(&token, None))
        .await?;
    story
        .refused_handshake("a connection without the sidecar, and so without certificate")
        .await;
    Ok(())
}

fn single_use_proof(agent: &Party, token: &str, exporter: &ExporterValue) -> Result<String> {
    let hash = AccessToken::parse(token).map_err(|_| "not a token")?.hash();
    let proof = ProofBuilder::new(&hash, exporter, now())
        .method("GET")
        .target_uri(&format!("https://{SERVICE}/orders"))
        .id(&format!("{:?}", std::time::Instant::now()));
    Ok(proof.sign(&agent.signer)?.as_str().to_owned())
}

/// One line of the story.
struct Line {
    sent: &'static str,
    why: &'static str,
    expected: Outcome,
}

struct Story<'a> {
    stack: &'a Stack,
    lines: usize,
    wrong: usize,
}

impl Story<'_> {
    fn chapter(&self, title: &str) {
        println!("{}{title}", if self.lines == 0 { "" } else { "\n" });
    }

    /// Sends the request, and prints what was sent, what came back, and why.
    async fn tell(&mut self, line: &Line, on: &Session, request: Request<Bytes>) -> Result<()> {
        let before = self.stack.upstream.requests();
        let response = on.send_as_is(request).await?;
        let reached = self.stack.upstream.requests() - before;
        self.judge(line, &response, reached);
        Ok(())
    }

    /// Prints what came back for a request that `reached` the service so many times.
    fn judge<B>(&mut self, line: &Line, response: &Response<B>, reached: u64) {
        let outcome = Outcome::of(response);
        let right = outcome == line.expected && reached == u64::from(outcome == Outcome::Passed);
        let mut answer = format!("{}", response.status().as_u16());
        if let Some(challenge) = BearerChallenge::from_headers(response.headers()) {
            let error = challenge.error.unwrap_or_default();
            let words = challenge.error_description.unwrap_or_default();
            let _ = write!(answer, " {error}: {words}");
        }
        let service = if reached == 0 {
            "the service saw nothing"
        } else {
            "the service answered"
        };
        self.print(line.sent, &format!("{answer} ({service})"), line.why, right);
    }

    /// Without a certificate there is no connection to send anything on.
    async fn refused_handshake(&mut self, sent: &str) {
        let stack = self.stack;
        let before = stack.upstream.requests();
        let tried = match RawConnection::open(stack.address, &stack.pki(), None).await {
            Ok(mut connection) => {
                connection
                    .exchange(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", 1)
                    .await
            }
            Err(error) => Err(error),
        };
        let answer = match &tried {
            Ok(answer) => answer.lines().next().unwrap_or("nothing").to_owned(),
            Err(error) => format!("no TLS connection: {error}"),
        };
        let right = tried.is_err() && stack.upstream.requests() == before;
        let why = "without a client certificate nothing is read from a connection";
        self.print(sent, &answer, why, right);
    }

    fn print(&mut self, sent: &str, answer: &str, why: &str, right: bool) {
        self.lines += 1;
        self.wrong += usize::from(!right);
        println!("{:>3}. sent    {sent}", self.lines);
        println!("     answer  {} {answer}", verdict(right));
        println!("     why     {why}");
    }

    fn end(&self) -> usize {
        let (lines, right) = (self.lines, self.lines - self.wrong);
        println!("\n{right} of {lines} lines are as they should be.");
        self.wrong
    }
}

/// Green or red, where somebody looks at it.
fn verdict(right: bool) -> &'static str {
    match (right, stdout().is_terminal()) {
        (true, true) => "\u{1b}[32mas expected\u{1b}[0m",
        (false, true) => "\u{1b}[31mNOT AS EXPECTED\u{1b}[0m",
        (true, false) => "as expected",
        (false, false) => "NOT AS EXPECTED",
    }
}
