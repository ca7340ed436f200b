"""dask-ml's IncrementalPCA beside the exact one: why moments in one pass are the default."""

from __future__ import annotations

import time

import dask.array as da
import numpy as np
from report import Report, plain

import glassdask as gd
from glassdask import plotting
from paper_a import figures
from paper_a.structure import Shell

SIZES = (100, 300, 1000, 3000)  # rows of a chunk
METHODS = {"exact": "moments in one pass (default)", "incremental": "IncrementalPCA of dask-ml"}


def compare(shell: Shell, report: Report) -> None:
    """Error of the EVR and of the directions, and CPU time, of both methods against the size of chunks."""
    matrix = shell.rows("sbo").astype(np.float64)
    values, vectors = np.linalg.eigh(np.cov(matrix.T))
    ratio, directions = values[::-1] / values.sum(), vectors.T[::-1]
    table: dict[str, list[float]] = {"rows_of_a_chunk": list(SIZES)}
    for method in METHODS:
        for size in SIZES:
            begun = time.process_time()
            try:
                pca = gd.learning.PCA(2, method=method).fit(da.from_array(matrix, chunks=(size, matrix.shape[1])))
            except gd.errors.MissingPackageError as error:
                report.notes.append(f"IncrementalPCA beside the exact PCA is left out: {error}")
                return
            found = {
                "seconds": time.process_time() - begun,
                "evr_error": float(np.abs(pca.explained_variance_ratio_ - ratio[:2]).max()),
                "direction_error": float(1 - gd.learning.principal_cosines(pca.components_, directions[:2]).min()),
            }
            for name, value in found.items():
                table.setdefault(f"{method}_{name}", []).append(max(value, 1e-17))
    path = report.figure(
        "why_exact_pca",
        f"Exact PCA and dask-ml's IncrementalPCA on {len(matrix)} rows of SBO ({plain(shell.state.title)}, {shell.role}"
        " particles): errors against a dense eigenproblem, and CPU time. The exact one does not depend on the chunks.",
    )
    drawn, axes = plotting.figure(1, 3)
    labels = ("CPU time / s", "greatest error of an EVR", "1 - least cosine of the planes")
    for ax, name, label in zip(axes[0], ("seconds", "evr_error", "direction_error"), labels):
        for (method, title), color in zip(METHODS.items(), figures.COLORS):
            ax.plot(SIZES, table[f"{method}_{name}"], "o-", color=color, markersize=3, linewidth=1, label=title)
        ax.set(xlabel="rows of a chunk", ylabel=label, xscale="log", yscale="log")
    axes[0, 1].legend(frameon=False, fontsize=7)
    plotting.save(drawn, path, table)
