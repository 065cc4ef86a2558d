"""Conversions API: integrations and their tokens."""

from __future__ import annotations

import base64

import msgspec

from spotify_ads_async.emulator.domain.answers import Refusal, Response, missing
from spotify_ads_async.emulator.domain.call import Call
from spotify_ads_async.emulator.domain.handlers.datasets import attach
from spotify_ads_async.emulator.domain.tables import Row


def create_capi_integration(call: Call) -> Response:
    """``createCapiIntegration``."""
    business, body, store = call.business, call.body, call.store
    if any(row["name"] == body["name"] for row in business.capi_integrations):
        raise Refusal(409, "CONFLICT", f"the business has a CAPI integration {body['name']!r} already")
    dataset_id = attach(business, "capi_integrations", body.get("dataset_id"), body["name"])
    row: Row = {
        "capi_connection_id": store.new_id(),
        "integration_id": store.new_id(),
        "name": body["name"],
        "dataset_id": dataset_id,
        "events_received": [],
    }
    return Response(business.capi_integrations.put(row), status=201)


def get_capi_integration_by_id(call: Call) -> Response:
    """``getCapiIntegrationById``."""
    return Response(call.business.capi_integrations.get(call.path["capi_connection_id"]))


def update_capi_integration_by_id(call: Call) -> Response:
    """``updateCapiIntegrationById``."""
    table = call.business.capi_integrations
    return Response(table.put({**table.get(call.path["capi_connection_id"]), **call.body}))


def create_capi_auth_token(call: Call) -> Response:
    """``createCapiAuthToken``: a token in a JSON Web Token's form, which nothing verifies."""
    business, store = call.business, call.store
    connection = business.capi_integrations.get(call.path["capi_connection_id"])["capi_connection_id"]
    token_id = store.new_id()
    parts = ({"alg": "HS256", "typ": "JWT"}, {"jti": token_id, "sub": connection})
    encoded = [base64.urlsafe_b64encode(msgspec.json.encode(part)) for part in parts]
    signature = base64.urlsafe_b64encode(store.random.randbytes(32))
    row: Row = {
        "capi_auth_token_id": token_id,
        "capi_auth_token": b".".join(part.rstrip(b"=") for part in (*encoded, signature)).decode(),
        "created_at": store.clock.text(),
    }
    business.capi_tokens.put({**row, "capi_connection_id": connection})
    return Response({"data": row}, status=201)


def get_capi_auth_tokens(call: Call) -> Response:
    """``getCapiAuthTokens``."""
    business = call.business
    connection = business.capi_integrations.get(call.path["capi_connection_id"])["capi_connection_id"]
    rows = [
        {name: value for name, value in row.items() if name != "capi_connection_id"}
        for row in business.capi_tokens
        if row["capi_connection_id"] == connection
    ]
    return Response({"data": rows})


def delete_capi_auth_token(call: Call) -> Response:
    """``deleteCapiAuthToken``."""
    business, token_id = call.business, call.path["capi_auth_token_id"]
    row = business.capi_tokens.get(token_id)
    if row["capi_connection_id"] != call.path["capi_connection_id"]:
        raise missing("CAPI token", token_id)
    business.capi_tokens.remove(token_id)
    return Response(status=204)
