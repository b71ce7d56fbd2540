//! Every bound on what a client, a host or an operator may hand in, by name and with its source.

/// Longest access token, in bytes: RFC 6750 sets no bound, and Envoy lets all headers of a request together
/// be 60 KiB by default (`max_request_headers_kb`). `max_access_token_bytes` lowers it.
pub const MAX_ACCESS_TOKEN_BYTES: usize = 60 * 1024;

/// Longest session-binding proof, in bytes. A connection-level proof with RS512 over a 4096-bit key
/// takes about 1 KiB; the rest is room for `htu` and `jti`.
pub const MAX_PROOF_BYTES: usize = 8 * 1024;

/// Deepest nesting of arrays and objects in a proof or the configuration. The deepest that either has is 4.
pub const MAX_JSON_DEPTH: usize = 8;

/// Deepest nesting in an access token, whose other claims are not this verifier's: what the JSON parser
/// takes before it refuses to recurse.
pub const MAX_TOKEN_JSON_DEPTH: usize = 127;

/// Largest client certificate, in bytes of DER. TLS itself allows 2^24; a leaf with an RSA-4096 key
/// and a dozen names is below 4 KiB.
pub const MAX_CERTIFICATE_BYTES: usize = 16 * 1024;

/// Smallest RSA modulus, in bits (RFC 7518 section 3.3).
pub const MIN_RSA_BITS: usize = 2048;

/// Largest RSA modulus, in bits: bounds the time of one verification, which grows with its square.
pub const MAX_RSA_BITS: usize = 4096;

/// Longest `jti`, in bytes. A UUID takes 36.
pub const MAX_JTI_BYTES: usize = 256;

/// Longest `htu`, in bytes: the length that RFC 9110 section 4.1 recommends to support as a minimum
/// is 8000; what is longer than this cannot fit in a proof anyway.
pub const MAX_HTU_BYTES: usize = 4 * 1024;

/// Longest text of an exporter value from the host, in bytes: 32 bytes as hex.
pub const MAX_EXPORTER_TEXT_BYTES: usize = 64;

/// Most bytes of tokens and proofs that the binding cache of one VM holds: a VM's memory never shrinks.
pub const MAX_CACHED_BYTES: usize = 32 * 1024 * 1024;

/// What a connection counts for among [`MAX_CACHED_BYTES`] beside its tokens and proofs, in bytes: its
/// certificate's key, which for RSA is parsed to big numbers, and the tables around it.
pub const KNOWN_CONNECTION_BYTES: usize = 1024;

/// Most bytes of the host's shared memory that bindings may take, whatever product of limits is configured:
/// what is written there stays for as long as the process.
pub const MAX_SHARED_BYTES: u64 = 1024 * 1024 * 1024;

/// What a connection's slot takes of shared memory beside its entries, in bytes: measured for an empty one.
pub const SHARED_SLOT_BYTES: u64 = 300;

/// Most connections whose bindings can be kept: each takes a key of shared memory for good.
pub const MAX_CACHED_CONNECTIONS: usize = 1_000_000;

/// Most bindings of one connection that can be kept: they are searched one by one.
pub const MAX_CACHED_TOKENS: usize = 1_000;

/// Most rules of a policy: they are tried one by one.
pub const MAX_RULES: usize = 100;

/// Longest name of a rule, in bytes: it becomes part of metric names.
pub const MAX_RULE_NAME_BYTES: usize = 40;

/// Longest realm, and longest URL of resource metadata, in bytes: they stand in every refusal.
pub const MAX_CHALLENGE_TEXT_BYTES: usize = 512;

/// Largest plugin configuration, in bytes.
pub const MAX_CONFIG_BYTES: usize = 64 * 1024;

/// Longest configurable duration, in seconds: one day.
pub const MAX_CONFIG_SECONDS: u64 = 24 * 60 * 60;

/// How far past its `exp` a bound token is still accepted, in seconds: what Envoy's `jwt_authn` allows.
pub const TOKEN_CLOCK_TOLERANCE: u64 = 60;

/// Most client certificates that are kept parsed.
pub const MAX_KNOWN_CERTIFICATES: usize = 1024;

/// Most bytes of client certificates that are kept parsed.
pub const MAX_KNOWN_CERTIFICATE_BYTES: usize = 4 * 1024 * 1024;

/// Most requests whose proof is kept in case the host runs the filter on them again (an internal redirect).
pub const MAX_CARRIED: usize = 1024;
