"""How far a person reaches with a verb, as a frozen Scope."""

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser

from accounts.models import Organisation, Role, Team, Tier, User
from accounts.operations import create_organisation, create_team, create_user
from accounts.queries import active_admins, members_of, scope_of, team_ids_of
from accounts.rules import NOBODY, Reach, Scope, Verb

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> Organisation:
    return create_organisation(name="Acme")


@pytest.fixture
def person(acme: Organisation) -> Any:
    def make(role: str = Role.AGENT, name: str = "ann", **more: Any) -> User:
        user = create_user(email=f"{name}@example.org", name=name, role=role, organisation=acme)
        for field, value in more.items():
            setattr(user, field, value)
        user.save()
        return user

    return make


@pytest.mark.parametrize(
    ("role", "switches", "verb", "far"),
    [
        (Role.REQUESTER, {}, Verb.VIEW, Reach.OWN),
        (Role.REQUESTER, {}, Verb.WORK, Reach.NOTHING),
        (Role.REQUESTER, {"sees_organisation": True}, Verb.VIEW, Reach.ORGANISATIONS),
        (Role.REQUESTER, {"sees_organisation": True}, Verb.REPLY, Reach.ORGANISATIONS),
        (Role.REQUESTER, {"sees_organisation": True}, Verb.WORK, Reach.NOTHING),
        (Role.REQUESTER, {"sees_organisation": True, "organisation": None}, Verb.VIEW, Reach.OWN),
        (Role.REQUESTER, {"only_own_teams": True}, Verb.VIEW, Reach.OWN),
        (Role.AGENT, {}, Verb.WORK, Reach.ALL),
        (Role.AGENT, {"sees_organisation": True}, Verb.WORK, Reach.ALL),
        (Role.AGENT, {}, Verb.LEAD, Reach.NOTHING),
        (Role.AGENT, {}, Verb.ADMINISTER, Reach.NOTHING),
        (Role.AGENT, {"only_own_teams": True}, Verb.WORK, Reach.TEAMS),
        (Role.AGENT, {"only_own_teams": True}, Verb.LEAD, Reach.NOTHING),
        (Role.LEAD, {"only_own_teams": True}, Verb.LEAD, Reach.TEAMS),
        (Role.MANAGER, {"only_own_teams": True}, Verb.VIEW, Reach.ALL),
        (Role.ADMIN, {"only_own_teams": True}, Verb.ADMINISTER, Reach.ALL),
        (Role.ADMIN, {"is_active": False}, Verb.VIEW, Reach.NOTHING),
        (Role.AGENT, {"is_active": False}, Verb.VIEW, Reach.NOTHING),
    ],
)
def test_role_and_switches_decide_how_far_a_verb_reaches(
    role: str, switches: dict[str, Any], verb: Verb, far: Reach, person: Any, acme: Organisation
) -> None:
    user = person(role, **switches)

    scope = scope_of(user, verb)

    assert scope.reach == far
    assert scope.organisation_ids == ({acme.pk} if far == Reach.ORGANISATIONS else frozenset())
    assert scope.user_id == (user.pk if user.is_active else None)


def test_who_has_not_signed_in_reaches_nothing() -> None:
    assert scope_of(AnonymousUser(), Verb.VIEW) == NOBODY


def test_who_is_narrowed_reaches_the_teams_they_belong_to_or_lead(
    person: Any, django_assert_num_queries: Any
) -> None:
    user, other = person(only_own_teams=True), person(name="bob")
    member = create_team(name="Desk", tier=Tier.L1, members=[user, other])
    led = create_team(name="Network", tier=Tier.L2, lead=user, members=[other])
    create_team(name="Core", tier=Tier.L3, members=[other])

    with django_assert_num_queries(1):
        scope = scope_of(user, Verb.VIEW)

    assert scope == Scope(user.pk, Reach.TEAMS, team_ids=frozenset({member.pk, led.pk}))
    assert team_ids_of(user) == {member.pk, led.pk}


def test_others_cost_no_query(person: Any, django_assert_num_queries: Any) -> None:
    agent, requester = person(), person(Role.REQUESTER, "rita", sees_organisation=True)

    with django_assert_num_queries(0):
        scope_of(agent, Verb.VIEW)
        scope_of(requester, Verb.VIEW)


def test_members_of_teams_are_the_active_ones_and_the_lead(
    person: Any, django_assert_num_queries: Any
) -> None:
    ann, bob, gone, lead = (
        person(),
        person(name="bob"),
        person(name="gone", is_active=False),
        person(name="lea"),
    )
    desk = create_team(name="Desk", tier=Tier.L1, lead=lead, members=[ann, gone])
    network = create_team(name="Network", tier=Tier.L2, lead=gone, members=[bob, ann])
    empty = create_team(name="Empty", tier=Tier.L3)

    with django_assert_num_queries(2):
        found = members_of({desk.pk, network.pk, empty.pk})

    assert found == {desk.pk: {ann.pk, lead.pk}, network.pk: {ann.pk, bob.pk}, empty.pk: frozenset()}


def test_active_admins_are_listed_the_oldest_first(person: Any) -> None:
    first, second = person(Role.ADMIN, "zoe"), person(Role.ADMIN, "adam")
    person(Role.ADMIN, "gone", is_active=False)
    person(Role.MANAGER, "meg")

    assert active_admins() == [first, second]


def test_a_person_is_found_by_their_address_whatever_its_capitals(person: Any) -> None:
    ann = person()

    assert User.objects.get_by_natural_key("ANN@Example.org") == ann
    with pytest.raises(User.DoesNotExist):
        User.objects.get_by_natural_key(None)


def test_a_team_is_not_asked_for_twice(person: Any) -> None:
    ann = person(only_own_teams=True)
    desk = create_team(name="Desk", tier=Tier.L1, lead=ann, members=[ann])

    assert scope_of(ann, Verb.VIEW).team_ids == {desk.pk}
    assert Team.objects.count() == 1
