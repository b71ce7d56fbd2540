"""Judges the published vectors with PyJWT and pyOpenSSL. It shares nothing with the verifier but the specification.

Arguments: proofs.json, exceptions.json. Rules by path and what the host says are this filter's own: such cases are left
out, and counted.
"""

import base64
import hashlib
import json
import re
import sys

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from OpenSSL import crypto

LABEL = "EXPORTER-oauth-tls-session-bound"
OWN = {"rules", "exporter", "client_certificate", "confirmation", "tokens_elsewhere", "client_authority"}
RSA = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
WINDOW = {"max_proof_age": "300s", "clock_tolerance": "30s"}


class Refused(Exception):
    pass


def demand(condition, error="invalid_proof", status=401):
    if not condition:
        raise Refused(status, error)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text, error, status=401):
    demand(isinstance(text, str) and re.fullmatch("[A-Za-z0-9_-]+", text) and len(text) % 4 != 1, error, status)
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    demand(base64url(data) == text, error, status)
    return data


def members(part, error):
    def once(pairs):
        demand(len(dict(pairs)) == len(pairs), error)
        return dict(pairs)

    try:
        value = json.loads(decode(part, error).decode(), object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise Refused(401, error) from None
    demand(isinstance(value, dict), error)
    return value


def number(claims, name, error="invalid_proof"):
    value = claims.get(name)
    demand(isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 253402300800, error)
    return int(value)


def is_proof_type(header):
    return str(header.get("typ")).lower().removeprefix("application/") == "tls-binding-proof+jwt"


def token_of(request, error="invalid_token"):
    query = request["path"].partition("?")[2]
    demand(not re.search(r"(?i)(^|[&;#])access_token(=|&|$)", query), error)
    demand(len(request["authorization"]) <= 1, error)
    value = (request["authorization"] or [""])[0]
    scheme, _, token = value.partition(" ")
    if scheme.lower() != "bearer":
        demand(not re.search(r"(?i)bearer[ \t]", value), error)
        return None
    demand(re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", token.strip(" ")), error)
    return token.strip(" ")


def confirmation(token, now, error="invalid_token"):
    parts = token.split(".")
    demand(len(parts) == 3 and not is_proof_type(members(parts[0], error)), error)
    claims = members(parts[1], error)
    cnf = claims.get("cnf", {})
    demand(isinstance(cnf, dict) and not {"jkt", "jwk", "jwe", "jku", "kid"} & cnf.keys(), error)
    thumbprint = cnf.get("x5t#S256")
    demand("x5t#S256" not in cnf or len(decode(thumbprint, error)) == 32, error)
    demand(cnf.get("tls_exp", LABEL) == LABEL and ("tls_exp" not in cnf or thumbprint), error)
    expires = number(claims, "exp", error) if "exp" in claims else now
    demand(not thumbprint or now <= expires + 60, error)
    return thumbprint, "tls_exp" in cnf


def key_of(certificate, now):
    demand(now <= certificate.not_valid_after_utc.timestamp())
    try:
        key = certificate.public_key()
    except Exception:  # whatever the library objects to
        raise Refused(401, "invalid_proof") from None
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key, {"secp256r1": {"ES256"}, "secp384r1": {"ES384"}}.get(key.curve.name, set())
    if isinstance(key, rsa.RSAPublicKey):
        return key, RSA if 2048 <= key.key_size <= 4096 and key.public_numbers().e == 65537 else set()
    return key, {"EdDSA", "Ed25519"} if isinstance(key, ed25519.Ed25519PublicKey) else set()


def same_target(htu, request):
    path = request["path"].partition("?")[0]
    htu = re.sub("^https://[^/]+", lambda origin: origin[0].lower().removesuffix(":443"), htu, flags=re.I)
    htu = htu.partition("#")[0].partition("?")[0]
    return htu in (path, f"https://{request['authority']}{path}")


def verify_proof(proof, case, token, thumbprint, key, fitting):
    config, now, request = case["config"], case["now"], case["request"]
    parts = proof.split(".")
    demand(len(parts) == 3 and len(proof) <= 8192)
    header, claims = members(parts[0], "invalid_proof"), members(parts[1], "invalid_proof")
    demand(is_proof_type(header) and not {"crit", "b64", "zip", "enc", "cty", "jwk"} & header.keys())
    demand(header.get("x5t#S256") == thumbprint)
    names = {"Ed25519": "EdDSA"}
    allowed = {names.get(name, name) for name in config.get("algorithms", fitting)}
    demand(header.get("alg") in fitting and names.get(header["alg"], header["alg"]) in allowed)
    demand(claims.get("ath") == base64url(hashlib.sha256(token.encode()).digest()))
    demand(claims.get("ekm") == case["connection"]["exporter"])
    age, tolerance = (int(config.get(key, default)[:-1]) for key, default in WINDOW.items())
    demand(now - age - tolerance <= number(claims, "iat") <= now + tolerance)
    demand("exp" not in claims or now < number(claims, "exp") + tolerance)
    demand("nbf" not in claims or number(claims, "nbf") <= now + tolerance)
    demand(set(config.get("required_claims", [])) <= claims.keys())
    demand(claims.get("htm", request["method"]) == request["method"])
    demand("htu" not in claims or same_target(claims["htu"], request))
    demand("jti" not in claims or (isinstance(claims["jti"], str) and 1 <= len(claims["jti"]) <= 256))
    algorithm = jwt.get_algorithm_by_name(names.get(header["alg"], header["alg"]))
    demand(algorithm.verify(f"{parts[0]}.{parts[1]}".encode(), key, decode(parts[2], "invalid_proof")))


def judge(case):
    required = case["config"].get("binding") == "required"
    token, proofs = token_of(case["request"]), case["request"]["session_binding_proof"]
    demand(len(proofs) <= 1)
    if token is None:
        demand(not required, None)
        demand(not proofs)
        return "without_token"
    thumbprint, session = confirmation(token, case["now"])
    demand(session or not required, "invalid_token")
    if not thumbprint:
        return "unbound"
    demand(not session or len(decode(case["connection"]["exporter"], None, 503)) == 32, None, 503)
    demand(case["connection"]["client_certificate"] != "none")
    try:
        der = base64.b64decode(case["connection"]["client_certificate"], validate=True)
        certificate = crypto.load_certificate(crypto.FILETYPE_ASN1, der).to_cryptography()
    except (ValueError, crypto.Error):
        raise Refused(503, None) from None
    demand(thumbprint == base64url(hashlib.sha256(der).digest()), "invalid_token")
    key, fitting = key_of(certificate, case["now"])
    if session:
        demand(proofs, "use_session_binding")
        demand(case["request"]["path"] or case["request"]["method"] == "CONNECT", None, 400)
        verify_proof(proofs[0], case, token, thumbprint, key, fitting)
    return "session_bound" if session else "certificate_bound"


def main():
    cases, exceptions = json.load(open(sys.argv[1]))["cases"], json.load(open(sys.argv[2]))
    judged, differ = [case for case in cases if not OWN & case["config"].keys()], 0
    for case in judged:
        try:
            found = {"verdict": judge(case)}
        except Refused as refused:
            found = dict(zip(("status", "error"), refused.args))
        same = found == {key: value for key, value in case["expected"].items() if key != "reason"}
        if same == (case["id"] in exceptions):
            differ += 1
            print(f"{case['id']}: the vectors say {case['expected']}, this judge {found}")
    print(f"{len(judged)} cases judged, {len(cases) - len(judged)} left out, {len(exceptions)} exceptions with a reason")
    sys.exit(bool(differ))


main()
