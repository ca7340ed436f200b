"""Small trajectories that come with the package, so that a first example runs wherever it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from glassdask.errors import ParameterError
from glassdask.schema import from_arrays

EXAMPLES = ("wahnstrom", "kob_andersen")


def example(name: str) -> xr.Dataset:
    """A trajectory of a model glass-former that comes with the package; nothing is downloaded.

    Both were simulated with LAMMPS in the NVT ensemble, in a periodic cubic box, at a temperature a little above the
    mode-coupling temperature; successive frames are about one structural relaxation time apart, that is, nearly
    independent configurations. Positions are in single precision. Units are those of Lennard-Jones.

    ===============  =========  ========  ====  =======  ======  =======
    name             particles  species   T     density  frames  spacing
    ===============  =========  ========  ====  =======  ======  =======
    "wahnstrom"      4000       A50 B50   0.58  1.297    3       160
    "kob_andersen"   2000       A80 B20   0.45  1.2      3       900
    ===============  =========  ========  ====  =======  ======  =======

    Parameters
    ----------
    name : str
        "wahnstrom" [1]_ or "kob_andersen" [2]_.

    Returns
    -------
    xarray.Dataset
        ``position``, ``species``, ``box`` and ``time``, as of `from_arrays`; attributes ``model``, ``temperature``,
        ``density`` and ``origin``, which says how it was prepared.

    Raises
    ------
    ParameterError
        There is no example of this name.

    References
    ----------
    .. [1] G. Wahnström, Phys. Rev. A 44, 3752 (1991), https://doi.org/10.1103/PhysRevA.44.3752
    .. [2] W. Kob and H. C. Andersen, Phys. Rev. E 51, 4626 (1995), https://doi.org/10.1103/PhysRevE.51.4626

    Examples
    --------
    >>> liquid = example("wahnstrom")
    >>> dict(liquid.sizes)
    {'frame': 3, 'particle': 4000, 'space': 3, 'axis': 3}
    >>> liquid.attrs["temperature"], liquid["time"].values.tolist()
    (0.58, [0.0, 160.0, 320.0])
    """
    if name not in EXAMPLES:
        raise ParameterError(f"there is no example '{name}', expected one of {', '.join(EXAMPLES)}")
    with np.load(Path(__file__).with_name(f"{name}.npz")) as stored:
        attrs: dict[str, Any] = {"model": name, "origin": str(stored["origin"])}
        attrs |= {key: float(stored[key]) for key in ("temperature", "density")}
        species = np.array(["A", "B"])[stored["species"] - 1]
        box, time = stored["box"], stored["time"]
        position = stored["position"].astype(np.float64)
    return from_arrays(position % box, species=species, box=box, time=time, attrs=attrs)
