"""Declarations check what they are given, in Python and from files alike, and name the path of what is wrong."""

from __future__ import annotations

import dataclasses
import json
import pickle
from abc import ABC, abstractmethod
from typing import Literal

import numpy as np
import pytest

from glassdask.declarations import (
    Count,
    Declaration,
    Finite,
    NotNegative,
    PairValues,
    Positive,
    converted,
    digest,
    family,
    make,
    pair_of,
    pair_text,
    plain,
    read_pairs,
)
from glassdask.errors import ParameterError, SpeciesError
from glassdask.neighborhood.cutoffs import pair_matrix
from glassdask.texts import read_toml


class Rule(Declaration):
    """A family."""


@dataclasses.dataclass(frozen=True)
class NearOnes(Rule):
    k: Count


@dataclasses.dataclass(frozen=True)
class All(Rule):
    pass


@dataclasses.dataclass(frozen=True, kw_only=True)
class Thing(Declaration):
    degree: int = 8
    width: Positive = 1.0
    rule: Rule | None = None
    cutoffs: PairValues | None = None
    kind: Literal["a", "b"] = "a"
    signature: tuple[int, ...] | dict[str, tuple[int, ...]] = ()
    species: str | tuple[str, ...] = "all"
    rules: tuple[Rule, ...] = ()
    table: dict[str, Rule] = dataclasses.field(default_factory=dict)
    model: str | Rule = "x"
    limits: tuple[Positive, Positive] = (1.0, 2.0)
    range: Positive | tuple[Positive, Positive] = 1.0
    flag: bool = False
    shift: NotNegative = 0.0
    offset: Finite = 0.0

    def check(self) -> None:
        if self.limits[0] > self.limits[1]:
            raise ParameterError(f"limits {self.limits}: expected the smaller one first")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"degree": np.int64(3)}, 3),
        ({"width": 2}, 2.0),
        ({"width": np.float32(0.5)}, 0.5),
        ({"rule": "all"}, All()),
        ({"rule": {"type": "near_ones", "k": 12}}, NearOnes(12)),
        ({"rule": NearOnes(3)}, NearOnes(3)),
        ({"cutoffs": 1}, 1.0),
        ({"cutoffs": {"B-A": 1, ("A", "A"): 2}}, {("A", "B"): 1.0, ("A", "A"): 2.0}),
        ({"signature": [0, 0, 12]}, (0, 0, 12)),
        ({"signature": {"B": [0, 2, 8]}}, {"B": (0, 2, 8)}),
        ({"species": ["A", "B"]}, ("A", "B")),
        ({"rules": ["all", NearOnes(2)]}, (All(), NearOnes(2))),
        ({"table": {"x": "all"}}, {"x": All()}),
        ({"model": {"type": "all"}}, All()),
        ({"limits": np.array([1, 3])}, (1.0, 3.0)),
    ],
)
def test_what_is_meant_is_taken(given, kept):
    (name,) = given
    for made in (Thing(**given), make(Thing, given, "file")):
        found = getattr(made, name)
        assert found == kept
        assert type(found) is type(kept)


WRONG = [
    ({"degree": 8.0}, "degree: expected int, found 8.0"),
    ({"degree": True}, "degree: expected int, found True"),
    ({"degree": "8"}, "degree: expected int, found '8'"),
    ({"width": "1"}, "width: expected float, found '1'"),
    ({"width": 0}, "width: expected a positive finite number, found 0"),
    ({"width": float("nan")}, "width: expected a positive finite number, found nan"),
    ({"width": float("inf")}, "width: expected a positive finite number, found inf"),
    ({"shift": -1}, "shift: expected a finite number of at least 0, found -1"),
    ({"offset": float("nan")}, "offset: expected a finite number, found nan"),
    ({"flag": "false"}, "flag: expected bool, found 'false'"),
    ({"flag": 1}, "flag: expected bool, found 1"),
    ({"rule": All}, "rule: expected an instance such as All(...), found the class"),
    ({"rule": 1.3}, "rule: expected All or NearOnes, found 1.3"),
    ({"rule": "none"}, "rule.type: expected one of"),
    ({"rule": {"k": 3}}, "rule.type: expected one of"),
    ({"rule": {"type": "near_ones", "k": 0}}, "rule.k: expected a whole number of at least 1, found 0"),
    ({"rule": {"type": "near_ones"}}, "rule.k: is missing"),
    ({"rule": {"type": "all", "k": 1}}, "rule.k: unknown"),
    ({"cutoffs": np.array([1.5, 1.0])}, "cutoffs: expected a number, or one for each pair"),
    ({"cutoffs": "1.3"}, "cutoffs: expected a number, or one for each pair"),
    ({"cutoffs": True}, "cutoffs: expected a number, or one for each pair"),
    ({"cutoffs": {"A-B": 1.2, "B-A": 1.4}}, "cutoffs.A-B: found both 1.2 and 1.4"),
    ({"cutoffs": {"A-A": True}}, "cutoffs.A-A: expected float, found True"),
    ({"cutoffs": {"A-A": -1.0}}, "cutoffs.A-A: expected a positive finite number, found -1.0"),
    ({"kind": "c"}, "kind: expected one of 'a', 'b', found 'c'"),
    ({"signature": 12}, "signature: expected table | list, found 12"),
    ({"signature": {"B": [0, 0.5]}}, "signature[...][1]: expected int, found float"),
    ({"species": 3}, "species: expected str | list, found 3"),
    ({"rules": "all"}, "rules: expected a list, found 'all'"),
    ({"rules": ["all", {"type": "near_ones", "k": "3"}]}, "rules[1].k: expected int, found '3'"),
    ({"table": {"y": 3}}, "table.y: expected All or NearOnes, found 3"),
    ({"limits": [1, -2]}, "limits[1]: expected a positive finite number, found -2"),
    ({"limits": [1]}, "limits: expected 2 values, found 1"),
    ({"limits": {1: 0, 2: 0}}, "limits: expected a list, found {1: 0, 2: 0}"),
    ({"rules": {}}, "rules: expected a list, found {}"),
    ({"range": [1, -2]}, "range[1]: expected a positive finite number, found -2"),
]


@pytest.mark.parametrize(("given", "message"), WRONG, ids=[message for _, message in WRONG])
def test_what_is_wrong_is_named_by_its_path(given, message):
    with pytest.raises(ParameterError) as python:
        Thing(**given)
    assert str(python.value).startswith(f"Thing.{message}")
    with pytest.raises(ParameterError) as file:
        make(Thing, given, "describe.thing")
    assert str(file.value).startswith(f"describe.thing.{message}")


def test_fields_that_do_not_go_together_are_told_with_their_path():
    with pytest.raises(ParameterError, match=r"^limits \(3.0, 2.0\): expected the smaller one first"):
        Thing(limits=(3, 2))
    with pytest.raises(ParameterError, match=r"^run\[2\]: limits"):
        make(Thing, {"limits": [3, 2]}, "run[2]")


@pytest.mark.parametrize("key", ["A", "A-B-C", ("A",), ("A", "B", "C"), 3, ("A", 1), "A-", ["A", "B"]])
def test_pairs_that_are_none(key):
    with pytest.raises(SpeciesError, match=r"cutoffs: expected two species"):
        pair_of(key, "cutoffs")


@pytest.mark.parametrize(
    "cutoffs",
    [
        {("A", "B-C"): 1.2, ("A-B", "C"): 1.4, ("A", "A"): 1.0},
        {("A", "A-A"): 1.2, ("A", "A"): 1.4},
        {("-", "-"): 1.0, ("-", "--"): 2.0},
        {("A", "B"): 1.0, ("A", "A"): 1.5},
    ],
)
def test_pairs_of_names_with_dashes_stay_apart(cutoffs):
    written = json.loads(json.dumps(plain(cutoffs)))
    assert len(written) == len(cutoffs)
    assert read_pairs(written, "cutoffs") == cutoffs
    assert Thing(cutoffs=written) == Thing(cutoffs=cutoffs)
    for pair in cutoffs:
        assert digest({**cutoffs, pair: 9.0}) != digest(cutoffs)
    assert len({pair_text(*pair) for pair in cutoffs}) == len(cutoffs)


def test_pairs_without_dashes_are_written_as_ever():
    assert plain({("A", "B"): 1.0}) == {"A-B": 1.0}


@pytest.mark.parametrize("table", [{1: 2.0, "1": 3.0}, {("A", "B"): 1.0, "A-B": 2.0}])
def test_no_key_is_lost_where_two_are_the_same_as_text(table):
    with pytest.raises(ParameterError, match="cannot be written: two of its keys are the same"):
        plain(table)


@pytest.mark.parametrize("value", [[], (), [["A", "B"]], ["A-B"], [["A", "B-C", 1.0, 2.0]], [1.0]])
def test_lists_that_are_no_pairs(value):
    with pytest.raises(ParameterError, match=r"^cutoffs: expected a number, or one for each pair"):
        read_pairs(value, "cutoffs")


def test_lists_of_pairs_say_each_once():
    with pytest.raises(ParameterError, match=r"^cutoffs.\('A', 'B-C'\): found both 1 and 2"):
        read_pairs([["A", "B-C", 1.0], ["B-C", "A", 2.0]], "cutoffs")


def test_missing_pairs_are_named_so_that_they_can_be_told_apart():
    with pytest.raises(ParameterError, match=r"lacks \('A', 'A-B'\), \('A-B', 'A-B'\): give"):
        pair_matrix({("A", "A"): 1.0}, ("A", "A-B"))


@dataclasses.dataclass(frozen=True)
class Optional(Declaration):
    names: str | tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Needed(Declaration):
    names: str | tuple[str, ...] = "all"


def test_none_is_taken_where_it_is_named():
    # whichever of two annotations that look alike was met first
    assert Optional(None).names is None
    assert Needed(()).names == ()
    for value in (None, {"A", "B"}, [{"A"}], 3):
        with pytest.raises(ParameterError, match=r"^Needed.names"):
            Needed(value)
    for value in ({"type": []}, {"type": None}, {"type": 3}):
        with pytest.raises(ParameterError, match=r"^Thing.rule.type: expected one of"):
            Thing(rule=value)
    for value in (np.array(1.0), {1.0, 2.0}, None, b"ab"):
        with pytest.raises(ParameterError, match=r"^Thing.limits"):
            Thing(limits=value)


def test_unknown_and_missing_keys():
    with pytest.raises(ParameterError, match=r"^describe.thing.degrees: unknown, expected some of degree, width"):
        make(Thing, {"degrees": 1}, "describe.thing")
    with pytest.raises(ParameterError, match=r"^rule.k: is missing"):
        make(NearOnes, {}, "rule")
    with pytest.raises(ParameterError, match=r"^describe.thing: expected a table of degree"):
        make(Thing, 3, "describe.thing")


def test_what_is_written_is_read_again():
    thing = Thing(rule=NearOnes(3), cutoffs={("B", "A"): 1}, rules=(All(),), table={"x": NearOnes(1)}, model=All())
    written = json.loads(json.dumps(plain(thing)))
    assert written["rule"] == {"type": "near_ones", "k": 3}
    assert converted(written, Thing, "again") == thing
    assert pickle.loads(pickle.dumps(thing)) == thing
    assert family(Rule) == {"near_ones": NearOnes, "all": All}


class Abstract(Declaration, ABC):
    """What its members share, among them fields."""


@dataclasses.dataclass(frozen=True)
class Shared(Abstract):
    k: Count

    @abstractmethod
    def of(self):
        """What members must have."""


@dataclasses.dataclass(frozen=True)
class Member(Shared):
    def of(self):
        return self.k


def test_abstract_classes_are_no_members():
    assert family(Abstract) == {"member": Member}
    assert converted({"type": "member", "k": 2}, Abstract, "x").of() == 2
    with pytest.raises(ParameterError, match=r"x.type: expected one of member, found 'shared'"):
        converted({"type": "shared", "k": 2}, Abstract, "x")


def test_equal_declarations_have_equal_digests():
    assert digest(Thing(width=1, limits=[1, 2])) == digest(Thing(width=1.0, limits=(1.0, 2.0)))
    changes = [{"width": 1.5}, {"rule": All()}, {"rule": NearOnes(1)}, {"cutoffs": 1.0}, {"flag": True}]
    assert len({digest(Thing(**change)) for change in [{}, *changes]}) == 6


def test_values_that_cannot_be_written():
    with pytest.raises(ParameterError, match="of type object cannot be written"):
        plain({"a": object()})


def test_toml_files(tmp_path):
    file = tmp_path / "a.toml"
    file.write_text("a = [1")
    for path, message in ((file, "cannot be read as TOML"), (tmp_path / "none.toml", "check the path")):
        with pytest.raises(ParameterError, match=message):
            read_toml(path)
    file.write_text("a = [1]")
    assert read_toml(file) == {"a": [1]}
