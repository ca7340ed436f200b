"""What a trajectory is: made from arrays, and checked.

A *trajectory* is an `xarray.Dataset` with the variables of `glassdask.variables.TRAJECTORY`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

import glassdask.about  # noqa: F401 - datasets get `.glassdask`
from glassdask.declarations import shown
from glassdask.errors import BoxError, PositionError, SchemaError, SpeciesError, StoreVersionError
from glassdask.graphs import compute
from glassdask.names import coded, species_given
from glassdask.variables import SCHEMA_VERSION, TRAJECTORY, VARIABLES, numbers
from glassdask.wrapping import add_images, enclosing, looks_wrapped, span, wrap

# Of species codes, wherever they are: one type, so that each kernel is compiled once, with room for a species a
# particle.
CODE = np.int32
# A cell with less of the volume that its vectors would span at right angles has hardly been meant: similar edge lengths
# of as many frames as dimensions look so.
FLAT = 0.1
# What is beyond open faces of the box.
UNKNOWN, NOTHING = "unknown", "nothing"

DIMENSIONS = {
    "frame": "configurations in the order of time, or independent configurations",
    "particle": "particles, in the same order in every frame unless species are of each frame",
    "space": "Cartesian components x, y (, z)",
    "axis": "cell vectors a, b (, c)",
}


def check_kind(value: Any, kind: type, what: str, remedy: str) -> None:
    """Raise `SchemaError` unless a value is a `xarray.Dataset` or `xarray.DataArray`, whichever `kind` is."""
    if not isinstance(value, kind):
        raise SchemaError(f"{what}: expected an xarray.{kind.__name__}, found {type(value).__name__}: {remedy}")


def species_names(dataset: xr.Dataset) -> tuple[str, ...]:
    """The species of a trajectory, sorted by name.

    Examples
    --------
    >>> import numpy as np, glassdask as gd
    >>> t = gd.from_arrays(np.zeros((1, 2, 3)) + [[[0.5], [1.5]]], species=["B", "A"], box=[4.0, 4.0, 4.0])
    >>> species_names(t)
    ('A', 'B')
    """
    return tuple(str(name) for name in np.unique(np.asarray(dataset["species"].values)))


def species_codes(dataset: xr.Dataset) -> np.ndarray:
    """Species as indices into `species_names`, int32: (particle,), or (frame, particle) where they change."""
    return names_and_codes(dataset)[1]


def names_and_codes(dataset: xr.Dataset) -> tuple[tuple[str, ...], np.ndarray]:
    """Both `species_names` and `species_codes`, with one look at the names of all particles."""
    values = np.asarray(dataset["species"].values)
    if values.ndim == 2 and len(values) == 1:
        values = values[0]
    names, codes = coded(values)
    return names, codes.astype(CODE)


def particle_numbers(dataset: xr.Dataset) -> np.ndarray:
    """How many particles are there in each frame, (frame,)."""
    if "present" in dataset:
        (number,) = compute(dataset["present"].sum("particle"))
        return np.asarray(number.values)
    return np.full(dataset.sizes["frame"], dataset.sizes["particle"])


def validate(dataset: xr.Dataset) -> xr.Dataset:
    """Check names, dimensions, types and shapes of a trajectory, and the values of what is already in memory.

    Returns the dataset itself. Lazy positions are checked when they are computed (`check_frame`).

    Raises
    ------
    SchemaError, SpeciesError, BoxError, PositionError, StoreVersionError
        With one line that says what was found and what was expected.
    """
    check_kind(dataset, xr.Dataset, "the trajectory", "make one with from_arrays or open_trajectory")
    version = int(dataset.attrs.get("schema_version", SCHEMA_VERSION))
    if version > SCHEMA_VERSION:
        raise StoreVersionError(
            f"schema version {version} is newer than {SCHEMA_VERSION}, which this glassdask reads: upgrade glassdask"
        )
    for name, variable in TRAJECTORY.items():
        if name not in dataset:
            if variable.required:
                raise SchemaError(f"no variable '{name}' {variable.dims}: found {sorted(map(str, dataset.variables))}")
            continue
        found = dataset[name]
        per_frame = "frame" in variable.also and found.dims == ("frame", *variable.dims)
        if found.dims != variable.dims and not per_frame:
            remedy = "transpose or rename"
            if ("frame", *found.dims) == variable.dims:
                remedy = "choose one frame with .isel(frame=[0]), not with .isel(frame=0)"
            raise SchemaError(f"'{name}' has dimensions {found.dims}, expected {variable.dims}: {remedy}")
        if found.dtype.kind != variable.kind and not (variable.kind == "i" and found.dtype.kind == "u"):
            remedy = "convert it" if variable.kind != "U" else f"say .assign({name}=trajectory['{name}'].astype(str))"
            raise SchemaError(f"'{name}' has dtype {found.dtype}, expected kind '{variable.kind}': {remedy}")
    n_space = dataset.sizes["space"]
    if n_space not in (2, 3) or dataset.sizes["axis"] != n_space:
        raise SchemaError(f"space has size {n_space} and axis {dataset.sizes['axis']}: both must be 2 or both 3")
    if dataset.sizes["particle"] == 0 or dataset.sizes["frame"] == 0:
        raise SchemaError(
            f"{dataset.sizes['frame']} frames of {dataset.sizes['particle']} particles: there is nothing to work on"
        )
    if (np.asarray(dataset["species"].values) == "").any():
        raise SpeciesError("a species has an empty name: give every particle a name such as 'A'")
    check_box(np.asarray(dataset["box"].values))
    if "periodic" in dataset and (beyond := dataset["periodic"].attrs.get("beyond", UNKNOWN)) not in (UNKNOWN, NOTHING):
        raise SchemaError(f"beyond open faces is {beyond!r}, expected '{UNKNOWN}' or '{NOTHING}'")
    if "origin" in dataset and not np.isfinite(dataset["origin"].values).all():
        raise BoxError("an origin of the box is not finite: give the place of its lower corner, or leave it out")
    if "time" in dataset and not np.isfinite(dataset["time"].values).all():
        raise SchemaError("a time is not finite: give the time of every frame, or leave out 'time'")
    if "id" in dataset:
        _check_ids(np.asarray(dataset["id"].values))
    for name in kept_variables(dataset):
        _check_kept(dataset[name])
    present = _in_memory(dataset, "present")
    if present is not None and not present.any(axis=1).all():
        frame = int(np.argmin(present.any(axis=1)))
        raise SchemaError(f"frame {frame}: no particle is there: leave the frame out")
    diameter = _in_memory(dataset, "diameter")
    if diameter is not None:
        check_diameters(diameter, present=present)
    position = _in_memory(dataset, "position")
    if position is not None and (present is not None or "present" not in dataset):
        check_positions(position, present=present)
    if "image" in dataset and dataset["image"].dtype != np.int32:
        image = dataset["image"].variable._data
        if isinstance(image, np.ndarray):
            add_images(image, 0)
    return dataset


def _in_memory(dataset: xr.Dataset, name: str) -> np.ndarray | None:
    """The values of a variable that is there and not lazy."""
    values = dataset[name].variable._data if name in dataset else None
    return values if isinstance(values, np.ndarray) else None


def kept_variables(dataset: xr.Dataset) -> list[str]:
    """Names of what the user has of particles besides the schema, such as a column of the file that was kept.

    Examples
    --------
    >>> import numpy as np, glassdask as gd
    >>> t = gd.from_arrays([[[0.5, 0.5], [1.5, 0.5]]], species=["A", "B"], box=[4.0, 4.0])
    >>> kept_variables(t.assign(charge=("particle", [1.0, -1.0]), pressure=("frame", [0.3])))
    ['charge']
    """
    of_particles = {str(name) for name, values in dataset.data_vars.items() if "particle" in values.dims}
    return sorted(of_particles - {name for name, known in VARIABLES.items() if "particle" in known.dims})


def _check_kept(values: xr.DataArray) -> None:
    rest = values.dims[1:] if values.dims[:1] == ("frame",) else values.dims
    if rest[:1] != ("particle",) or "frame" in rest or len(rest) > 2:
        raise SchemaError(
            f"'{values.name}' has dimensions {values.dims}, expected (particle,) or (frame, particle), and at most one "
            "more: transpose or rename"
        )
    if values.dtype.kind not in "fiub":
        raise SchemaError(f"'{values.name}' has dtype {values.dtype}, expected numbers or true and false: convert it")


def check_labels(values: xr.DataArray, trajectory: xr.Dataset, what: str = "the values") -> None:
    """Raise `SchemaError` where values say of their frames or particles what the trajectory says of other ones.

    Compared are the labels that both have; without any, frames and particles are taken in their order.

    Examples
    --------
    >>> import glassdask as gd
    >>> pair = gd.from_arrays([[[0.0, 0], [1, 0]]], species=["A", "B"], box=[4.0, 4.0])
    >>> values = xr.DataArray([1.0, 2.0], dims="particle", coords={"species": ("particle", ["B", "A"])})
    >>> check_labels(values, pair)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    glassdask.errors.SchemaError: the values: another species at particle 0 than the trajectory: bring both in ...
    """
    for name in ("time", "step", "species", "id", "frame", "particle"):
        if name not in values.coords or name not in trajectory.variables:
            continue
        ours, theirs = values.coords[name], trajectory[name]
        if ours.size != theirs.size or (ours.ndim > 0 and ours.dims != theirs.dims):
            continue  # of something else, such as the species of neighbours; sizes are checked where they must agree
        differs = ours.values != theirs.values
        if np.any(differs):
            first = np.argwhere(np.reshape(differs, theirs.shape))[0]
            place = ", ".join(f"{dim} {number}" for dim, number in zip(theirs.dims, first))
            raise SchemaError(
                f"{what}: another {name} at {place} than the trajectory: bring "
                f"both in one order, or leave out the labels with drop_vars('{name}') where they mean nothing"
            )


def labels(trajectory: xr.Dataset, *, particles: bool = True) -> dict[str, xr.Variable]:
    """What tells its frames, and its particles, from each other: coordinates of what is computed of them."""
    names = ("time", "step", *(("species", "id") if particles else ()))
    return {name: trajectory[name].variable.compute() for name in names if name in trajectory.variables}


def _check_ids(ids: np.ndarray) -> None:
    if len(ids) < 2 or (ids[1:] > ids[:-1]).all():
        return
    found, counts = np.unique(ids, return_counts=True)
    if len(found) < len(ids):
        raise SchemaError(f"id {found[np.argmax(counts > 1)]} is there twice: give each particle an id of its own")


def check_box(box: np.ndarray, first_frame: int = 0) -> None:
    """Raise `BoxError` unless every (axis, space) matrix of `box` (frame, axis, space) is finite and right-handed."""
    bad = ~np.isfinite(box).all(axis=(1, 2))
    if not bad.any():
        with np.errstate(all="ignore"):  # of absurd lengths, which are bad, too
            largest = np.abs(box).max(axis=(1, 2))
            volume = np.linalg.det(box / largest[:, None, None])
        bad = ~(volume > 1e-12) | (largest > 1e100) | (largest < 1e-100)
    if bad.any():
        frame = int(np.argmax(bad))
        raise BoxError(
            f"frame {first_frame + frame}: box {box[frame].tolist()} is not a right-handed cell of positive volume: "
            "give the edge lengths or the cell vectors as rows"
        )


def check_positions(position: np.ndarray, first_frame: int = 0, present: np.ndarray | None = None) -> None:
    """Raise `PositionError` that names the first frame and particle whose position is NaN or infinite.

    Particles that are not `present` (frame, particle) must have NaN in all components.
    """
    finite = np.isfinite(position)
    if present is None:
        if finite.all():
            return
        wrong = ~finite.all(axis=-1)
        remedy = "remove or repair this frame, or say with present= which particles are there"
    else:
        wrong = np.where(present, ~finite.all(axis=-1), ~np.isnan(position).all(axis=-1))
        if not wrong.any():
            return
        remedy = "remove or repair this frame; of absent particles all components are NaN"
    frame, particle = np.argwhere(wrong)[0]
    there = present is None or present[frame, particle]
    raise PositionError(
        f"frame {first_frame + frame}, particle {particle}: position {position[frame, particle].tolist()} "
        f"{'is not finite' if there else 'of a particle that is not there'}: {remedy}"
    )


def check_diameters(diameter: np.ndarray, where: str = "", present: np.ndarray | None = None) -> None:
    """Raise `SchemaError` about the first diameter ([frame,] particle) that is negative, infinite or NaN."""
    wrong = ~(np.isfinite(diameter) & (diameter >= 0))
    if present is not None:
        wrong = wrong & (present if diameter.ndim == 2 else present.any(axis=0))
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0])
        label = where or (f"frame {place[0]}" if diameter.ndim == 2 else "")
        raise SchemaError(
            f"{label}{', ' if label else ''}particle {place[-1]}: diameter {diameter[place]}, expected a positive "
            "number or zero: repair it, or leave out the diameters"
        )


def cell_matrix(box: Any, n_frames: int, n_space: int) -> np.ndarray:
    """Cell matrices (frame, axis, space) from edge lengths (), (d,), (frame, d) or cells (d, d), (frame, d, d).

    A (d, d) array is always one cell matrix. Where there are as many frames as dimensions, edge lengths of each frame
    must be given as cells (frame, d, d). A single number is the edge of a cube or square; a ``freud.box.Box`` is known.

    Examples
    --------
    >>> cell_matrix([2.0, 3.0], 1, 2).tolist()
    [[[2.0, 0.0], [0.0, 3.0]]]
    """
    if hasattr(box, "to_matrix") and hasattr(box, "is2D"):
        if not all(box.periodic[:n_space]):
            raise BoxError("box is one of freud that is not periodic along all axes: use glassdask.from_freud")
        box = np.asarray(box.to_matrix()).T[:n_space, :n_space]  # there the columns are the cell vectors
    array = numbers("box", box).astype(np.float64)
    eye = np.eye(n_space)
    if array.shape in ((), (n_space,)):
        array = (array * eye)[None]
    elif array.shape == (n_space, n_space):
        if n_frames == n_space and (array > 0).all():
            rows = np.linalg.norm(array, axis=1).prod()
            if abs(np.linalg.det(array)) < FLAT * rows:
                raise BoxError(
                    f"box {array.tolist()} is one cell matrix, and almost flat: give edge lengths of {n_frames} "
                    f"frames as cells ({n_frames}, {n_space}, {n_space})"
                )
        array = array[None]
    elif array.shape == (n_frames, n_space):
        array = array[:, None, :] * eye
    elif array.shape[-1:] == (6,) and n_frames != 6:
        raise BoxError(
            f"box has shape {array.shape}, as of three edge lengths and three angles: give the edge lengths alone, "
            f"box={array.reshape(-1, 6)[0, :n_space].tolist()}, if all angles are 90 degrees, else cell vectors as rows"
        )
    elif array.shape not in ((n_frames, n_space, n_space), (1, n_space, n_space)):
        raise BoxError(
            f"box has shape {array.shape}, expected ({n_space},), ({n_frames}, {n_space}), ({n_space}, {n_space}) or "
            f"({n_frames}, {n_space}, {n_space})"
        )
    return np.ascontiguousarray(np.broadcast_to(array, (n_frames, n_space, n_space)))


def from_arrays(
    position: Any,
    *,
    species: Any,
    box: Any = None,
    origin: Any = None,
    time: Any = None,
    velocity: Any = None,
    energy: Any = None,
    image: Any = None,
    step: Any = None,
    id: Any = None,
    diameter: Any = None,
    periodic: Any = None,
    beyond: str = UNKNOWN,
    present: Any = None,
    box_vectors: str | None = None,
    attrs: dict[str, Any] | None = None,
) -> xr.Dataset:
    """A trajectory from arrays in memory.

    Parameters
    ----------
    position : array (frame, particle, space) or (particle, space)
        Particles outside the box are wrapped; ``trajectory["position"].attrs["wrapped"]`` counts them.
    species : array (particle,) or (frame, particle)
        Names, or anything whose ``str`` is the name. Where they change between frames (swap Monte Carlo, independent
        samples) particles have no identity: their structure is that of each frame, their dynamics are refused.
    box : array
        Edge lengths (), (d,) or (frame, d), or cell matrices (d, d) or (frame, d, d) whose rows are the cell vectors,
        or a ``freud.box.Box``. A (d, d) array is always one cell. Without it and with ``periodic=False`` it is the
        smallest upright one around all particles of all frames, from `origin` on; an edge without extent is 1.
    origin : array (space,) or (frame, space), optional
        Where the lower corner of the box is, in the same coordinates as `position`, from which it is subtracted. By
        default at zero. Displacements in a box that moves or breathes need it.
    image : integers (frame, particle, axis), optional
        The images that go with the given positions: zeros say that these are unwrapped. What wrapping finds is added.
        By default positions that do not all fit into one cell are taken to be unwrapped and what wrapping finds is
        kept; of others there is nothing to tell, and they have no images.
    diameter : array (particle,) or (frame, particle), optional
        Sizes of the particles.
    periodic : true or false, for all axes or for each, optional
        By default the box repeats along all axes. Along the others its faces are open, and nothing is wrapped there.
    beyond : "unknown" or "nothing"
        Whether there may be more particles beyond open faces, as around what a microscope sees: see
        `glassdask.neighborhood.borders`. An attribute of ``trajectory["periodic"]``.
    present : bool (frame, particle), optional
        Which particles are there, where their number changes. Positions of the others become NaN, and what else is
        given of them means nothing.
    box_vectors : "rows" or "columns", optional
        Which of the two a cell matrix has the cell vectors as. It must be told of a matrix that is upper triangular, as
        freud, OVITO and HOOMD write theirs with columns, and else are the rows.
    time, velocity, energy, step, id : arrays, optional
        See `TRAJECTORY`. Further numbers of particles are assigned: ``t.assign(charge=("particle", charge))``.

    Returns
    -------
    xarray.Dataset
        The same dataset that `open_trajectory` gives.

    Raises
    ------
    SchemaError, BoxError, PositionError, SpeciesError

    Examples
    --------
    >>> t = from_arrays(np.array([[[0.5, 0.5], [2.5, 0.5]]]), species=["A", "B"], box=[2.0, 2.0])
    >>> t["position"].values[0, 1].tolist(), t["image"].values[0, 1].tolist(), t["position"].attrs["wrapped"]
    ([0.5, 0.5], [1, 0], 1)
    """
    if attrs is not None and not isinstance(attrs, Mapping):
        raise SchemaError(f"attrs: expected a table such as {{'model': 'KA'}}, found {shown(attrs)}")
    array = numbers("position", position).astype(np.float64, copy=False)
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or array.shape[-1] not in (2, 3):
        raise SchemaError(f"position has shape {array.shape}, expected (frame, particle, 2 or 3)")
    n_frames, n_particles, n_space = array.shape
    variables: dict[str, Any] = {}
    if present is not None:
        there = _of_shape("present", present, "b", (n_frames, n_particles))
        if not there.all():
            variables["present"] = there
            array = np.where(there[..., None], array, np.nan)
    check_positions(array, present=variables.get("present"))
    if periodic is not None:
        each = [periodic] * n_space if isinstance(periodic, (bool, np.bool_)) else periodic
        variables["periodic"] = _of_shape("periodic", each, "b", (n_space,))
    if box is None:
        if origin is not None or np.any(variables.get("periodic", True)):
            raise BoxError(
                "there is no box: give its edge lengths or cell vectors, or say periodic=False (and no origin)"
            )
        origin, box = enclosing(array)
    cells = cell_matrix(box, n_frames, n_space)
    check_box(cells)
    cells = _told(cells, box, box_vectors)
    if origin is not None:
        corner = numbers("origin", origin)
        if corner.shape not in ((n_space,), (n_frames, n_space)):
            raise SchemaError(f"origin has shape {corner.shape}, expected ({n_space},) or ({n_frames}, {n_space})")
        variables["origin"] = np.broadcast_to(corner, (n_frames, n_space)).astype(np.float64)
        array = array - variables["origin"][:, None]
    wrapped, shift = wrap(array, cells, periodic=variables.get("periodic"))
    variables |= {"position": wrapped, "species": species_given(species, n_frames, n_particles), "box": cells}
    if diameter is not None:
        variables["diameter"] = _of_shape("diameter", diameter, "f", (n_particles,), (n_frames, n_particles))
    optional = {"time": time, "velocity": velocity, "energy": energy, "image": image, "step": step, "id": id}
    for name, value in optional.items():
        if value is not None:
            values = numbers(name, value, TRAJECTORY[name].kind)
            missing_frame = len(TRAJECTORY[name].dims) - values.ndim == 1 and TRAJECTORY[name].dims[0] == "frame"
            variables[name] = values[None] if missing_frame else values
    if image is not None:
        if variables["image"].shape != shift.shape:
            raise SchemaError(f"image has shape {np.shape(image)}, expected {shift.shape}, one for each position")
        variables["image"] = add_images(variables["image"], shift)
    elif shift.any() and not looks_wrapped(span(array, cells), n_particles, variables.get("periodic")):
        variables["image"] = shift
    dataset = assemble({name: variables[name] for name in TRAJECTORY if name in variables}, attrs=attrs)
    dataset["position"].attrs["wrapped"] = int(shift.any(axis=-1).sum())
    if beyond != UNKNOWN:
        if np.all(variables.get("periodic", True)):
            raise SchemaError(f"beyond={beyond!r}, but the box repeats along all axes: say with periodic which do")
        dataset["periodic"].attrs["beyond"] = beyond
    return validate(dataset)


def _told(cells: np.ndarray, box: Any, vectors: str | None) -> np.ndarray:
    """The cells with their vectors as rows, after a check that it is no matter of chance which of the two they are."""
    if vectors not in (None, "rows", "columns"):
        raise BoxError(f"box_vectors is {shown(vectors)}, expected 'rows' or 'columns'")
    upper = np.triu(cells, 1).any(axis=(1, 2)) & ~np.tril(cells, -1).any(axis=(1, 2))
    if vectors is None and upper.any() and not hasattr(box, "to_matrix"):
        raise BoxError(
            f"box {cells[np.argmax(upper)].tolist()} is upper triangular, as that of freud and OVITO, where the "
            "columns are the cell vectors: say box_vectors='columns', or box_vectors='rows' if they are the rows"
        )
    return np.ascontiguousarray(cells.transpose(0, 2, 1)) if vectors == "columns" else cells


def _of_shape(name: str, value: Any, kind: str, *shapes: tuple[int, ...]) -> np.ndarray:
    """The `numbers`, where they have one of the shapes; without the first dimension too where that is 1."""
    array = numbers(name, value, kind)
    if array.shape not in shapes:
        if (1, *array.shape) not in shapes:
            expected = " or ".join(map(str, shapes))
            raise SchemaError(f"{name} has shape {array.shape}, expected {expected}: give one for each")
        array = array[None]
    return array


def assemble(variables: dict[str, Any], attrs: dict[str, Any] | None = None) -> xr.Dataset:
    """A dataset of the given arrays (NumPy or dask) with the dimensions, units and coordinates of the schema."""
    data = {}
    for name, values in variables.items():
        described = TRAJECTORY[name]
        dims = described.dims
        if "frame" in described.also and np.ndim(values) == len(dims) + 1:
            dims = ("frame", *dims)
        if np.ndim(values) != len(dims):
            raise SchemaError(f"'{name}' has shape {np.shape(values)}, expected dimensions {dims}")
        data[name] = (dims, values, described.attrs)
    try:
        dataset = xr.Dataset(data, attrs={"schema_version": SCHEMA_VERSION, **(attrs or {})})
    except ValueError as error:
        raise SchemaError(f"variables disagree in size: {error}") from None
    n_space = dataset.sizes["space"]
    coordinates: dict[str, Any] = {
        name: (name, list(letters[:n_space]), VARIABLES[name].attrs)
        for name, letters in (("space", "xyz"), ("axis", "abc"))
    }
    if "time" in dataset:
        coordinates["time"] = dataset["time"]
    return dataset.assign_coords(coordinates)
