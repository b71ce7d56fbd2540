// Judges the published vectors with jose and Node's X.509. It shares nothing with the verifier but the specification.
//
// Arguments: proofs.json, exceptions.json. Rules by path and what the host says are this filter's own: such cases are left
// out, and counted.

import { createHash, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { compactVerify } from "jose";

const LABEL = "EXPORTER-oauth-tls-session-bound";
const OWN = ["rules", "exporter", "client_certificate", "confirmation", "tokens_elsewhere", "client_authority"];
const RSA = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];

class Refused extends Error {
  constructor(status, error) {
    super(error);
    Object.assign(this, { status, error });
  }
}

function demand(condition, error = "invalid_proof", status = 401) {
  if (!condition) throw new Refused(status, error);
}

function decode(text, error, status) {
  demand(typeof text === "string" && text !== "", error, status);
  const data = Buffer.from(text, "base64url");
  demand(data.toString("base64url") === text, error, status);
  return data;
}

// JSON.parse keeps the last of duplicate members; a string literal that is followed by a colon is a member's name.
function members(part, error) {
  const text = decode(part, error).toString();
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    demand(false, error);
  }
  demand(typeof value === "object" && value !== null && !Array.isArray(value), error);
  const names = [...text.matchAll(/("(?:[^"\\]|\\.)*")\s*:/g)].length;
  const count = (node) => (typeof node !== "object" || node === null ? 0
    : Object.values(node).reduce((sum, child) => sum + count(child), Array.isArray(node) ? 0 : Object.keys(node).length));
  demand(names === count(value), error);
  return value;
}

function number(claims, name, error = "invalid_proof") {
  const value = claims[name];
  demand(typeof value === "number" && value >= 0 && value < 253402300800, error);
  return Math.floor(value);
}

const isProofType = ({ typ }) => String(typ).toLowerCase().replace(/^application\//, "") === "tls-binding-proof+jwt";
const sha256 = (data) => createHash("sha256").update(data).digest("base64url");

function tokenOf({ path, authorization }) {
  const error = "invalid_token";
  const query = path.split("?").slice(1).join("?");
  demand(!/(^|[&;#])access_token(=|&|$)/i.test(query), error);
  demand(authorization.length <= 1, error);
  const [scheme, ...rest] = (authorization[0] ?? "").split(" ");
  if (scheme.toLowerCase() !== "bearer") {
    demand(!/bearer[ \t]/i.test(authorization[0] ?? ""), error);
    return null;
  }
  const token = rest.join(" ").replace(/^ +| +$/g, "");
  demand(/^[A-Za-z0-9._~+/-]+=*$/.test(token), error);
  return token;
}

function confirmation(token, now) {
  const error = "invalid_token";
  const parts = token.split(".");
  demand(parts.length === 3 && !isProofType(members(parts[0], error)), error);
  const claims = members(parts[1], error);
  const cnf = "cnf" in claims ? claims.cnf : {};
  demand(typeof cnf === "object" && cnf !== null && !Array.isArray(cnf), error);
  demand(!["jkt", "jwk", "jwe", "jku", "kid"].some((name) => name in cnf), error);
  const thumbprint = cnf["x5t#S256"];
  demand(!("x5t#S256" in cnf) || decode(thumbprint, error).length === 32, error);
  demand(!("tls_exp" in cnf) || (cnf.tls_exp === LABEL && thumbprint), error);
  const expires = "exp" in claims ? number(claims, "exp", error) : now;
  demand(!thumbprint || now <= expires + 60, error);
  return [thumbprint, "tls_exp" in cnf];
}

function fitting(key) {
  const { namedCurve, modulusLength, publicExponent } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === "ec") return { prime256v1: ["ES256"], secp384r1: ["ES384"] }[namedCurve] ?? [];
  if (key.asymmetricKeyType === "ed25519") return ["EdDSA", "Ed25519"];
  const good = key.asymmetricKeyType === "rsa" && modulusLength >= 2048 && modulusLength <= 4096;
  return good && publicExponent === 65537n ? RSA : [];
}

function keyOf(certificate, now) {
  demand(now * 1000 <= Date.parse(certificate.validTo));
  try {
    return certificate.publicKey;
  } catch {
    throw new Refused(401, "invalid_proof");
  }
}

function sameTarget(htu, { authority, path }) {
  const origin = `https://${authority}`;
  if (!URL.canParse(htu, origin)) return false;
  const target = new URL(htu, origin);
  return target.origin + target.pathname === origin + path.split("?")[0];
}

async function verifyProof(proof, { config, now, request, connection }, token, thumbprint, key) {
  const parts = proof.split(".");
  demand(parts.length === 3 && proof.length <= 8192);
  const [header, claims] = [members(parts[0], "invalid_proof"), members(parts[1], "invalid_proof")];
  demand(isProofType(header) && !["crit", "b64", "zip", "enc", "cty", "jwk"].some((name) => name in header));
  demand(header["x5t#S256"] === thumbprint);
  const same = (name) => (name === "Ed25519" ? "EdDSA" : name);
  const algorithms = fitting(key).filter((name) => (config.algorithms ?? [name]).map(same).includes(same(name)));
  demand(algorithms.includes(header.alg));
  demand(claims.ath === sha256(token) && claims.ekm === connection.exporter);
  const [age, tolerance] = [config.max_proof_age ?? "300s", config.clock_tolerance ?? "30s"].map((text) => parseInt(text));
  demand(now - age - tolerance <= number(claims, "iat") && number(claims, "iat") <= now + tolerance);
  demand(!("exp" in claims) || now < number(claims, "exp") + tolerance);
  demand(!("nbf" in claims) || number(claims, "nbf") <= now + tolerance);
  demand((config.required_claims ?? []).every((name) => name in claims));
  demand(!("htm" in claims) || claims.htm === request.method);
  demand(!("htu" in claims) || sameTarget(claims.htu, request));
  demand(!("jti" in claims) || (typeof claims.jti === "string" && claims.jti.length >= 1 && claims.jti.length <= 256));
  decode(parts[2], "invalid_proof");
  await compactVerify(proof, key, { algorithms }).catch(() => demand(false));
}

async function judge(testCase) {
  const { config, connection, request, now } = testCase;
  const [required, proofs] = [config.binding === "required", request.session_binding_proof];
  const token = tokenOf(request);
  demand(proofs.length <= 1);
  if (token === null) {
    demand(!required, null);
    demand(proofs.length === 0);
    return "without_token";
  }
  const [thumbprint, session] = confirmation(token, now);
  demand(session || !required, "invalid_token");
  if (!thumbprint) return "unbound";
  demand(!session || decode(connection.exporter, null, 503).length === 32, null, 503);
  demand(connection.client_certificate !== "none");
  const der = Buffer.from(connection.client_certificate, "base64");
  demand(der.toString("base64") === connection.client_certificate, null, 503);
  let certificate;
  try {
    certificate = new X509Certificate(der);
  } catch {
    throw new Refused(503, null);
  }
  demand(thumbprint === sha256(der), "invalid_token");
  const key = keyOf(certificate, now);
  if (!session) return "certificate_bound";
  demand(proofs.length === 1, "use_session_binding");
  demand(request.path !== "" || request.method === "CONNECT", null, 400);
  await verifyProof(proofs[0], testCase, token, thumbprint, key);
  return "session_bound";
}

const [vectors, exceptions] = process.argv.slice(2).map((path) => JSON.parse(readFileSync(path, "utf8")));
const judged = vectors.cases.filter(({ config }) => !OWN.some((key) => key in config));
let differ = 0;
for (const testCase of judged) {
  const found = await judge(testCase).then((verdict) => ({ verdict }), (refused) => {
    if (!(refused instanceof Refused)) throw refused;
    return { status: refused.status, error: refused.error };
  });
  const { verdict, status, error } = testCase.expected;
  const same = found.verdict === verdict && found.status === status && (found.error ?? null) === (error ?? null);
  if (same === testCase.id in exceptions) {
    differ += 1;
    console.log(`${testCase.id}: the vectors say ${JSON.stringify(testCase.expected)}, this judge ${JSON.stringify(found)}`);
  }
}
const [left, reasons] = [vectors.cases.length - judged.length, Object.keys(exceptions).length];
console.log(`${judged.length} cases judged, ${left} left out, ${reasons} exceptions with a reason`);
process.exit(differ > 0 ? 1 : 0);
