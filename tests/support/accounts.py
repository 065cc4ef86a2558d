"""An accounts service on a raw socket, and an API that takes its newest access token alone."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qs

from spotify_ads_async import RefreshToken
from support.raw_server import Behaviour, Connection, RawServer, Received, answer

FIRST = "refresh-0"


@dataclass
class Accounts:
    """Grants access-1, access-2 and so on. ``rotate`` replaces the refresh token with every grant."""

    rotate: bool = False
    lifetime: object = 3600
    script: list[Behaviour] = field(default_factory=list)
    before_answer: Callable[[], object] | None = None
    granted: int = 0
    valid: str = FIRST
    revoked: int = 0

    async def __aenter__(self) -> Self:
        self.server = RawServer(otherwise=self.grant, script=self.script)
        self.api = RawServer(otherwise=self._call)
        await self.server.__aenter__()
        await self.api.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.api.__aexit__()
        await self.server.__aexit__()

    @property
    def token_url(self) -> str:
        return f"{self.server.origin}/api/token"

    @property
    def asked(self) -> int:
        return len(self.server.received)

    def credentials(self, refresh_token: str = FIRST, **options: object) -> RefreshToken:
        return RefreshToken("an-app", "its-secret", refresh_token, token_url=self.token_url, **options)

    def revoke(self) -> None:
        """The access token is refused from now on; a refresh gives a better one."""
        self.revoked = self.granted

    async def grant(self, connection: Connection) -> None:
        """Answer a request for a token."""
        request = connection.request
        assert request is not None
        if self.before_answer is not None:
            self.before_answer()
        sent = form(request).get("refresh_token")
        if sent != self.valid:
            await answer(400, {"error": "invalid_grant", "error_description": "revoked"})(connection)
            return
        self.granted += 1
        granted: dict[str, object] = {"access_token": f"access-{self.granted}", "expires_in": self.lifetime}
        if self.rotate:
            self.valid = f"refresh-{self.granted}"
            granted["refresh_token"] = self.valid
        await answer(200, granted)(connection)

    async def _call(self, connection: Connection) -> None:
        assert connection.request is not None
        fits = (
            connection.request.headers["authorization"] == f"Bearer access-{self.granted}"
            and self.granted > self.revoked
        )
        await answer(200 if fits else 401, {"id": "d1f5ad71-4a32-4d25-a3e2-8e5f0f25a6a1"})(connection)


def form(request: Received) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.body.decode()).items()}


def basic(request: Received) -> str:
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    return base64.b64decode(value).decode() if kind == "Basic" else ""
