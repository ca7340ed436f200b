"""Surveys by libraries whose C code crashes on damaged files: in a process of their own, whose death is an error.

A file of which every frame has been read there without harm is then read here. The process may take memory and time in
proportion to the size of the file. It is started once, takes one file after the other, and ends with this one.
"""

from __future__ import annotations

import atexit
import importlib
import json
import math
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np

from glassdask import errors
from glassdask.io.frame import Survey

# Of a file: bytes of memory, and seconds, for each byte, and for the smallest one; of processor time fewer are enough.
MEMORY, LEAST_MEMORY = 60, 2 << 30
SECONDS, LEAST_SECONDS, LEAST_CPU = 1e-6, 120.0, 15.0

_lock = threading.Lock()
_process: subprocess.Popen[bytes] | None = None


def survey(path: str, module: str, options: dict[str, Any]) -> Survey:
    """``module.survey(path, **options)``, made in the other process.

    Raises
    ------
    FormatError
        When the process died, or took more time than the file can justify; and what the reader raises.
    """
    more = SECONDS * os.path.getsize(path)
    with _lock:
        # the process was started wherever this one was then
        answer = _asked([os.getcwd(), path, module, options, LEAST_CPU + more], LEAST_SECONDS + more)
    if "error" in answer:
        raise getattr(errors, answer["error"], errors.FormatError)(answer["message"])
    for name in ("offsets", "steps", "times"):
        answer[name] = None if answer[name] is None else np.array(answer[name])
    return Survey(**answer)


def _asked(question: list[Any], seconds: float) -> dict[str, Any]:
    global _process
    if _process is None or _process.poll() is not None or _process.args[-1] != str(os.getpid()):  # type: ignore[index]
        folders = os.pathsep.join(path for path in sys.path if path)
        _process = subprocess.Popen(
            [sys.executable, "-c", "from glassdask.io.isolation import serve; serve()", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # a file that this process has open is locked for others; whether it may be read is seen here
            env={**os.environ, "PYTHONPATH": folders, "HDF5_USE_FILE_LOCKING": "FALSE"},
        )
        atexit.register(_end, _process)
    process = _process
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(question).encode() + b"\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], seconds)
        line = process.stdout.readline() if ready else None
    except BrokenPipeError:
        line = b""
    except BaseException:  # the answer, which nobody waits for any more, would be taken for that to the next question
        _end(process)
        raise
    if line is None:
        _end(process)
        raise errors.FormatError(f"was not read after {seconds:.0f} s: it is damaged, copy it again")
    if not line:
        _end(process)
        code = process.returncode
        if code == -signal.SIGXCPU:
            took = f"{question[-1]:.0f} s of processor time"
            raise errors.FormatError(f"was not read after {took}: it is damaged, copy it again")
        died = signal.Signals(-code).name if code and code < 0 else f"exit {code}"
        raise errors.FormatError(
            f"the library that reads this format crashed on it ({died}): it is damaged, copy it again"
        )
    answer: dict[str, Any] = json.loads(line)
    return answer


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()


def serve() -> None:
    """Answer questions, a line each, until there are no more; what libraries print goes nowhere."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at a prompt reaches this process, too
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        folder, path, name, options, seconds = json.loads(line)
        os.chdir(folder)
        module = importlib.import_module(name)
        answers.write(json.dumps(_answer(module, path, options, seconds)) + "\n")
        answers.flush()


def _answer(module: Any, path: str, options: dict[str, Any], seconds: float) -> dict[str, Any]:
    before, cpu_before = resource.getrlimit(resource.RLIMIT_AS), resource.getrlimit(resource.RLIMIT_CPU)
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + seconds), cpu_before[1]))
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        most = used + LEAST_MEMORY + MEMORY * os.path.getsize(path)
        resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    except (OSError, ValueError):  # not Linux, or less is allowed already
        most = before[0]
    try:
        found = asdict(module.survey(path, **options))
        return {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in found.items()}
    except MemoryError:
        return {
            "error": "FormatError",
            "message": "claims more than its size can justify: it is damaged, copy it again",
        }
    except Exception as error:
        kind = type(error).__name__ if isinstance(error, errors.GlassdaskError) else "FormatError"
        return {"error": kind, "message": " ".join(str(error).split())}
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
        resource.setrlimit(resource.RLIMIT_CPU, cpu_before)
