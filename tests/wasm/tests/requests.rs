//! No bytes in a request end the filter's virtual machine, nor become an error of its own.

mod mutate;

use std::collections::BTreeMap;

use mutate::Random;
use tls_session_binding_client::http::Options;
use tls_session_binding_e2e::party::Party;
use tls_session_binding_e2e::raw::RawConnection;
use tls_session_binding_e2e::stack::{Bootstrap, FILTER, Stack};
use tls_session_binding_wasm_tests::Result;

/// How many requests are sent where nothing else is said; `make traps` says more.
const REQUESTS: usize = 10_000;
const PER_CONNECTION: usize = 100;
const CONNECTIONS_AT_ONCE: usize = 10;

/// Status of the answers, and how often.
type Statuses = BTreeMap<String, usize>;

#[tokio::test(flavor = "multi_thread")]
async fn no_request_ends_a_virtual_machine() -> Result<()> {
    let wanted = match std::env::var("FUZZED_REQUESTS") {
        Ok(number) => number.parse()?,
        Err(_) => REQUESTS,
    };
    // The filter shall see what the check of tokens would stop.
    let bootstrap = Bootstrap::shipped("ingress.yaml")?
        .with(
            "requires: { provider_name: demo }",
            "requires: { allow_missing_or_failed: {} }",
        )
        .with(FILTER, r#"value: "{}""#);
    let stack = Stack::start(&bootstrap).await?;
    // Both workers have their virtual machines before they are counted.
    send_batches(&stack, 8, 1).await?;
    let before = virtual_machines(&stack).await?;
    let batches = wanted.div_ceil(PER_CONNECTION);
    let statuses = send_batches(&stack, batches, PER_CONNECTION).await?;
    println!("{statuses:?}");
    assert_eq!(
        virtual_machines(&stack).await?,
        before,
        "virtual machines came or went"
    );
    assert_eq!(stack.envoy.stat("vm_reload").await?, 0);
    assert!(
        statuses.keys().all(|status| !status.starts_with('5')),
        "{statuses:?}"
    );
    let answered = |status| statuses.get(status).copied().unwrap_or(0);
    let (passed, refused) = (answered("200"), answered("401"));
    assert!(
        passed > 0 && refused > 0,
        "{statuses:?} shows one side alone"
    );
    assert!(
        (passed + refused) * 10 > wanted * 9,
        "the filter saw too few: {statuses:?}"
    );
    Ok(())
}

async fn virtual_machines(stack: &Stack) -> Result<u64> {
    stack.envoy.stat("wasm.envoy.wasm.runtime.v8.active").await
}

async fn send_batches(stack: &Stack, batches: usize, requests: usize) -> Result<Statuses> {
    let mut statuses = Statuses::new();
    let mut random = Random::from_clock();
    println!("random numbers begin with {random:?}");
    for begin in (0..batches).step_by(CONNECTIONS_AT_ONCE) {
        let lanes = (begin..batches.min(begin + CONNECTIONS_AT_ONCE))
            .map(|_| send_batch(stack, requests, random.split()));
        for answers in futures_util::future::try_join_all(lanes).await? {
            for (status, times) in answers {
                *statuses.entry(status).or_default() += times;
            }
        }
    }
    Ok(statuses)
}

/// Sends mutants of a genuine request on a connection, one after the other: Envoy closes a connection
/// on which it refuses pipelined requests.
async fn send_batch(stack: &Stack, requests: usize, mut random: Random) -> Result<Statuses> {
    let party = stack.party("client", Options::default())?;
    let mut connection =
        RawConnection::open(stack.address, &stack.pki(), Some(&party.signer)).await?;
    let genuine = genuine(stack, &party, &connection)?;
    let mut statuses = Statuses::new();
    for _ in 0..requests {
        let mutant = random.mutant(&genuine);
        let Ok(answer) = connection.exchange(&mutant, 1).await else {
            break;
        };
        let status = answer.get(9..12).unwrap_or_default().to_owned();
        *statuses.entry(status).or_default() += 1;
    }
    Ok(statuses)
}

fn genuine(stack: &Stack, party: &Party, connection: &RawConnection) -> Result<mutate::Genuine> {
    let token = party.token(&stack.authorization_server, "alice")?;
    let proof = party.proof(&token, &connection.exporter()?)?;
    Ok(mutate::Genuine {
        token: token.into_bytes(),
        proof: proof.into_bytes(),
    })
}
