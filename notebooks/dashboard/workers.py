"""What the workers of a dask scheduler do, asked by a client of it: the browser needs no port of the scheduler's."""

from __future__ import annotations

import html
from functools import cache
from typing import Any

from dashboard.style import problem

WAIT = "3s"
MOST_LINES = 100  # of the log of a worker


def workers(address: str) -> str:
    """One line for each worker, as HTML; or why there is none."""
    try:
        info, processing = _client(address).scheduler_info(n_workers=-1), _client(address).processing()
    except (OSError, TimeoutError, ValueError) as error:
        _client.cache_clear()
        return problem(f"{address}: {error}")
    rows = []
    for name, worker in sorted(info["workers"].items()):
        used, limit = worker["metrics"].get("memory", 0), worker["memory_limit"] or 0
        memory = f"{used / 2**30:.2f} of {limit / 2**30:.2f} GiB"
        cells = (
            name,
            worker["nthreads"],
            len(processing.get(name, ())),
            f"{worker['metrics'].get('cpu', 0):.0f} %",
            memory,
        )
        rows.append("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("worker", "threads", "tasks", "CPU", "memory"))
    content = f"<div class=scroll><table><tr>{head}</tr>{''.join(rows)}</table></div>"
    return f"<p>dask at {html.escape(address)}, workers: {len(rows)}</p>{content}"


@cache
def _client(address: str) -> Any:
    from distributed import Client

    return Client(address, timeout=WAIT, set_as_default=False)


def logs(address: str) -> str:
    """The newest lines that the workers have logged, as HTML."""
    try:
        found = _client(address).get_worker_logs(n=MOST_LINES)
    except (OSError, TimeoutError, ValueError) as error:
        _client.cache_clear()
        return problem(f"{address}: {error}")
    parts = []
    for worker, lines in sorted(found.items()):
        text = "\n".join(str(line[1]) for line in lines[::-1])
        parts.append(f"<p class=soft>{html.escape(str(worker))}</p><pre>{html.escape(text)}</pre>")
    return "".join(parts) or "<p class=nothing>No worker has logged anything.</p>"
