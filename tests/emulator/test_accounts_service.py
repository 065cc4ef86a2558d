from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
from support.emulated import Api, Apis, Json

CLIENTS = {"client": "secret"}


async def token(api: Api, *, secret: str = CLIENTS["client"], **form: str) -> tuple[int, Any]:
    return await post(api, form, {"Authorization": aiohttp.encode_basic_auth("client", secret)})


async def post(api: Api, form: dict[str, str], headers: dict[str, str]) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as client,
        client.post(api.server.token_url, data=form, headers=headers) as answer,
    ):
        return answer.status, await answer.json()


async def strict(apis: Apis, **options: Json) -> Api:
    return await apis.start(any_token=False, clients=CLIENTS, refresh_tokens={"first": "client"}, **options)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_refresh_token_gives_an_access_token_that_works(apis: Apis) -> None:
    api = await strict(apis)
    status, answer = await token(api, grant_type="refresh_token", refresh_token="first")
    assert status == 200
    assert (answer["token_type"], answer["expires_in"], "refresh_token" in answer) == ("Bearer", 3600, False)
    await api.expect(401, "GET", "/businesses")
    await api.expect(200, "GET", "/businesses", headers=bearer(answer["access_token"]))
    assert (await token(api, grant_type="refresh_token", refresh_token="first"))[0] == 200
    assert api.server.statistics().refreshes == 2


async def test_rotation_ends_the_old_refresh_token(apis: Apis) -> None:
    api = await strict(apis, rotate_refresh_tokens=True)
    _, answer = await token(api, grant_type="refresh_token", refresh_token="first")
    assert (await token(api, grant_type="refresh_token", refresh_token="first"))[1]["error"] == "invalid_grant"
    assert (await token(api, grant_type="refresh_token", refresh_token=answer["refresh_token"]))[0] == 200


async def test_wrong_secrets_tokens_and_grants_are_refused(apis: Apis) -> None:
    api = await strict(apis)
    status, answer = await token(api, secret="wrong", grant_type="refresh_token", refresh_token="first")
    assert (status, answer["error"]) == (401, "invalid_client")
    status, _ = await post(
        api, {"grant_type": "refresh_token", "refresh_token": "first", "client_id": "client", "client_secret": "no"}, {}
    )
    assert status == 401
    assert (await token(api, grant_type="refresh_token", refresh_token="other"))[1]["error"] == "invalid_grant"
    assert (await token(api, grant_type="password"))[1]["error"] == "unsupported_grant_type"


async def test_tokens_expire_and_can_be_revoked(apis: Apis) -> None:
    api = await strict(apis, token_lifetime=0.0)
    _, answer = await token(api, grant_type="refresh_token", refresh_token="first")
    await api.expect(401, "GET", "/businesses", headers=bearer(answer["access_token"]))
    other = await strict(apis)
    _, answer = await token(other, grant_type="refresh_token", refresh_token="first")
    await other.expect(200, "GET", "/businesses", headers=bearer(answer["access_token"]))
    other.server.tokens.revoke()
    await other.expect(401, "GET", "/businesses", headers=bearer(answer["access_token"]))


async def test_the_authorization_code_flow_with_pkce(apis: Apis) -> None:
    api = await strict(apis)
    verifier = "v" * 60
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    redirect = "http://127.0.0.1:8080/callback"
    query = {
        "response_type": "code",
        "client_id": "client",
        "redirect_uri": redirect,
        "state": "s t",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    status, _, headers = await api.send("GET", api.server.authorize_url, params=query)
    assert status == 302
    back = parse_qs(urlsplit(headers["Location"]).query)
    assert back["state"] == ["s t"]
    form = {"grant_type": "authorization_code", "code": back["code"][0], "redirect_uri": redirect}
    status, answer = await post(api, {**form, "client_id": "client", "code_verifier": verifier}, {})
    assert status == 200
    await api.expect(200, "GET", "/businesses", headers=bearer(answer["access_token"]))
    assert (await token(api, grant_type="refresh_token", refresh_token=answer["refresh_token"]))[0] == 200
    assert (await token(api, **form, code_verifier=verifier))[1]["error"] == "invalid_grant"


async def test_a_wrong_verifier_is_refused(apis: Apis) -> None:
    api = await strict(apis)
    query = {
        "response_type": "code",
        "client_id": "client",
        "redirect_uri": "http://127.0.0.1:1/",
        "code_challenge": "abc",
    }
    _, _, headers = await api.send("GET", api.server.authorize_url, params=query)
    code = parse_qs(urlsplit(headers["Location"]).query)["code"][0]
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": "http://127.0.0.1:1/",
        "code_verifier": "nope",
    }
    assert (await token(api, **form))[1]["error"] == "invalid_grant"
