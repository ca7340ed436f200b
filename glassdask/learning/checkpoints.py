"""Checkpoints of trainings in torch: put in place at once, recognised by a key, read without executing anything."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from glassdask.errors import FormatError, StoreError
from glassdask.files import replacing, writing


def save_checkpoint(file: Path, key: str, state: dict[str, Any]) -> None:
    """Put a state of tensors, numbers, text, lists and dicts in place at once."""
    try:
        with writing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as stream:
            torch.save({**state, "key": key}, stream)
    except RuntimeError as error:  # torch's way to say that the disk is full
        raise StoreError(f"{file}: checkpoint cannot be written ({error}): choose another place") from None


def load_checkpoint(file: Path, key: str, device: Any) -> dict[str, Any]:
    """The state in a file, if it is of the training of this key."""
    try:
        state: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
        found, _ = state["key"], state["history"]
    except OSError as error:
        raise StoreError(f"{file}: cannot be read ({error.strerror or error}): check the path") from None
    except (RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError):
        raise FormatError(f"{file}: not a checkpoint of a training, or damaged: remove it to begin anew") from None
    if found != key:
        raise StoreError(f"{file}: belongs to a training on other data or with other parameters: choose another name")
    return state
