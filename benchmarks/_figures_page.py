"""The tables of figures in the documentation, written from the results, so that no page quotes what was not found.

Every run of ``python -m benchmarks`` does so; ``python -m benchmarks._figures_page`` does nothing else. A table stands
between two comments, the first of which names it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["PAGES", "refresh", "with_figures"]

DOCS = Path(__file__).parents[1] / "docs"
PAGES = (
    DOCS.parent / "README.md",
    *(DOCS / name for name in ("benchmarks/index.md", "explanation/governor.md", "how-to/share-a-quota.md")),
)
_BLOCK = re.compile(r"(<!-- figures, written by `make bench`: ([\w-]+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)


class Row(NamedTuple):
    """One line of the table. ``missed`` tells that the goal was not reached."""

    what: str
    against: str
    found: str
    goal: str = ""
    missed: bool = False


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _at_most(what: str, against: str, ratio: float, goal: float) -> Row:
    return Row(what, against, f"{ratio:.2f} times its CPU", f"at most {goal:g}", ratio > goal)


def _flat(what: str, by_size: dict[str, Any], case: str, peer: str) -> Row:
    few, some, many = by_size
    costs = {size: by_size[size]["medians"][case] for size in by_size}
    ratios = " / ".join(f"{by_size[size]['ratios'][case]['median']:.1f}" for size in by_size)
    told = (
        f"{costs[few]:.0f} / {costs[some]:.0f} / {costs[many]:.0f} µs of CPU at {int(few):,} / {int(some):,} /"
        f" {int(many):,}"
    )
    return Row(what, peer, f"{told}; {ratios} times the peer", "flat")


def _rows(found: dict[str, Any]) -> Iterator[Row]:
    decoding, imports, calls = found["decoding"], found["imports"]["import"]["ratios"], found["calls"]
    structs = decoding["against_untyped"]["ratios"]["spotify-ads-async structs"]["median"]
    models = decoding["against_pydantic"]["ratios"]["pydantic models"]["median"]
    yield _at_most("Decode a page of 50 ad sets", "untyped `msgspec`", structs, decoding["goals"]["to_untyped"])
    least = decoding["goals"]["pydantic_to_ours"]
    yield Row(
        "The same",
        "pydantic models of the same shape",
        f"pydantic takes {models:.1f} times ours",
        f"at least {least:g}",
        models < least,
    )
    for what, case in (
        ("Import every public name", "every public name"),
        ("With every model", "every public name and model"),
    ):
        yield _at_most(what, "`import aiohttp, msgspec`", imports[case]["median"], found["imports"]["goal"])
    call = calls["against_bare"]["ratios"]["spotify-ads-async on asyncio"]["median"]
    yield _at_most(
        "One governed, typed call, 32 at a time", "bare `aiohttp` and untyped `msgspec`", call, calls["goal"]
    )
    others = calls["against_ours"]["ratios"]["httpx + pydantic on asyncio"]["median"]
    yield Row("The same", "`httpx` and pydantic", f"they take {others:.1f} times ours")
    for latency, goal in (("20 ms", None), ("100 ms", 8), ("300 ms", None)):
        faster = found["walking"][latency]["page_by_page_to_read_ahead"]
        told = f"{faster:.1f} times as fast"
        yield Row(
            f"Walk 10,000 rows at {latency}",
            "page by page",
            told,
            f"at least {goal}" if goal else "",
            bool(goal) and faster < goal,
        )
    memory = found["memory"]
    grown, bound = memory["growth"]["walking 1,000,000 rows"], memory["goal_megabytes"]
    told = f"{grown:.0f} MB of growth, {_percent(memory['share_of_keeping_all'])}"
    yield Row("Memory of walking 1,000,000 rows", "keeping every row", told, f"under {bound} MB", grown >= bound)
    growth = found["growth"]
    yield _flat("A row of a walk, by rows", growth["rows"], "spotify-ads-async", "a bare loop over pages")
    yield _flat("An admission out of a line, by waiters", growth["waiters"], "governor", "`asyncio.Semaphore`")
    yield _flat("A row of a bulk plan, by rows", growth["plans"], "bulk plan", "`csv` and `sqlite3` alone")
    bulk = found["bulk"]
    applied, few, many = bulk["apply"], bulk["plan_of_few"], bulk["plan"]
    yield Row(
        f"{applied['changes']} changes in bulk",
        "the least that the windows allow",
        f"{applied['ratio']:.2f} times its seconds",
    )
    yield Row("The same", "one call after the other", f"{applied['one_after_the_other_to_bulk']:.1f} times as fast")
    told = f"{many['megabytes']:.0f} MB, against {few['megabytes']:.0f} MB"
    yield Row(f"Memory of planning {many['rows']:,} rows", f"planning {few['rows']:,} rows", told)
    for listener in ("one listener", "OpenTelemetry"):
        told = f"{found['telemetry']['call']['ratios'][listener]['median']:.2f} times its CPU"
        yield Row(f"A call with {listener}", "while nobody listens", told)
    yield from _quota_rows(found["governor"]["found"], found["shared_quota"]["scenarios"])
    emulator = found["emulator"]
    shares = ", ".join(f"{share:.2f} ({name})" for name, share in emulator["share_of_peer"].items())
    yield Row("Requests per second of the emulator", "a server that only answers", f"{shares} of its")


def _quota_rows(alone: dict[str, Any], shared: dict[str, Any]) -> Iterator[Row]:
    ours, nested = alone["governor, auto"], alone["aiolimiter, nested"]
    told = f"{ours['fullest_10_s']} of {ours['limit_10_s']}, against {nested['fullest_10_s']}"
    over = ours["fullest_10_s"] > ours["limit_10_s"]
    yield Row("Requests in the fullest 10 s", "two `AsyncLimiter`, nested", told, "at most the limit", over)
    used = ours["steady_use"]
    yield Row(
        "Steady use of the quota, 20 to 120 ms",
        "`AsyncLimiter`, safe",
        f"{_percent(used)}, against {_percent(alone['aiolimiter, safe']['steady_use'])}",
    )
    one, none = shared["saturated-redis"], shared["unshared"]
    told = (
        f"{one['used_percent']:.1f} % used, {one['would_refuse']['log']} refusals, against"
        f" {none['would_refuse']['log']:,}"
    )
    yield Row(
        "Four processes, one quota in Redis",
        "a governor in each",
        told,
        "none refused",
        bool(one["would_refuse"]["log"]),
    )
    told = (
        f"{shared['alone-redis']['used_percent']:.0f} % of the quota used, against"
        f" {shared['divided-by-hand']['used_percent']:.0f} %"
    )
    yield Row("One of four has work, quota in Redis", "a quota divided by hand", told)


def _overview(found: dict[str, Any]) -> Iterator[Iterable[str]]:
    yield ("What", "Against", "Found", "Goal")
    for row in _rows(found):
        yield (row.what, row.against, row.found, f"{row.goal}{', **missed**' if row.missed else ''}")


def _limiters(found: dict[str, Any]) -> Iterator[Iterable[str]]:
    yield ("20-120 ms", "most in 10 s", "log", "fixed", "token bucket", "weighted", "steady use", "400 requests", "CPU")
    for name, one in found["governor"]["found"].items():
        if "steady_use" in one and not name.endswith("ms"):
            refused = [f"{one['would_refuse'][counter]:,}" for counter in ("log", "fixed", "bucket", "weighted")]
            used, seconds, cost = (
                f"{_percent(one['steady_use'])}",
                f"{one['seconds_for_400']:.1f} s",
                f"{one['microseconds_per_acquire']:.1f} µs",
            )
            yield (name, f"{one['fullest_10_s']}", *refused, used, seconds, cost)


def _fullest(found: dict[str, Any]) -> Iterator[Iterable[str]]:
    """The chart of the README, in letters: it shows wherever text does."""
    limiters = {
        "governor, auto": "**governor**",
        "aiolimiter, nested": "aiolimiter, one for each limit",
        "aiolimiter, safe": "aiolimiter, paced to be safe",
        "pyrate-limiter": "pyrate-limiter",
    }
    yield ("", "requests in the fullest 10 s, of 500", "quota used", "400 requests take")
    for name, shown in limiters.items():
        one = found["governor"]["found"][name]
        fullest, used = one["fullest_10_s"], _percent(one["steady_use"])
        yield (shown, f"{'█' * round(fullest / 50)} {fullest}", used, f"{one['seconds_for_400']:.1f} s")


def _paces(found: dict[str, Any]) -> Iterator[Iterable[str]]:
    measured = found["governor"]["found"]
    yield ("", "20-120 ms", "50-400 ms")
    for pace in ("burst", "auto", "smooth"):
        for what, key in (("steady use", "steady_use"), ("arrived in 60 s, of 3000", "quota_of_run_used")):
            near, far = measured[f"governor, {pace}"][key], measured[f"governor, {pace}, 50-400 ms"][key]
            yield (f"`{pace}`: {what}", f"{_percent(near)}", f"{_percent(far)}")


def _stores(found: dict[str, Any]) -> Iterator[Iterable[str]]:
    names = {
        "saturated-sqlite": "SQLite",
        "saturated-redis": "Redis",
        "saturated-redis-four-addresses": "Redis, four addresses",
        "saturated-valkey-cluster": "Valkey Cluster",
        "unshared": "nothing shared",
    }
    columns = [found["shared_quota"]["scenarios"][name] for name in names]
    rows: dict[str, Callable[[dict[str, Any]], str]] = {
        "refusals by a log, fixed windows or a token bucket, over both windows": lambda one: (
            f"{max(one['would_refuse'].values()):,}"
        ),
        "of the binding window used": lambda one: f"{one['used_percent']:.1f} %",
        "smallest and largest share of the mean": lambda one: (
            f"{min(one['share_of_mean']):.2f}, {max(one['share_of_mean']):.2f}"
        ),
        "round trips to the store for each request": lambda one: f"{one['exchanges_per_call']:.2f}",
    }
    yield ("", *names.values())
    for what, told in rows.items():
        yield (what, *map(told, columns))


_TABLES = {"overview": _overview, "fullest": _fullest, "limiters": _limiters, "paces": _paces, "stores": _stores}


def with_figures(page: str) -> str:
    """The page with its tables as the results make them; a table for which a result is missing stays as it is."""
    found = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in (DOCS / "benchmarks").glob("*.json")}

    def written(block: re.Match[str]) -> str:
        try:
            header, *rows = [f"| {' | '.join(cells)} |" for cells in _TABLES[block[2]](found)]
        except KeyError as missing:
            print(f"the table {block[2]} stays as it is: there is no result yet for {missing}")
            return block[0]
        return "\n".join([block[1] + header, "|" + "---|" * (header.count("|") - 1), *rows, block[3]])

    return _BLOCK.sub(written, page)


def refresh() -> None:
    """Write all tables anew."""
    for page in PAGES:
        page.write_text(with_figures(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    refresh()
