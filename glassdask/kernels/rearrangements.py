"""The affine map that is nearest to how the neighbours of a particle moved, and what it leaves (Falk and Langer)."""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel

# Neighbours nearer to a plane (a line in two dimensions) than this determine no strain: det Y against (tr Y / d)^d.
FLAT = 1e-10


@kernel
def nonaffine(centers, offsets, index, vector, moved, folded, affine, box, dimension, scratch, residual, gradient):
    """D2min and local deformation gradient of some particles.

    `centers` (C,), `offsets` (C + 1,), `index` (P,), `vector` (4, P): neighbours in the reference. `moved` (N, 3)
    displacements of all particles as fractions of the deformed `box` (3, 3), apart from the affine map `affine` (3, 3)
    of the box, r' = r @ affine + moved @ box; with `folded` 1 only defined up to whole box vectors, with 0 exactly.
    `scratch` (3, longest list). Outputs: `residual` (C,) the sum over neighbours of what the best local map leaves;
    `gradient` (C, 3, 3) that map, r' = r @ gradient. Both NaN where the neighbours do not span the space.
    """
    for c in range(centers.shape[0]):
        i = centers[c]
        begin = offsets[c]
        n = offsets[c + 1] - begin
        x = vector[0, begin : begin + n]
        y = vector[1, begin : begin + n]
        z = vector[2, begin : begin + n]
        u = scratch[0, :n]
        v = scratch[1, :n]
        w = scratch[2, :n]
        for m in range(n):
            j = index[begin + m]
            a = moved[j, 0] - moved[i, 0]
            b = moved[j, 1] - moved[i, 1]
            g = moved[j, 2] - moved[i, 2]
            a -= folded * np.floor(a + 0.5)
            b -= folded * np.floor(b + 0.5)
            g -= folded * np.floor(g + 0.5)
            u[m] = a * box[0, 0] + b * box[1, 0] + g * box[2, 0]
            v[m] = a * box[0, 1] + b * box[1, 1] + g * box[2, 1]
            w[m] = a * box[0, 2] + b * box[1, 2] + g * box[2, 2]
        # Y = sum r r, X = sum r (r' - r affine)
        xx = 0.0
        xy = 0.0
        xz = 0.0
        yy = 0.0
        yz = 0.0
        # in the plane: as if one neighbour above stayed where it is
        zz = 1.0 if dimension == 2 else 0.0
        xu = 0.0
        xv = 0.0
        xw = 0.0
        yu = 0.0
        yv = 0.0
        yw = 0.0
        zu = 0.0
        zv = 0.0
        zw = 0.0
        for m in range(n):
            xx += x[m] * x[m]
            xy += x[m] * y[m]
            xz += x[m] * z[m]
            yy += y[m] * y[m]
            yz += y[m] * z[m]
            zz += z[m] * z[m]
            xu += x[m] * u[m]
            xv += x[m] * v[m]
            xw += x[m] * w[m]
            yu += y[m] * u[m]
            yv += y[m] * v[m]
            yw += y[m] * w[m]
            zu += z[m] * u[m]
            zv += z[m] * v[m]
            zw += z[m] * w[m]
        # cofactors of Y
        axx = yy * zz - yz * yz
        axy = xz * yz - xy * zz
        axz = xy * yz - xz * yy
        ayy = xx * zz - xz * xz
        ayz = xy * xz - xx * yz
        azz = xx * yy - xy * xy
        determinant = xx * axx + xy * axy + xz * axz
        if dimension == 2:
            scale = 0.25 * (xx + yy) * (xx + yy)
        else:
            mean = (xx + yy + zz) / 3.0
            scale = mean * mean * mean
        if not determinant > FLAT * scale:
            residual[c] = np.nan
            for p in range(3):
                for q in range(3):
                    gradient[c, p, q] = np.nan
            continue
        inverse = 1.0 / determinant
        gxu = (axx * xu + axy * yu + axz * zu) * inverse
        gxv = (axx * xv + axy * yv + axz * zv) * inverse
        gxw = (axx * xw + axy * yw + axz * zw) * inverse
        gyu = (axy * xu + ayy * yu + ayz * zu) * inverse
        gyv = (axy * xv + ayy * yv + ayz * zv) * inverse
        gyw = (axy * xw + ayy * yw + ayz * zw) * inverse
        gzu = (axz * xu + ayz * yu + azz * zu) * inverse
        gzv = (axz * xv + ayz * yv + azz * zv) * inverse
        gzw = (axz * xw + ayz * yw + azz * zw) * inverse
        total = 0.0
        for m in range(n):
            du = u[m] - (x[m] * gxu + y[m] * gyu + z[m] * gzu)
            dv = v[m] - (x[m] * gxv + y[m] * gyv + z[m] * gzv)
            dw = w[m] - (x[m] * gxw + y[m] * gyw + z[m] * gzw)
            total += du * du + dv * dv + dw * dw
        residual[c] = total
        gradient[c, 0, 0] = affine[0, 0] + gxu
        gradient[c, 0, 1] = affine[0, 1] + gxv
        gradient[c, 0, 2] = affine[0, 2] + gxw
        gradient[c, 1, 0] = affine[1, 0] + gyu
        gradient[c, 1, 1] = affine[1, 1] + gyv
        gradient[c, 1, 2] = affine[1, 2] + gyw
        gradient[c, 2, 0] = affine[2, 0] + gzu
        gradient[c, 2, 1] = affine[2, 1] + gzv
        gradient[c, 2, 2] = affine[2, 2] + gzw
