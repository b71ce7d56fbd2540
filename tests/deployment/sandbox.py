"""Network namespaces that have no way out, and programs in them: where the tests run real control planes.

A namespace has mounts of its own, too. Everything in it ends with the test, by process id; the kernel ends what is
left if the test itself is killed.
"""

import contextlib
import ctypes
import itertools
import os
import subprocess

import stack

CONTROL_PLANES = stack.ROOT / "target/control-planes"
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
LINKS = itertools.count(1)


def program(name):
    """A program that `tests/deployment/build.sh` built."""
    return CONTROL_PLANES / name


class Namespace:
    """A network and a mount namespace. The loopback device is up and there is no other device."""

    def __init__(self):
        # A process that sleeps holds the namespaces; they end with it, and it with the test.
        holder = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "sleep", "infinity"]
        self.holder = subprocess.Popen(holder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        own = os.readlink("/proc/self/ns/net")
        stack.until(lambda: os.readlink(f"/proc/{self.holder.pid}/ns/net") != own, "a network namespace (root?)", 10)
        stack.until(lambda: b"sleep" in self._command_line(), "the holder of a namespace", 10)
        self.run("ip", "link", "set", "lo", "up")
        self.address = None

    def _command_line(self):
        with open(f"/proc/{self.holder.pid}/cmdline", "rb") as file:
            return file.read().split(b"\0")[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.holder.kill()
        self.holder.wait()

    def command(self, *command, root=None, user=None, cwd="/"):
        """The command line that runs `command` in here, in a changed root and as another user if these are given."""
        # A change of the user makes the kernel forget --pdeathsig, so it is asked for once more after it.
        line = ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--target={self.holder.pid}", "--net", "--mount"]
        # With a mount namespace comes its working directory.
        line += [f"--wdns={cwd}", "--"]
        if root:
            line += ["chroot", root]
        if user is not None:
            line += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--pdeathsig", "KILL"]
        return [str(part) for part in [*line, *command]]

    def run(self, *command, root=None, user=None, cwd="/", timeout=60, **options):
        """Runs a program to its end and gives its output."""
        options = {"capture_output": True, "text": True, "timeout": timeout} | options
        done = subprocess.run(self.command(*command, root=root, user=user, cwd=cwd), **options)
        if done.returncode:
            raise AssertionError(f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def start(self, *command, log, root=None, user=None, cwd="/", **options):
        """A context manager: the program runs while it is entered. Call it from a thread that lives as long."""
        return stack.process(*self.command(*command, root=root, user=user, cwd=cwd), log=log, stdin=subprocess.DEVNULL, **options)

    @contextlib.contextmanager
    def entered(self):
        """Sockets that this thread opens meanwhile are sockets of this namespace, and stay so."""
        with open("/proc/thread-self/ns/net") as here, open(f"/proc/{self.holder.pid}/ns/net") as there:
            _set_namespace(there)
            try:
                yield
            finally:
                _set_namespace(here)

    def bridge(self, address, prefix=24):
        """Makes this namespace the middle of a network."""
        self.run("ip", "link", "add", "middle", "type", "bridge")
        self._up("middle", address, prefix)

    def plug_into(self, middle, address, prefix=24):
        """Gives this namespace the device eth0, in the network of the other one."""
        end = f"link{next(LINKS)}"
        middle.run("ip", "link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", self.holder.pid)
        middle.run("ip", "link", "set", end, "master", "middle", "up")
        self._up("eth0", address, prefix)

    def _up(self, device, address, prefix):
        self.run("ip", "address", "add", f"{address}/{prefix}", "dev", device)
        self.run("ip", "link", "set", device, "up")
        self.address = address


def _set_namespace(file):
    if LIBC.setns(file.fileno(), CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
