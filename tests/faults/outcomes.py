"""What came of the attacks: a small file for each, from which the table of ``deploy/PROMISES.md`` is made.

    python -m tests.faults.outcomes

writes the table anew. Attacks that are run with ``--note`` keep their outcomes here.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

FOLDER = Path(__file__).parent / "outcomes"
PAGE = Path(__file__).parents[2] / "deploy" / "PROMISES.md"
HEAD = "| promise | attack | tries | before | now |"


def counted(found: Counter[str]) -> str:
    """Outcomes in words: "3 named, 4 right"."""
    return ", ".join(f"{n} {name}" for name, n in sorted(found.items()))


def note(name: str, found: Counter[str]) -> None:
    """Keep the outcomes of an attack that is described here."""
    file = FOLDER / f"{name}.json"
    known = json.loads(file.read_text())
    broken = [f"{found[kind]} {kind}" for kind in ("silent", "unclear") if found[kind]]
    known |= {"tries": str(found.total()), "now": counted(found) + ("" if broken else "; none silent or unclear")}
    file.write_text(json.dumps(known, indent=2, ensure_ascii=False) + "\n")


def table() -> str:
    """The table in Markdown, in the order of the files' names."""
    rows = [json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))]
    cells = [[row[key] for key in ("promise", "attack", "tries", "before", "now")] for row in rows]
    return "\n".join([HEAD, "|" + " --- |" * 5, *(f"| {' | '.join(row)} |" for row in cells)]) + "\n"


def main() -> int:
    page = PAGE.read_text()
    PAGE.write_text(page[: page.index(HEAD)] + table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
