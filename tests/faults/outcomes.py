"""What came of the attacks: a small file for each, from which the table of ``deploy/PROMISES.md`` is made.

    python -m tests.faults.outcomes

writes the table anew. Attacks that are run with ``--note`` keep their outcomes here. Those that take hours also keep
each try in a `Journal` where ``--journal FILE`` asks for it; the same command then goes on where it was interrupted.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "outcomes"
PAGE = Path(__file__).parents[2] / "deploy" / "PROMISES.md"
HEAD = "| promise | attack | tries | before | now |"


class Journal:
    """What came of each try, a line of JSON in a file that only grows; without a file nothing is kept."""

    def __init__(self, file: Path | None):
        self.file = file
        lines = file.read_text().splitlines() if file is not None and file.exists() else []
        self.known: dict[str, Any] = dict(map(json.loads, lines))

    def once(self, name: str, attempt: Callable[..., Any], *arguments: Any) -> Any:
        """What came of the try of this name: as it is written, or by making it."""
        if name not in self.known:
            self.known[name] = attempt(*arguments)
            if self.file is not None:
                with self.file.open("a") as file:
                    file.write(json.dumps([name, self.known[name]]) + "\n")
        return self.known[name]


def counted(found: Counter[str]) -> str:
    """Outcomes in words: "3 named, 4 right"."""
    return ", ".join(f"{n} {name}" for name, n in sorted(found.items()))


def note(name: str, found: Counter[str], possible: int = 0) -> None:
    """Keep the outcomes of an attack that is described here, of so many that there could be."""
    file = FOLDER / f"{name}.json"
    known = json.loads(file.read_text())
    broken = [f"{found[kind]} {kind}" for kind in ("silent", "unclear") if found[kind]]
    some = f", spread over {possible}" if possible > found.total() else ""
    known |= {"tries": f"{found.total()}{some}", "now": counted(found) + ("" if broken else "; none silent or unclear")}
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
