"""Seconds of CPU that a step takes, over all starts of a run that is interrupted."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any, Self

from glassdask.files import read_json, write_json

EVERY = 10.0  # seconds between two notes: as much is not counted when a run is killed


def cpu_seconds() -> float:
    """Seconds of CPU up to now: of this process, of those that it has ended, and likewise of the workers it has."""
    from distributed import get_client

    try:
        workers = get_client().run(os.times).values()
    except ValueError:  # no cluster
        workers = ()
    return sum(sum(times[:4]) for times in (os.times(), *workers))


class Spending:
    """What a step takes from `since` on, and what starts before took that did not finish it: `seconds`.

    A step that was done once keeps the seconds of then. The note is written while it goes on, since a run that is
    killed has no time to. It belongs to a step of this name and these parameters; others begin at zero, as does one
    that is to be done `anew`.

    >>> import tempfile
    >>> note = Path(tempfile.mkdtemp()) / "note.json"
    >>> with Spending(note, "sums", [1, 2]) as first:
    ...     total = sum(range(100_000))
    >>> with Spending(note, "sums", [1, 2]) as again:
    ...     total = sum(range(1_000_000))
    >>> again.seconds == first.seconds
    True
    """

    def __init__(self, note: Path, name: str, parameters: Any, since: float | None = None,
                 anew: bool = False):  # fmt: skip
        self.note = note
        text = json.dumps(parameters, sort_keys=True, default=float)
        self.step = f"{name} {hashlib.sha256(text.encode()).hexdigest()[:12]}"
        known = {} if anew else (read_json(note) or {}).get(self.step, {})
        self.before, self.done = known.get("seconds", 0.0), known.get("done", False)
        self.since = cpu_seconds() if since is None else since
        self.ended = False
        self.over, self.thread = threading.Event(), threading.Thread(target=self._go_on, daemon=True)

    @property
    def seconds(self) -> float:
        """Seconds of CPU up to now, or to the end of the block, or until it was done."""
        return self.before if self.done or self.ended else self.before + cpu_seconds() - self.since

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, kind: Any, *rest: Any) -> None:
        self.over.set()
        self.thread.join()
        self.before, self.done, self.ended = self.seconds, self.done or kind is None, True
        self._write(self.before)

    def _go_on(self) -> None:
        while not self.over.wait(EVERY):
            self._write(self.seconds)

    def _write(self, seconds: float) -> None:
        known = read_json(self.note) or {}
        write_json(self.note, known | {self.step: {"seconds": seconds, "done": self.done}})
