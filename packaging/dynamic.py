#!/usr/bin/env python3
"""Writes a bootstrap file with static resources as three files that Envoy watches: `dynamic.py BOOTSTRAP DIRECTORY`.

Envoy takes up a file when another one is moved into its place.
"""

import pathlib
import sys

import yaml

API = "type.googleapis.com/envoy.config"
TYPES = {"lds": ("listeners", f"{API}.listener.v3.Listener"), "cds": ("clusters", f"{API}.cluster.v3.Cluster")}


def main():
    bootstrap = yaml.safe_load(pathlib.Path(sys.argv[1]).read_text())
    directory = pathlib.Path(sys.argv[2])
    directory.mkdir(parents=True, exist_ok=True)
    static = bootstrap.pop("static_resources")
    bootstrap["node"] = {"id": "tls-session-binding", "cluster": "tls-session-binding"}
    bootstrap["dynamic_resources"] = {}
    for name, (kind, type_url) in TYPES.items():
        resources = [{"@type": type_url} | resource for resource in static[kind]]
        write(directory / f"{name}.yaml", {"resources": resources})
        source = {"path_config_source": {"path": f"/etc/envoy/{name}.yaml"}, "resource_api_version": "V3"}
        bootstrap["dynamic_resources"][f"{name}_config"] = source
    write(directory / "envoy.yaml", bootstrap)


def write(path, value):
    path.write_text(yaml.safe_dump(value, sort_keys=False, width=120))


if __name__ == "__main__":
    main()
