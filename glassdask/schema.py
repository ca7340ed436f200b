"""What a trajectory is: made from arrays, and checked.

A *trajectory* is an `xarray.Dataset` with the variables of `glassdask.variables.TRAJECTORY`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from glassdask.declarations import shown
from glassdask.errors import BoxError, PositionError, SchemaError, SpeciesError, StoreVersionError
from glassdask.variables import TRAJECTORY, VARIABLES, unmasked

SCHEMA_VERSION = 1
# Of species codes, wherever they are: one type, so that each kernel is compiled once, with room for a species a
# particle.
CODE = np.int32
# A position this many boxes away has lost its place in the box to rounding, and its image does not fit 32 bits.
MOST_BOXES = 2.0**31
# Programs wrap particles when they rebuild their neighbour lists; until then some are this part of the box outside.
SLACK = 0.05
# A cell with less of the volume that its vectors would span at right angles has hardly been meant: similar edge lengths
# of as many frames as dimensions look so.
FLAT = 0.1
# Fewer particles may all be in one cell by chance.
FEW = 30

DIMENSIONS = {
    "frame": "configurations in the order of time, or independent configurations",
    "particle": "particles, in the same order in every frame",
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
    """Species of each particle as an index into `species_names`, int32, shape (particle,)."""
    return names_and_codes(dataset)[1]


def names_and_codes(dataset: xr.Dataset) -> tuple[tuple[str, ...], np.ndarray]:
    """Both `species_names` and `species_codes`, with one look at the names of all particles."""
    names, codes = np.unique(np.asarray(dataset["species"].values), return_inverse=True)
    return tuple(map(str, names)), codes.reshape(-1).astype(CODE)


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
        if found.dims != variable.dims:
            raise SchemaError(f"'{name}' has dimensions {found.dims}, expected {variable.dims}: transpose or rename")
        if found.dtype.kind != variable.kind and not (variable.kind == "i" and found.dtype.kind == "u"):
            raise SchemaError(f"'{name}' has dtype {found.dtype}, expected kind '{variable.kind}': convert it")
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
    if "origin" in dataset and not np.isfinite(dataset["origin"].values).all():
        raise BoxError("an origin of the box is not finite: give the place of its lower corner, or leave it out")
    if "time" in dataset and not np.isfinite(dataset["time"].values).all():
        raise SchemaError("a time is not finite: give the time of every frame, or leave out 'time'")
    if "id" in dataset:
        _check_ids(np.asarray(dataset["id"].values))
    if isinstance(dataset["position"].variable._data, np.ndarray):
        check_positions(dataset["position"].values)
    if "image" in dataset and dataset["image"].dtype != np.int32:
        image = dataset["image"].variable._data
        if isinstance(image, np.ndarray):
            add_images(image, 0)
    return dataset


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
        if ours.ndim > 1 or ours.size != theirs.size or (ours.ndim == 1 and ours.dims != theirs.dims):
            continue  # of something else, such as the species of neighbours; sizes are checked where they must agree
        differs = np.ravel(ours.values != theirs.values)
        if differs.any():
            raise SchemaError(
                f"{what}: another {name} at {theirs.dims[0]} {int(np.argmax(differs))} than the trajectory: bring "
                f"both in one order, or leave out the labels with drop_vars('{name}') where they mean nothing"
            )


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
        volume = np.linalg.det(box)
        bad = volume <= 1e-12 * np.abs(box).max(axis=(1, 2)) ** box.shape[-1]
    if bad.any():
        frame = int(np.argmax(bad))
        raise BoxError(
            f"frame {first_frame + frame}: box {box[frame].tolist()} is not a right-handed cell of positive volume: "
            "give the edge lengths or the cell vectors as rows"
        )


def check_positions(position: np.ndarray, first_frame: int = 0) -> None:
    """Raise `PositionError` that names the first frame and particle whose position is NaN or infinite."""
    finite = np.isfinite(position)
    if finite.all():
        return
    frame, particle = np.argwhere(~finite.all(axis=-1))[0]
    raise PositionError(
        f"frame {first_frame + frame}, particle {particle}: position {position[frame, particle].tolist()} is not "
        "finite: remove or repair this frame"
    )


def cell_matrix(box: Any, n_frames: int, n_space: int) -> np.ndarray:
    """Cell matrices (frame, axis, space) from edge lengths (d,), (frame, d) or cells (d, d), (frame, d, d).

    A (d, d) array is always one cell matrix. Where there are as many frames as dimensions, edge lengths of each frame
    must be given as cells (frame, d, d).

    Examples
    --------
    >>> cell_matrix([2.0, 3.0], 1, 2).tolist()
    [[[2.0, 0.0], [0.0, 3.0]]]
    """
    array = numbers("box", box).astype(np.float64)
    eye = np.eye(n_space)
    if array.shape == (n_space,):
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
    elif array.shape not in ((n_frames, n_space, n_space), (1, n_space, n_space)):
        raise BoxError(
            f"box has shape {array.shape}, expected ({n_space},), ({n_frames}, {n_space}), ({n_space}, {n_space}) or "
            f"({n_frames}, {n_space}, {n_space})"
        )
    return np.ascontiguousarray(np.broadcast_to(array, (n_frames, n_space, n_space)))


def wrap(position: np.ndarray, box: np.ndarray, where: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Positions (frame, particle, space) folded into the box, and the image (frame, particle, axis) they came from.

    position_in = position_out + image @ box. A particle on the upper face is put on the lower one. A `PositionError`
    about a particle so far away that nothing of its place in the box is left begins with `where`, or with its frame.

    Examples
    --------
    >>> p, image = wrap(np.array([[[2.5, -0.5]]]), np.array([[[2.0, 0.0], [0.0, 2.0]]]))
    >>> p.tolist(), image.tolist()
    ([[[0.5, 1.5]]], [[[1, -1]]])
    """
    inverse = np.linalg.inv(box)
    image = np.floor(position @ inverse)
    wrapped = np.array(position, dtype=np.float64)
    if image.any():
        outside = image.any(axis=-1)
        frames = np.nonzero(outside)[0]
        far = np.abs(image[outside]).max(axis=-1)
        if far.max() >= MOST_BOXES:
            frame, particle = np.argwhere(outside)[np.argmax(far)]
            raise PositionError(
                f"{where or f'frame {frame}'}, particle {particle}: position {position[frame, particle].tolist()} is "
                f"{far.max():.3g} boxes away, where rounding leaves no place in the box: remove or repair this frame"
            )
        wrapped[outside] -= np.einsum("na,nas->ns", image[outside], box[frames])
        # rounding may leave a tiny negative fraction at the upper face: that point is the lower face itself
        fraction = np.einsum("ns,nsa->na", wrapped[outside], inverse[frames])
        edge = fraction >= 1.0
        if edge.any():
            image[outside] += edge
            wrapped[outside] -= np.einsum("na,nas->ns", edge.astype(float), box[frames])
    return wrapped, image.astype(np.int32)


def add_images(image: Any, shift: np.ndarray | int, where: str = "image") -> np.ndarray:
    """Sum (..., axis) of the images that are given and those that wrapping has found, as 32-bit integers."""
    given = np.asarray(image)
    largest = max(abs(int(given.max(initial=0))), abs(int(given.min(initial=0))))
    if largest < MOST_BOXES:
        total = given.astype(np.int64) + shift
        largest = int(np.abs(total).max(initial=0))
    if largest >= MOST_BOXES:
        raise PositionError(f"{where}: an image of {largest:.3g} boxes does not fit 32 bits: repair it")
    return total.astype(np.int32)


def span(position: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Least and largest fractional coordinates along each axis, (2, axis), of positions (frame, particle, space)."""
    fraction = position @ np.linalg.inv(box)
    along = [np.ascontiguousarray(fraction[..., axis]) for axis in range(box.shape[-1])]  # ten times as fast
    return np.array([[values.min() for values in along], [values.max() for values in along]])


def looks_wrapped(bounds: np.ndarray, n_particles: int) -> bool:
    """Whether positions with this `span`, of all frames together, have been wrapped, as far as they tell.

    They have where all lie in one cell that begins or is centred at the origin, or, where it is filled by many
    particles, anywhere; `SLACK` of the box may stick out. Else they are the unwrapped ones.

    Examples
    --------
    >>> looks_wrapped(np.array([[-0.5], [0.499]]), 10), looks_wrapped(np.array([[0.1], [1.9]]), 10)
    (True, False)
    """
    low, high = bounds
    if n_particles >= FEW:
        return bool((high - low <= 1.0 + 2.0 * SLACK).all())
    cells = [(low >= begin - SLACK) & (high <= begin + 1.0 + SLACK) for begin in (0.0, -0.5)]
    return bool((cells[0] | cells[1]).all())


def from_arrays(
    position: Any,
    *,
    species: Any,
    box: Any,
    origin: Any = None,
    time: Any = None,
    velocity: Any = None,
    energy: Any = None,
    image: Any = None,
    step: Any = None,
    id: Any = None,
    attrs: dict[str, Any] | None = None,
) -> xr.Dataset:
    """A trajectory from arrays in memory.

    Parameters
    ----------
    position : array (frame, particle, space) or (particle, space)
        Particles outside the box are wrapped; ``trajectory["position"].attrs["wrapped"]`` counts them.
    species : array (particle,) or (frame, particle)
        Names, or anything whose ``str`` is the name. Must not change between frames.
    box : array
        Edge lengths (d,) or (frame, d), or cell matrices (d, d) or (frame, d, d) whose rows are the cell vectors. A
        (d, d) array is always one cell.
    origin : array (space,) or (frame, space), optional
        Where the lower corner of the box is, in the same coordinates as `position`, from which it is subtracted. By
        default at zero. Displacements in a box that moves or breathes need it.
    image : integers (frame, particle, axis), optional
        The images that go with the given positions: zeros say that these are unwrapped. What wrapping finds is added.
        By default positions that do not all fit into one cell are taken to be unwrapped and what wrapping finds is
        kept; of others there is nothing to tell, and they have no images.
    time, velocity, energy, step, id : arrays, optional
        See `TRAJECTORY`.

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
    check_positions(array)
    cells = cell_matrix(box, n_frames, n_space)
    check_box(cells)
    variables: dict[str, Any] = {}
    if origin is not None:
        corner = numbers("origin", origin)
        if corner.shape not in ((n_space,), (n_frames, n_space)):
            raise SchemaError(f"origin has shape {corner.shape}, expected ({n_space},) or ({n_frames}, {n_space})")
        variables["origin"] = np.broadcast_to(corner, (n_frames, n_space)).astype(np.float64)
        array = array - variables["origin"][:, None]
    wrapped, shift = wrap(array, cells)
    variables |= {"position": wrapped, "species": constant_species(species, n_particles), "box": cells}
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
    elif shift.any() and not looks_wrapped(span(array, cells), n_particles):
        variables["image"] = shift
    dataset = assemble({name: variables[name] for name in TRAJECTORY if name in variables}, attrs=attrs)
    dataset["position"].attrs["wrapped"] = int(shift.any(axis=-1).sum())
    return validate(dataset)


def numbers(name: str, value: Any, kind: str = "f") -> np.ndarray:
    """The array as floats (kind "f"), or as the integers that it must hold ("i"), which fit 64 bits."""
    try:
        array = unmasked(name, value)
    except ValueError as error:
        if isinstance(error, SchemaError):
            raise
        raise SchemaError(f"{name} is no array of numbers ({error}): give every frame the same shape") from None
    if kind == "i" and array.dtype.kind == "f" and (np.abs(array) < 2.0**53).all() and (array == np.rint(array)).all():
        return array.astype(np.int64)
    if array.dtype.kind not in ("iu" if kind == "i" else "fiub"):
        raise SchemaError(f"{name} has dtype {array.dtype}, expected {'integers' if kind == 'i' else 'real numbers'}")
    if kind == "i" and array.dtype.kind == "u" and array.max(initial=0) > np.iinfo(np.int64).max:
        raise SchemaError(f"{name} holds {array.max()}, which does not fit 64 bits: repair it")
    return array if kind == array.dtype.kind or kind == "i" else array.astype(np.float64)


def assemble(variables: dict[str, Any], attrs: dict[str, Any] | None = None) -> xr.Dataset:
    """A dataset of the given arrays (NumPy or dask) with the dimensions, units and coordinates of the schema."""
    data = {}
    for name, values in variables.items():
        described = TRAJECTORY[name]
        if np.ndim(values) != len(described.dims):
            raise SchemaError(f"'{name}' has shape {np.shape(values)}, expected dimensions {described.dims}")
        data[name] = (described.dims, values, described.attrs)
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


def names_given(species: Any) -> np.ndarray:
    """Names of any shape, or the numbers that stand for them: none is missing, and bytes are text."""
    try:
        names = unmasked("species", species)
    except ValueError as error:
        if isinstance(error, SchemaError):
            raise
        raise SpeciesError(f"species is no array of names ({error}): give one for each particle") from None
    if names.dtype.kind not in "USOiufb":
        raise SpeciesError(f"species has dtype {names.dtype}, expected names: give text such as 'A'")
    # NumPy makes text of what a list has besides text
    looked_at = np.asarray(species, dtype=object) if isinstance(species, (list, tuple)) else names
    if any(map(_is_missing, looked_at.flat)) if looked_at.dtype.kind == "O" else (names != names).any():
        raise SpeciesError("species has None or NaN among the names: give every particle a name such as 'A'")
    try:
        if names.dtype.kind == "S":
            return np.char.decode(names, "utf-8")
        if names.dtype.kind == "O" and any(isinstance(name, bytes) for name in names.flat):
            texts = [name.decode() if isinstance(name, bytes) else str(name) for name in names.flat]
            return np.array(texts).reshape(names.shape)
    except UnicodeDecodeError as error:
        raise SpeciesError(f"a species is in bytes that are no UTF-8 ({error}): give text such as 'A'") from None
    return names


def _is_missing(name: Any) -> bool:
    try:
        return name is None or bool(name != name)
    except TypeError:  # of pandas.NA, which is neither
        return True


def constant_species(species: Any, n_particles: int) -> np.ndarray:
    """Names (particle,) of what is given for all frames or for each."""
    names = names_given(species)
    if names.ndim == 2:
        changed = (names != names[0]).any(axis=1)
        if changed.any():
            frame = int(np.argmax(changed))
            particle = int(np.argmax(names[frame] != names[0]))
            raise SpeciesError(
                f"frame {frame}, particle {particle}: species is {names[frame, particle]}, in frame 0 it was "
                f"{names[0, particle]}: split the frames into trajectories of constant species"
            )
        names = names[0]
    if names.shape != (n_particles,):
        raise SpeciesError(f"species has shape {names.shape}, expected ({n_particles},), one name for each particle")
    return names.astype(str)
