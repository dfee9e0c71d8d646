"""What each role may do, and how far: a table, and nothing beside it."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from accounts.models import Role, User
from accounts.rules import NOBODY, Reach, Scope, Verb, clean_domains, clean_email, reach

# Written down once more, by hand: whoever changes what a role may do changes it here, too.
AGENTS_DO = {
    "view",
    "read_notes",
    "reply",
    "work",
    "open_for_others",
    "request_escalation",
    "escalate",
    "deescalate",
    "acknowledge",
    "consult",
    "send_back",
    "merge",
    "link",
    "watch",
}
MAY = {
    "requester": {"view", "reply", "request_escalation"},
    "agent": AGENTS_DO,
    "lead": AGENTS_DO | {"lead"},
    "manager": AGENTS_DO | {"lead"},
    "admin": AGENTS_DO | {"lead", "administer"},
}


def test_the_table_speaks_of_every_role_and_no_other() -> None:
    assert set(MAY) == set(Role.values)


@pytest.mark.parametrize(("role", "verb"), list(itertools.product(Role.values, Verb)))
def test_each_role_may_what_the_table_says(role: str, verb: Verb) -> None:
    far = Reach.OWN if role == Role.REQUESTER else Reach.ALL

    assert reach(role, verb) == (far if verb in MAY[role] else Reach.NOTHING)
    assert User(role=role).may(verb) == (verb in MAY[role])


@given(st.text(), st.sampled_from(Verb))
def test_who_has_no_known_role_may_nothing(role: str, verb: Verb) -> None:
    known = role in Role.values
    assert known or reach(role, verb) == Reach.NOTHING


@pytest.mark.parametrize(("role", "verb"), list(itertools.product(Role.values, Verb)))
def test_who_is_switched_off_may_nothing(role: str, verb: Verb) -> None:
    assert not User(role=role, is_active=False).may(verb)


@pytest.mark.parametrize("role", Role.values)
def test_only_an_active_admin_enters_the_admin(role: str) -> None:
    user, gone = User(role=role), User(role=role, is_active=False)

    assert user.is_staff == user.is_superuser == user.has_perm("tickets.view_ticket") == (role == Role.ADMIN)
    assert not gone.is_staff
    assert not gone.has_module_perms("tickets")


def test_reaches_are_ordered_from_nothing_to_all() -> None:
    assert sorted(Reach) == [Reach.NOTHING, Reach.OWN, Reach.ORGANISATIONS, Reach.TEAMS, Reach.ALL]


def test_a_scope_can_t_be_widened_afterwards() -> None:
    scope = Scope(1, Reach.OWN)

    with pytest.raises(AttributeError):
        scope.reach = Reach.ALL  # type: ignore[misc]
    assert Scope(None, Reach.NOTHING) == NOBODY


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (["Example.ORG"], ["example.org"]),
        (["@example.org", "post@Example.org"], ["example.org"]),
        ([" b.test ", "a.test", "", "  "], ["a.test", "b.test"]),
        ([], []),
    ],
)
def test_domains_are_kept_in_small_letters_each_once(typed: list[str], kept: list[str]) -> None:
    assert clean_domains(typed) == kept


@given(st.lists(st.text()))
@example(["@\r0"])
def test_cleaning_domains_twice_changes_nothing_more(typed: list[str]) -> None:
    once = clean_domains(typed)
    assert clean_domains(once) == once


@given(st.emails())
def test_an_address_is_the_same_person_whatever_its_capitals(address: str) -> None:
    assert clean_email(f" {address.upper()} ") == clean_email(address.lower())
