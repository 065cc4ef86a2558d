"""Stores for the tests: an SQLite file, and every Redis and Valkey server that this machine or its wheels have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet
from support import redis_servers
from support.effort import left_to_soak
from support.redis_servers import Cluster, Program, Server

PROGRAMS = redis_servers.programs()


def required(program: Program | None) -> Program:
    """The server, or the test is skipped; where servers are required it fails."""
    if program is None:
        if os.environ.get(redis_servers.REQUIRED_VARIABLE):
            pytest.fail(f"{redis_servers.MISSING}; {redis_servers.REQUIRED_VARIABLE} forbids to skip")
        pytest.skip(redis_servers.MISSING)
    return program


def flavours() -> list[ParameterSet]:
    """One server every day, and the others left to soak."""
    *others, one = PROGRAMS or [None]
    return [*map(left_to_soak, others), pytest.param(one)]


@pytest.fixture(params=flavours(), ids=str)
def program(request: pytest.FixtureRequest) -> Program:
    return required(request.param)


@pytest.fixture
def one_program() -> Program:
    """For tests that take their time."""
    return required(PROGRAMS[-1] if PROGRAMS else None)


@pytest.fixture
def server(program: Program) -> Iterator[Server]:
    with redis_servers.server(program) as running:
        yield running


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with redis_servers.cluster(required(PROGRAMS[0] if PROGRAMS else None), replicas=1) as running:
        yield running


@pytest.fixture(params=["sqlite", *flavours()], ids=str)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a store."""
    if request.param == "sqlite":
        yield f"sqlite://{tmp_path}/state/quota.db"
        return
    with redis_servers.server(required(request.param)) as running:
        yield running.url
