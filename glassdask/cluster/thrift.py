"""What dask's processes do besides the work, and less of it: settings of dask and of the workers' allocator.

Measured on two cores: with dask's defaults an idle worker takes 3 to 4 % of a core, the process of client, scheduler
and nannies 5 %; with `LOOKS` a third of it. And dask has workers give every freed array of more than 128 kB back to the
system at once, so that temporaries of kernels cost new pages, filled with zeros, again and again: SOAP takes 24 s
of CPU instead of 19 with `ALLOCATOR`, its reduction 30 instead of 21, for 30 MB more of memory.
"""

from __future__ import annotations

from typing import Any

# How often processes look at themselves. Dashboards show all they did, from fewer samples
LOOKS = {
    "distributed.admin.tick.interval": "500ms",  # at the event loop, whether it hangs (20 ms)
    "distributed.admin.system-monitor.interval": "2s",  # at memory, CPU and network (500 ms)
    "distributed.worker.profile.interval": "100ms",  # at what a task is doing (10 ms)
}
# glibc's: from which size on an array has pages of its own, and from which amount on what was freed is given back
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": 16 << 20, "MALLOC_TRIM_THRESHOLD_": 16 << 20}


def thrifty() -> dict[str, Any]:
    """Settings of dask's configuration; what the user has set otherwise is left out."""
    import dask
    from distributed.config import defaults

    environ = "distributed.nanny.pre-spawn-environ"
    settings = {**LOOKS, **{f"{environ}.{name}": value for name, value in ALLOCATOR.items()}}
    return {
        name: value for name, value in settings.items() if dask.config.get(name, None) == _at(defaults, name.split("."))
    }


def exported(settings: dict[str, Any]) -> list[str]:
    """The same as lines of a shell script, for workers that do not get their configuration from here.

    Examples
    --------
    >>> exported({"distributed.admin.tick.interval": "500ms", "distributed.nanny.pre-spawn-environ.A_": 1})
    ['export DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL=500ms', 'export A_=1']
    """
    lines = []
    for name, value in settings.items():
        variable = name.rpartition(".")[2]
        if ".pre-spawn-environ." not in name:
            variable = f"DASK_{name.replace('.', '__').replace('-', '_').upper()}"
        lines.append(f"export {variable}={value}")
    return lines


def _at(values: Any, names: list[str]) -> Any:
    for name in names:
        values = values.get(name) if isinstance(values, dict) else None
    return values
