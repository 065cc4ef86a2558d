"""Nothing from outside steers the terminal."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotify_ads_async.cli.output import Output, Rows, flat
from spotify_ads_async.cli.text import printable, printable_json

NASTY = "\x1b[31mred\x1b]0;title\x07\x9b2J\x7f\u202egnirts\u2066\r\x00"


def written(output: Output, rows: list[dict[str, object]], columns: tuple[str, ...] = ("name",)) -> str:
    stream = io.StringIO()
    with Rows(output, columns, stream=stream) as target:
        for row in rows:
            target.write(row)
    return stream.getvalue()


@given(st.text())
def test_no_control_character_survives(text: str) -> None:
    shown = printable(text)
    assert all(one in "\t\n" or one.isprintable() or one.isspace() or ord(one) > 0xA0 for one in shown)
    assert not any(one in shown for one in "\x1b\x9b\x07\r\x7f\u202e")
    assert json.loads(printable_json(json.dumps(text, ensure_ascii=False))) == text


def test_ordinary_text_stays_as_it_is() -> None:
    for text in ("Autumn · night owls", "冬の夜", "e\u0301", "👩\u200d🚀", "a\tb\nc"):
        assert printable(text) == text


@pytest.mark.parametrize("output", [Output.TABLE, Output.JSON, Output.JSONL])
def test_results_hold_nothing_that_steers(output: Output) -> None:
    shown = written(output, [{"name": NASTY}])
    assert not any(one in shown for one in "\x1b\x9b\x07\r\x7f\x00\u202e")


def test_csv_keeps_every_character_in_a_file() -> None:
    assert NASTY.replace("\r", "\r") in written(Output.CSV, [{"name": NASTY}])


def everything_in(terminal: int) -> str:
    """What was written to a terminal whose other side is closed, by and by as the system hands it out."""
    pieces: list[bytes] = []
    with contextlib.suppress(OSError):  # the end of a terminal is an error on Linux
        while piece := os.read(terminal, 1000):
            pieces.append(piece)
    os.close(terminal)
    return b"".join(pieces).decode()


def test_csv_steers_no_terminal() -> None:
    master, slave = pty.openpty()
    with (
        os.fdopen(slave, "w", encoding="utf-8", newline="") as stream,
        Rows(Output.CSV, ("name",), stream=stream) as rows,
    ):
        rows.write({"name": "\x1b[31mred"})
    shown = everything_in(master)
    assert "\x1b" not in shown
    assert "\\x1b[31mred" in shown


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@x"])
def test_csv_runs_no_formula(name: str) -> None:
    assert written(Output.CSV, [{"name": name}]) == f"name\n'{name}\n"


@pytest.mark.parametrize("output", [Output.TABLE, Output.CSV, Output.JSON, Output.JSONL])
def test_a_failure_before_the_first_row_writes_nothing(output: Output) -> None:
    stream = io.StringIO()
    with pytest.raises(LookupError), Rows(output, ("name",), stream=stream):
        raise LookupError
    assert not stream.getvalue()


def test_the_forms_of_rows() -> None:
    rows: list[dict[str, object]] = [
        {"name": "a", "budget": {"micro_amount": 12_500_000}},
        {"name": "b", "ids": ["x", "y"]},
    ]
    columns = ("name", "budget.micro_amount", "ids")
    assert written(Output.CSV, rows, columns) == 'name,budget.micro_amount,ids\na,12500000,\nb,,"[""x"",""y""]"\n'
    assert json.loads(written(Output.JSON, rows, columns)) == rows
    assert [json.loads(line) for line in written(Output.JSONL, rows, columns).splitlines()] == rows
    assert written(Output.TABLE, rows, columns).splitlines() == [
        "NAME  BUDGET  IDS",
        "a      12.50",
        "b             x, y",
    ]


def test_nothing_is_still_a_result() -> None:
    assert written(Output.JSON, []) == "[]\n"
    assert written(Output.JSONL, []) == ""
    assert written(Output.CSV, []) == "name\n"
    assert written(Output.TABLE, []) == ""  # people are told in words


def test_counts_have_thousands_apart_in_tables_alone() -> None:
    rows = [{"name": 1_234_567}]
    assert written(Output.TABLE, rows).split() == ["NAME", "1,234,567"]
    assert written(Output.CSV, rows).split() == ["name", "1234567"]


def test_a_table_begins_before_it_ends() -> None:
    stream = io.StringIO()
    with Rows(Output.TABLE, ("name",), stream=stream) as rows:
        for number in range(50):
            rows.write({"name": str(number)})
        assert len(stream.getvalue().splitlines()) == 51


def test_nested_values_are_dotted() -> None:
    assert flat({"a": {"b": {"c": 1}}, "d": [1]}) == {"a.b.c": 1, "d": [1]}
