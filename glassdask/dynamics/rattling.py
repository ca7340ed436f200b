"""How far particles rattle in short times: their Debye-Waller factors."""

from __future__ import annotations

import xarray as xr

from glassdask.declarations import Positive, converted
from glassdask.dynamics.lags import even_step
from glassdask.dynamics.paths import check_matched, unwrapped
from glassdask.errors import ParameterError
from glassdask.schema import validate
from glassdask.variables import annotated


def debye_waller(trajectory: xr.Dataset, duration: float) -> xr.DataArray:
    r"""Mean square distance of each particle from its mean position in windows of time, its Debye-Waller factor.

    <u_i^2> = <\|r_i - <r_i>\|^2>, the inner mean over the frames of a window, the outer one over them and over windows
    one after the other (A. Widmer-Cooper and P. Harrowell, Phys. Rev. Lett. 96, 185701 (2006)). A window should hold
    many periods of vibration and no relaxation, some 10 to 100 time units of Lennard-Jones. In a harmonic solid this is
    what `glassdask.simulation.harmonic_debye_waller` finds from the modes, if windows hold many periods of the slowest.

    Parameters
    ----------
    trajectory : Dataset of the schema
        With ``time`` in even steps, and ``image`` where particles cross the faces of the box.
    duration : float
        Of a window, in the unit of time.

    Returns
    -------
    DataArray (particle,), lazy where the positions are
        In units of length^2.

    Raises
    ------
    ParameterError
        When the duration is not positive, a window has fewer than two frames, or there is none of that length.
    SchemaError
        Without times, or when they are not evenly spaced; as `unwrapped`.

    Examples
    --------
    >>> import numpy as np
    >>> import glassdask as gd
    >>> x = 1.0 + 0.1 * np.cos(2.0 * np.pi * np.arange(40) / 10)
    >>> path = np.stack([x, np.ones(40)], axis=-1)[:, None]
    >>> t = gd.from_arrays(path, species=["A"], box=[9.0] * 2, time=np.arange(40) * 0.1)
    >>> debye_waller(t, 1.0).values.round(6).tolist()
    [0.005]
    """
    validate(trajectory)
    check_matched(trajectory)
    duration, n_frames = converted(duration, Positive, "duration"), trajectory.sizes["frame"]
    frames = round(duration / even_step(trajectory))
    if not 2 <= frames <= n_frames:
        raise ParameterError(
            f"duration {duration}: a window has {frames} frames of {n_frames}: expected 2 to {n_frames}"
        )
    windows = unwrapped(trajectory).coarsen(frame=frames, boundary="trim").construct(frame=("window", "inner"))
    spread = windows.var("inner").sum("space").mean("window")
    return annotated(spread.rename("debye_waller").drop_vars("time", errors="ignore"))
