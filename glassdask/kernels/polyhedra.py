"""Volumes and faces of convex cells around a point."""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel


@kernel
def measure(center, vertices, vertex_starts, loops, loop_starts, face_starts, volume, radius, area, edges):
    """Volume and largest vertex distance of each cell; area and number of edges of each face.

    `center` (C, 3); `vertices` (V, 3), those of cell c from ``vertex_starts[c]``; `loops` (L,) the faces of cell c
    from ``loop_starts[c]``, each as its number of vertices followed by their indices in order around the face;
    `face_starts` (C + 1,). Outputs: `volume`, `radius` (C,), `area`, `edges` (faces,). A cell without faces has volume
    and radius 0.
    """
    for c in range(center.shape[0]):
        x0 = center[c, 0]
        y0 = center[c, 1]
        z0 = center[c, 2]
        first = vertex_starts[c]
        largest = 0.0
        for v in range(first, vertex_starts[c + 1]):
            x = vertices[v, 0] - x0
            y = vertices[v, 1] - y0
            z = vertices[v, 2] - z0
            largest = max(largest, x * x + y * y + z * z)
        radius[c] = np.sqrt(largest)
        total = 0.0
        at = loop_starts[c]
        for f in range(face_starts[c], face_starts[c + 1]):
            n = loops[at]
            a = first + loops[at + 1]
            ax = vertices[a, 0]
            ay = vertices[a, 1]
            az = vertices[a, 2]
            # the vector area of a planar polygon: the sum over a fan of triangles, whatever its first vertex
            sx = 0.0
            sy = 0.0
            sz = 0.0
            for k in range(2, n):
                b = first + loops[at + k]
                d = first + loops[at + k + 1]
                bx = vertices[b, 0] - ax
                by = vertices[b, 1] - ay
                bz = vertices[b, 2] - az
                dx = vertices[d, 0] - ax
                dy = vertices[d, 1] - ay
                dz = vertices[d, 2] - az
                sx += 0.5 * (by * dz - bz * dy)
                sy += 0.5 * (bz * dx - bx * dz)
                sz += 0.5 * (bx * dy - by * dx)
            area[f] = np.sqrt(sx * sx + sy * sy + sz * sz)
            edges[f] = n
            total += (sx * (ax - x0) + sy * (ay - y0) + sz * (az - z0)) / 3.0
            at += n + 1
        volume[c] = abs(total)
