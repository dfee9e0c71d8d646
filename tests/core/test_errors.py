"""A refusal names the field, the value and the mend."""

import pytest

from core.errors import Conflict, NotAllowed, Refused


@pytest.mark.parametrize(("kind", "status"), [(Refused, 400), (NotAllowed, 403), (Conflict, 409)])
def test_each_refusal_has_its_status_and_is_caught_as_one(kind: type[Refused], status: int) -> None:
    with pytest.raises(Refused) as refusal:
        raise kind("No such tier.", field="tier", value=9, mend="Take 1 to 4.")

    assert refusal.value.status == status
    assert (refusal.value.field, refusal.value.value, refusal.value.mend) == ("tier", 9, "Take 1 to 4.")
    assert str(refusal.value) == "No such tier. Take 1 to 4."


def test_without_a_mend_the_message_stands_alone() -> None:
    assert str(Refused("No.")) == "No."


def test_a_refusal_can_be_shown_even_when_the_value_can_t_be_stored() -> None:
    refused = Refused("“\ud800” is no tag.", field="tags", value="\ud800\0")

    assert refused.message.encode()
    assert refused.value.encode()
