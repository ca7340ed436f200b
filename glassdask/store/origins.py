"""What a derived group was made from, and whether that has changed since."""

from __future__ import annotations

from pathlib import Path

from glassdask.store.groups import COMPLETE, attributes, content_hash, is_group


def out_of_date(group: Path) -> str | None:
    """What has changed since a derived group was computed, and what to do; None where it is current."""
    attrs = attributes(group)
    if "input" not in attrs:
        return None
    name = Path(attrs.get("stored_as", ""))
    if name.parts and group.parts[-len(name.parts) :] != name.parts:
        return f"was stored as {name}, and renamed or exchanged since: give it its name back, or compute it again"
    # groups of before do not tell their place
    root = group.parents[len(name.parts) - 1] if name.parts else _trajectory_above(group)
    if attributes(root).get("status") == COMPLETE and attrs["input"] != content_hash(root):
        return "was computed before the trajectory was changed: compute it again with `overwrite=True`"
    for other, key in attrs.get("made_from", {}).items():
        if is_group(root / other) and (version_of(root / other) != key or out_of_date(root / other)):
            return f"was computed before {other} was changed: compute it again with `overwrite=True`"
    return None


def _trajectory_above(group: Path) -> Path:
    return next(above for above in group.parents if is_group(above) and "status" in attributes(above))


def version_of(group: Path) -> str | None:
    """What other groups keep of one that they were made from: its key, or its content where no code is told."""
    attrs = attributes(group)
    return attrs.get("key" if attrs.get("code") or "input" not in attrs else "content")
