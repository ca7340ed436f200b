"""Changed texts of every kind, some here, a thousand of each by ``tests.faults.texts``."""

from __future__ import annotations

import pytest

from glassdask.errors import ParameterError
from glassdask.texts import parse_toml, parse_yaml
from tests.faults.texts import READERS, SWEEP, VALUES, attack, read_sweep


@pytest.mark.parametrize("kind", READERS)
def test_the_texts_are_right_before_they_are_changed(kind, tmp_path):
    texts, read = READERS[kind]
    for text in texts:
        read(text, tmp_path)


@pytest.mark.parametrize("kind", READERS)
def test_changed_texts_are_refused_in_one_line_or_right(kind, tmp_path):
    found = list(attack(kind, 60, tmp_path, seed=1))
    assert [entry for entry in found if entry[0] == "unclear"] == []
    assert {outcome for outcome, _, _ in found} == {"accepted", "refused"}


# what means something where a length of time, a number of particles or of components is expected
MEANT = {"1.5": 1, "9223372036854775808": 1, "1e-300": 1, "0x10": 3, "1_0": 3}
PLACES = ("[1.0, 0.9]", "particles = 100", "equilibrate = 2.0", "n_components = 2")


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_no_value_of_a_sweep_is_taken_for_another(value, tmp_path):
    accepted = 0
    for old in PLACES:
        new = value if old.startswith("[") else f"{old.partition('=')[0]}= {value}"
        try:
            read_sweep(SWEEP.replace(old, new), tmp_path)
            accepted += 1
        except ParameterError as error:
            assert "\n" not in str(error)  # noqa: PT017
    assert accepted == MEANT.get(value, 0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("melt_time = 2.0", "melt_time = 1e12", r"stages\[0\]: time 1e\+12 are .* steps: expected 1 to 1e\+12"),
        ("equilibrate = 2.0", "equilibrate = 1e-4", r"stages\[2\]: time 0.0001 are 0.0.* steps: expected 1 to 1e\+12"),
        ("rate = 1.0", "rate = 1e-200", r"stages\[1\]: time 1e\+200"),
        (
            "produce = 2.0",
            "produce = 1e9",
            r"every 1 gives 1e\+09 frames, more than 1e\+07: make it longer",
        ),
    ],
)
def test_times_that_nobody_can_wait_for(tmp_path, old, new, message):
    with pytest.raises(ParameterError, match=message):
        read_sweep(SWEEP.replace(old, new), tmp_path)


@pytest.mark.parametrize("read", [parse_toml, parse_yaml])
@pytest.mark.parametrize("depth", [60, 3000, 100_000])
def test_no_depth_is_too_much(read, depth):
    text = "a = " if read is parse_toml else "a: "
    with pytest.raises(ValueError, match="nested more than 50 deep"):
        read(text + "[" * depth + "]" * depth)


def test_many_aliases_of_little():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 9)]
    with pytest.raises(ValueError, match="more than 1000000 values"):
        parse_yaml("\n".join(lines))
