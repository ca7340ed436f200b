"""Grad-CAM: what in an image speaks for a class (paper C, Sec. III B); torch is imported when it is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from glassdask.declarations import converted, flags
from glassdask.errors import ParameterError
from glassdask.learning.images import feature_shape, map_images


def grad_cam(model: Any, X: Any, target: Any, *, layer: int = -1, rectify: bool = True) -> Any:
    r"""Gradient-weighted class activation map of every image for one class.

    .. math::
        \alpha_m^C = \frac{1}{Z} \sum_{kl} \frac{\partial y^C}{\partial A^m_{kl}}, \quad
        L^C = \mathrm{ReLU}\Big(\sum_m \alpha_m^C A^m\Big)

    with the score :math:`y^C` before the softmax and the activations :math:`A^m` of a convolution, after its ReLU, of Z
    points each (paper C, Eqs. 3-4; R. Selvaraju et al., Int. J. Comput. Vis. 128, 336 (2020)). The network is that of
    `ConvolutionalClassifier`.

    Parameters
    ----------
    model : ConvolutionalClassifier
        A fitted one.
    X : object
        Images (sample, channel, x, y[, z]) NumPy, dask or DataArray.
    target : object
        The class C, one of ``model.classes_``.
    layer : int
        Which convolution, counted as Python counts; by default the last, as usual.
    rectify : bool
        False leaves the outer ReLU out: what speaks against the class is then negative instead of zero.

    Returns
    -------
    array (sample, x, y[, z])
        Not negative if rectified, on the points of the feature maps: those of the images where all strides are 1; lazy
        for dask. `glassdask.fields.from_grid` shares it among the particles.

    Raises
    ------
    ParameterError
        When the class or the layer is unknown, the model is not fitted, or images have another shape.

    Examples
    --------
    >>> from glassdask.learning import ConvolutionalClassifier
    >>> images = np.random.default_rng(0).random((6, 1, 8, 8))
    >>> model = ConvolutionalClassifier(filters=(2,), kernel_sizes=(3,), strides=(1,), dense=4, epochs=1,
    ...                                 device="cpu").fit(images, ["glass", "liquid"] * 3)
    >>> score = grad_cam(model, images, "glass")
    >>> score.shape, bool((score >= 0).all())
    ((6, 8, 8), True)
    """
    flags(rectify=rectify)
    model.check_fitted()
    classes = model.classes_.tolist()
    if target not in classes:
        raise ParameterError(f"class {target!r} is not among those trained on: {classes}")
    n = len(model.filters)
    layer = converted(layer, int, "grad_cam.layer")
    if not -n <= layer < n:
        found = f"expected {-n} to {n - 1}, found {layer}"
        raise ParameterError(f"grad_cam.layer: the network has {n} convolutions, {found}")
    number = layer % n
    shape = feature_shape(model.image_shape_, model.kernel_sizes[: number + 1], model.strides[: number + 1])
    return map_images(_grad_cam, model, X, shape, classes.index(target), number, rectify)


def _grad_cam(model: Any, images: np.ndarray, code: int, layer: int, rectify: bool) -> np.ndarray:
    import torch

    from glassdask.learning.convolution_training import PIECE, as_tensor, deterministic, network_of
    from glassdask.learning.training import device_of

    device = device_of(model.device)
    network = network_of(model, device)
    head, tail = network.maps[: 2 * layer + 2], network.maps[2 * layer + 2 :]  # each convolution and its ReLU
    parts = []
    for k in range(0, len(images), PIECE):
        with deterministic():
            with torch.no_grad():
                maps = head(as_tensor(model, images[k : k + PIECE], device))
            maps.requires_grad_()
            # each image has a score of its own, so the gradient of their sum is that of each
            (gradient,) = torch.autograd.grad(network.scores(tail(maps))[:, code].sum(), maps)
            weight = gradient.mean(dim=tuple(range(2, maps.ndim)), keepdim=True)
            score = (weight * maps.detach()).sum(dim=1)
        parts.append((score.relu() if rectify else score).double().cpu().numpy())
    points = feature_shape(model.image_shape_, model.kernel_sizes[: layer + 1], model.strides[: layer + 1])
    return np.concatenate(parts) if parts else np.empty((0, *points))
