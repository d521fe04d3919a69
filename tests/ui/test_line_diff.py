"""Documents line by line: nothing is lost, and what is left out is counted."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from audit.admin.linediff import CONTEXT, Line, folded, lines

SCALARS = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["a", "b"])
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["x", "y", "z"]), inner, max_size=3)
    ),
    max_leaves=20,
)


def told(found: list[Line], side: str) -> Any:
    """The document of one side, read from its lines."""
    return json.loads("\n".join(line.text for line in found if line.sign in (" ", side)))


@given(DOCUMENTS, DOCUMENTS)
def test_both_documents_stand_in_the_lines_with_their_numbers(before: Any, after: Any) -> None:
    found = lines(before, after)
    for document, side, numbers in (
        (before, "-", [line.before for line in found]),
        (after, "+", [line.after for line in found]),
    ):
        if document is not None:
            assert told(found, side) == document
        counted = [number for number in numbers if number is not None]
        assert counted == list(range(1, len(counted) + 1))
    assert (before == after and type(before) is type(after)) or any(line.sign != " " for line in found)


@given(DOCUMENTS, DOCUMENTS)
def test_folded_lines_keep_every_change_and_count_what_they_leave_out(before: Any, after: Any) -> None:
    whole = lines(before, after)
    found = folded(whole)
    assert [line for line in found if line.sign in "+-"] == [line for line in whole if line.sign in "+-"]
    gaps = [int(line.text) for line in found if line.sign == "…"]
    assert sum(gaps) + len(found) - len(gaps) == len(whole)
    assert all(gap > 1 for gap in gaps)


def test_one_change_in_many_rules_is_told_with_the_lines_around_it() -> None:
    before = {"rules": [{"id": f"r{number}", "serve": {"variant": "on"}} for number in range(300)]}
    after = json.loads(json.dumps(before))
    after["rules"][150]["serve"]["variant"] = "off"
    found = folded(lines(before, after))
    assert [line.text.strip() for line in found if line.sign in "+-"] == [
        '"variant": "on"',
        '"variant": "off"',
    ]
    assert len(found) == 2 + 2 * CONTEXT + 2
    assert next(line for line in found if line.sign == "+").pointer == "/rules/150/serve/variant"
