"""What descriptors of neighbours have in common: who the neighbours are, how that is checked, and what it says."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import Any, ClassVar

from glassdask.declarations import PairValues
from glassdask.descriptors.base import Descriptor, Search
from glassdask.descriptors.weights import Weigh, bonds
from glassdask.neighborhood.nearest import Cutoff, Neighborhood, one_of_both, refuse_weights


def _with_parameters(doc: str, shared: str) -> str:
    """A docstring with the paragraphs of another one about parameters that it does not tell of itself.

    >>> print(_with_parameters("A.\\n\\nNotes\\n-----\\nB.", "C.\\n\\nParameters\\n----------\\nx : int\\n    D."))
    A.
    <BLANKLINE>
    Parameters
    ----------
    x : int
        D.
    <BLANKLINE>
    Notes
    -----
    B.
    """
    heading = "\n\nParameters\n----------\n"
    doc = inspect.cleandoc(doc)
    before, found, after = doc.partition(heading)
    if not found:  # in front of the next section
        following = re.search(r"\n\n\w+\n---", doc)
        before, after = (doc[: following.start()], doc[following.start() :]) if following else (doc, "")
    own, blank, rest = after.partition("\n\n") if found else ("", "", after)
    told = {name for names in re.findall(r"^(\w.*?) :", own, re.MULTILINE) for name in names.split(", ")}
    paragraphs = re.split(r"\n(?=\w)", inspect.cleandoc(shared).partition(heading)[2])
    new = [text for text in paragraphs if text and text.partition(" :")[0] not in told]
    listed = "\n".join([*([own] if own else []), *new])
    return f"{before}{heading}{listed}{blank}{rest}" if listed else doc


@dataclass(frozen=True, kw_only=True)
class OfNeighbors(Descriptor):
    """Base of descriptors whose neighbours are named by cutoffs or by another rule.

    The paragraphs about these parameters enter the docstrings of subclasses that do not have any of their own.

    Parameters
    ----------
    cutoffs : float or dict, optional
        Neighbours are closer than this distance, one for all or one for each pair of species, such as the
        `first_minima` of g_ab(r).
    neighbors : rule for neighbours, optional
        Instead of `cutoffs`, another rule, such as ``KNearest(12)`` or ``Voronoi()``.
    """

    weighed: ClassVar[bool] = True  # whether the weights that a rule gives its neighbours mean anything here
    cutoffs: PairValues | None = None
    neighbors: Neighborhood | None = None

    def __init_subclass__(cls, **given: Any) -> None:
        super().__init_subclass__(**given)
        cls.__doc__ = _with_parameters(cls.__doc__ or "", cls.__mro__[1].__doc__ or "")

    def check(self) -> None:
        """See `Declaration.check`: neighbours are given in exactly one of two ways."""
        one_of_both(self.cutoffs, self.neighbors, type(self).__name__)
        self.check_weights()

    def check_weights(self) -> None:
        """`ParameterError` where a rule weighs neighbours that count alike here."""
        if not self.weighed:
            refuse_weights(self.neighbors, type(self).__name__)

    def rule(self, names: tuple[str, ...]) -> Neighborhood:
        """The rule, that of the cutoffs too; it knows the species `names`."""
        rule = self.neighbors or Cutoff(self.cutoffs or {})
        rule.reach(names)
        return rule

    def bonds(self, names: tuple[str, ...]) -> tuple[Search, Weigh]:
        """The search of a plan, and the weights of the neighbours that it finds: 0 for those who are none."""
        return bonds(self.cutoffs, self.neighbors, names)


@dataclass(frozen=True, kw_only=True)
class OfBonds(OfNeighbors):
    """Base of descriptors of neighbours that may be those of some species only.

    Parameters
    ----------
    neighbor_species : str or tuple of str, default "all"
        ``"all"``, ``"other"`` (species unlike the centre's, for network formers) or a tuple of names.
    """

    neighbor_species: str | tuple[str, ...] = "all"

    def bonds(self, names: tuple[str, ...]) -> tuple[Search, Weigh]:
        """See `OfNeighbors.bonds`."""
        return bonds(self.cutoffs, self.neighbors, names, self.neighbor_species)
