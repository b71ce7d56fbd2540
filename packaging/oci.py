#!/usr/bin/env python3
"""Writes OCI image layouts without a daemon: the same input gives the same digest.

    oci.py wasm   DIRECTORY WASM      the layout that Istio and Envoy Gateway pull: configuration and Wasm layers
    oci.py compat DIRECTORY WASM      the same file as `plugin.wasm` in an ordinary image
    oci.py files  DIRECTORY ARCH FILE..  files in the root of an ordinary image, for an image volume

Prints the digest of the manifest. Push a layout with any tool that reads one, such as
`skopeo copy oci:DIRECTORY docker://registry.example.com/tls-session-binding:0.1.0` (`--format oci`).
"""

import gzip
import hashlib
import io
import json
import pathlib
import sys
import tarfile

CONFIG = "application/vnd.module.wasm.config.v1+json"
CONTENT = "application/vnd.module.wasm.content.layer.v1+wasm"
IMAGE_CONFIG = "application/vnd.oci.image.config.v1+json"
IMAGE_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
RUNTIME_CONFIG = {"type": "envoy_proxy", "abiVersions": ["v0-2-1"], "config": {"rootIds": []}}
TITLE = "org.opencontainers.image.title"


class Layout:
    """An OCI image layout with one image."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        (self.directory / "blobs/sha256").mkdir(parents=True, exist_ok=True)

    def blob(self, media_type, content, **annotations):
        """Stores a blob; the descriptor that names it."""
        digest = hashlib.sha256(content).hexdigest()
        (self.directory / "blobs/sha256" / digest).write_bytes(content)
        descriptor = {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}
        return descriptor | ({"annotations": annotations} if annotations else {})

    def image(self, config, layers):
        """Writes manifest and index; the manifest's digest."""
        body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
        manifest = self.blob(MANIFEST, encoded(body))
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest]}
        (self.directory / "index.json").write_bytes(encoded(index))
        (self.directory / "oci-layout").write_bytes(encoded({"imageLayoutVersion": "1.0.0"}))
        return manifest["digest"]


def encoded(value):
    return json.dumps(value, separators=(",", ":")).encode()


def wasm_image(directory, wasm):
    layout = Layout(directory)
    config = layout.blob(CONFIG, encoded({}))
    runtime = layout.blob(CONFIG, encoded(RUNTIME_CONFIG), **{TITLE: "runtime-config.json"})
    content = layout.blob(CONTENT, pathlib.Path(wasm).read_bytes(), **{TITLE: "filter.wasm"})
    return layout.image(config, [runtime, content])


def compat_image(directory, wasm):
    return ordinary_image(directory, "amd64", {"plugin.wasm": wasm})


def files_image(directory, architecture, *files):
    return ordinary_image(directory, architecture, {pathlib.Path(file).name: file for file in files})


def ordinary_image(directory, architecture, files):
    layout = Layout(directory)
    layer = archive(files)
    diff_id = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    root = {"type": "layers", "diff_ids": [diff_id]}
    config = {"architecture": architecture, "os": "linux", "config": {}, "rootfs": root}
    compressed = gzip.compress(layer, mtime=0)
    return layout.image(layout.blob(IMAGE_CONFIG, encoded(config)), [layout.blob(IMAGE_LAYER, compressed)])


def archive(files):
    """A tar archive without times, owners or modes of this machine."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, path in sorted(files.items()):
            content = pathlib.Path(path).read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return output.getvalue()


def main():
    kind, *arguments = sys.argv[1:]
    print({"wasm": wasm_image, "compat": compat_image, "files": files_image}[kind](*arguments))


if __name__ == "__main__":
    main()
