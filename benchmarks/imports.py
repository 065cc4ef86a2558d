"""Import time of the package and its client, against aiohttp and msgspec alone, each in a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks import charts
from benchmarks._harness import Report, processor_seconds, show, summed_up

BASE = "import aiohttp, msgspec"
AT_MOST = 1.4
ROUNDS = 11
CASES = {
    "nothing": "pass",
    BASE: "import aiohttp, msgspec",
    "import spotify_ads_async": "import spotify_ads_async",
    "every public name": "from spotify_ads_async import *",
    "every public name and model": "from spotify_ads_async import *; from spotify_ads_async.models import *",
    "import httpx, pydantic": "import httpx, pydantic",
}


def milliseconds(code: str) -> float:
    """CPU of one process that runs ``code``, the interpreter's own start included."""
    began = processor_seconds()
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""})  # noqa: S603 - the texts above
    return (processor_seconds() - began) * 1e3


def main() -> Report:
    """Measure in turns."""
    costs: dict[str, list[float]] = {name: [] for name in CASES}
    for number in range(ROUNDS + 1):
        for name, code in CASES.items():
            cost = milliseconds(code)
            if number:  # the first round writes bytecode and fills the page cache
                costs[name].append(cost)
    found = summed_up(costs, BASE, "milliseconds of CPU")
    show("import, the interpreter's start included", found)
    print(f"goal: at most {AT_MOST} times {BASE}")
    medians: dict[str, float] = found["medians"]  # pyright: ignore[reportAssignmentType]
    unit = "milliseconds of CPU with the interpreter's start, less is better"
    chart = charts.bars(
        "Importing, in a fresh process", medians, unit=unit, goal=medians[BASE] * AT_MOST, goal_says="goal: at most"
    )
    return Report({"goal": AT_MOST, "import": found}, {"imports": chart})


if __name__ == "__main__":
    main()
