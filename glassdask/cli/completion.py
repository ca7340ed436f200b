"""``glassdask completion``: names of commands, options, descriptors and what a store holds, at the tab key."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer()


class Shell(StrEnum):
    """For which there is a script."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@app.command()
def completion(shell: Annotated[Shell, typer.Argument(help="bash, zsh or fish", show_default=False)]) -> None:
    """Print the script that completes commands, options and names at the tab key.

    Bash: eval "$(glassdask completion bash)" in ~/.bashrc; zsh likewise in ~/.zshrc, after compinit; fish: glassdask
    completion fish > ~/.config/fish/completions/glassdask.fish
    """
    from typer.completion import get_completion_script

    print(get_completion_script(prog_name="glassdask", complete_var="_GLASSDASK_COMPLETE", shell=shell.value))


def descriptor_names(incomplete: str) -> list[str]:
    """Descriptors that begin so."""
    from glassdask.descriptors.registry import DESCRIPTORS

    return [name for name in DESCRIPTORS if name.startswith(incomplete)]


def quantity_names(incomplete: str) -> list[str]:
    """Quantities of `glassdask dynamics` that begin so."""
    from glassdask.dynamics.quantities import QUANTITIES

    return [name for name in QUANTITIES if name.startswith(incomplete)]


def stored(kind: str) -> Any:
    """A function that completes the names of what the store on the line holds of a kind."""

    def names(ctx: typer.Context, incomplete: str) -> list[str]:
        store = ctx.params.get("store")
        folders = Path(str(store)).glob(f"{kind}/*/zarr.json") if store is not None else ()
        return sorted(file.parent.name for file in folders if file.parent.name.startswith(incomplete))

    return names
