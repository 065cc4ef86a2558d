"""What is known of a row before a request and after it, by the pure functions that decide."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from spotify_ads_async import (
    AuthenticationError,
    ConnectionFailed,
    InvalidAnswer,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    ServerError,
    SpotifyAdsError,
)
from spotify_ads_async.bulk import ENTITIES
from spotify_ads_async.bulk.plan.effects import Conflict, Refusal
from spotify_ads_async.bulk.plan.state import entity_shape
from spotify_ads_async.bulk.records import RowWork, Step, StepOutcome, StepState
from spotify_ads_async.bulk.run.outcomes import (
    Surprise,
    changes_alone,
    compared,
    failure,
    judged,
    judged_later,
    renewed,
    require_changed,
    staged,
    success,
    surprises,
    unheard_of,
)

AD_SETS, ADS, CAMPAIGNS = ENTITIES["ad sets"], ENTITIES["ads"], ENTITIES["campaigns"]
STATE: dict[str, Any] = {
    "id": "x",
    "name": "Summer",
    "campaign_id": "c",
    "status": "ACTIVE",
    "bid_micro_amount": 10,
    "budget": {"micro_amount": 25, "type": "DAILY"},
    "targets": {"language": "en", "genders": ["MALE"]},
    "category": "ADV_1_1",
}


def text(**changes: Any) -> str:  # noqa: ANN401 - any JSON
    """The state with changes, as JSON; None takes a field away."""
    state = {name: value for name, value in {**STATE, **changes}.items() if value is not None}
    return msgspec.json.encode(state).decode()


def row(*bodies: dict[str, Any], states: tuple[StepState, ...] = (), **before: Any) -> RowWork:  # noqa: ANN401
    """A row that makes requests with these bodies; what stood before each field is the state's, or as said."""
    after = {name: value for body in bodies for name, value in body.items()}
    steps = tuple(
        Step(row=1, position=at, entity_id="x", body=body, state=states[at] if states else StepState.WAITING)
        for at, body in enumerate(bodies)
    )
    was = {**{name: STATE[name] for name in after if name in STATE}, **before}
    return RowWork(number=1, entity_id="x", name="Summer", text=text(), before=was, after=after, steps=steps)


# ---- before a request


def test_a_row_whose_entity_is_as_it_was_goes_as_it_is() -> None:
    work = row({"name": "Autumn"})
    assert renewed(AD_SETS, work, text(), force=False) is work


def test_a_row_goes_on_top_of_what_somebody_else_changed_besides() -> None:
    work = row({"budget": {"micro_amount": 30, "type": "DAILY"}}, {"name": "Autumn"})
    now = text(name="Spring", budget={"micro_amount": 25, "type": "DAILY", "newer": 1})
    conflict = renewed(AD_SETS, work, now, force=False)
    assert conflict == (Conflict(field="name", planned="Summer", found="Spring", wanted="Autumn"),)
    forced = renewed(AD_SETS, work, now, force=True)
    assert isinstance(forced, RowWork)
    assert (forced.text, forced.name) == (now, "Spring")
    assert forced.before == {"budget": {"micro_amount": 25, "type": "DAILY", "newer": 1}, "name": "Spring"}
    assert [step.body for step in forced.steps] == [
        {"budget": {"micro_amount": 30, "type": "DAILY", "newer": 1}},
        {"name": "Autumn"},
    ]
    assert {step.state for step in forced.steps} == {StepState.WAITING}
    assert forced.after == {name: value for step in forced.steps for name, value in step.body.items()}


def test_what_is_done_of_a_row_stays_and_what_somebody_else_did_is_done() -> None:
    states = (StepState.DONE, StepState.WAITING)
    work = row({"bid_micro_amount": 12}, {"name": "Autumn", "category": "ADV_2"}, states=states)
    same = renewed(AD_SETS, work, text(bid_micro_amount=99, name="Autumn", category="ADV_2"), force=False)
    assert isinstance(same, RowWork)
    done, waiting = same.steps
    assert done == work.steps[0]
    assert (waiting.body, waiting.state) == ({}, StepState.DONE)
    assert same.before["bid_micro_amount"] == 10
    assert same.after["bid_micro_amount"] == 12
    half = renewed(AD_SETS, work, text(bid_micro_amount=99, name="Autumn"), force=False)
    assert isinstance(half, RowWork)
    assert (half.steps[1].body, half.steps[1].state) == ({"category": "ADV_2"}, StepState.WAITING)
    nameless = renewed(AD_SETS, row({"category": "ADV_2"}), text(name=None), force=False)
    assert isinstance(nameless, RowWork)
    assert nameless.name == "Summer"


def test_what_was_archived_or_moved_takes_no_change() -> None:
    work = row({"name": "Autumn"})
    archived = renewed(AD_SETS, work, text(status="ARCHIVED"), force=True)
    assert archived == Refusal(
        reason="was archived since it was planned: what is archived takes no change", column="status"
    )
    moved = renewed(AD_SETS, work, text(campaign_id="d"), force=True)
    reason = 'was moved since it was planned: campaign_id was "c" and is "d"'
    assert moved == Refusal(reason=reason, column="campaign_id")
    gone = renewed(AD_SETS, work, text(campaign_id=None), force=True)
    assert isinstance(gone, Refusal)
    assert gone.reason == 'was moved since it was planned: campaign_id was "c" and is not set'
    of_old = msgspec.structs.replace(work, text=text(status="ARCHIVED", campaign_id=None))
    assert isinstance(renewed(AD_SETS, of_old, text(status="ARCHIVED", campaign_id="d"), force=False), RowWork)
    assert isinstance(renewed(CAMPAIGNS, work, text(campaign_id="d"), force=False), RowWork)


def test_for_an_api_that_merges_nothing_leaves_but_what_changes() -> None:
    body = {"budget": {"micro_amount": 30, "type": "DAILY"}, "targets": {"language": "de"}, "name": "Summer"}
    assert changes_alone(STATE, body) == {"budget": {"micro_amount": 30}, "targets": {"language": "de", "genders": []}}


def test_what_only_the_server_knows_of_is_named_where_it_stands() -> None:
    body = {
        "name": None,
        "newer": 1,
        "budget": {"micro_amount": None, "later": {}},
        "frequency_caps": [{"max_impressions": 1}, {"unit": "DAY"}],
        "targets": "text",
        "cost_modifiers": {"x": 1},
        "category": [{"x": 1}],
    }
    shape = entity_shape(AD_SETS)
    places = ["newer", "budget.micro_amount", "budget.later", "frequency_caps[1].unit"]
    assert list(unheard_of(body, shape)) == places
    assert list(unheard_of([body], shape)) == []


# ---- after a request


@pytest.mark.parametrize(
    ("surprise", "said"),
    [
        (Surprise("name", "a", "b"), 'name was "a" and is "b"'),
        (Surprise("name", msgspec.UNSET, "b"), 'name was not set and is "b"'),
        (Surprise("caps", [1], []), "caps was [1] and is gone"),
        (Surprise("name", "a" * 198, "b" * 199), f'name was "{"a" * 198}" and is "{"b" * 199}…'),
    ],
)
def test_a_surprise_says_what_was_and_what_is(surprise: Surprise, said: str) -> None:
    assert str(surprise) == said


YOUNG, OLD = {"min": 18, "max": 24}, {"min": 55, "max": 64}
AGES = {"age_ranges": [YOUNG, OLD]}


@pytest.mark.parametrize(
    ("before", "found", "fields"),
    [
        ({}, {"name": "Winter"}, ["name"]),
        ({}, {"id": "y", "campaign_id": "d"}, ["id", "campaign_id"]),
        ({}, {"status": "READY", "updated_at": "x", "draft_hierarchy_version": 2}, []),
        ({}, {"status": "ARCHIVED"}, ["status"]),
        ({}, {"brand_new": 1}, []),
        ({"newer": 1}, {"newer": 2}, []),
        ({"newer": 2}, {"newer": 1}, ["newer"]),
        ({"newer": 2}, {"newer": None}, ["newer"]),
        ({"newer": 1}, {"newer": "1"}, ["newer"]),
        ({"newer": "2027-03-01T00:00:00"}, {"newer": "2027-03-02T00:00:00"}, []),
        ({"newer": "2027-03-02T00:00:00"}, {"newer": "2027-03-01T00:00:00"}, ["newer"]),
        ({"newer": "2027-03-02T00:00:00Z"}, {"newer": "2027-03-03T00:00:00"}, ["newer"]),
        ({"newer": "text"}, {"newer": "other"}, ["newer"]),
        ({"cost_model": "CPM"}, {"cost_model": "CPC"}, []),
        ({"cost_model": "CPM"}, {"cost_model": None}, ["cost_model"]),
        ({}, {"budget": {"micro_amount": 30, "type": "LIFETIME"}}, ["budget.type"]),
        ({"budget": {"micro_amount": 25, "currency": "USD"}}, {"budget": {"micro_amount": 30}}, []),
        # What nobody knew of is none inside of a field either; what the document knows of is.
        ({}, {"targets": {**STATE["targets"], "newer": 1}}, []),
        ({}, {"targets": {**STATE["targets"], "platforms": ["IOS"]}}, ["targets"]),
        ({}, {"targets": {"language": "en"}}, ["targets"]),
        ({"targets": AGES}, {"targets": {"age_ranges": [{**OLD, "newer": 1}, {**YOUNG, "newer": 2}]}}, []),
        ({"targets": AGES}, {"targets": {"age_ranges": [YOUNG, {**OLD, "max": 50}]}}, ["targets"]),
        ({"targets": AGES}, {"targets": {"age_ranges": [YOUNG, YOUNG]}}, ["targets"]),
        ({"targets": AGES}, {"targets": {"age_ranges": [YOUNG, OLD, OLD]}}, ["targets"]),
    ],
)
def test_what_changed_besides_what_was_sent(before: dict[str, Any], found: dict[str, Any], fields: list[str]) -> None:
    sent = {"budget": {"micro_amount": 30, "type": "DAILY"}} if "budget" in found else {}
    if "budget" in before:
        sent = {"budget": {"micro_amount": 30}}
    was = {**STATE, **before}
    now = {name: value for name, value in {**was, **found}.items() if value is not None}
    assert [one.field for one in surprises(AD_SETS, was, sent, now)] == fields


NESTED = {"a": {"b": {"c": 1}, "list": [1]}, "flat": 1}


@pytest.mark.parametrize(
    ("wanted", "old", "new", "seen"),
    [
        ({"a": 1}, {"a": 1}, {"a": 1}, []),
        ({"a": 2}, {"a": 1}, {"a": 2}, []),
        ({"a": 2}, {"a": 1}, {"a": 1}, []),  # left as it was: said in the results
        ({"a": 2}, {"a": 1}, {"a": 3}, ["targets.a was 1 and is 3"]),
        ({"a": 1}, {"a": 1}, {"a": 3}, ["targets.a was 1 and is 3"]),
        ({"a": "Two  words"}, {"a": "one"}, {"a": "two words"}, []),
        ({"a": "one"}, {"a": "one"}, {"a": "ONE"}, ['targets.a was "one" and is "ONE"']),
        ({"a": 2}, {"a": 1}, {}, ["targets.a was 1 and is gone"]),
        ({}, {"a": 1}, {"a": 1}, []),  # taken away, and left as it was
        ({}, {"a": 1}, {"a": 2}, []),  # the server's default in place of what was taken away
        ({}, {}, {"a": 2}, []),
        ({"a": 2}, {}, {"a": 3}, ["targets.a was not set and is 3"]),
        ({"a": {"b": 2}}, {"a": {"b": 1}}, {"a": {"b": 3}}, ["targets.a.b was 1 and is 3"]),
        ({"a": {"b": 2}}, {"a": "text"}, {"a": {"b": 3}}, ["targets.a.b was not set and is 3"]),
        ({"a": {"b": 2}}, {"a": {"b": 1}}, {"a": 3}, ['targets.a was {"b":1} and is 3']),
        ({"a": [1]}, {"a": [2]}, {"a": [3]}, ["targets.a was [2] and is [3]"]),
    ],
)
def test_what_became_of_a_value_within_what_was_sent(
    wanted: dict[str, Any], old: dict[str, Any], new: dict[str, Any], seen: list[str]
) -> None:
    before, sent, found = ({"targets": one, "name": "Summer"} for one in (old, wanted, new))
    sent.pop("name")
    assert list(map(str, surprises(AD_SETS, before, sent, found))) == seen


def test_what_the_server_alone_writes_within_a_field_may_change_and_not_go() -> None:
    sent = {"micro_amount": 30, "type": "DAILY"}
    before = {"budget": {"micro_amount": 25, "type": "DAILY", "currency": "USD"}}

    def seen(before: dict[str, Any], found: dict[str, Any]) -> list[str]:
        shall = {"budget": {**sent, "currency": "USD"}}
        return list(map(str, surprises(AD_SETS, before, shall, {"budget": found})))

    assert seen(before, {**sent, "currency": "EUR"}) == []
    assert seen(before, sent) == ['budget.currency was "USD" and is gone']
    assert seen({"budget": sent}, sent) == []
    assert seen({"budget": sent}, {**sent, "currency": "EUR"}) == []


def test_what_the_server_alone_writes_is_neither_sent_nor_put_back() -> None:
    budget = {"micro_amount": 25, "type": "DAILY", "currency": "USD"}
    work = row({"budget": {**budget, "micro_amount": 30}}, budget=budget)
    again = renewed(AD_SETS, work, text(budget=budget, name="Spring"), force=False)
    assert isinstance(again, RowWork)
    assert again.steps[0].body == {"budget": {"micro_amount": 30, "type": "DAILY"}}
    named = msgspec.structs.replace(row({"name": "Autumn"}), text=text(budget=budget))
    found = {**STATE, "name": "Autumn", "budget": {**budget, "micro_amount": 99}}
    damage = compared(AD_SETS, named, {"name": "Autumn"}, found).damage
    assert damage == {"budget": {"micro_amount": 25, "type": "DAILY"}}


def test_damage_is_what_it_was_and_can_be_sent_again() -> None:
    step = Step(row=1, position=0, entity_id="x", body={"name": "Autumn"}, state=StepState.SENT)
    outcome = success(AD_SETS, row(step.body), step, text(name="Autumn", category="ADV_9", bid_micro_amount=None))
    assert outcome.state is StepState.DONE
    assert outcome.damage == {"category": "ADV_1_1", "bid_micro_amount": 10}
    assert outcome.found == {"name": "Autumn", "category": "ADV_9", "bid_micro_amount": None}
    assert outcome.surprises == ("bid_micro_amount was 10 and is gone", 'category was "ADV_1_1" and is "ADV_9"')
    assert outcome.reason == f"the server changed more than the row said: {'; '.join(outcome.surprises)}"
    assert outcome.text == text(name="Autumn", category="ADV_9", bid_micro_amount=None)


def test_without_a_state_before_nothing_is_a_surprise() -> None:
    work = msgspec.structs.replace(row({"name": "Autumn"}), text="")
    outcome = compared(AD_SETS, work, {"name": "Autumn"}, {"name": "Autumn", "category": "ADV_9"})
    assert outcome == StepOutcome(state=StepState.DONE, found={"name": "Autumn"})


def test_all_that_is_not_done_is_said_first_and_once() -> None:
    sent = {"name": "Autumn", "category": "ADV_2", "targets": {"language": "de", "genders": ["MALE"]}}
    found = {**STATE, "name": "AUTUMN", "category": "ADV_3", "bid_micro_amount": 11}
    outcome = compared(AD_SETS, row(sent), sent, found)
    assert outcome.state is StepState.FAILED
    assert outcome.reason == (
        'the server answered, and did not do category, which is "ADV_3"; targets.language, which is still "en"; the'
        " server made something else of name; the server changed more than the row said: bid_micro_amount was 10 and is"
        " 11"
    )
    assert outcome.found == {name: found[name] for name in ("name", "category", "targets", "bid_micro_amount")}


@pytest.mark.parametrize(
    ("sent", "found", "values", "reason"),
    [
        (
            {"category": "ADV_2", "targets": {"language": "en"}},
            {},
            None,
            (
                'category, which is still "ADV_1_1"; targets.genders, which is still ["MALE"] (the server\'s default,'
                " or nothing empties it)"
            ),
        ),
        (
            {"name": "Autumn", "bid_micro_amount": 12, "category": "ADV_2"},
            {"name": "Autumn", "bid_micro_amount": 12},
            {"name": "Autumn", "bid_micro_amount": 12, "category": "ADV_1_1"},
            'category, which is still "ADV_1_1"',
        ),
        (
            {"category": "ADV_2", "targets": {"language": "de"}},
            {"targets": "text"},
            {"category": "ADV_1_1", "targets": "text"},
            (
                'category, which is still "ADV_1_1"; targets.language, which is not set; the server changed more than'
                ' the row said: targets was {"language":"en","genders":["MALE"]} and is "text"'
            ),
        ),
    ],
    ids=["nothing arrived", "something arrived", "something else stands there"],
)
def test_what_stands_there_is_told_where_anything_changed(
    sent: dict[str, Any], found: dict[str, Any], values: dict[str, Any] | None, reason: str
) -> None:
    outcome = compared(AD_SETS, row(sent), sent, {**STATE, **found})
    assert (outcome.state, outcome.found) == (StepState.FAILED, values)
    assert outcome.reason == f"the server answered, and did not do {reason}"


FLAGGED = {**OLD, "flag": False}


@pytest.mark.parametrize(
    ("before", "wanted", "found", "done"),
    [
        ([YOUNG], [YOUNG, OLD], [{**OLD, "newer": 1}, {**YOUNG, "newer": 2}], True),
        ([], [YOUNG, {**YOUNG, "label": "a"}], [{**YOUNG, "label": "a"}, {**YOUNG, "label": "b"}], True),
        # What every element is given is no more than one is given; what is as it was is not done.
        ([FLAGGED], [FLAGGED, YOUNG], [FLAGGED, {**YOUNG, "flag": False}], True),
        ([FLAGGED], [OLD], [FLAGGED], False),
        ([FLAGGED], [{**OLD, "flag": None}], [{**OLD, "flag": True}], True),
        ([YOUNG], [YOUNG, OLD], [YOUNG, YOUNG], False),
        ([YOUNG], [YOUNG, OLD], [YOUNG], False),
        ([YOUNG], [YOUNG, OLD], [YOUNG, {**OLD, "max": 65}], False),
        ([YOUNG], [OLD], [YOUNG, OLD], False),
        ([YOUNG], [OLD], ["text"], False),
        ([YOUNG], ["text"], ["other"], False),
    ],
)
def test_a_list_is_done_where_each_of_its_elements_is_there_and_may_hold_more(
    before: list[Any], wanted: list[Any], found: list[Any], *, done: bool
) -> None:
    was, sent, now = ({"targets": {"age_ranges": ages}} for ages in (before, wanted, found))
    work = row(sent, **was)
    outcome = compared(AD_SETS, msgspec.structs.replace(work, text=text(**was)), sent, {**STATE, **now})
    assert outcome.state is (StepState.DONE if done else StepState.FAILED)
    assert outcome.reason == "" or not done


def test_what_the_server_never_answers_is_no_failure() -> None:
    sent = {"dv_client_code": "a"}
    outcome = compared(ADS, msgspec.structs.replace(row(sent), text=""), sent, {"id": "x"})
    said = "the server never answers dv_client_code: nothing shows whether it took it"
    assert (outcome.state, outcome.reason) == (StepState.DONE, said)


def test_what_a_step_sends_is_looked_for_where_the_row_says_nothing_of_it() -> None:
    work = msgspec.structs.replace(row({"bid_micro_amount": 12}), after={})
    now = text(bid_micro_amount=12)
    done = StepOutcome(state=StepState.DONE, found={"bid_micro_amount": 12}, text=now)
    assert success(AD_SETS, work, work.steps[0], now) == judged(work, work.steps[0], now, "lost") == done
    assert success(AD_SETS, work, work.steps[0], text()).reason.endswith(" bid_micro_amount, which is still 10")
    assert judged(work, work.steps[0], text(bid_micro_amount=7), "lost").state is StepState.UNKNOWN


def test_an_answer_counts_where_it_is_what_was_changed() -> None:
    require_changed(SimpleNamespace(id="A-b"), "a-B")
    for other in ("x", None):
        with pytest.raises(OutcomeUnknown) as caught:
            require_changed(SimpleNamespace(id=other), "xxxx" if other is None else "a-b")
        assert isinstance(caught.value.cause, InvalidAnswer)
        said = "the server answered with something else than what was changed"
        assert (caught.value.message, caught.value.cause.message) == (said, said)


def test_a_value_that_is_gone_afterwards_is_not_done() -> None:
    sent = {"category": "ADV_2"}
    outcome = compared(AD_SETS, row(sent), sent, {name: value for name, value in STATE.items() if name != "category"})
    assert (outcome.state, outcome.found) == (StepState.FAILED, {"category": None})
    assert outcome.reason == "the server answered, and did not do category, which is not set"


def test_what_shall_be_is_more_than_what_is_sent() -> None:
    """A request leaves out what only the server writes; what was planned holds it."""
    body = {"budget": {"micro_amount": 30, "type": "DAILY"}}
    was = {"micro_amount": 25, "type": "DAILY", "currency": "USD"}
    work = row(body, budget=was)
    work = msgspec.structs.replace(work, text=text(budget=was), after={"budget": {**was, "micro_amount": 30}})
    done = text(budget={**was, "micro_amount": 30})
    assert judged(work, work.steps[0], done, "lost").state is StepState.DONE
    assert success(AD_SETS, work, work.steps[0], done).surprises == ()
    gone = success(AD_SETS, work, work.steps[0], text(**body))
    assert gone.surprises == ('budget.currency was "USD" and is gone',)


def test_of_a_draft_nothing_live_is_said() -> None:
    done = StepOutcome(state=StepState.DONE, found={"name": "a"}, text="{}", damage={"b": 1}, reason="r", status=200)
    assert staged(done) == StepOutcome(state=StepState.STAGED, reason="r", status=200)
    assert staged(msgspec.structs.replace(done, state=StepState.FAILED)).state is StepState.FAILED


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (ServerError("x", status=503, trace_id="t"), True),
        (RateLimited("x", status=429), True),
        (ConnectionFailed("x"), True),
        (AuthenticationError("x", status=401), True),
        (NotFound("x", status=404), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_failure_is_of_the_moment_or_of_the_request(error: SpotifyAdsError, transient: bool) -> None:  # noqa: FBT001
    assert failure(error) == StepOutcome(
        state=StepState.FAILED,
        reason=str(error),
        status=error.status,
        trace_id=error.trace_id or "",
        transient=transient,
    )


AFTER = {"name": "Autumn", "category": None}


@pytest.mark.parametrize(
    ("present", "outcome"),
    [
        (AFTER, StepOutcome(state=StepState.DONE, found=AFTER)),
        ({}, StepOutcome(state=StepState.WAITING, reason="it took no effect: lost")),
        (
            {"name": "Winter"},
            StepOutcome(
                state=StepState.UNKNOWN,
                found=AFTER,
                reason="lost, and the values now are neither the old nor the new ones: somebody else changed them;"
                " what is there of the new ones is undone with the rest",
            ),
        ),
    ],
    ids=["done", "not done", "changed by others"],
)
def test_what_was_read_back_says_what_became_of_a_lost_request(present: dict[str, Any], outcome: StepOutcome) -> None:
    work = msgspec.structs.replace(row(AFTER), after={"name": "Autumn"})
    now = text(**present)
    assert judged(work, work.steps[0], now, "lost") == msgspec.structs.replace(outcome, text=now)


def test_what_is_gone_later_is_a_surprise_unless_another_request_of_the_row_took_it_away() -> None:
    work = row({"category": None}, {"name": "Autumn"}, states=(StepState.DONE, StepState.SENT))
    outcome = judged_later(AD_SETS, work, work.steps[1], text(name="Autumn", category=None, bid_micro_amount=None))
    assert (outcome.state, outcome.found) == (StepState.DONE, {"name": "Autumn", "bid_micro_amount": None})
    assert outcome.surprises == ("bid_micro_amount was 10 and is gone",)


EMPTIED = {"targets": {"language": "en", "genders": []}}
TURNED = {"targets": {"language": "de", "genders": ["MALE"]}}
DEFAULTS = {"language": "en", "genders": ["FEMALE"]}


@pytest.mark.parametrize(
    ("body", "now", "why", "found", "surprise"),
    [
        # What stands in an emptied list is the server's default where the request left a moment ago.
        (EMPTIED, {"targets": DEFAULTS}, "lost", {"targets": DEFAULTS}, ""),
        (EMPTIED, {"targets": DEFAULTS}, "", EMPTIED, ""),
        (
            {"name": "Autumn"},
            {"name": "Autumn", "bid_micro_amount": 11, "category": "ADV_2"},
            "lost",
            {"name": "Autumn"},
            "",
        ),
        (TURNED, {"targets": {**TURNED["targets"], "newer": 1}}, "lost", TURNED, ""),
        (
            TURNED,
            {"targets": {"language": "de"}},
            "lost",
            {"targets": {"language": "de", "genders": []}},
            'targets.genders was ["MALE"] and is gone',
        ),
    ],
)
def test_of_what_is_read_back_only_what_is_gone_besides_is_a_surprise(
    body: dict[str, Any], now: dict[str, Any], why: str, found: dict[str, Any], surprise: str
) -> None:
    work = row(body)
    outcome = judged_later(AD_SETS, work, work.steps[0], text(**now), why)
    assert (outcome.state, outcome.found, outcome.text) == (StepState.DONE, found, text(**now))
    assert outcome.surprises == ((surprise,) if surprise else ())


def test_what_is_read_back_as_it_was_took_no_effect_for_the_reason_that_is_known() -> None:
    work = row(EMPTIED)
    for why, said in (("", "the run ended before the answer came"), ("it was lost", "it was lost")):
        outcome = judged_later(AD_SETS, work, work.steps[0], text(), why)
        assert outcome == StepOutcome(state=StepState.WAITING, reason=f"it took no effect: {said}", text=text())


def test_a_row_is_judged_by_what_it_came_to_and_by_what_is_known_of_before() -> None:
    work = row({"name": "Autumn"})
    later = msgspec.structs.replace(work, after={"name": "Winter"})
    assert judged_later(AD_SETS, later, work.steps[0], text(name="Winter")).found == {"name": "Winter"}
    bare = msgspec.structs.replace(work, text="")
    assert judged_later(AD_SETS, bare, work.steps[0], text(name="Autumn", bid_micro_amount=None)).surprises == ()


def test_a_draft_that_holds_neither_says_how_to_go_on() -> None:
    assert staged(StepOutcome(state=StepState.UNKNOWN, found={"name": "a"}, text="{}")) == StepOutcome(
        state=StepState.FAILED,
        reason="the draft holds neither the old values nor the new ones: somebody changed it, or what is live just"
        " before it was made; --retry-failed looks at what is live, and puts the row's values in",
    )


def test_a_step_that_is_renewed_sends_nothing_that_is_declared_for_answers_only() -> None:
    work = row({"budget": {"micro_amount": 30, "type": "DAILY"}})
    found = renewed(AD_SETS, work, text(budget={"micro_amount": 25, "type": "DAILY", "currency": "USD"}), force=False)
    assert isinstance(found, RowWork)
    assert found.steps[0].body == {"budget": {"micro_amount": 30, "type": "DAILY"}}
