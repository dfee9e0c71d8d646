"""Whatever comes from outside can be stored, and what can be stored stays as it is."""

import json

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from core.text import storable

ANYTHING = st.text(st.characters(exclude_categories=()))


@given(ANYTHING)
def test_storable_text_has_neither_nul_nor_half_a_character(text: str) -> None:
    clean = storable(text)

    assert "\0" not in clean
    assert clean.encode().decode() == clean
    assert storable(clean) == clean


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_text_that_can_be_stored_stays_as_it_is(text: str) -> None:
    assert storable(text) == text


@pytest.mark.parametrize("text", ["a\0b", "\ud800 half", "half \udfff", "\ud83d\ude00", "plain ü 漢 🙂"])
def test_the_database_takes_what_is_storable(db: None, text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::text, %s::jsonb ->> 0", [storable(text), json.dumps([storable(text)])])
        row = cursor.fetchone()

    assert row == (storable(text),) * 2
