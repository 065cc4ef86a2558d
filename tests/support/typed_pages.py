"""The documentation's Python as a program that type checkers read: ``make api`` writes it anew.

``make lint`` reads it strictly, as it reads ``tests/typing/public_usage.py``; a test compares it with the pages.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from support.examples import blocks_of

ROOT = Path(__file__).parents[2]
FILE = ROOT / "tests" / "typing" / "pages.py"
PAGES = (
    *("tutorial", "how-to/audience-files", "how-to/bulk-changes", "how-to/clone-a-campaign"),
    *(
        "how-to/create-a-campaign",
        "how-to/networks",
        "how-to/notebook",
        "how-to/pause",
        "how-to/share-a-quota",
        "how-to/sign-in",
    ),
    *("how-to/upload-media", "how-to/watch"),
)
_HEAD = '''"""The documentation's examples, for type checkers: written by `make api` from the pages."""

# A page shows values as a notebook does, and names things that a reader goes on with.
# pyright: reportUnusedExpression=false, reportUnusedVariable=false, reportPossiblyUnboundVariable=false

from __future__ import annotations
'''


def typed_pages() -> str:
    """The file: a function for each page."""
    parts = [_HEAD]
    for page in PAGES:
        blocks = [one.code for one in blocks_of(ROOT / "docs" / f"{page}.md") if one.kind == "python"]
        name = page.rpartition("/")[2].replace("-", "_")
        parts.append(f"\n\nasync def {name}() -> None:\n" + textwrap.indent("\n".join(blocks), "    "))
    return "".join(parts)


if __name__ == "__main__":
    FILE.write_text(typed_pages(), encoding="utf-8")
