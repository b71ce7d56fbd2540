//! What `make demo` runs.

use tls_session_binding_e2e::Result;
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn the_demonstration_shows_a_stolen_token_refused_and_ends_well() -> Result<()> {
    for host in ["wasm", "native"] {
        let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"));
        let output = demo.env("HOST", host).output().await?;
        let told = String::from_utf8_lossy(&output.stdout);
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{host}: {told}{complaints}");
        for line in ["the thief", "invalid_token", "invalid_proof", "200"] {
            assert!(told.contains(line), "{line} is not in\n{told}");
        }
    }
    Ok(())
}
