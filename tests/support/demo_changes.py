"""The changes of the demo, made again alike.

``python tests/support/demo_changes.py`` writes ``examples/ad_set_changes.csv``.
The ids are those of the emulator's made-up ad sets. Flights lie far ahead, so that the file stays valid for years.
"""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from spotify_ads_async.emulator import Emulator

FILE = Path(__file__).parents[2] / "examples" / "ad_set_changes.csv"
COLUMNS = ("ad_set_id", "name", "bid_amount", "budget.amount", "start_time", "end_time", "delivery")
ROWS = 720
_FIRST_FLIGHT = datetime(2031, 3, 1, tzinfo=UTC)


def text() -> str:
    """The whole file."""
    target = io.StringIO(newline="")
    writer = csv.DictWriter(target, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows())
    return target.getvalue()


def _rows() -> Iterator[dict[str, str]]:
    emulator = Emulator(ad_sets=2000)
    ad_sets = list(emulator.store.account(emulator.ad_account_id).ad_sets)
    chosen = random.Random(7).sample(range(len(ad_sets)), ROWS)  # noqa: S311 - made-up data
    for number, index in enumerate(chosen):
        ad_set = ad_sets[index]
        start = _FIRST_FLIGHT + timedelta(days=number % 90)
        changes = {
            "name": {"name": f"Autumn · {ad_set['name']}"},
            "bid": {"bid_amount": f"{30 + number % 17}.{number % 100:02}"},
            "budget": {"budget.amount": f"{110 + number % 40 * 10}.50"},
            "flight": {
                "start_time": f"{start:%Y-%m-%dT%H:%M:%SZ}",
                "end_time": f"{start + timedelta(days=45):%Y-%m-%dT%H:%M:%SZ}",
            },
            "off": {"delivery": "OFF"},
        }
        kinds = ("name", "bid", "budget", "flight", "bid", "name", "budget", "name bid", "bid budget", "off")[
            number % 10 if number % 40 < 30 else number % 9
        ]
        row = {"ad_set_id": str(ad_set["id"])}
        for kind in kinds.split():
            row |= changes[kind]
        yield row


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
