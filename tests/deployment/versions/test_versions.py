"""The filter and the module in older releases of Envoy: what is right there, what is refused, and how."""

import pathlib
import tempfile
import unittest

import stack
from versions.connection import Connection

HERE = pathlib.Path(__file__).resolve().parent
GUIDE = stack.ROOT / "docs/operators-guide.md"
OLDER = sorted(file.stem.removeprefix("envoy-") for file in HERE.glob("envoy-*.txt"))
CURRENT = "1.40.0"

# What a release says of what it does not know, and the table's words for it.
UNKNOWN = {
    "tlv_location": "refused: it does not know `tlv_location`",
    "DynamicModuleTransportSocket": "refused: it does not know the type of the module's socket",
    "undefined symbol: envoy_dynamic_module_callback_transport_socket_get_connection_id": "refused: its ABI of modules is older",
}
COPY = """
function envoy_on_request(request)
  local facts = request:connectionStreamInfo():dynamicMetadata():get("envoy.filters.listener.proxy_protocol") or {}
  for _, key in ipairs({"exporter", "client_certificate"}) do
    if facts[key] then request:streamInfo():dynamicMetadata():set("tls_session_binding", key, facts[key]) end
  end
end
"""


def binary(version):
    return stack.ENVOY if version == CURRENT else stack.ROOT / f"target/versions/{version}/envoy/_bin/envoy"


def in_filter_state(demo):
    """`envoy/proxy-protocol.yaml`, as shipped."""
    return stack.shipped("proxy-protocol.yaml", demo.directory)


def in_metadata(demo):
    """The same with the facts in metadata, whereto a filter copies them: the paths are those of `envoy/metadata.yaml`."""
    bootstrap = in_filter_state(demo)
    proxy_protocol = bootstrap["static_resources"]["listeners"][0]["listener_filters"][0]["typed_config"]
    del proxy_protocol["tlv_location"]
    filters = stack.connection_manager(bootstrap)["http_filters"]
    kind = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
    source = {"@type": kind, "default_source_code": {"inline_string": COPY}}
    filters.insert(1, {"name": "envoy.filters.http.lua", "typed_config": source})
    by_metadata = stack.http_filters(stack.shipped("metadata.yaml", demo.directory))["tls_session_binding"]
    stack.http_filters(bootstrap)["tls_session_binding"]["config"]["configuration"] = by_metadata["config"]["configuration"]
    return bootstrap


def requests(port, demo):
    """One list for every release and carrier: what is asked, the answer, and the right one."""

    def proof(token, exporter, client="client", *claims):
        files = ("--cert", demo.pki(f"{client}.pem"), "--key", demo.pki(f"{client}.key"))
        return stack.session_binding("proof", *files, "--token", token, "--exporter", exporter, *claims).strip()

    token = demo.token()
    good = (200, "")
    with Connection(port, demo) as own:
        proved = proof(token, own.exporter)
        yield "a proven request", own.ask(token, proved), good
        yield "the same once more", own.ask(token, proved), good
        yield "a proof for one request", own.ask(token, proof(token, own.exporter, "client", "--jti", "one")), good
        yield "a proof for another method", own.ask(token, proof(token, own.exporter, "client", "--htm", "POST")), (401, "invalid_proof")
        yield "no proof", own.ask(token), (401, "use_session_binding")
        yield "two proofs", own.ask(token, proved, proved), (401, "invalid_proof")
        yield "rubbish for a proof", own.ask(token, "a.b.c"), (401, "invalid_proof")
        other = demo.token("--no-tls-exp")
        yield "the proof of another token", own.ask(demo.token(subject="bob"), proved), (401, "invalid_proof")
        yield "a token that needs no proof", own.ask(other), good
        yield "no token", own.ask(), (401, "")
        yield "a token that nobody signed", own.ask("a.b.c"), (401, "invalid_token")
        yield "a token for another service", own.ask(demo.token(audience="https://other"))[0], 403
    with Connection(port, demo) as second:
        yield "a proof of another connection", second.ask(token, proved), (401, "invalid_proof")
    with Connection(port, demo, "thief") as thief:
        yield "a stolen token", thief.ask(token), (401, "invalid_token")
        yield "a stolen token and proof", thief.ask(token, proved), (401, "invalid_token")
        made = proof(token, thief.exporter, "thief")
        yield "a stolen token with the thief's own proof", thief.ask(token, made), (401, "invalid_token")
    with Connection(port, demo, None) as unknown:
        yield "a connection of which nothing is known", unknown.ask(token, proved)[0], 503


class Versions(unittest.TestCase):
    maxDiff = None

    def test_the_guides_table_is_what_each_release_does(self):
        measured = [self.row(version) for version in [*OLDER, CURRENT]]
        self.assertEqual(table(GUIDE.read_text()), measured)

    def row(self, version):
        demo = stack.Demo(self.enterContext(tempfile.TemporaryDirectory()))
        carriers = [self.carrier(version, demo, make(demo)) for make in (in_filter_state, in_metadata)]
        return [version, *carriers, self.module(version, demo)]

    def carrier(self, version, demo, bootstrap):
        if refusal := stack.validate(bootstrap, binary(version)):
            return self.unknown(refusal)
        service = self.enterContext(stack.serve(stack.Echo))
        with stack.envoy(stack.with_service(bootstrap, service), demo.directory, binary=binary(version)) as admin:
            self.assertIn(f"/{version}/", stack.get(f"{admin}/server_info"))
            for what, answer, right in requests(stack.listener_port(admin, "ingress"), demo):
                with self.subTest(version=version, what=what):
                    self.assertEqual(answer, right)
        pathlib.Path(demo.directory, "admin").unlink()
        return "right"

    def module(self, version, demo):
        bootstrap = stack.shipped("ingress.yaml", demo.directory)
        if refusal := stack.validate(bootstrap, binary(version)):
            return self.unknown(refusal)
        service = self.enterContext(stack.serve(stack.Echo))
        with stack.envoy(stack.with_service(bootstrap, service), demo.directory, binary=binary(version)) as admin:
            port = stack.listener_port(admin, "ingress")
            self.assertEqual(demo.request(port, demo.token()).returncode, 0)
            self.assertEqual(demo.request(port, demo.token(), client="thief").returncode, 1)
        return "right"

    def unknown(self, refusal):
        found = [words for said, words in UNKNOWN.items() if said in refusal]
        self.assertEqual(len(found), 1, refusal[-2000:])
        return found[0]


def table(document):
    """The rows of the guide's table of releases."""
    section = document.partition("<!-- releases: compared by tests/deployment/versions -->\n")[2]
    lines = section.partition("<!-- end of releases -->")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


if __name__ == "__main__":
    unittest.main()
