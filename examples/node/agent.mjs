// An `https.Agent` that sends TLS-session-bound tokens with their proofs. Needs Node alone.
//
//   const agent = new SessionBindingAgent({ cert, key, ca });  // PEM, and the options of `https.Agent`
//   const answer = await send(agent, "https://service.example/orders", { headers: { authorization: `Bearer ${token}` } });
//
// `https.request(url, { agent, headers })` works as well. Node's `fetch` takes no `https.Agent`.

import { createHash, createPrivateKey, sign, X509Certificate } from "node:crypto";
import https from "node:https";

const LABEL = "EXPORTER-oauth-tls-session-bound";
const HEADER = "session-binding-proof";
const NEW = "new"; // asks the connection for a proof that it has not sent yet; never leaves the process
const PROOFS_KEPT = 256;

const hash = (data) => createHash("sha256").update(data).digest("base64url");
const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

// `alg` of the proof and digest of the signature.
function algorithm(key) {
  if (key.asymmetricKeyType === "ed25519") return ["EdDSA", null];
  if (key.asymmetricKeyType === "rsa") return ["RS256", "sha256"];
  const found = { prime256v1: ["ES256", "sha256"], secp384r1: ["ES384", "sha384"] }[key.asymmetricKeyDetails.namedCurve];
  if (!found) throw new Error("the key is neither P-256, P-384, Ed25519 nor RSA");
  return found;
}

export class SessionBindingAgent extends https.Agent {
  #key;
  #thumbprint;
  #proofs = new WeakMap(); // connection -> hash of the token -> proof

  constructor({ cert, key, ...options }) {
    // A resumed session would show the certificate of the one it resumes.
    super({ keepAlive: true, minVersion: "TLSv1.3", ...options, cert, key, maxCachedSessions: 0 });
    this.#key = createPrivateKey(key);
    this.#thumbprint = hash(new X509Certificate(cert).raw);
  }

  // Holds the request back until its connection is known and secure: Node composes the headers at the first write.
  addRequest(request, ...rest) {
    if (request.headersSent) {
      // Nothing goes out without its proof.
      throw new TypeError("Node composes headers at once that are an array or have Expect: no proof can be added");
    }
    const held = [];
    for (const name of ["write", "end", "flushHeaders"]) {
      request[name] = (...values) => (held.push([name, values]), name === "write" ? false : request);
    }
    request.once("socket", (socket) => {
      const go = () => {
        if (request.destroyed) return;
        for (const name of ["write", "end", "flushHeaders"]) delete request[name];
        try {
          this.#addProof(request, socket);
        } catch (error) {
          request.destroy(error);
          return;
        }
        for (const [name, values] of held) request[name](...values);
        if (!request.writableEnded) request.emit("drain");
      };
      if (socket.secureConnecting) socket.once("secureConnect", go);
      else go();
    });
    super.addRequest(request, ...rest);
  }

  #addProof(request, socket) {
    const isNew = request.getHeader(HEADER) === NEW;
    request.removeHeader(HEADER);
    const token = /^bearer +(\S+)$/i.exec(request.getHeader("authorization") ?? "")?.[1];
    if (token) request.setHeader(HEADER, this.#proof(socket, token, isNew));
  }

  #proof(socket, token, isNew) {
    if (!this.#proofs.has(socket)) this.#proofs.set(socket, new Map());
    const kept = this.#proofs.get(socket);
    const ath = hash(token);
    if (isNew || !kept.has(ath)) {
      if (kept.size >= PROOFS_KEPT) kept.clear();
      const ekm = socket.exportKeyingMaterial(32, LABEL, Buffer.alloc(0)).toString("base64url");
      kept.set(ath, this.sign({ ath, ekm, iat: Math.floor(Date.now() / 1000) }));
    }
    return kept.get(ath);
  }

  sign(claims) {
    const [alg, digest] = algorithm(this.#key);
    const signed = `${encode({ typ: "tls-binding-proof+jwt", alg, "x5t#S256": this.#thumbprint })}.${encode(claims)}`;
    // r and s side by side, not DER
    const signature = sign(digest, Buffer.from(signed), { key: this.#key, dsaEncoding: "ieee-p1363" });
    return `${signed}.${signature.toString("base64url")}`;
  }
}

function once(agent, url, { body, ...options }) {
  return new Promise((resolve, reject) => {
    const request = https.request(url, { ...options, agent }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const { statusCode: status, headers } = response;
        resolve({ status, headers, body: Buffer.concat(chunks) });
      });
    });
    request.on("error", (error) => reject(Object.assign(error, { reused: request.reusedSocket })));
    request.end(body);
  });
}

function asksForNewProof({ status, headers }) {
  const challenge = headers["www-authenticate"] ?? "";
  const parameters = challenge.matchAll(/(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/g);
  const found = Object.fromEntries([...parameters].map(([, name, quoted, bare]) => [name.toLowerCase(), quoted ?? bare]));
  return status === 401 && found.error === "invalid_proof" && (found.mend ?? "proof") === "proof";
}

/** One request, whose body is a string or a buffer; once more with a new proof where the service asks for that. */
export async function send(agent, url, options = {}) {
  const method = options.method ?? "GET";
  let answer;
  try {
    answer = await once(agent, url, options);
  } catch (error) {
    // The service closed a pooled connection while the request was on its way.
    if (!error.reused || !["GET", "HEAD", "PUT", "DELETE", "OPTIONS"].includes(method)) throw error;
    answer = await once(agent, url, options);
  }
  if (!asksForNewProof(answer)) return answer;
  return once(agent, url, { ...options, headers: { ...options.headers, [HEADER]: NEW } });
}
