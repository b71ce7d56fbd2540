"""What agents do: calls and streams of others' clients and servers, longer than the 15 s of Envoy's default."""

import asyncio
import concurrent.futures
import contextlib
import copy
import itertools
import pathlib
import re
import socket
import tempfile
import threading
import time
import unittest

import grpc
import httpx2
import mcp
import uvicorn
from mcp.client.streamable_http import streamable_http_client
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared._httpx_utils import create_mcp_http_client
from starlette.responses import StreamingResponse

import stack

# Envoy ends a response after 15 s unless a route says otherwise.
SLOW = 18
TOOL = 20
PATIENCE = 120
SERVICE = "service.demo"
STREAMS = "demo.Streams"
PART = b"x" * 1024


class Tools:
    """An MCP server with a tool that is silent for long, and a download beside it."""

    # The topics whose progress the client has heard of.
    heard = set()

    def __init__(self):
        self.server = MCPServer("agents", log_level="WARNING")
        self.server.tool()(self.research)
        self.server.custom_route("/download", methods=["GET"])(self.download)

    async def research(self, topic: str, context: Context) -> str:
        await context.report_progress(1, 2)
        while topic not in self.heard:  # an event stream is passed on as it comes
            await asyncio.sleep(0.1)
        await asyncio.sleep(TOOL)
        return f"all about {topic}"

    async def download(self, _request):
        async def body():
            for _ in range(SLOW):
                yield PART
                await asyncio.sleep(1)

        return StreamingResponse(body(), media_type="application/octet-stream")

    @contextlib.contextmanager
    def run(self):
        """Yields its port."""
        security = TransportSecuritySettings(allowed_hosts=[SERVICE])
        app = self.server.streamable_http_app(transport_security=security)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2))
        with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
            thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
            thread.start()
            try:
                yield listener.getsockname()[1]
            finally:
                server.should_exit = True
                thread.join(10)


def count(_request, _context):
    """A message every second."""
    for number in range(SLOW):
        yield str(number).encode()
        time.sleep(1)


def echo(requests, _context):
    yield from requests


@contextlib.contextmanager
def grpc_server():
    """Yields the port of a gRPC server; its messages are bytes."""
    methods = {"Count": grpc.unary_stream_rpc_method_handler(count), "Echo": grpc.stream_stream_rpc_method_handler(echo)}
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(STREAMS, methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(1).wait(10)


def ingress(name, demo, tools, streams):
    """A shipped ingress before both services: the gRPC service has a route like the shipped one, and HTTP/2."""
    bootstrap = stack.with_service(stack.shipped(name, demo.directory), tools)
    (host,) = stack.connection_manager(bootstrap)["route_config"]["virtual_hosts"]
    route = copy.deepcopy(host["routes"][0])
    route["match"], route["route"]["cluster"] = {"prefix": f"/{STREAMS}/"}, "streams"
    host["routes"].insert(0, route)
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    http2 = {"@type": f"type.googleapis.com/{options}", "explicit_http_config": {"http2_protocol_options": {}}}
    cluster = stack.cluster("streams", streams) | {"typed_extension_protocol_options": {options: http2}}
    bootstrap["static_resources"]["clusters"].append(cluster)
    return bootstrap


def egress(demo, port):
    """The shipped egress before an ingress at this port."""
    bootstrap = stack.shipped("egress.yaml", demo.directory)
    listener = bootstrap["static_resources"]["listeners"][0]
    for address in (bootstrap["admin"]["address"], listener["address"]):
        address["socket_address"]["port_value"] = 0
    (cluster,) = bootstrap["static_resources"]["clusters"]
    (locality,) = cluster["load_assignment"]["endpoints"]
    locality["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]["port_value"] = port
    return bootstrap


def call_tool(address, token, mode):
    """The tool's progress comes as an event of its own; it goes on when that is heard."""
    headers = {"authorization": f"Bearer {token}"}
    topic = f"{mode} by {address}"

    async def told(*_):
        Tools.heard.add(topic)

    async def call():
        async with create_mcp_http_client(headers=headers) as http_client:
            transport = streamable_http_client(f"http://{address}/mcp", http_client=http_client)
            async with mcp.Client(transport, mode=mode) as client:
                return await client.call_tool("research", {"topic": topic}, progress_callback=told)

    result = asyncio.run(asyncio.wait_for(call(), PATIENCE))
    return not result.is_error and result.content[0].text == f"all about {topic}"


def download(address, token):
    headers = {"authorization": f"Bearer {token}"}
    answer = httpx2.get(f"http://{address}/download", headers=headers, timeout=PATIENCE)
    return answer.status_code == 200 and answer.content == PART * SLOW


def metadata(token):
    return [("authorization", f"Bearer {token}")] if token else []


def server_stream(address, token):
    with grpc.insecure_channel(address) as channel:
        messages = channel.unary_stream(f"/{STREAMS}/Count")(b"", metadata=metadata(token), timeout=PATIENCE)
        return list(messages) == [str(number).encode() for number in range(SLOW)]


def bidirectional_stream(address, token):
    """Each message is sent when the one before is back, so that nothing on the way may hold one."""
    back = threading.Semaphore(1)

    def messages():
        for number in range(SLOW):
            if not back.acquire(timeout=PATIENCE):
                return
            yield str(number).encode()

    with grpc.insecure_channel(address) as channel:
        answers = channel.stream_stream(f"/{STREAMS}/Echo")(messages(), metadata=metadata(token), timeout=PATIENCE)
        for number in itertools.count():
            try:
                if next(answers) != str(number).encode():
                    return False
            except StopIteration:
                return number == SLOW
            time.sleep(1)
            back.release()


CASES = {
    "an MCP tool call": lambda address, token: call_tool(address, token, "auto"),
    "an MCP tool call in a session": lambda address, token: call_tool(address, token, "legacy"),
    "a download": download,
    "a gRPC stream from the server": server_stream,
    "a gRPC stream both ways": bidirectional_stream,
}


class AgentTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        enter = cls.enterClassContext
        cls.demo = stack.Demo(enter(tempfile.TemporaryDirectory()))
        cls.services = enter(Tools().run()), enter(grpc_server())
        cls.ingress = cls.start("ingress", ingress("ingress.yaml", cls.demo, *cls.services))
        cls.token = cls.demo.token()

    @classmethod
    def start(cls, listener, bootstrap):
        """Runs an Envoy until the end of all tests; its listener's port."""
        directory = cls.enterClassContext(tempfile.TemporaryDirectory())
        return stack.listener_port(cls.enterClassContext(stack.envoy(bootstrap, directory)), listener)

    def sidecar(self):
        return f"127.0.0.1:{self.start('egress', egress(self.demo, self.ingress))}"

    def proxy(self):
        log = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()), "proxy.log")
        command = [stack.COMMAND, "proxy", "--listen", "127.0.0.1:0", "--upstream", f"https://{SERVICE}"]
        for option, name in (("--cert", "client.pem"), ("--key", "client.key"), ("--cacert", "ca.pem")):
            command += [option, self.demo.pki(name)]
        self.enterContext(stack.process(*command, "--connect", f"127.0.0.1:{self.ingress}", log=log))
        return stack.until(lambda: re.search(r"listening on (\S+)\n", log.read_text()), "the proxy")[1]

    def test_calls_and_streams_longer_than_15_seconds_pass_through_both_sidecars_and_through_the_proxy(self):
        ways = {"sidecar": self.sidecar(), "proxy": self.proxy()}
        with concurrent.futures.ThreadPoolExecutor(len(ways) * len(CASES)) as pool:
            running = {
                (way, case): pool.submit(act, address, self.token)
                for (way, address), (case, act) in itertools.product(ways.items(), CASES.items())
            }
        for (way, case), future in running.items():
            with self.subTest(way=way, case=case):
                self.assertTrue(future.result())

    def refusal(self, channel, token):
        """The status of a call that fails."""
        with self.assertRaises(grpc.RpcError) as caught:
            list(channel.unary_stream(f"/{STREAMS}/Count")(b"", metadata=metadata(token), timeout=30))
        return caught.exception.code()

    def test_a_refused_call_of_grpc_is_unauthenticated(self):
        of_another = self.demo.token(client="thief")
        pki = self.demo.pki
        files = [pki(name).read_bytes() for name in ("ca.pem", "client.key", "client.pem")]
        options = [("grpc.ssl_target_name_override", SERVICE)]
        native = self.start("ingress", ingress("ingress-native.yaml", self.demo, *self.services))
        for port in (self.ingress, native):
            address = f"127.0.0.1:{port}"
            # Without a sidecar: no proof is made.
            with grpc.secure_channel(address, grpc.ssl_channel_credentials(*files), options) as channel:
                for name, token in {"none": "", "of another": of_another, "without a proof": self.token}.items():
                    with self.subTest(port=port, token=name):
                        self.assertEqual(self.refusal(channel, token), grpc.StatusCode.UNAUTHENTICATED)
        with grpc.insecure_channel(self.sidecar()) as channel:
            for token in ("", of_another):
                self.assertEqual(self.refusal(channel, token), grpc.StatusCode.UNAUTHENTICATED)


if __name__ == "__main__":
    unittest.main()
