"""Where plans and results go: never over something that is still of use."""

from __future__ import annotations

from pathlib import Path

from spotify_ads_async import bulk

__all__ = ["check_results", "require_free", "results_beside", "unused"]

_SQLITE = b"SQLite format 3\0"


def unused(path: Path) -> Path:
    """A name that no file has yet: this one, or the first with a number."""
    numbered = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(2, 1000))
    return next((one for one in (path, *numbered) if not one.exists()), path)


def require_free(target: Path, replace: bool) -> None:  # noqa: FBT001 - run_sync passes no names
    """See to it that a plan may be written.

    Raises:
        FileExistsError: something is there that is not to be replaced, or that can still be undone.
    """
    if not target.exists():
        return
    if not replace:
        raise FileExistsError(f"there is a file at {target} already: name another, or write over it with --replace")
    with bulk.PlanFile.open(target) as former:
        if former.begun():
            raise FileExistsError(
                f"the plan {target} has begun and can be undone, so it is not written over: name another file"
            )
    target.unlink()


def results_beside(plan: Path) -> Path:
    """Where the results of a plan are written to unless something else is said."""
    return plan.with_name(plan.name.removesuffix(".plan") + ".results.csv")


def check_results(results: Path | None, plan: Path | None, *kept: object) -> None:
    """Refuse, before anything is sent, results that could not be written afterwards, or would take something's place.

    Args:
        results: where they shall go; beside the plan if left out.
        plan: the plan, where its name is known.
        kept: the paths of what is read or written besides; what is no path does not count.

    Raises:
        FileNotFoundError: their folder is not there, or they are a folder.
        FileExistsError: they would be written over one of ``kept``, or over a plan.
    """
    if results is None and (plan is None or not plan.parent.is_dir()):
        return
    results = results or results_beside(plan or Path())
    if results.is_dir() or not results.parent.is_dir():
        raise FileNotFoundError(
            f"no results can be written to {results}: name a file in a folder that is there; nothing was changed"
        )
    over = next((one for one in (plan, *kept) if isinstance(one, Path) and _is_same(results, one)), None)
    if over is not None or _is_database(results):
        raise FileExistsError(
            f"the results would be written over {over or 'a plan'}: name another file for them, with --results;"
            " nothing was changed"
        )


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there yet
        return one.resolve() == other.resolve()


def _is_database(path: Path) -> bool:
    """Whether a file is one of SQLite's, as plans are, whichever way it is named."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE
