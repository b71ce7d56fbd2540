//! All back ends judge every signature alike: `RustCrypto`, here and as linked for Wasm, Envoy's `BoringSSL`
//! where the filter lets the host verify, and AWS-LC as the native filter has it.

mod generated;
mod oracle;
#[path = "../mutate/random.rs"]
#[allow(dead_code, reason = "shared with the tests of whole requests")]
mod random;

/// What `tests/common` has of foreign vectors and of keys.
#[path = "../../../common"]
#[allow(
    dead_code,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "shared with the tests of the core"
)]
mod common {
    pub(crate) mod der;
    pub(crate) mod files;
    pub(crate) mod foreign;
    pub(crate) mod foreign_jws;
    pub(crate) mod keys;
    pub(crate) mod template;
}

use common::{foreign, foreign_jws};
use oracle::{Oracle, Question};
use serde_json::Value;
use tls_session_binding_wasm_tests::Result;

/// How many generated signatures are tried where nothing else is said; `make differential` says more.
const GENERATED: usize = 2_000;

#[tokio::test(flavor = "multi_thread")]
async fn all_back_ends_judge_generated_signatures_alike() -> Result<()> {
    let wanted = match std::env::var("SIGNATURES") {
        Ok(number) => number.parse()?,
        Err(_) => GENERATED,
    };
    let oracle = Oracle::start().await?;
    let mut random = random::Random::from_clock();
    println!("random numbers begin with {random:?}");
    let keys = generated::keys()?;
    let (mut good, mut by_host) = (0, 0);
    for done in (0..wanted).step_by(oracle::AT_ONCE) {
        let count = oracle::AT_ONCE.min(wanted - done);
        let signatures: Vec<_> = (0..count)
            .map(|_| generated::signature(&keys, &mut random))
            .collect::<Result<_>>()?;
        let questions: Vec<&Question> = signatures
            .iter()
            .map(|signature| &signature.question)
            .collect();
        for (signature, answer) in signatures.iter().zip(oracle.ask(&questions).await?) {
            let verdicts = (signature.question.judge(), answer.here, answer.filter);
            let expected = signature.is_good;
            assert_eq!(verdicts, (expected, expected, expected), "{signature:?}");
            assert!(
                signature.question.is_judged_natively_alike(),
                "{signature:?}"
            );
            good += usize::from(expected);
            by_host += usize::from(answer.by_host);
        }
    }
    println!(
        "{wanted} signatures, {good} of them good, {by_host} judged by the host: all judged alike"
    );
    assert!(good * 8 > wanted && by_host * 4 > wanted);
    Ok(())
}

/// S04, S12: the core's tests compare the verdicts of this machine with Wycheproof's labels.
#[tokio::test(flavor = "multi_thread")]
async fn all_back_ends_judge_foreign_signatures_alike() -> Result<()> {
    let oracle = Oracle::start().await?;
    let mut by_host = 0;
    let signatures = [
        foreign::ECDSA,
        foreign::ECDSA_IN_DER,
        foreign::ED25519,
        foreign::RSA_PKCS1,
        foreign::RSA_PSS,
    ]
    .concat();
    for (set, algorithms) in signatures {
        let questions = questions(foreign::text(set), |group, test| {
            let signature = foreign::signature(group, test);
            let ask = |&algorithm| Question::new(algorithm, signature.clone());
            algorithms.iter().map(ask).collect()
        })?;
        by_host += compare(&oracle, set, &questions).await?;
    }
    for (set, algorithms) in foreign::KEYS {
        let questions = questions(foreign::text(set), |group, test| {
            let key = [foreign::key(group, test), Vec::new(), Vec::new()];
            let ask = |&algorithm| Question::new(algorithm, key.clone());
            algorithms.iter().map(ask).collect()
        })?;
        by_host += compare(&oracle, set, &questions).await?;
    }
    let questions = questions(foreign_jws::text(), |group, test| {
        let signature = foreign_jws::signature(group, test).into_iter();
        let ask = |(algorithm, parts)| Question::new(algorithm, parts);
        signature.map(ask).collect()
    })?;
    by_host += compare(&oracle, foreign_jws::SET, &questions).await?;
    assert!(by_host > 1_000, "the host had a say in {by_host}");
    Ok(())
}

/// What each test of a set asks.
fn questions(set: &str, ask: impl Fn(&Value, &Value) -> Vec<Question>) -> Result<Vec<Question>> {
    let set: Value = serde_json::from_str(set)?;
    let mut questions = Vec::new();
    for group in list(&set, "testGroups") {
        for test in list(group, "tests") {
            questions.extend(ask(group, test));
        }
    }
    Ok(questions)
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    let list = value.get(name).and_then(Value::as_array);
    list.map(Vec::as_slice).unwrap_or_default()
}

async fn compare(oracle: &Oracle, set: &str, questions: &[Question]) -> Result<usize> {
    assert!(!questions.is_empty(), "{set}");
    let (mut keys, mut good, mut by_host) = (0, 0, 0);
    let asked: Vec<&Question> = questions.iter().collect();
    for (question, answer) in questions.iter().zip(oracle.ask(&asked).await?) {
        let here = (question.has_fitting_key(), question.judge());
        assert_eq!((answer.key, answer.here), here, "{set}: {question:?}");
        assert_eq!(answer.filter, answer.here, "{set}: {question:?}");
        assert!(question.is_judged_natively_alike(), "{set}: {question:?}");
        keys += usize::from(answer.key);
        good += usize::from(answer.here);
        by_host += usize::from(answer.by_host);
    }
    println!(
        "{set}: {} questions, {keys} keys accepted, {good} good signatures, {by_host} judged by the host",
        questions.len()
    );
    Ok(by_host)
}
