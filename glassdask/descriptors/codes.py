"""By which code a stored descriptor or reduction would be computed now."""

from __future__ import annotations

from typing import Any

from glassdask.code import digest
from glassdask.declarations import TAG
from glassdask.descriptors.places import PLACES
from glassdask.errors import GlassdaskError

# What computes a reduction, by the estimator that it was fitted with.
CLASSES = ("GaussianMixture", "KMeans", "CommunityInference")
ESTIMATORS = {"PCA": ("glassdask.descriptors.reduce:reduce",)} | {
    name: ("glassdask.descriptors.classify:classify", f"glassdask.learning.classes:{name}") for name in CLASSES
}


def codes_now(kind: str, parameters: dict[str, Any]) -> list[str | None]:
    """The digests that the attribute ``code`` of a stored descriptor or reduction would have now.

    One that cannot be told is None: of something that is not installed, or of features that are not known.
    """
    if kind == "reductions":
        places = ESTIMATORS.get(str(parameters.get("estimator")))
        if places is None:
            return []
        described = parameters.get("descriptor")
        features = codes_now("descriptors", described) if described else []
        return [*features, digest(*places)]
    values = {name: value for name, value in parameters.items() if name not in ("centers", "dtype", "structures")}
    place = PLACES.get(values.get(TAG, ""))
    others = any(isinstance(value, (dict, list)) and f"'{TAG}'" in str(value) for value in values.values())
    if place is not None and not others:
        # its class alone, with no other declaration in it: sources are read, and nothing is imported
        return [digest(place, "glassdask.descriptors.describe:_Work")]
    from glassdask.descriptors.describe import code_of
    from glassdask.descriptors.registry import make

    try:
        return [code_of(make("", values))]
    except GlassdaskError:
        return [None]


def outdated(kind: str, attrs: dict[str, Any]) -> bool:
    """Whether a descriptor, or a reduction of one, was computed by other code; what others have made is not known."""
    made_by = str(attrs.get("code") or "").split()
    parameters = attrs.get("parameters")
    now = codes_now(kind, parameters) if made_by and isinstance(parameters, dict) else []
    return any(known not in (None, made) for made, known in zip(made_by, now))
