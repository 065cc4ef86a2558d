"""What all measurements share.

Costs measured in turns, their ratios, and results that say on which machine they were found.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import platform
import resource
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "RESULTS",
    "Comparison",
    "Report",
    "compare",
    "compare_async",
    "processor_seconds",
    "show",
    "summed_up",
    "write",
]

RESULTS = Path(__file__).parents[1] / "docs" / "benchmarks"
ROUNDS = 9
_PEERS = ("aiohttp", "msgspec", "httpx", "pydantic", "uvloop", "aiolimiter")

Comparison = Mapping[str, object]


class Report(NamedTuple):
    """What a measurement found: figures for JSON, and charts (SVG text) by name."""

    figures: Mapping[str, object]
    charts: Mapping[str, str]


def processor_seconds() -> float:
    """Seconds of CPU of this process and of its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def summed_up(costs: Mapping[str, Sequence[float]], base: str, unit: str) -> Comparison:
    """Medians, and ratios to ``base`` taken round by round, with the quartiles that tell how much they scatter."""
    ratios: dict[str, object] = {}
    for name, mine in costs.items():
        if name != base:
            by_round = [one / other for one, other in zip(mine, costs[base], strict=True)]
            low, middle, high = statistics.quantiles(
                by_round * 2 if len(by_round) == 1 else by_round, n=4, method="inclusive"
            )
            ratios[name] = {"median": round(middle, 3), "quartiles": [round(low, 3), round(high, 3)]}
    medians = {name: round(statistics.median(mine), 3) for name, mine in costs.items()}
    return {"unit": unit, "rounds": len(costs[base]), "medians": medians, "base": base, "ratios": ratios}


def compare(cases: Mapping[str, Callable[[], object]], *, base: str, times: int, rounds: int = ROUNDS) -> Comparison:
    """Microseconds of CPU of one call of each case; in every round each has its turn, and the order changes."""

    async def measured(work: Callable[[], object]) -> float:
        gc.collect()
        began = time.process_time()
        for _ in range(times):
            work()
        return (time.process_time() - began) / times * 1e6

    return asyncio.run(
        compare_async(
            {name: lambda work=work: measured(work) for name, work in cases.items()}, base=base, rounds=rounds
        )
    )


async def compare_async(
    cases: Mapping[str, Callable[[], Awaitable[float]]], *, base: str, rounds: int = ROUNDS, warm_up: bool = True
) -> Comparison:
    """As :func:`compare`, for cases that tell their own cost. With ``warm_up``, the first round does not count."""
    costs: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds + warm_up):
        names = list(cases)
        for name in names if number % 2 else reversed(names):
            cost = await cases[name]()
            if number >= warm_up:
                costs[name].append(cost)
    return summed_up(costs, base, "microseconds of CPU")


def show(title: str, comparison: Comparison) -> None:
    """Print medians and ratios."""
    medians: Mapping[str, float] = comparison["medians"]  # pyright: ignore[reportAssignmentType]
    ratios: Mapping[str, Mapping[str, object]] = comparison["ratios"]  # pyright: ignore[reportAssignmentType]
    print(f"{title} ({comparison['unit']})")
    for name, median in medians.items():
        ratio = ratios.get(name)
        beside = f"{ratio['median']:6.3f} times {comparison['base']}, quartiles {ratio['quartiles']}" if ratio else ""
        print(f"  {name:44} {median:12,.1f}   {beside}")


def write(name: str, report: Report) -> None:
    """Write ``NAME.json`` and the charts where the documentation shows them."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    document = {"measurement": name, "machine": _machine(), **report.figures}
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for chart, svg in report.charts.items():
        (RESULTS / f"{chart}.svg").write_text(svg, encoding="utf-8")


def _machine() -> Mapping[str, object]:
    return {
        "measured_at": datetime.now(UTC).strftime("%Y-%m-%d"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": {package: version(package) for package in _PEERS},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
