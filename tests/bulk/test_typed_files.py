"""More of every kind of file that people make: a table for each kind says what is read, and what is refused how."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from .conftest import World
from .test_spreadsheets import Desk

A, B, C = "{a}", "{b}", "{c}"
N, M = f"{A},Autumn A", f"{B},Autumn B"
BOTH = [{"name": "Autumn A"}, {"name": "Autumn B"}]
MICROS = 1_000_000
SAME = {
    "columns without a name": [
        f"ad_set_id,name,,\n{N},,\n{M},,\n",
        f",ad_set_id,name\n,{N}\n,{M}\n",
        f"ad_set_id,,name\n{A},,Autumn A\n{B},,Autumn B\n",
        f'ad_set_id,name," "\n{N},\n{M},\n',
        f"ad_set_id;name;;;\n{A};Autumn A;;;\n{B};Autumn B;;;\n",
        f"ad_set_id\tname\t\t\n{A}\tAutumn A\t\t\n{B}\tAutumn B\t\t\n",
        f"ad_set_id,name,,,\n{N}\n{M}\n",
        f"ad_set_id,name\n{N},,,\n{M},,,,,,\n",
        f"ad_set_id,name,\u00a0,\n{N},\u00a0,\n{M},,\n",
        f"ad_set_id,name,,\n{N},,\n,,,\n{M},,\n\n,,,\n",
    ],
    "rows of any length": [
        f"ad_set_id,name,bid_amount,end_time\n{N}\n{M},\n",
        f"\n\nad_set_id,name,bid_amount\n\n{N}\n\n{M}\n\n",
        f"bid_amount,ad_set_id,name\n,{N}\n,{M}\n",
        f"ad_set_id,bid_amount,name\n{A},,Autumn A\n{B},,Autumn B\n",
        f"ad_set_id,name,bid_amount\n{N}\n{M}",
        f'ad_set_id,name,bid_amount\n"{A}","Autumn A"\n"{B}","Autumn B"\n',
        f"name,ad_set_id\nAutumn A,{A}\nAutumn B,{B}\n",
        f"ad_set_id,name\n{N}\n,\n{M}\n",
        f"ad_set_id,name\n{N}\n   \n{M}\n",
        f'ad_set_id,name\n{N}\n"",""\n{M}\n',
    ],
    "separators": [
        f"sep=;\nad_set_id;name\n{A};Autumn A\n{B};Autumn B\n",
        f"sep=\t\nad_set_id\tname\n{A}\tAutumn A\n{B}\tAutumn B\n",
        f"sep=|\nad_set_id|name\n{A}|Autumn A\n{B}|Autumn B\n",
        f"sep=,\r\nad_set_id,name\r\n{N}\r\n{M}\r\n",
        f"\ufeffsep=;\r\nad_set_id;name\r\n{A};Autumn A\r\n{B};Autumn B\r\n",
        f'"sep=;"\nad_set_id;name\n{A};Autumn A\n{B};Autumn B\n',
        f"sep=^\nad_set_id^name\n{A}^Autumn A\n{B}^Autumn B\n",
        f"Sep=;\nad_set_id;name\n{A};Autumn A\n{B};Autumn B\n",
        f"sep=:\nad_set_id:name\n{A}:Autumn A\n{B}:Autumn B\n",
        f"sep=;\n\nad_set_id;name\n{A};Autumn A\n{B};Autumn B\n",
        f"sep=;\rad_set_id;name\r{A};Autumn A\r{B};Autumn B\r",
    ],
    "rows that repeat": [
        f"ad_set_id,name\n{N}\n{N}\n{M}\n",
        f"ad_set_id,name\n{N}\n{M}\n{N}\n",
        f"ad_set_id,name\n{N}\n{M}\n{N}\n{N}\n{M}\n",
        f"ad_set_id,name\n{N}\n{A},Autumn A \n{M}\n",
        f"ad_set_id,name\n{N}\n{{upper}},Autumn A\n{M}\n",
        f'ad_set_id,name\n{N}\n"=""{A}""",Autumn A\n{M}\n',
        f"ad_set_id,name\n{N}\n'{A},Autumn A\n{M}\n",
        f'ad_set_id,name\n{N}\n{A},"Autumn A"\n{M}\n',
        f"ad_set_id,name,bid_amount\n{N},\n{N}\n{M}\n",
        f"ad_set_id,name\n\u200b{N}\n{N}\n{M}\n",
    ],
    "ids that are guarded": [
        f"ad_set_id,name\n{guarded},Autumn A\n{M}\n"
        for guarded in (
            f'"=""{A}"""',
            f'="{A}"',
            f"'{A}",
            f"{{{{{A}}}}}",
            "{upper}",
            f" {A} ",
            f"\u200b{A}",
            f"\u00a0{A}\u00a0",
            "{hexadecimal}",
            f"urn:uuid:{A}",
        )
    ],
    "headers": [
        f"{header}\n{N}\n{M}\n"
        for header in (
            "Ad Set ID,Name",
            "AD_SET_ID,NAME",
            "ad-set-id,name",
            "Ad Set Id:,Name:",
            "Ad set ID*,Name*",
            "ad.set.id,name",
            "adsetid,name",
            "\u00a0ad set id , name\u200b",
            '"Ad Set\nID",Name',
            "ad_set_ID,nAmE",
        )
    ],
}


def filled(desk: Desk, text: str) -> str:
    """A text with the ids of live ad sets."""
    first, second, third, *_ = desk.ids
    facts = {"a": first, "b": second, "c": third, "upper": first.upper(), "hexadecimal": first.replace("-", "")}
    return text.format(**facts)


@pytest.mark.parametrize("kind", SAME)
async def test_files_that_say_the_same(world: World, kind: str) -> None:
    desk = Desk(world)
    assert len(SAME[kind]) >= 10
    for text in SAME[kind]:
        assert await desk.plan(filled(desk, text)) == BOTH, text


async def test_encodings_say_the_same(world: World) -> None:
    desk = Desk(world)
    text = filled(desk, f"ad_set_id\tname\r\n{A}\tZoë \u2013 café\r\n{B}\tSeñor “Ü”\r\n")
    names = [{"name": "Zoë \u2013 café"}, {"name": "Señor “Ü”"}]
    unicode = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
    for content, guess in [
        *((text.encode(one), "") for one in unicode),
        *((text.replace("\r\n", end).encode(one), "") for one in ("utf-8", "utf-16") for end in ("\r", "\n")),
        (text.encode("cp1252"), "Windows-1252"),
        (text.replace("\r\n", "\r").encode("mac_roman"), "Mac Roman"),
    ]:
        assert await desk.plan(content) == names
        assert ("which the file does not tell" in desk.remarks) == bool(guess)
        assert guess in desk.remarks


READ = {
    "budget.amount": {
        **dict.fromkeys(["15000", "15000.00", "15000.0", "15,000.00", "$15,000.00", "15 000.00"], 15_000 * MICROS),
        **dict.fromkeys(["USD 1250", "1250 USD", "1250.00 usd", "US$1,250.00", "$ 1250", "1250 $"], 1250 * MICROS),
        **dict.fromkeys(["1\u00a0250,50", "1'250.50", "1.250,50", "$1.250,50", "1250,5"], 1_250_500_000),
        **dict.fromkeys(["7", "7.00", "07", "7.0"], 7 * MICROS),
        **dict.fromkeys(["16.5", "16.50", "16,5"], 16_500_000),
        **dict.fromkeys(["1,250,000", "1.250.000"], 1_250_000 * MICROS),
    },
    "targets.platforms": {
        **{
            one: ["IOS", "ANDROID"]
            for one in ("IOS, ANDROID", "ios;android", "ios\nandroid", '["IOS","ANDROID"]', "ios , android ,")
        },
        **{one: ["IOS", "ANDROID"] for one in ("ios,,android", '"IOS","ANDROID"', '[ "IOS", "ANDROID" ]')},
        "ios": ["IOS"],
        "IOS,": ["IOS"],
        "[]": [],
    },
    "delivery": dict.fromkeys(
        ["off", "Off", "OFF", "oFF", " off ", "\u00a0OFF", "OFF\u200b", "oFf", "off ", "\toff"], "OFF"
    ),
    "bid_strategy": dict.fromkeys(["MAX_BID", "max bid", "Max-Bid", "max_bid", "MAX BID", " Max Bid "], "MAX_BID"),
    "end_time": {
        **dict.fromkeys(
            ["2030-01-31 18:30", "2030-01-31T18:30", "2030-01-31 18:30:00", "2030-01-31T18:30:00+01:00"],
            "2030-01-31T17:30:00Z",
        ),
        **dict.fromkeys(["2030-01-31T17:30:00Z", "2030-01-31T17:30:00+00:00"], "2030-01-31T17:30:00Z"),
        **dict.fromkeys(["2030-07-31 18:30", "2030-07-31T12:30:00-04:00"], "2030-07-31T16:30:00Z"),
        **dict.fromkeys(["2030-01-31 9:05", "2030-01-31 09:05:00"], "2030-01-31T08:05:00Z"),
    },
    "name": {
        one: one.strip()
        for one in ("=1+1", "@SUM(A1)", "-Autumn", "+Autumn", "'Autumn", "\t=1", "2030", "TRUE", "1.20", "007", "50 %")
    }
    | {"'#REF!": "#REF!", "#WOW!": "#WOW!", "See #N/A": "See #N/A", "Err:5021": "Err:5021"},
}
"""By column: what people type, and what it means."""

REFUSED = {
    "budget.amount": {
        **dict.fromkeys(["1,250", "1.250", "12.345"], "it may mean two amounts"),
        **dict.fromkeys(["€1250", "£99", "1250 EUR", "CHF 5"], "is another"),
        **dict.fromkeys(["-5", "(1250)", "15%", "NaN", "∞", "٣٠", "1_250", "$", "USD", "=A1"], "is no amount of money"),
        "12 50": "not grouped by threes",
        "1250.00.00": "contradict each other",
        "1250.00-": "is no currency",
    },
    "budget": {
        '{"micro_amount": 12, "type": "DAILY"}': "12 micros",
        '{"micro_amount": 12345, "type": "DAILY"}': "12345 micros are 0.012345 USD",
        '{"micro_amount": 12500000.5, "type": "DAILY"}': "must be a whole number",
        '{"micro_amount": "12500000", "type": "DAILY"}': "must be a whole number",
        '{"micro_amount": -12500000, "type": "DAILY"}': "less than nothing",
        '{"micro_amount": 1e7, "type": "DAILY"}': "must be a whole number",
        '{"micro_amount": true, "type": "DAILY"}': "must be a whole number",
        '{"micro_amount": null, "type": "DAILY"}': "must be a whole number",
        '{"amount": 12.5, "type": "DAILY"}': "unknown field",
        '{"micro_amount": 12500000, "type": "daily"}': "must be one of DAILY, LIFETIME",
        '{"micro_amount": 12500000': "is not JSON",
        **dict.fromkeys(["12.5", "1,250"], "such as budget.amount"),
    },
    "targets.platforms": {
        **dict.fromkeys(["IOS | ANDROID", "ios and android", "ios/android", "I OS"], "must be one of ANDROID, DESKTOP"),
        **dict.fromkeys(["ios,symbian", "ios,android.", "•ios •android", "alle"], "must be one of ANDROID, DESKTOP"),
        "IOS,ios": "every item once only (it is ['IOS', 'IOS'])",
        "[IOS, ANDROID]": "is not JSON",
    },
    "delivery": dict.fromkeys(
        ["TRUE", "yes", "1", "O FF", "aus", "\u041eN", "“ON”", "on/off", "paused", "0"], "is none of ON, OFF"
    ),
    "end_time": {
        **dict.fromkeys(["31.01.2030 18:30", "01/31/2030 6:30 PM", "Jan 31, 2030", "45000", "18:30"], "is no time"),
        **dict.fromkeys(["2030-02-30 10:00", "2030-01-31 24:00", "2030-13-01 10:00", "tomorrow"], "is no time"),
        **dict.fromkeys(["2030-01-31 6:30 PM", "2030-01-31 18:30 CET", "2030/01/31 18:30"], "is no time"),
        "2030-01-31": "an end needs a time of day",
        "2030-03-31 02:30": "does not exist in Europe/Berlin",
        "2030-10-27 02:30": "is there twice in Europe/Berlin",
    },
    "start_time": {"2019-01-31 18:30": "has passed", "2019-01-31T18:30:00Z": "has passed"},
    "name": {
        **dict.fromkeys(
            ["A\rB", "A\nB", "A\r\nB", "A\tB", "A\x07B", "A\x1bB", "A\x7fB", "A\x85B", "A\u2028B", "A\u2029B"],
            "control characters and line breaks are not taken",
        ),
        **dict.fromkeys(
            ["#REF!", "#N/A", "#NAME?", "#DIV/0!", "#BEZUG!", "#NV", "Err:502"], "an error: mend its formula"
        ),
    },
    "targets.artist_ids": {"#N/A": "holds #N/A, an error"},
    "ad_set_id": {
        **dict.fromkeys(["1.2E+17", "2.19E+26", "219E01", "1e5"], "a spreadsheet has changed it"),
        **dict.fromkeys(["12345678901234567", "00123", "TRUE", "#REF!", "n/a", "{a}0", "{a} {b}"], "is no id"),
    },
}


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


@pytest.mark.parametrize("column", READ)
async def test_cells_that_are_read(world: World, column: str) -> None:
    desk = Desk(world)
    for typed, meant in READ[column].items():
        text = f"ad_set_id,{column}\n{desk.ids[0]},{quoted(typed)}\n"
        assert await desk.plan(text, zone=ZoneInfo("Europe/Berlin")) == [{column: meant}], typed


@pytest.mark.parametrize("column", REFUSED)
async def test_cells_that_are_refused(world: World, column: str) -> None:
    desk = Desk(world)
    for typed, reason in REFUSED[column].items():
        lines = [f"ad_set_id,{column}", f"{desk.ids[0]},{quoted(typed)}"]
        if column == "ad_set_id":
            lines = ["ad_set_id,name", f"{quoted(filled(desk, typed))},Autumn"]
        said = await desk.refused("\n".join(lines) + "\n", zone=ZoneInfo("Europe/Berlin"))
        assert reason in said, typed
        assert "\n" not in said, typed


async def test_rows_that_contradict_each_other(world: World) -> None:
    desk = Desk(world)
    for others in (
        "Autumn B",
        "autumn a",
        "Autumn  A",
        "",
        "Autumn A2",
        "AutumnA",
        "2030",
        "Autumn A.",
        "=1",
        "'Autumn A",
    ):
        said = await desk.refused(f"ad_set_id,name,bid_amount\n{desk.ids[0]},Autumn A,\n{desk.ids[0]},{others},7\n")
        assert ":3:" in said
        assert "line 2" in said


async def test_what_the_program_lists_is_no_file_of_changes_however_it_is_saved(world: World) -> None:
    desk = Desk(world)
    for header in ("id,name,status", "ID,NAME,STATUS", "name,id,status", "Id;Name;Status", "id\tname\tstatus"):
        said = await desk.refused(f"{header}\n{desk.ids[0]},x,ACTIVE\n")
        assert "is what a list writes" in said
        assert "\n" not in said
