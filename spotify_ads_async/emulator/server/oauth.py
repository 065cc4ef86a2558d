"""The accounts service: authorization code with PKCE, refresh tokens that may rotate, and whose token is whose."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import random
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from spotify_ads_async.errors import Portable

__all__ = ["Grant", "OAuthError", "TokenBook"]


class OAuthError(Portable):
    """A refusal of the accounts service, in RFC 6749's shape."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status

    def content(self) -> dict[str, str]:
        """The body of the answer."""
        return {"error": self.error, "error_description": self.description}


class Grant(msgspec.Struct, frozen=True):
    """What a token stands for; ``expires_at`` in monotonic seconds."""

    client_id: str
    expires_at: float


class Code(msgspec.Struct, frozen=True):
    """An authorization code that waits for its exchange."""

    client_id: str
    redirect_uri: str
    challenge: str | None


class TokenBook:
    """Every token that was issued.

    Args:
        clients: client ID → secret; empty for any client with any secret.
        tokens: access token → client ID, good from the start and for ever.
        refresh_tokens: refresh token → client ID, good from the start.
        any_token: whether bearer tokens that were never issued are taken too, each as a client of its own.
        lifetime: seconds for which an access token lives.
        rotate: whether a refresh answers a new refresh token and ends the old one.
        rng: where tokens come from.
    """

    def __init__(
        self,
        *,
        clients: Mapping[str, str],
        tokens: Mapping[str, str],
        refresh_tokens: Mapping[str, str],
        any_token: bool,
        lifetime: float,
        rotate: bool,
        rng: random.Random,
    ) -> None:
        self.any_token = any_token
        self.lifetime = lifetime
        self.rotate = rotate
        self.refreshes = 0
        self._clients = dict(clients)
        self._random = rng
        self._access = {token: Grant(client, float("inf")) for token, client in tokens.items()}
        self._refresh = dict(refresh_tokens)
        self._ended: set[str] = set()
        self._names: dict[str, str] = {}
        self._codes: dict[str, Code] = {}

    def client_of(self, authorization: str | None, now: float) -> str | None:
        """The client ID behind an ``Authorization`` header, None where it names no valid token."""
        if authorization is None or authorization[:7].lower() != "bearer ":
            return None
        token = authorization[7:].strip()
        grant = self._access.get(token)
        if grant is not None:
            return grant.client_id if now < grant.expires_at else None
        return self._own_client(token) if self.any_token and token and token not in self._ended else None

    def _own_client(self, token: str) -> str:
        """The name of the client behind a token that was never issued; it shows nothing of the token."""
        name = self._names.get(token)
        if name is None:
            name = self._names[token] = "client-" + hashlib.sha256(token.encode()).hexdigest()[:8]
        return name

    def revoke(self) -> None:
        """End every access token: each of them gets 401 from now on."""
        self._ended.update(self._access)
        self._access.clear()

    def authorize(self, query: Mapping[str, str]) -> str:
        """Consent at once: the address to send the browser back to."""
        redirect = query.get("redirect_uri", "")
        if not urlsplit(redirect).scheme:
            raise OAuthError("invalid_request", "redirect_uri is missing")
        client_id = query.get("client_id", "")
        if not client_id or (self._clients and client_id not in self._clients):
            raise OAuthError("unauthorized_client", "client_id is missing or unknown")
        answer = {"state": query["state"]} if "state" in query else {}
        if query.get("response_type") != "code":
            answer["error"] = "unsupported_response_type"
        elif query.get("code_challenge_method", "S256") != "S256":
            answer["error"] = "invalid_request"
        else:
            answer["code"] = self._new()
            self._codes[answer["code"]] = Code(client_id, redirect, query.get("code_challenge"))
        return f"{redirect}{'&' if '?' in redirect else '?'}{urlencode(answer)}"

    def token(self, form: Mapping[str, str], authorization: str | None, now: float) -> dict[str, Any]:
        """The answer of the token endpoint.

        Raises:
            OAuthError: the client, the grant or the request is refused.
        """
        client_id, authenticated = self._client(form, authorization)
        match form.get("grant_type"):
            case "refresh_token":
                return self._refreshed(form.get("refresh_token", ""), client_id, now)
            case "authorization_code":
                return self._exchanged(form, client_id, authenticated=authenticated, now=now)
            case other:
                raise OAuthError("unsupported_grant_type", f"grant_type {other!r} is not supported")

    def _client(self, form: Mapping[str, str], authorization: str | None) -> tuple[str, bool]:
        """The client ID of a token request, and whether its secret was right."""
        if authorization is None:
            client_id, secret = form.get("client_id", ""), form.get("client_secret")
            if not client_id:
                raise OAuthError(
                    "invalid_client", "the client names itself neither by HTTP Basic nor by client_id", 401
                )
            if secret is None:
                return client_id, False
            return self._authenticated(client_id, secret), True
        try:
            scheme, _, encoded = authorization.partition(" ")
            client_id, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise OAuthError("invalid_client", "the Authorization header is not HTTP Basic", 401) from None
        if scheme.lower() != "basic" or not colon or not client_id:
            raise OAuthError("invalid_client", "the Authorization header is not HTTP Basic", 401)
        return self._authenticated(client_id, secret), True

    def _authenticated(self, client_id: str, secret: str) -> str:
        if self._clients and not hmac.compare_digest(self._clients.get(client_id, "").encode(), secret.encode()):
            raise OAuthError("invalid_client", "unknown client or wrong secret", 401)
        return client_id

    def _refreshed(self, refresh_token: str, client_id: str, now: float) -> dict[str, Any]:
        owner = self._refresh.get(refresh_token)
        known = owner == client_id or (owner is None and self.any_token and bool(refresh_token))
        if not known or refresh_token in self._ended:
            raise OAuthError("invalid_grant", "the refresh token is unknown, ended or another client's")
        self.refreshes += 1
        answer = self._issued(client_id, now)
        if self.rotate:
            self._refresh.pop(refresh_token, None)
            self._ended.add(refresh_token)
            answer["refresh_token"] = self._new()
            self._refresh[answer["refresh_token"]] = client_id
        return answer

    def _exchanged(self, form: Mapping[str, str], client_id: str, *, authenticated: bool, now: float) -> dict[str, Any]:
        code = self._codes.pop(form.get("code", ""), None)
        if code is None or code.client_id != client_id or code.redirect_uri != form.get("redirect_uri"):
            raise OAuthError("invalid_grant", "the code is unknown, used, another client's or of another redirect_uri")
        if code.challenge is not None:
            digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != code.challenge:
                raise OAuthError("invalid_grant", "code_verifier does not match code_challenge")
        elif not authenticated:
            raise OAuthError("invalid_client", "a client without a secret needs PKCE", 401)
        refresh_token = self._new()
        self._refresh[refresh_token] = client_id
        return {**self._issued(client_id, now), "refresh_token": refresh_token}

    def _issued(self, client_id: str, now: float) -> dict[str, Any]:
        token = self._new()
        self._access[token] = Grant(client_id, now + self.lifetime)
        return {"access_token": token, "token_type": "Bearer", "scope": "", "expires_in": int(self.lifetime)}

    def _new(self) -> str:
        return base64.urlsafe_b64encode(self._random.randbytes(48)).decode()
