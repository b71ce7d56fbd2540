#!/usr/bin/env python3
"""Writes a Helm chart from the shipped manifests: `chart.py MANIFESTS VERSION DIRECTORY`.

A template is the text of a manifest with names in the place of the values that an operator changes; the values are
those of the manifests, so that with them the chart gives what kustomize gives. What kustomize patches into other
people's Deployments (`workload.yaml`) a chart cannot; the operator's guide shows it.
"""

import json
import pathlib
import re
import sys

import yaml

URL, NAME, HOST = "https://[^\\s\"'{}\\[\\],#]+", "[a-z0-9]([-a-z0-9]*[a-z0-9])?", "[a-z0-9]([-.a-z0-9]*[a-z0-9])?"
IMAGE = "[a-z0-9][-a-zA-Z0-9.:/_@]*"
# Value, its text in the manifests, what it may be. A longer text stands before one that it contains.
VALUES = [
    ("jwksUri", "https://as.example.com/jwks", URL),
    ("issuer", "https://as.example.com", URL),
    ("audience", "https://service.example.com", URL),
    ("pluginImage", "registry.example.com/tls-session-binding:VERSION", IMAGE),
    ("proxyImage", "registry.example.com/envoy-tls-session-binding:VERSION", IMAGE),
    ("pluginDigest", None, "[0-9a-f]{64}"),
    ("serviceIdentity", "spiffe://cluster.local/ns/shop/sa/service", "spiffe://[-a-zA-Z0-9._/]+"),
    ("service", "service.shop.svc.cluster.local", HOST),
    ("gateway", "ingress", NAME),
]
PARTS = {name: f"istio/{name}" for name in ("verifier", "client", "gateway", "admission")} | {"envoy-gateway": "gateway"}
STATISTICS = {"verifier", "gateway"}  # the parts that include this component


def files(directory):
    """The manifests that a kustomization names."""
    for name in yaml.safe_load((directory / "kustomization.yaml").read_text())["resources"]:
        yield directory / name


def template(text, values):
    """The text with names for values."""
    if "{{" in text:
        raise SystemExit("a manifest has braces that Helm would read")
    # In the name of a listener; a manifest's own namespace is where it is applied.
    text = text.replace("default/ingress/", "{{ .Release.Namespace }}/ingress/")
    for name, value in values.items():
        # No part of a longer word: `ingress` stands in `controller/ingress/https`, not in `ingresses`.
        text = re.sub(rf"(?<![\w-]){re.escape(value)}(?![\w-])", f"{{{{ .Values.{name} }}}}", text)
    return text


def conditional(parts, text):
    wanted = " ".join(f'(has "{part}" .Values.parts)' for part in sorted(parts))
    return f"{{{{- if or {wanted} }}}}\n{text}\n{{{{- end }}}}\n"


def main():
    manifests, version, output = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
    texts = {part: "\n---\n".join(file.read_text() for file in files(manifests / folder)) for part, folder in PARTS.items()}
    (digest,) = set(re.findall(r'sha256: "([0-9a-f]{64})"', "".join(texts.values())))
    values = {name: text.replace("VERSION", version) if text else digest for name, text, _ in VALUES}
    for name, value in values.items():
        if not any(value in text for text in texts.values()):
            raise SystemExit(f"no manifest has the value of {name}: {value}")

    (output / "templates").mkdir(parents=True, exist_ok=True)
    for part, text in texts.items():
        (output / f"templates/{part}.yaml").write_text(conditional({part}, template(text, values)))
    (statistics,) = files(manifests / "istio/statistics")
    (output / "templates/statistics.yaml").write_text(conditional(STATISTICS, template(statistics.read_text(), values)))
    patterns = {name: {"type": "string", "pattern": f"^{pattern}$"} for name, _, pattern in VALUES}
    parts = {"type": "array", "items": {"enum": list(PARTS)}, "minItems": 1, "uniqueItems": True}
    properties = patterns | {"parts": parts, "global": {"type": "object"}}  # Helm itself adds `global`
    schema = {"type": "object", "properties": properties, "required": ["parts", *values], "additionalProperties": False}
    (output / "values.schema.json").write_text(json.dumps(schema, indent=2) + "\n")
    write(output / "values.yaml", {"parts": ["verifier"]} | values)
    description = "Verifies TLS-session-bound access tokens in Istio or Envoy Gateway"
    write(output / "Chart.yaml", {"apiVersion": "v2", "name": "tls-session-binding", "version": version, "description": description})


def write(path, value):
    path.write_text(yaml.safe_dump(value, sort_keys=False, width=120))


if __name__ == "__main__":
    main()
