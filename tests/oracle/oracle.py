"""An independent verifier of session-binding proofs, stricter than it needs to be.

Argument: the library that reads and verifies the JWS, joserfc or jwcrypto. With joserfc this script reads the three
parts first, by RFC 7515 to the letter; with jwcrypto the library alone does.

The first line of the input is a JSON list of situations; each line after it is the number of a situation and a proof
in base64. Each answer is a line: `good`, or one word for the rule that does not hold.
"""

import base64
import binascii
import hashlib
import json
import math
import re
import sys
from urllib.parse import urlsplit

import joserfc.errors
import joserfc.jwk
import joserfc.jws
import jwcrypto.jwk
import jwcrypto.jws
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MAX_AGE, TOLERANCE = 300, 30
EXTENSIONS = {"crit", "b64", "zip", "enc", "cty", "jwk"}
TYPE = "tls-binding-proof+jwt"
POINTERS = {"jku", "kid", "x5u", "x5c", "x5t"}
RSA = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
UNRESERVED = re.compile(r"%(?:2[DE]|3\d|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE])", re.IGNORECASE)


class Refused(Exception):
    pass


def refuse_unless(condition, rule):
    if not condition:
        raise Refused(rule)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Situation:
    def __init__(self, said):
        der = base64.b64decode(said["certificate"])
        key = x509.load_der_x509_certificate(der).public_key()
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        if isinstance(key, ec.EllipticCurvePublicKey):
            self.algorithms = {"secp256r1": {"ES256"}, "secp384r1": {"ES384"}}[key.curve.name]
            self.joserfc = joserfc.jwk.ECKey.import_key(pem)
        elif isinstance(key, ed25519.Ed25519PublicKey):
            self.algorithms = {"EdDSA"}
            self.joserfc = joserfc.jwk.OKPKey.import_key(pem)
        else:
            assert isinstance(key, rsa.RSAPublicKey)
            self.algorithms = RSA
            self.joserfc = joserfc.jwk.RSAKey.import_key(pem)
        self.jwcrypto = jwcrypto.jwk.JWK.from_pem(pem)
        self.thumbprint = base64url(hashlib.sha256(der).digest())
        self.ath = base64url(hashlib.sha256(said["token"].encode()).digest())
        self.ekm, self.now = said["exporter"], said["now"]
        self.method, self.authority, self.path = said["method"], said["authority"], said["path"]


def one_object(data):
    def members(pairs):
        refuse_unless(len({name for name, _ in pairs}) == len(pairs), "member-twice")
        return dict(pairs)

    def constant(_):
        raise Refused("json")

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=members, parse_constant=constant)
    except (ValueError, RecursionError):
        raise Refused("json") from None
    refuse_unless(isinstance(value, dict), "json")
    return value


def strict_part(part):
    refuse_unless(re.fullmatch(r"[A-Za-z0-9_-]+", part), "encoding")
    try:
        data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        raise Refused("encoding") from None
    refuse_unless(base64url(data) == part, "encoding")
    return data


def read_by_joserfc(text, situation):
    parts = text.split(".")
    refuse_unless(len(parts) == 3, "parts")
    header, payload, _ = [strict_part(part) for part in parts]
    header = one_object(header)
    check_header(header, situation)
    registry = joserfc.jws.JWSRegistry(algorithms=[header["alg"]], strict_check_header=False)
    pointers = {name: registry.header_registry.pop(name) for name in POINTERS}
    try:
        verified = joserfc.jws.deserialize_compact(text, situation.joserfc, registry=registry)
    except Exception:  # whatever the library objects to
        raise Refused("signature") from None
    refuse_unless(verified.payload == payload, "signature")
    registry.header_registry = pointers
    try:
        registry.check_header(header)
    except joserfc.errors.JoseError:
        raise Refused("pointer") from None
    return one_object(payload)


def read_by_jwcrypto(text, situation):
    token = jwcrypto.jws.JWS()
    token.allowed_algs = sorted(situation.algorithms)
    try:
        token.deserialize(text, situation.jwcrypto)
        header, payload = token.jose_header, token.payload
    except Exception:  # whatever the library objects to
        raise Refused("signature") from None
    check_header(header, situation)
    return one_object(payload)


def check_header(header, situation):
    typ = header.get("typ")
    refuse_unless(isinstance(typ, str), "typ")
    if typ != TYPE:
        same = typ.isascii() and typ.lower().removeprefix("application/") == TYPE
        raise Refused("typ-spelling" if same else "typ")
    refuse_unless(not EXTENSIONS & header.keys(), "extension")
    algorithm = header.get("alg")
    refuse_unless(isinstance(algorithm, str) and algorithm in situation.algorithms, "alg")
    refuse_unless(header.get("x5t#S256") == situation.thumbprint, "certificate")


def number(claims, name):
    value = claims.get(name)
    refuse_unless(isinstance(value, (int, float)) and not isinstance(value, bool), name)
    refuse_unless(math.isfinite(value), name)
    return value


def check_claims(claims, situation):
    refuse_unless(claims.get("ath") == situation.ath, "ath")
    refuse_unless(claims.get("ekm") == situation.ekm, "ekm")
    now, iat = situation.now, number(claims, "iat")
    refuse_unless(0 <= iat and now - MAX_AGE - TOLERANCE <= int(iat) <= now + TOLERANCE, "iat")
    if "exp" in claims:
        refuse_unless(int(number(claims, "exp")) + TOLERANCE > now, "exp")
    if "nbf" in claims:
        refuse_unless(0 <= int(number(claims, "nbf")) <= now + TOLERANCE, "nbf")
    if "htm" in claims:
        refuse_unless(claims["htm"] == situation.method, "htm")
    if "htu" in claims:
        check_target(claims["htu"], situation)
    if "jti" in claims:
        refuse_unless(isinstance(claims["jti"], str) and claims["jti"] != "", "jti")
    for name in ("iat", "exp", "nbf"):
        refuse_unless(isinstance(claims.get(name, 0), int), "not-an-integer")


def check_target(htu, situation):
    refuse_unless(isinstance(htu, str) and htu.isascii(), "htu")
    path = situation.path.split("?")[0]
    if htu == f"https://{situation.authority}{path}":
        return
    try:
        parts = urlsplit(htu)
        host = (parts.hostname, parts.port or 443, parts.username)
    except ValueError:
        raise Refused("htu") from None
    normal = UNRESERVED.sub(lambda digits: chr(int(digits[0][1:], 16)), parts.path)
    segments = []
    for segment in normal.split("/"):
        if segment == "..":
            segments = segments[:1] + segments[1:-1]
        elif segment != ".":
            segments.append(segment)
    same_host = parts.scheme in ("https", "") and host in ((situation.authority, 443, None), (None, 443, None))
    refuse_unless(same_host and "/".join(segments) == path, "htu")
    raise Refused("htu-as-a-path" if not parts.netloc else "htu-spelling")


READERS = {"joserfc": read_by_joserfc, "jwcrypto": read_by_jwcrypto}


def judge(read, situation, proof):
    try:
        refuse_unless(proof.isascii(), "encoding")
        check_claims(read(proof.decode("ascii"), situation), situation)
    except Refused as refused:
        return str(refused)
    return "good"


def main():
    read = READERS[sys.argv[1]]
    situations = [Situation(said) for said in json.loads(sys.stdin.readline())]
    for line in sys.stdin:
        at, proof = line.split(" ")
        print(judge(read, situations[int(at)], base64.b64decode(proof)), flush=True)


main()
