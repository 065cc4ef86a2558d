"""Errors, models, limits, options and rows in other processes: nothing is lost on the way, and no secret goes along."""

from __future__ import annotations

import concurrent.futures
import contextlib
import copy
import enum
import importlib
import multiprocessing
import pickle
import pkgutil
import sys
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any, TypeVar

import msgspec
import pytest
from support import calls
from support.raw_server import RawServer, answer

import spotify_ads_async
from spotify_ads_async import (
    CAUTIOUS_LIMITS,
    PUBLISHED_LIMITS,
    UNSET,
    AccessToken,
    Limit,
    OutcomeUnknown,
    Priority,
    RefreshToken,
    RetryPolicy,
    Secret,
    SpotifyAdsError,
    TransportOptions,
    errors,
    models,
)
from spotify_ads_async.bulk import BadChanges
from spotify_ads_async.core.session import CallOptions
from spotify_ads_async.reports import HIDDEN, ReportRow

KindT = TypeVar("KindT")


def through_pickle(value: KindT) -> KindT:
    return pickle.loads(pickle.dumps(value))  # noqa: S301 (it was made here)


WAYS: dict[str, Callable[[Any], Any]] = {"pickle": through_pickle, "copy": copy.copy, "deepcopy": copy.deepcopy}


def below(root: type[KindT]) -> Iterator[type[KindT]]:
    for kind in root.__subclasses__():
        yield kind
        yield from below(kind)


def every_public_error() -> list[type[BaseException]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other packages about each other
        for module in pkgutil.walk_packages(spotify_ads_async.__path__, "spotify_ads_async.", onerror=lambda _: None):
            if not module.name.endswith("__main__"):
                with contextlib.suppress(ImportError, errors.ConfigurationError):  # an extra that is not installed here
                    importlib.import_module(module.name)
    ours = [
        kind
        for kind in below(Exception)
        if kind.__module__.startswith("spotify_ads_async") and not kind.__name__.startswith("_")
    ]
    return sorted(set(ours), key=lambda kind: (kind.__module__, kind.__name__))


def filled(kind: type[BaseException]) -> BaseException:
    """An error with something in every place that it has, also where its constructor would not take it."""
    error = kind.__new__(kind, "what happened")
    vars(error).update(
        {
            "message": "what happened",
            "operation": "updateAdSet",
            "status": 409,
            "trace_id": "abc",
            "messages": ("one", "two"),
            "error_codes": (errors.ErrorCode(code="CODE", definition="so"),),
            "details": {"deep": [{"x": 1}]},
            "may_have_taken_effect": True,
            "cause": errors.ConnectionFailed("lost", operation="updateAdSet"),
            "value": [1, {"a": None}],
            "retry_after": 7.5,
            "something_of_its_own": 5,
        }
    )
    error.add_note("row 7")
    if isinstance(error, errors.Portable):
        error.__cause__ = errors.ServerError("why", status=503)
    return error


def facts(error: BaseException) -> object:
    told = {name: facts(value) if isinstance(value, BaseException) else value for name, value in vars(error).items()}
    return type(error), error.args, told, None if error.__cause__ is None else facts(error.__cause__)


@pytest.mark.parametrize("way", WAYS)
def test_every_error_is_the_same_in_another_process(way: str) -> None:
    kinds = every_public_error()
    assert {SpotifyAdsError, errors.QuotaTimeout, errors.InvalidRequest, BadChanges} <= set(kinds)
    for kind in kinds:
        error = filled(kind)
        again = WAYS[way](error)
        for name in set(vars(again)) - set(vars(error)):
            delattr(again, name)  # what its constructor sets by itself
        assert facts(again) == facts(error), kind
        if issubclass(kind, SpotifyAdsError):
            assert str(again) == str(error)


@pytest.mark.parametrize("way", WAYS)
def test_errors_as_they_are_raised(way: str) -> None:
    cause = errors.ConnectionFailed("lost", may_have_taken_effect=True)
    for error in (
        errors.QuotaTimeout("too long", predicted_wait=3.5, limit="ip", operation="getAds"),
        errors.InvalidRequest("no", operation="getAds", path="query.limit", value=51, rule="at most 50"),
        OutcomeUnknown("unknown", cause=cause, operation="updateAdSet"),
        BadChanges([], total=3),
    ):
        assert facts(WAYS[way](error)) == facts(error)


def test_a_value_that_goes_nowhere_does_not_keep_its_error_from_going() -> None:
    error = errors.InvalidRequest("no", value=lambda: 1, rule="a number")
    assert "lambda" in str(through_pickle(error).value)
    assert "canary" not in repr(vars(through_pickle(errors.InvalidRequest("no", value=Secret("canary")))))


class Unbuildable(Exception):
    def __init__(self, *, needed: int) -> None:
        super().__init__(str(needed))


def test_neither_does_a_cause_that_could_not_be_made_again_or_a_long_chain() -> None:
    first = error = errors.NotFound("the first")
    error.__cause__ = Unbuildable(needed=1)
    for number in range(40):  # tried link by link, a chain of forty takes hours
        caused, error = error, errors.NotFound(str(number))
        error.__cause__ = caused
    again: BaseException | None = through_pickle(error)
    links = 0
    while again is not None and again.__cause__ is not None:
        links, again = links + 1, again.__cause__
    assert (links, str(again)) == (40, str(first))


def rows_and_models() -> list[Any]:
    at = datetime(2026, 10, 1, tzinfo=UTC)
    ad_set = msgspec.json.decode(
        b'{"id": "d1f5ad71-4a32-4d25-a3e2-8e5f0f25a6a1", "status": "NEWER_THAN_WE_ARE", "budget": {"micro_amount": 5}, '
        b'"targets": {"platforms": ["IOS", "SMART_FRIDGE"]}, "start_time": "2026-10-01T00:00:00Z"}',
        type=models.AdSet,
    )
    return [
        ad_set,
        models.AdSetUpdate(name="Autumn", bid_micro_amount=12_000_000),
        models.AdSetUpdate(name=UNSET),
        models.AdSetStatus("NEWER_THAN_WE_ARE"),
        UNSET,
        HIDDEN,
        *PUBLISHED_LIMITS,
        *CAUTIOUS_LIMITS,
        Limit("own", 5, 2.5),
        Priority.BULK,
        RetryPolicy(attempts=7),
        CallOptions(timeout=None),
        TransportOptions(connections=3, ca_file="authorities.pem", no_proxy="*", allow_http=("emulator",)),
        errors.ErrorCode(code="a", definition="b"),
        at,
        date(2026, 10, 1),
    ]


@pytest.mark.parametrize("way", WAYS)
def test_models_limits_options_and_rows_are_the_same(way: str) -> None:
    for value in rows_and_models():
        assert WAYS[way](value) == value
    assert WAYS[way](HIDDEN) is HIDDEN
    assert WAYS[way](UNSET) is UNSET


@pytest.mark.parametrize("way", WAYS)
def test_every_struct_and_every_enum_of_the_package_comes_back(way: str) -> None:
    every_public_error()  # imports all there is
    made = 0
    for kind in below(msgspec.Struct):
        has_a_name = getattr(sys.modules[kind.__module__], kind.__name__, None) is kind
        if has_a_name and kind.__module__.startswith(
            ("spotify_ads_async.models", "spotify_ads_async.bulk", "spotify_ads_async.events")
        ):
            try:
                value = kind()
            except TypeError:
                continue  # it must be given something; the others stand for it
            made += 1
            assert WAYS[way](value) == value
    assert made > 100
    for enumeration in below(enum.Enum):
        if enumeration.__module__.startswith("spotify_ads_async"):
            for member in enumeration:
                assert WAYS[way](member) is member


def same(value: Any) -> Any:  # noqa: ANN401 -- whatever it is
    return value


def raising(error: BaseException) -> None:
    raise error


def test_a_process_pool_takes_and_gives_them() -> None:
    context = multiprocessing.get_context("fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        values = rows_and_models()
        assert pool.submit(same, values).result() == values
        sent = errors.QuotaTimeout("too long", predicted_wait=3.5, limit="ip")
        with pytest.raises(errors.QuotaTimeout) as caught:
            pool.submit(raising, sent).result()
    assert caught.value.predicted_wait == 3.5
    assert caught.value.limit == "ip"


@pytest.mark.parametrize(
    "credential", [AccessToken("canary"), RefreshToken("an-app", "canary", "canary")], ids=["access", "refresh"]
)
@pytest.mark.parametrize("way", WAYS)
def test_credentials_stay_where_they_are_and_say_why(credential: object, way: str) -> None:
    with pytest.raises(TypeError, match=r"is not pickled and not copied: it holds secrets.*make it anew") as caught:
        WAYS[way](credential)
    assert "canary" not in str(caught.value)


def test_a_proxys_password_goes_into_no_pickle() -> None:
    options = TransportOptions(proxy="http://me:canary@proxy.example:3128")
    assert copy.deepcopy(options) == options
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(options)


@pytest.mark.parametrize("way", WAYS)
def test_a_report_row_comes_back_with_what_is_hidden(way: str) -> None:
    answered = b'{"entity_id": "a", "stats": [{"field_type": "IMPRESSIONS", "field_value": -5}]}'
    row = msgspec.json.decode(answered, type=ReportRow)
    again = WAYS[way](row)
    assert again == row
    assert repr(again) == repr(row)


class Timestamp(datetime):
    """A time as other libraries have it: pandas and pendulum derive theirs from datetime."""


async def test_times_of_other_libraries_are_times() -> None:
    at = Timestamp(2030, 1, 31, 8, tzinfo=UTC)
    async with RawServer(otherwise=answer(200, calls.WRITE.answer)) as api, calls.client(api.base_url) as ads:
        await ads.ad_account(calls.ACCOUNT).ad_sets.update(calls.THING, models.AdSetUpdate(end_time=at))
    assert api.received[0].json() == {"end_time": "2030-01-31T08:00:00Z"}
