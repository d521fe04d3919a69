"""Canonical JSON: the quick way writes what the library for RFC 8785 writes, and refuses what it refuses."""

from __future__ import annotations

import enum
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from audit.jcs import canonical


class Word(enum.StrEnum):
    ON = "on"


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**54), 2**54)
    | st.floats()
    | st.text()
    | st.text(st.characters(max_codepoint=0x7F))
    | st.text(st.characters(categories=["Cs", "Cc", "So"]))
    | st.just(Word.ON)
)
names = st.text() | st.text(st.characters(max_codepoint=0x7F)) | st.integers() | st.none()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(names, inner),
    max_leaves=12,
)


@given(values)
@example({"😀": 1, "\uffff": 2})
@example({"b": 1, "B": 2, "a\x7f": [], "": {}})
@example([2**53 - 1, -(2**53), 1e21, 0.1, -0.0])
@example("half \ud83d a pair")
def test_it_is_what_the_library_writes(value: Any) -> None:
    try:
        expected = rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, TypeError, AttributeError) as refusal:
        with pytest.raises(type(refusal)):
            canonical(value)
    else:
        assert canonical(value) == expected
