"""The VICI protocol, against the example of its specification and against itself."""

from __future__ import annotations

import contextlib

import pytest
from gateway.vici import ViciError, decode, encode
from hypothesis import given
from hypothesis import strategies as st

# strongSwan, libcharon/plugins/vici/README.md, message encoding: key1 = value1, and section1 with a list in a section
EXAMPLE = {"key1": "value1", "section1": {"sub-section": {"key2": "value2"}, "list1": ["item1", "item2"]}}
EXAMPLE_BYTES = bytes.fromhex(
    "03 04 6b657931 0006 76616c756531"
    "01 08 73656374696f6e31"
    "01 0b 7375622d73656374696f6e"
    "03 04 6b657932 0006 76616c756532"
    "02"
    "04 05 6c69737431"
    "05 0005 6974656d31"
    "05 0005 6974656d32"
    "06"
    "02"
)

names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)
values = st.text(max_size=300)
messages = st.recursive(
    st.dictionaries(names, values | st.lists(values, max_size=3), max_size=4),
    lambda inner: st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


def test_the_example_of_the_specification() -> None:
    assert encode(EXAMPLE) == EXAMPLE_BYTES
    assert decode(EXAMPLE_BYTES) == EXAMPLE


@given(messages)
def test_what_is_written_is_read(message: dict[str, object]) -> None:
    assert decode(encode(message)) == message


@given(st.binary(max_size=200))
def test_nonsense_is_refused_or_read_but_never_breaks(content: bytes) -> None:
    with contextlib.suppress(ViciError):
        decode(content)


@pytest.mark.parametrize("cut", range(1, len(EXAMPLE_BYTES)))
def test_a_message_that_is_cut_short_is_refused_unless_it_ends_between_elements(cut: int) -> None:
    if cut == 14:  # after key1
        assert decode(EXAMPLE_BYTES[:cut]) == {"key1": "value1"}
        return
    with pytest.raises(ViciError):
        decode(EXAMPLE_BYTES[:cut])
