"""Repair a store: from what it keeps twice, and from the files that it was read from."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from glassdask.errors import GlassdaskError, StoreError
from glassdask.files import one_line, sha256
from glassdask.io.ingestion import ingest
from glassdask.store.checks import RECORDS, verify
from glassdask.store.groups import attributes
from glassdask.store.layout import checked_path
from glassdask.store.others import refuse_others
from glassdask.store.restoring import restore


@dataclass(frozen=True)
class Repaired:
    """What `repair` did: lines about what it has restored, and about what is lost or still wrong."""

    store: str
    restored: tuple[str, ...]
    lost: tuple[str, ...]

    def __str__(self) -> str:
        lines = [*(f"restored: {line}" for line in self.restored), *(f"not restored: {line}" for line in self.lost)]
        return "\n".join(lines) or f"{self.store}: every chunk is there and intact, nothing was to be done"


@one_line
def repair(path: str | os.PathLike[str]) -> Repaired:
    """Restore what can be restored of a store and all groups below it, and say what is lost.

    An append that was interrupted is taken back: the frames are those before it (to carry it on instead, run it again).
    Metadata that are lost, torn or edited are written again from the ledger of the store, and the ledger from them.
    Chunks that were exchanged are put in their places. Damaged ones are removed; those of a trajectory are read again
    from the files that it was ingested from, where these are still there and the same. What is left of descriptors and
    reductions is kept: the command that wrote them computes what is missing.

    Raises
    ------
    StoreError
        There is no store.
    BusyStoreError
        Another process is writing it.

    Examples
    --------
    >>> import tempfile, numpy as np, glassdask as gd
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = Path(folder.name + "/run.zarr")
    >>> gd.save_trajectory(gd.from_arrays(np.zeros((1, 1, 2)), species=["A"], box=[2.0, 2.0]), store)
    >>> _ = (store / "zarr.json").write_text("{")
    >>> print(str(repair(store)).replace(folder.name, "..."))
    restored: .../run.zarr: its metadata, from the ledger
    >>> folder.cleanup()
    """
    group = checked_path(path)
    refuse_others(group, path)
    ours = (group / RECORDS).is_dir() or next(group.rglob("zarr.json"), None) is not None
    if not ours or (group / "c").exists():
        raise StoreError(f"{path}: is not a store or a group of one: check the path")
    restored: list[str] = []
    lost: list[str] = []
    for incomplete in restore(group, restored, lost):
        if attributes(incomplete).get("sources"):
            _read_again(incomplete, restored, lost)
    known = {line.partition(": ")[0] for line in lost}
    lost += [problem for problem in verify(group) if problem.partition(": ")[0] not in known]
    return Repaired(str(group), tuple(restored), tuple(lost))


def _read_again(group: Path, restored: list[str], lost: list[str]) -> None:
    """Read the missing frames of a trajectory from its files, where they are still the same."""
    attrs = attributes(group)
    sources, content = attrs["sources"], attrs.get("content")
    for source in sources:
        try:
            same = sha256(source["name"]) == source["sha256"]
            reason = "" if same else "has another content now"
        except (OSError, KeyError, TypeError):
            reason = "is not there any more"
        if reason:
            lost.append(f"{group}: what is missing cannot be read again: {source.get('name')} {reason}")
            return
    formats = {source.get("format") for source in sources}
    try:
        ingest(
            [source["name"] for source in sources],
            group,
            format=formats.pop() if len(formats) == 1 else None,
            **{"species_names": None, **attrs["parameters"]},
        )
    except (GlassdaskError, TypeError) as error:
        lost.append(f"{group}: what is missing could not be read again: {error}")
        return
    # a result that is gone with its folder is not in the files
    mine = [line for line in lost if line.startswith(f"{group}/") and Path(line.partition(": ")[0]).exists()]
    if attributes(group).get("content") == content:
        lost[:] = [line for line in lost if line not in mine]
        restored += [f"{line.partition(': ')[0]}: read again from its file" for line in mine]
    else:
        remedy = f"glassdask verify {shlex.quote(str(group))}"
        lost.append(f"{group}: read again from its files, which give other chunks than before: see {remedy}")
