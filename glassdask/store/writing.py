"""Store datasets block by block: each task computes a block, writes it and returns a receipt; what is there is kept."""

from __future__ import annotations

import hashlib
import json
import math
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dask
import numpy as np
import xarray as xr

from glassdask.declarations import flags
from glassdask.errors import CorruptStoreError, StoreError
from glassdask.files import one_line
from glassdask.schema import validate
from glassdask.store import layout
from glassdask.store.arrays import (
    ArrayInfo,
    arrays,
    create_array,
    finish,
    is_stored,
    missing_chunks,
    write_region,
)
from glassdask.store.blocks import is_lazy, write_blocks
from glassdask.store.checks import verify
from glassdask.store.encoding import encode_names, encode_text, is_text
from glassdask.store.groups import (
    COMPLETE,
    WRITING,
    attributes,
    content_hash,
    create_group,
    create_parents,
    is_group,
    plain,
    remove_group,
    set_attributes,
)
from glassdask.store.locks import locked
from glassdask.store.origins import out_of_date
from glassdask.store.progress import Progress
from glassdask.store.reading import HIDDEN
from glassdask.store.restoring import recover
from glassdask.store.stored import with_dask
from glassdask.variables import TRAJECTORY, VARIABLES

# attributes that are made anew when a dataset that was opened is stored again
RENEWED = ("schema_version", "glassdask_version", "created", "versions", "store", "made_from", "code")


def create_trajectory(
    path: str | os.PathLike[str],
    *,
    n_frames: int,
    species: Any,
    n_space: int,
    dtypes: dict[str, Any],
    n_particles: int | None = None,
    columns: dict[str, tuple[tuple[str, ...], tuple[int, ...], Any, dict[str, str]]] | None = None,
    attrs: dict[str, Any] | None = None,
) -> int:
    """Prepare a store for a trajectory that is written block by block; returns the frames in one block.

    Parameters
    ----------
    path : path
        The group. Where it exists (an interrupted ingestion) only what is missing is created.
    n_frames, n_space : int
        Sizes of the trajectory.
    species : array (particle,)
        Name of the species of each particle. It is stored at once.
    n_particles : int, optional
        Where species are of each frame: `species` are then all names that there are, and the codes, which are indices
        into these, sorted, are written with the frames.
    dtypes : dict
        Types of the other variables, of `glassdask.variables.TRAJECTORY`: at least position and box.
    columns : dict, optional
        Of each further variable (frame, particle, ...) the dimensions and sizes behind these two, dtype and attributes.
    attrs : dict, optional
        Attributes of the group: sources, parameters, key, ...
    """
    names = np.asarray(species)
    codes, flags = encode_names(names, f"{path}: species")
    sizes = {"frame": n_frames, "particle": n_particles or len(names), "space": n_space, "axis": n_space}
    chunk, shard = layout.trajectory_layout(n_frames, sizes["particle"], n_space, np.dtype(dtypes["position"]).itemsize)
    text = {
        name: encode_text(np.array(list(letters[:n_space])), (name,), VARIABLES[name].attrs, name)
        for name, letters in (("space", "xyz"), ("axis", "abc"))
    }
    create_group(path, attrs={**(attrs or {}), "text": text, "coordinates": "time" if "time" in dtypes else ""})
    wanted: dict[str, tuple[tuple[str, ...], tuple[int, ...], Any, dict[str, Any]]] = {}
    for name, dtype in {**dtypes, "species": codes.dtype}.items():
        described = TRAJECTORY[name]
        dims = ("frame", *described.dims) if name == "species" and n_particles is not None else described.dims
        shape = tuple(sizes[dim] for dim in dims)
        wanted[name] = (dims, shape, dtype, {**described.attrs, **(flags if name == "species" else {})})
    for name, (more, more_sizes, dtype, known) in (columns or {}).items():
        wanted[name] = (("frame", "particle", *more), (n_frames, sizes["particle"], *more_sizes), dtype, known)
    for name, (dims, shape, dtype, known) in wanted.items():
        create_array(
            path,
            name,
            shape,
            layout.chunks_of(dims, shape, chunk),
            dtype,
            dims,
            known,
            shards=layout.chunks_of(dims, shape, shard) if shard else None,
            decimal=True,
        )
    if n_particles is None:
        write_region(path, "species", (slice(None),), codes)
    return (shard or chunk)[0]


@one_line
def save_trajectory(
    dataset: xr.Dataset, path: str | os.PathLike[str], *, overwrite: bool = False, progress: Progress | None = None
) -> None:
    """Store a trajectory, in memory or lazy; the same call continues where an earlier one was interrupted.

    The same is told by `dask.base.tokenize`: an interrupted call with lazy arrays that dask names anew each time (such
    as unnamed `dask.delayed` calls) is not recognised, and asks for `overwrite`.

    Parameters
    ----------
    dataset : xarray.Dataset
        A trajectory (see `glassdask.schema`). Lazy variables are computed block by block by the current dask scheduler;
        every block of positions is checked.
    path : path
        A new store, or a state point inside a tree, such as ``sweep.zarr/KA/T=0.450``.
    overwrite : bool
        Replace a trajectory that is there, with all that was derived from it.
    progress : callable, optional
        Called with the number of blocks that are stored and of all blocks.

    Raises
    ------
    SchemaError, SpeciesError, BoxError, PositionError
        The dataset is not a valid trajectory.
    StoreError
        The path cannot be written, or holds another trajectory.
    """
    flags(overwrite=overwrite)
    dataset = with_dask(validate(dataset))
    group = layout.checked_path(path)
    attrs = {key: value for key, value in dataset.attrs.items() if key not in (*HIDDEN, *RENEWED)}
    sizes = (dataset.sizes["frame"], dataset.sizes["particle"])
    bytes_each = max(_bytes_of_particle(dataset[name]) for name in dataset.variables if "frame" in dataset[name].dims)
    grid, shard = layout.trajectory_layout(*sizes, bytes_each, 1)
    token = dask.base.tokenize(dataset.drop_attrs(deep=False))
    key = hashlib.sha256(json.dumps([token, grid, shard]).encode()).hexdigest()
    with locked(group):
        lazy = _prepare(dataset, group, {**attrs, "key": key}, grid, shard, overwrite)
        if lazy is not None:
            write_blocks(lazy, shard or grid, progress)
            finish(group)


def _bytes_of_particle(values: xr.DataArray) -> int:
    """Bytes of one particle in one frame, of a variable that has both; of positions those that they always had."""
    others = [size for dim, size in values.sizes.items() if dim not in ("frame", "particle")]
    return math.prod(others) * values.dtype.itemsize if "particle" in values.dims else 1


def write_dataset(
    dataset: xr.Dataset,
    path: str | os.PathLike[str],
    group: str,
    *,
    parameters: dict[str, Any],
    code: str = "",
    made_from: dict[str, str] | None = None,
    overwrite: bool = False,
    on_block: Progress | None = None,
) -> None:
    """Store a derived dataset in a group below a store: `write_datasets` of one."""
    flags(overwrite=overwrite)
    before = {group: made_from or {}}
    write_datasets(
        {group: dataset}, path, parameters={group: parameters}, code={group: code}, made_from=before,
        overwrite=overwrite, on_block=on_block,
    )  # fmt: skip


@one_line
def write_datasets(
    datasets: dict[str, xr.Dataset],
    path: str | os.PathLike[str],
    *,
    parameters: dict[str, dict[str, Any]],
    code: dict[str, str] | None = None,
    made_from: dict[str, dict[str, str]] | None = None,
    overwrite: bool = False,
    on_block: Progress | None = None,
) -> None:
    """Store derived datasets in groups below a store; the same call continues where an earlier one was interrupted.

    One task computes and writes one block of all variables of all datasets and returns a receipt: results are never
    gathered, and what several variables are cut from is computed once. The blocks are the dask chunks.

    Parameters
    ----------
    datasets : dict
        For each group below the store (such as ``descriptors/sbo``) its dataset: lazy variables with common chunks
        along frame and particle and whole along the others; what is in memory is written by the caller's process.
    path : path
        The store that holds the trajectory from which they were derived.
    parameters : dict
        For each group, what its dataset was computed with. Together with the content of the trajectory, `code`, and
        the sizes and coordinates of the dataset it decides whether what is stored there is the same: then only what is
        missing is computed.
    code : dict, optional
        For each group, the `glassdask.code.digest` of what computes it. A group that was begun by other code is not
        continued.
    made_from : dict, optional
        For each group, the other groups of the store that it was made from, with their keys, which then belong to its
        own: once one of them has changed, it is out of date.
    overwrite : bool
        Replace groups of other input, parameters or code, and damaged ones; what is the same is kept, or continued
        where it was interrupted. A complete group whose `code` is not told is computed again, too.
    on_block : callable, optional
        Called with the number of blocks that are stored and of all blocks, now and then, from another thread.

    Raises
    ------
    StoreError
        Another dataset is stored there, or the file system refuses. What was stored stays.

    Examples
    --------
    >>> import tempfile, numpy as np, glassdask as gd
    >>> from glassdask.store import open_descriptors, save_trajectory, write_datasets
    >>> folder = tempfile.TemporaryDirectory()
    >>> t = gd.from_arrays(np.array([[[0.5, 0.5], [1.5, 0.5]]]), species=["A", "B"], box=[2.0, 2.0])
    >>> save_trajectory(t, folder.name + "/run.zarr")
    >>> half = (t[["position"]] / 2).rename(position="half").chunk(particle=1)
    >>> name = "descriptors/half"
    >>> write_datasets({name: half}, folder.name + "/run.zarr", parameters={name: {"by": 2}})
    >>> open_descriptors(folder.name + "/run.zarr")["half"].values.tolist()
    [[[0.25, 0.25], [0.75, 0.25]]]
    >>> folder.cleanup()
    """
    flags(overwrite=overwrite)
    root = layout.checked_path(path)
    grid = (_largest_chunk(datasets, "frame"), _largest_chunk(datasets, "particle"))
    begun: dict[Path, list[tuple[ArrayInfo, xr.Variable]]] = {}
    with ExitStack() as locks:
        # all of them before any is begun, and in one order: of two commands with groups in common one has them all
        for name in sorted(datasets):
            group = root / layout.checked_name(name)
            create_parents(group, below=root)
            locks.enter_context(locked(group))
        for name, dataset in datasets.items():
            group = root / name
            origin = content_hash(root)
            before = (made_from or {}).get(name, {})
            made_by = (code or {}).get(name, "")
            known = json.dumps([plain(parameters[name]), origin, made_by, _labels(dataset), before], sort_keys=True)
            attrs = {key: value for key, value in dataset.attrs.items() if key not in (*HIDDEN, *RENEWED, "sources")}
            attrs |= {
                "parameters": parameters[name],
                "input": origin,
                "stored_as": name,
                "code": made_by,
                "made_from": before,
                "key": hashlib.sha256(known.encode()).hexdigest(),
            }
            lazy = _prepare(dataset, group, attrs, grid, None, overwrite)
            if lazy is not None:
                begun[group] = lazy
        write_blocks([item for lazy in begun.values() for item in lazy], grid, on_block)
        for group in begun:
            finish(group)
            reason = out_of_date(group)
            if reason:  # the trajectory, or what it was made from, has changed meanwhile
                raise StoreError(f"{group}: {reason}")


def _labels(dataset: xr.Dataset) -> list[Any]:
    """What tells a selection of frames or particles from another: the sizes, and the coordinates in memory."""
    labels = {str(name): c.variable for name, c in dataset.coords.items() if not is_lazy(c.variable)}
    tokens = {name: [list(map(str, v.dims)), _token(np.asarray(v.values))] for name, v in labels.items()}
    return [{str(dim): size for dim, size in dataset.sizes.items()}, tokens]


def _token(values: np.ndarray) -> list[Any]:
    """What identifies an array, the same for equal dtypes that are spelled differently ("<f8" and "float64")."""
    if values.dtype.hasobject:
        return [dask.base.tokenize(values.tolist())]
    return [values.dtype.str, list(values.shape), hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()]


def _largest_chunk(datasets: dict[str, xr.Dataset], dim: str) -> int:
    """The chunk of lazy variables along a dimension; its size where there are none."""
    having = [v for dataset in datasets.values() for v in dataset.variables.values() if dim in v.dims]
    lazy = [size for variable in having if is_lazy(variable) for size in variable.chunksizes[dim]]
    return max(lazy or [1, *(variable.sizes[dim] for variable in having)])


def _prepare(
    dataset: xr.Dataset,
    group: Path,
    attrs: dict[str, Any],
    grid: tuple[int, int],
    shard: tuple[int, int] | None,
    overwrite: bool,
) -> list[tuple[ArrayInfo, xr.Variable]] | None:
    """Begin a group or go on with it: store what is in memory, give what is lazy; None where all is stored."""
    variables, text = _encoded(dataset, group)
    coordinates = " ".join(str(name) for name in dataset.coords if name not in dataset.dims and name not in text)
    attrs = plain({**attrs, "text": text, "coordinates": coordinates})
    units = {name: layout.chunks_of(tuple(map(str, v.dims)), v.shape, shard or grid) for name, v in variables.items()}
    if not _begin(dataset, group, attrs, overwrite, units):
        return None
    create_group(group, attrs=attrs)
    lazy = []
    for name, variable in variables.items():
        dims = tuple(map(str, variable.dims))
        info = create_array(
            group,
            name,
            variable.shape,
            layout.chunks_of(dims, variable.shape, grid),
            variable.dtype,
            dims,
            # but not the name of the graph that makes it here and now, see `glassdask.store.identity`
            {key: value for key, value in variable.attrs.items() if key != "graph"},
            shards=layout.chunks_of(dims, variable.shape, shard) if shard else None,
            decimal=name in TRAJECTORY,
        )
        if is_lazy(variable):
            lazy.append((info, variable))
            continue
        for region in info.regions():
            if not is_stored(info.file(region)):
                write_region(group, name, region, np.asarray(variable.data[region]))
    return lazy


def _encoded(dataset: xr.Dataset, group: Path) -> tuple[dict[str, xr.Variable], dict[str, Any]]:
    """The variables as numbers, and the text that goes into the attributes of the group."""
    variables, text = {}, {}
    for name, variable in dataset.variables.items():
        dims, where = tuple(map(str, variable.dims)), f"{group}: {name}"
        if not is_text(variable.dtype):
            variables[str(name)] = variable
        elif dims in (("particle",), ("frame", "particle")):
            codes, flags = encode_names(variable.values, where)
            variables[str(name)] = xr.Variable(dims, codes, {**variable.attrs, **flags})
        else:
            text[str(name)] = encode_text(variable.values, dims, plain(variable.attrs), where)
            text[str(name)]["coordinate"] = name in dataset.coords
    return variables, text


def _begin(
    dataset: xr.Dataset, group: Path, attrs: dict[str, Any], overwrite: bool, units: dict[str, tuple[int, ...]]
) -> bool:
    """Whether there is something to do; removes what is to be overwritten and refuses what must not be.

    `units` are the chunks (shards) of each array; an interrupted group that is cut otherwise cannot be continued.
    """
    recover(group)
    if not is_group(group) or "status" not in (found := attributes(group)):
        return True
    same, complete = found.get("key") == attrs["key"], found["status"] == COMPLETE
    try:
        there = arrays(group)
    except CorruptStoreError:
        if not overwrite:
            raise
        remove_group(group)
        return True
    whole = complete and {info.name for info in there} >= {*units} and not any(map(missing_chunks, there))
    damaged = same and overwrite and whole and bool(attrs.get("code")) and bool(verify(group))
    can_go_on = not damaged and all(units.get(info.name, info.unit) == info.unit for info in there)
    # without its code, who overwrites a result may know of a difference that its key does not tell
    kept = ((whole and not damaged) or can_go_on) if attrs.get("code") else (can_go_on and not complete)
    if same and (kept or not overwrite):
        if not whole:
            set_attributes(group, status=WRITING)
        return not whole
    if not overwrite:
        state = "" if complete else "interrupted "
        alike = all(found.get(name) == attrs.get(name) for name in ("parameters", "input", "made_from"))
        other_code = alike and bool(attrs.get("code")) and found.get("code") != attrs["code"]
        made = f"glassdask {found.get('glassdask_version')}, {found.get('created')}"
        what = f"results of other code ({made})" if other_code else "data of other input, parameters or code"
        raise StoreError(f"{group}: holds {state}{what}: replace it with `overwrite=True`, or choose another name")
    source = dataset.attrs.get("store")
    if source is not None and Path(source).resolve() == group.resolve():
        raise StoreError(f"{group}: cannot be overwritten with what is read from it: choose another path")
    remove_group(group)
    return True
