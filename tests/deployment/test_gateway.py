"""What Envoy Gateway makes of its manifests, as far as they use it: a patched listener with the filter, run."""

import json
import pathlib
import tempfile
import unittest

import yaml

import stack

GATEWAY = stack.ROOT / "envoy/gateway"
SECRET = {"tls.crt": "server.pem", "tls.key": "server.key", "ca.crt": "ca.pem"}


def manifest(file, kind):
    documents = yaml.safe_load_all((GATEWAY / file).read_text())
    (found,) = [document["spec"] for document in documents if document["kind"] == kind]
    return found


def add(target, pointer, value):
    """The operation `add` of a JSON patch (RFC 6902)."""
    *parents, last = pointer.strip("/").split("/")
    for part in parents:
        target = target[int(part)] if isinstance(target, list) else target[part]
    if isinstance(target, list):
        target.insert(int(last), value)
    else:
        target[last] = value


def wasm_filter(extension):
    """Envoy Gateway gives every extension a VM of its own, named after it."""
    vm = {"vm_id": extension["name"], "runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": stack.WASM}}}
    value = {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": json.dumps(extension["config"])}
    config = {"name": extension["name"], "vm_config": vm, "configuration": value, "fail_open": extension["failOpen"]}
    kind = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"
    return {"name": "envoy.filters.http.wasm", "typed_config": {"@type": kind, "config": config}}


class Gateway(unittest.TestCase):
    def test_a_patched_listener_passes_a_proven_request_and_refuses_a_stolen_token(self):
        demo = stack.Demo(self.enterContext(tempfile.TemporaryDirectory()))
        service = self.enterContext(stack.serve(stack.Echo))
        admin = self.enterContext(stack.envoy(stack.with_service(self.bootstrap(demo), service), demo.directory))
        port = stack.listener_port(admin, "ingress")
        self.assertEqual(demo.request(port, demo.token(), "--repeat", "2").returncode, 0)
        self.assertEqual(demo.request(port, demo.token(), client="thief").returncode, 1)
        self.assertEqual(demo.request(port, demo.token(issuer="https://other")).returncode, 1)

    def bootstrap(self, demo):
        """`envoy/ingress.yaml` with Envoy's own socket and without our filters, as a listener of Envoy Gateway's is."""
        bootstrap = stack.shipped("ingress.yaml", demo.directory)
        (listener,) = bootstrap["static_resources"]["listeners"]
        (chain,) = listener["filter_chains"]
        del chain["filters"][:-1]
        chain["transport_socket"] = {"name": "envoy.transport_sockets.tls"}
        manager = stack.connection_manager(bootstrap)
        del manager["scheme_header_transformation"]
        (extension,) = manifest("extension-policy.yaml", "EnvoyExtensionPolicy")["wasm"]
        names = [one["name"] for one in manager["http_filters"]]
        manager["http_filters"][names.index("tls_session_binding")] = wasm_filter(extension)
        for patch in manifest("patch-policy.yaml", "EnvoyPatchPolicy")["jsonPatches"]:
            self.assertEqual(patch["operation"]["op"], "add")
            add(listener, patch["operation"]["path"], patch["operation"]["value"])
        for name, file in SECRET.items():
            pathlib.Path(demo.directory, name).write_bytes(demo.pki(file).read_bytes())
        return json.loads(json.dumps(bootstrap).replace("/etc/session-binding/", f"{demo.directory}/"))


if __name__ == "__main__":
    unittest.main()
