"""The command ``glassdask``: a subcommand for each stage, from files to figures."""

from __future__ import annotations

import codecs
import errno
import logging
import os
import sys
from typing import Annotated

import typer
from typer.completion import completion_init
from typer.main import get_command

from glassdask import code
from glassdask.cli import (
    analysis,
    classes,
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
from glassdask.cli.advice import printable, shell
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
for group in (
    ingesting,
    info,
    stores,
    descriptors,
    analysis,
    classes,
    dynamics,
    drawing,
    cluster,
    compiling,
    completion,
):
    app.add_typer(group.app)
app.add_typer(sweep.app, name="sweep")


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Show the version and exit")] = False) -> None:
    if version:
        print(f"glassdask {code.version()}")
        raise typer.Exit


def main() -> None:
    """Run the command; failures of a known kind are one line and exit code 1."""
    for stream in (
        sys.stdout,
        sys.stderr,
    ):  # names of files may be any bytes, and not every terminal knows every letter
        if hasattr(stream, "reconfigure"):
            utf8 = codecs.lookup(stream.encoding).name == "utf-8"
            stream.reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")
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
        sys.exit(f"glassdask: {printable(shell(str(error)))}")
    except OSError as error:  # of a place that no function has told of
        if error.filename is None:
            _unprinted(error)
            raise
        sys.exit(f"glassdask: {printable(unreadable(error))}")
    except SystemExit as ended:
        outcome = ended.code
        if ended.code == INTERRUPTED:
            print("glassdask: interrupted; the same command goes on from here", file=sys.stderr)
        _flush()
        raise
    finally:
        logs.ended(outcome)


def _flush() -> None:
    """Write what was printed while one line can say that it cannot be; Python would try when all is over."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        _unprinted(error)
        raise


def _unprinted(error: OSError) -> None:
    """End with one line about a full disk, where no function has told of it: it is where the output goes."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE):
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still to be written goes nowhere
    if error.errno == errno.EPIPE:  # nobody reads on, as head does
        sys.exit(1)
    sys.exit(
        f"glassdask: standard output: cannot be written ({os.strerror(error.errno)}): free space or write elsewhere, "
        "then run the same command again (what is stored stays)"
    )
