"""The documentation's FastAPI service.

Every error of the package answers as a service should, under the servers that run it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from fastapi import FastAPI
from support.emulator_process import AD_ACCOUNT_VARIABLE
from support.examples import ROOT, blocks_of
from support.free_ports import free_port

from spotify_ads_async import errors
from spotify_ads_async.emulator import Emulator
from spotify_ads_async.errors import SpotifyAdsError

PAGE = ROOT / "docs" / "how-to" / "fastapi-service.md"
LOST = errors.ConnectionFailed("no answer")
ANSWERS: list[tuple[SpotifyAdsError, int, str | None]] = [
    (errors.QuotaTimeout("too long", predicted_wait=4.2, limit="ip"), 503, "5"),
    (errors.QuotaTimeout("for ever", predicted_wait=float("inf"), limit="ip"), 503, "3600"),
    (errors.RateLimited("too many"), 503, "10"),
    (errors.StoreUnavailable("the store is away"), 503, "10"),
    (errors.AuthenticationError("not signed in", status=401), 503, "10"),
    (errors.ConnectionFailed("no network"), 504, None),
    (errors.OutcomeUnknown("lost", cause=LOST), 504, None),
    (errors.OutcomeUnknown("failed", cause=errors.ServerError("failed", status=500)), 502, None),
    (errors.ServerError("down", status=503), 502, None),
    (errors.InvalidAnswer("no JSON"), 502, None),
    (errors.WalkIncomplete("rows are missing"), 502, None),
    (errors.PermissionDenied("denied", status=403), 502, None),
    (errors.NotFound("no such thing", status=404), 404, None),
    (errors.Conflict("archived", status=409), 409, None),
    (errors.NotEnoughData("tomorrow", status=422), 422, None),
    (errors.RequestRejected("no", status=400), 422, None),
    (errors.InvalidRequest("too long a name"), 422, None),
    (errors.ConfigurationError("no store of this kind"), 500, None),
    (SpotifyAdsError("something newer"), 502, None),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the page's program in it, as a reader saves it."""
    program, *_ = (block.code for block in blocks_of(PAGE) if block.kind == "python")
    (tmp_path / "service.py").write_text(program)
    return tmp_path


@pytest.fixture
def settings(spotify_ads_emulator: Emulator, tmp_path: Path) -> dict[str, str]:
    return {
        "SPOTIFY_ADS_BASE_URL": spotify_ads_emulator.base_url,
        "SPOTIFY_ADS_ACCESS_TOKEN": "emulated",
        "SPOTIFY_ADS_STORE": f"sqlite:///{tmp_path / 'quota.db'}",
        AD_ACCOUNT_VARIABLE: spotify_ads_emulator.ad_account_id,
    }


def program_of(folder: Path) -> ModuleType:
    found = importlib.util.spec_from_file_location("service", folder / "service.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture
def app(folder: Path, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    service: FastAPI = program_of(folder).app
    return service


@pytest.mark.parametrize(("error", "status", "retry_after"), ANSWERS, ids=lambda given: type(given).__name__)
async def test_every_error_has_a_status(
    app: FastAPI, error: SpotifyAdsError, status: int, retry_after: str | None
) -> None:
    @app.get("/failing")
    async def failing() -> None:
        raise error

    # raise_app_exceptions stays on: an error that no handler took would be raised here.
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as browser:
        answer = await browser.get("/failing")
    assert (answer.status_code, answer.headers.get("Retry-After")) == (status, retry_after)
    assert answer.json() == {
        "detail": str(error),
        "may_have_taken_effect": error.may_have_taken_effect,
        "trace_id": None,
    }


def test_no_error_is_left_out() -> None:
    public = {
        value
        for name in errors.__all__
        if isinstance(value := getattr(errors, name), type) and issubclass(value, SpotifyAdsError)
    }
    assert public <= {type(error) for error, _, _ in ANSWERS}


async def test_a_refused_sign_in_keeps_the_service_from_starting(app: FastAPI, spotify_ads_emulator: Emulator) -> None:
    spotify_ads_emulator.add_fault("unauthorized")
    with pytest.raises(errors.AuthenticationError):
        async with app.router.lifespan_context(app):
            pytest.fail("it started")


def ask(address: str, path: str, method: str = "GET") -> tuple[int, dict[str, str], object]:
    request = urllib.request.Request(f"{address}{path}", method=method)  # noqa: S310 (its own address)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 (the same)
            return answer.status, dict(answer.headers), json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, dict(refused.headers), json.load(refused)


@contextlib.contextmanager
def serving(command: list[str], folder: Path, settings: dict[str, str], address: str) -> Iterator[Path]:
    """A server as a process of its own, until the block ends; the file has all that it says."""
    said = folder / "said.txt"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SPOTIFY_ADS_")}
    with (
        said.open("w") as output,
        subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            env={**kept, **settings},
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            for _ in range(1200):
                assert process.poll() is None, said.read_text()
                with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/openapi.json", timeout=5):  # noqa: S310 (its own)
                    break
                time.sleep(0.1)
            yield said
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=120)


def check_service(command: list[str], folder: Path, settings: dict[str, str], address: str, emulator: Emulator) -> None:
    with serving(command, folder, settings, address) as said:
        status, _, listed = ask(address, "/ad-sets")
        assert isinstance(listed, list)
        assert (status, len(listed)) == (200, 100)
        missing = "/ad-sets/00000000-0000-4000-8000-000000000000"
        assert ask(address, missing)[0] == 404
        assert ask(address, f"{missing}/bid?amount=cheap", "PUT")[0] == 422
        # Of one operation: a worker that is still starting makes another.
        emulator.add_fault("unauthorized", operation="getAdSetById")
        status, headers, _ = ask(address, missing)
        assert status == 503
        assert int(headers.get("Retry-After") or headers["retry-after"]) > 0
    assert "Traceback" not in said.read_text()


@pytest.mark.parametrize("workers", [1, pytest.param(4, marks=pytest.mark.soak)])
def test_it_runs_under_uvicorn(
    workers: int, folder: Path, settings: dict[str, str], spotify_ads_emulator: Emulator
) -> None:
    port = free_port()
    command = ["uvicorn", "service:app", "--port", str(port), "--workers", str(workers)]
    check_service(command, folder, settings, f"http://127.0.0.1:{port}", spotify_ads_emulator)


@pytest.mark.soak
def test_it_runs_under_gunicorn_with_preloading(
    folder: Path, settings: dict[str, str], spotify_ads_emulator: Emulator
) -> None:
    pytest.importorskip("gunicorn")
    pytest.importorskip("uvicorn_worker")
    port = free_port()
    command = [
        "gunicorn",
        "--preload",
        "--workers",
        "4",
        "--worker-class",
        "uvicorn_worker.UvicornWorker",
        "-b",
        f"127.0.0.1:{port}",
    ]
    check_service([*command, "service:app"], folder, settings, f"http://127.0.0.1:{port}", spotify_ads_emulator)
