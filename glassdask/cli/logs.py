"""``--verbose`` and ``--log FILE`` of every subcommand: what is going on, for people and for files."""

from __future__ import annotations

import logging
import shlex
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_command

from glassdask import code, reporting
from glassdask.errors import StoreError

logger = logging.getLogger("glassdask")
NAMES = ("glassdask", "distributed")
_ours: list[logging.Handler] = []
LINES = "%(asctime)s %(levelname)s %(message)s"


def add_options(command: Any) -> None:
    """Give all subcommands below a command the two options."""
    own = typer.Typer(add_completion=False)
    own.command()(_asked)
    given = [parameter for parameter in get_command(own).params if parameter.name in ("log", "verbose")]
    waiting = [command]
    while waiting:
        found = waiting.pop()
        below = getattr(found, "commands", None)
        if below is None:
            found.params += given
        waiting += (below or {}).values()


def ended(code: object) -> None:
    """Note how a command ended, and let go of what it was told to."""
    logger.info("ended with exit code %s", 1 if isinstance(code, str) else code or 0)
    for handler in _ours:
        for name in NAMES:
            logging.getLogger(name).removeHandler(handler)
        handler.close()
    _ours.clear()


def failed(error: Exception) -> None:
    """Keep where an error comes from, where somebody has asked for it."""
    logger.debug("%s", error, exc_info=error)


class _File(logging.FileHandler):
    """A log that is given up, with one line, where its disk is full: the work goes on."""

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            return super().handleError(record)
        for name in NAMES:
            logging.getLogger(name).removeHandler(self)
        print(
            f"glassdask: --log {self.baseFilename}: cannot be written ({error.strerror}): the work goes on without it",
            file=sys.stderr,
        )
        return None

    def close(self) -> None:
        """Whatever becomes of the last lines."""
        with suppress(OSError):
            super().close()


def _to_file(ctx: typer.Context, value: str | None) -> str | None:
    if value is not None and not ctx.resilient_parsing:
        try:
            handler = _File(Path(value), encoding="utf-8")
        except OSError as error:
            raise StoreError(
                f"--log {value}: cannot be written ({error.strerror}): give a file in a folder that is there"
            ) from None
        handler.setFormatter(logging.Formatter(LINES))
        _begin(handler)
        logger.info("%s, glassdask %s on %s", shlex.join(sys.argv), code.version(), socket.gethostname())
    return value


def _verbose(ctx: typer.Context, value: bool) -> bool:
    if value and not ctx.resilient_parsing:
        handler = logging.StreamHandler()
        # where there is no terminal these lines are printed anyway, and where there is one a bar says the same
        handler.addFilter(lambda record: record.name != reporting.logger.name)
        handler.setFormatter(logging.Formatter(LINES))
        _begin(handler)
        logging.getLogger("distributed").setLevel(logging.INFO)
    return value


def _begin(handler: logging.Handler) -> None:
    _ours.append(handler)
    for name in NAMES:
        logging.getLogger(name).addHandler(handler)
    logger.setLevel(logging.DEBUG)


def _asked(
    log: Annotated[
        str | None,
        typer.Option(
            "--log",
            help="Append what happens to a file",
            metavar="FILE",
            callback=_to_file,
            expose_value=False,
            is_eager=True,
        ),
    ] = None,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            help="Tell what happens, and where errors come from",
            callback=_verbose,
            expose_value=False,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Has the two options."""
