"""Runs an injected Pod as a kubelet does: volumes, environment, init containers, containers. It knows nothing of Istio.

The proxy's image is this machine's /usr with a /usr/local of its own; `image` says what is in it.
"""

import base64
import contextlib
import json
import os
import re
import shutil

import sandbox
import stack

LOCAL = "/usr/local/"
BOUND = ("usr", "dev", "proc", "sys")
LINKS = ("/bin", "/sbin", "/lib", "/lib64", "/lib32")
COPIES = ("/etc/ssl/certs", "/etc/passwd", "/etc/group", "/etc/ld.so.cache", "/etc/nsswitch.conf", "/etc/alternatives")
SUFFIXES = {"m": 0.001, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
READY_LIMIT = 90


class Pod(contextlib.ExitStack):
    """One Pod of the cluster, running while it is entered."""

    def __init__(self, cluster, name, address, image, namespace="shop"):
        super().__init__()
        self.cluster, self.name, self.address, self.image, self.where = cluster, name, address, image, namespace
        self.directory = cluster.directory / f"{name}-{address}"
        self.root = self.directory / "root"
        self.running = {}

    def __enter__(self):
        super().__enter__()
        try:
            self.spec = self.cluster.get("pod", self.name, self.where)
            self.namespace = self.enter_context(sandbox.Namespace())
            self.namespace.plug_into(self.cluster.namespace, self.address)
            # The way to Services' addresses, which nothing but Istio's iptables rules answers for.
            self.namespace.run("ip", "route", "add", "default", "via", self.cluster.namespace.address)
            self.lay_out()
            self.report()
            self.run()
        except BaseException:
            self.close()
            raise
        return self

    def lay_out(self):
        """Makes the file system that the proxy's containers share: this machine's /usr, and the image's files."""
        for path in ("tmp", "var/log", *BOUND):
            self.root.joinpath(path).mkdir(parents=True)
            self.root.joinpath(path).chmod(0o1777)
        for link in filter(os.path.islink, LINKS):
            self.root.joinpath(link[1:]).symlink_to(os.readlink(link))
        for path in COPIES:
            copy(path, self.root / path[1:])
        names = f"127.0.0.1 localhost\n{self.cluster.namespace.address} {' '.join(self.cluster.names)}\n"
        self.root.joinpath("etc/hosts").write_text(names)
        for path in BOUND:
            self.namespace.run("mount", "--rbind", f"/{path}", self.root / path)
        # What this machine has in /usr/local is not there: the image brings its own.
        local = self.directory / "local"
        for target, source in self.image.items():
            copy(source, local / target[len(LOCAL) :] if target.startswith(LOCAL) else self.root / target[1:])
        self.namespace.run("mount", "--bind", local, self.root / "usr/local")
        self.mount_volumes()

    def mount_volumes(self):
        volumes = {volume["name"]: volume for volume in self.spec["spec"]["volumes"]}
        made = {}
        for container in self.containers():
            for mount in container.get("volumeMounts", []):
                self.mount(volumes[mount["name"]], mount["mountPath"], made)

    def containers(self):
        return [*self.spec["spec"].get("initContainers", []), *self.spec["spec"]["containers"]]

    # Volumes

    def mount(self, volume, path, made):
        place = self.root / path.lstrip("/")
        if volume["name"] in made:
            if made[volume["name"]] != place and not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(os.path.relpath(made[volume["name"]], place.parent))
            return
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o777)
        made[volume["name"]] = place
        for name, content in self.files(volume).items():
            place.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
            place.joinpath(name).write_text(content)
            place.joinpath(name).chmod(0o644)

    def files(self, volume):
        """The files of a volume: name and content."""
        if "emptyDir" in volume:
            return {}
        if "downwardAPI" in volume:
            return {item["path"]: self.field(item["fieldRef"]["fieldPath"]) for item in volume["downwardAPI"]["items"]}
        if "configMap" in volume:
            return self.config_map(volume["configMap"])
        if "secret" in volume:
            return self.secret(volume["secret"])
        files = {}
        for source in volume["projected"]["sources"]:
            if "serviceAccountToken" in source:
                files[source["serviceAccountToken"]["path"]] = self.token(source["serviceAccountToken"])
            elif "configMap" in source:
                files |= self.config_map(source["configMap"] | {"optional": True})
            elif "downwardAPI" in source:
                files |= self.files({"downwardAPI": source["downwardAPI"]})
        return files

    def config_map(self, source):
        try:
            data = self.cluster.get("configmap", source["name"], self.where).get("data", {})
        except AssertionError:
            if source.get("optional"):
                return {}
            raise
        items = {item["key"]: item["path"] for item in source.get("items", [])}
        return {items.get(key, key): value for key, value in data.items()}

    def secret(self, source):
        try:
            data = self.cluster.get("secret", source["secretName"], self.where)["data"]
        except AssertionError:
            if source.get("optional"):
                return {}
            raise
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def token(self, source):
        """A token for the Pod's service account, bound to the Pod."""
        account = self.spec["spec"].get("serviceAccountName", "default")
        options = ["--bound-object-kind", "Pod", "--bound-object-name", self.name]
        options += ["--bound-object-uid", self.spec["metadata"]["uid"], "--duration", f"{source['expirationSeconds']}s"]
        audience = ["--audience", source["audience"]] if "audience" in source else []
        return self.cluster.kubectl("create", "token", account, "--namespace", self.where, *options, *audience).strip()

    # The downward API

    def field(self, path):
        known = {
            "status.podIP": self.address,
            "status.podIPs": self.address,
            "status.hostIP": self.cluster.namespace.address,
            "spec.nodeName": "node",
            "spec.serviceAccountName": self.spec["spec"].get("serviceAccountName", "default"),
        }
        if path in known:
            return known[path]
        if one := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
            return self.spec["metadata"].get(one[1], {}).get(one[2], "")
        value = self.spec["metadata"][path.removeprefix("metadata.")]
        if isinstance(value, dict):
            return "".join(f"{key}={json.dumps(text)}\n" for key, text in value.items())
        return value

    def environment(self, container):
        found = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp"}
        for one in container.get("env", []):
            source = one.get("valueFrom", {})
            if "fieldRef" in source:
                found[one["name"]] = self.field(source["fieldRef"]["fieldPath"])
            elif "resourceFieldRef" in source:
                found[one["name"]] = self.resource(container, source["resourceFieldRef"])
            elif not source:
                found[one["name"]] = expand(one.get("value", ""), found)
        return found

    def resource(self, container, source):
        group, name = source["resource"].split(".")
        # Without a limit it is what the node has.
        asked = container.get("resources", {}).get(group, {}).get(name) or {"cpu": "2", "memory": "4Gi"}[name]
        number, suffix = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", asked).groups()
        amount = float(number) * SUFFIXES[suffix]
        return str(max(1, int(-(-amount // float(source.get("divisor", "1") or 1)))))

    # Containers

    def report(self):
        address = {"podIP": self.address, "podIPs": [{"ip": self.address}], "hostIP": self.cluster.namespace.address}
        patch = json.dumps({"status": {"phase": "Running", **address}})
        options = ["--namespace", self.where, "--subresource", "status", "--type", "merge", "-p", patch]
        self.cluster.kubectl("patch", "pod", self.name, *options)

    def run(self):
        for container in self.containers():
            if container in self.spec["spec"]["containers"] or container.get("restartPolicy") == "Always":
                log = self.directory / f"{container['name']}.log"
                start = self.namespace.start(*self.command(container), log=log, **self.options(container))
                self.running[container["name"]] = self.enter_context(start)
            else:
                self.namespace.run(*self.command(container), **self.options(container))

    def options(self, container):
        """The application's image is this machine as it is."""
        user = container.get("securityContext", {}).get("runAsUser", 65534)
        root = self.root if container["name"].startswith("istio-") else None
        return {"root": root, "user": user or None, "env": self.environment(container)}

    def command(self, container):
        words = [*container.get("command", ["pilot-agent"]), *container.get("args", [])]
        return [expand(word, self.environment(container)) for word in words]

    def log(self, container="istio-proxy"):
        return (self.directory / f"{container}.log").read_text(errors="replace")

    def errors(self):
        """The first lines of the proxy's log that say what is wrong."""
        wrong = [line for line in self.log().splitlines() if re.search(r"\t(warn|warning|error|critical)\t", line)]
        return "\n".join(line[:600] for line in wrong[:20])

    # What its probes ask

    def fetch(self, url, **headers):
        with self.namespace.entered():
            return stack.get(url, **headers)

    def is_ready(self):
        return self.fetch("http://127.0.0.1:15021/healthz/ready") is not None

    def wait_until_ready(self, limit=READY_LIMIT):
        try:
            stack.until(self.is_ready, f"readiness of {self.name}", limit)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.errors()}") from None


def copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    if os.path.isdir(source):
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    elif os.path.exists(source):
        shutil.copy(source, target)


def expand(text, environment):
    """`$(NAME)` as Kubernetes expands it."""
    return re.sub(r"\$\((\w+)\)", lambda found: environment.get(found[1], found[0]), text)
