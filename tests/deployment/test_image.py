"""The container image, run with podman on the host's network; needs root. `make image` builds it first."""

import contextlib
import os
import pathlib
import tempfile
import unittest

import stack

IMAGE = "localhost/envoy-tls-session-binding"
PODMAN = ["podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs", "run", "--rm", "--network=host"]
LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]


class Image(unittest.TestCase):
    def test_the_container_passes_a_proven_request_and_refuses_a_stolen_token(self):
        with tempfile.TemporaryDirectory() as directory, stack.serve(stack.Echo) as service:
            demo, port = stack.Demo(directory), stack.free_port()
            with self.container(demo, port, service):
                stack.until(lambda: demo.request(port, demo.token()).returncode == 0, "a passed request")
                stolen = demo.request(port, demo.token(), client="thief")
                self.assertEqual(stolen.returncode, 1, stolen.stderr)

    @contextlib.contextmanager
    def container(self, demo, port, service):
        """The image with its own configuration but for the ports, which may be in use here."""
        config = pathlib.Path(demo.directory, "envoy.yaml")
        text = (stack.ROOT / "target/package/image/envoy.yaml").read_text()
        for shipped, here in {8443: port, 8080: service, 9901: stack.free_port()}.items():
            text = text.replace(f"port_value: {shipped} ", f"port_value: {here} ")
        config.write_text(text)
        volumes = [f"{demo.directory}:/etc/session-binding:ro", f"{config}:/etc/envoy/envoy.yaml:ro"]
        options = ["--user", str(os.getuid()), "--add-host", "service:127.0.0.1"]
        options += [part for volume in volumes for part in ("--volume", volume)]
        log = pathlib.Path(demo.directory, "container.log")
        with stack.process(*PODMAN, *LIMITS, *options, IMAGE, log=log):
            try:
                yield
            except AssertionError as error:
                raise AssertionError(f"{error}\n{log.read_text()[-4000:]}") from None


if __name__ == "__main__":
    unittest.main()
