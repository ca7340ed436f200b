"""The command ``glassdask``: a subcommand for each stage, from files to figures."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer
from typer.completion import completion_init
from typer.main import get_command

from glassdask import code
from glassdask.cli import (
    analysis,
    cluster,
    compiling,
    completion,
    descriptors,
    drawing,
    dynamics,
    info,
    ingesting,
    logs,
    stores,
    sweep,
)
from glassdask.cli.advice import shell
from glassdask.errors import GlassdaskError
from glassdask.files import unreadable

INTERRUPTED = 130  # the exit code that typer makes of Ctrl-C, as shells do

app = typer.Typer(
    help="Local structure and dynamics of glass-forming liquids: ingest, describe, reduce, plot.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (ingesting, info, stores, descriptors, analysis, dynamics, drawing, cluster, compiling, completion):
    app.add_typer(group.app)
app.add_typer(sweep.app, name="sweep")


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Show the version and exit")] = False) -> None:
    if version:
        print(f"glassdask {code.version()}")
        raise typer.Exit


def main() -> None:
    """Run the command; failures of a known kind are one line and exit code 1."""
    # dask's workers announce every arrival and departure; a person at a prompt wants the errors
    logging.getLogger("distributed").setLevel(logging.ERROR)
    # what is lost with a connection is told in one line, by the error
    for name in ("asyncio", "distributed.client"):
        logging.getLogger(name).disabled = True
    command = get_command(app)
    logs.add_options(command)
    completion_init()
    outcome: object = 1
    try:
        command(complete_var="_GLASSDASK_COMPLETE")
    except GlassdaskError as error:
        logs.failed(error)
        sys.exit(f"glassdask: {shell(str(error))}")
    except OSError as error:  # of a place that no function has told of
        if error.filename is None:
            raise
        sys.exit(f"glassdask: {unreadable(error)}")
    except SystemExit as ended:
        outcome = ended.code
        if ended.code == INTERRUPTED:
            print("glassdask: interrupted; the same command goes on from here", file=sys.stderr)
        raise
    finally:
        logs.ended(outcome)
