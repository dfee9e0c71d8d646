"""People, teams and organisations: created once, under clean names, refused with a mend."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.admin import OrganisationForm
from accounts.models import Membership, Organisation, Role, Team, Tier, User
from accounts.operations import (
    EmailTaken,
    change_user,
    create_organisation,
    create_team,
    create_user,
    organisation_for,
    permit,
)
from accounts.rules import Verb
from core.errors import NotAllowed, Refused
from tests.helpers import race

pytestmark = pytest.mark.django_db


def ann(**more: Any) -> User:
    return create_user(**{"email": "ann@example.org", "name": "Ann", **more})


def test_an_address_is_stored_in_small_letters() -> None:
    assert ann(email=" Ann.Lee@Example.ORG ").email == "ann.lee@example.org"


@pytest.mark.parametrize("again", ["ann@example.org", "ANN@EXAMPLE.ORG", " Ann@example.org "])
def test_an_address_belongs_to_one_person_whatever_its_capitals(again: str) -> None:
    ann()

    with pytest.raises(EmailTaken) as refusal:
        ann(email=again)

    assert refusal.value.field == "email"
    assert User.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_who_take_an_address_at_once_one_gets_it() -> None:
    outcomes = race(
        *(lambda email=email: ann(email=email) for email in ("ann@example.org", "Ann@Example.org"))
    )

    assert {type(outcome) for outcome in outcomes} == {User, EmailTaken}
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "no address"),
        ("email", ""),
        ("email", "a@b@c.org"),
        ("email", f"{'a' * 64}@{'.'.join(['b' * 60] * 4)}.org"),
        ("role", "owner"),
        ("role", ""),
        ("time_zone", "Mars/Olympus"),
        ("time_zone", "../../etc/passwd"),
        ("time_zone", "Europe"),
        ("time_zone", ""),
        ("time_zone", "x" * 65),
        ("name", "x" * 201),
    ],
)
def test_a_person_that_can_t_be_is_refused_by_field(field: str, value: str) -> None:
    with pytest.raises(Refused) as refusal:
        ann(**{field: value})

    assert refusal.value.field == field
    assert not User.objects.exists()


@pytest.mark.parametrize(("name", "kept"), [("", "ann"), ("  ", "ann"), (" Ann ", "Ann"), ("A\0nn", "Ann")])
def test_a_person_always_has_a_name(name: str, kept: str) -> None:
    assert ann(name=name).name == kept


def test_without_a_password_nobody_signs_in() -> None:
    assert not ann().has_usable_password()
    assert create_user(email="bob@example.org", name="Bob", password="secret").check_password("secret")


def test_who_writes_from_a_known_domain_belongs_to_its_organisation() -> None:
    acme = create_organisation(name="Acme", domains=["Example.ORG", "acme.test"])
    other = create_organisation(name="Other")

    assert ann(email="Ann@EXAMPLE.org").organisation == acme
    assert ann(email="bob@example.org", organisation=other).organisation == other
    assert ann(email="eve@elsewhere.test").organisation is None


@pytest.mark.parametrize(
    ("email", "found"),
    [
        ("a@example.org", True),
        ("A@EXAMPLE.ORG", True),
        ("a@sub.example.org", False),
        ("a@notexample.org", False),
        ("a@example.org.evil.test", False),
        ("example.org", True),
        ("a@", False),
        ("", False),
    ],
)
def test_a_domain_is_matched_whole(email: str, found: bool) -> None:
    acme = create_organisation(name="Acme", domains=["example.org"])

    assert organisation_for(email) == (acme if found else None)


def test_of_two_organisations_with_one_domain_the_older_is_taken() -> None:
    older = create_organisation(name="Zebra", domains=["example.org"])
    create_organisation(name="Aardvark", domains=["example.org"])

    assert organisation_for("a@example.org") == older


def test_the_admin_form_keeps_domains_in_small_letters() -> None:
    form = OrganisationForm({"name": "Acme", "domains": "Example.org, @ACME.test"})

    assert form.is_valid(), form.errors
    assert form.save().domains == ["acme.test", "example.org"]


def test_a_name_is_taken_once() -> None:
    create_team(name="Desk", tier=Tier.L1)
    create_organisation(name="Acme")

    with pytest.raises(Refused, match="already") as team:
        create_team(name=" Desk ", tier=Tier.L2)
    with pytest.raises(Refused, match="already") as organisation:
        create_organisation(name="Acme")

    assert team.value.field == organisation.value.field == "name"


@pytest.mark.parametrize(
    ("field", "value"),
    [("tier", 0), ("tier", 5), ("name", ""), ("name", "  "), ("name", "x" * 101), ("capacity", -1)],
)
def test_a_team_that_can_t_be_is_refused_by_field(field: str, value: Any) -> None:
    with pytest.raises(Refused) as refusal:
        create_team(**{"name": "Desk", "tier": Tier.L1, field: value})

    assert refusal.value.field == field
    assert not Team.objects.exists()


def test_a_team_has_its_members_once_and_a_lead_who_need_not_be_one() -> None:
    member, lead = ann(), ann(email="lea@example.org")

    team = create_team(name="Desk", tier=Tier.L1, lead=lead, members=[member, member])

    assert list(team.members.all()) == [member]
    assert team.lead == lead


def test_a_role_may_only_what_its_table_says() -> None:
    requester = ann()

    permit(None, Verb.ADMINISTER)
    permit(requester, Verb.REPLY)
    with pytest.raises(NotAllowed, match="may not work"):
        permit(requester, Verb.WORK)


def test_only_an_admin_changes_people() -> None:
    person, lead = ann(), ann(email="lea@example.org", role=Role.LEAD)

    with pytest.raises(NotAllowed):
        change_user(user_id=person.pk, changes={"role": Role.ADMIN}, actor=lead)

    person.refresh_from_db()
    assert person.role == Role.REQUESTER


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"password": "x"}, "password"),
        ({"anonymised_at": None}, "anonymised_at"),
        ({"role": "owner"}, "role"),
        ({"name": ""}, "name"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"email": "BOB@example.org"}, "email"),
    ],
)
def test_a_change_that_can_t_be_is_refused_by_field(changes: dict[str, Any], field: str) -> None:
    person = ann()
    create_user(email="bob@example.org", name="Bob")

    with pytest.raises(Refused) as refusal:
        change_user(user_id=person.pk, changes=changes, actor=None)

    assert refusal.value.field == field
    assert User.objects.get(pk=person.pk).email == "ann@example.org"


def test_a_changed_address_is_stored_in_small_letters_and_teams_are_set() -> None:
    person = ann(role=Role.AGENT)
    old, new = create_team(name="Old", tier=Tier.L1, members=[person]), create_team(name="New", tier=Tier.L2)

    change_user(user_id=person.pk, changes={"email": "Ann.New@Example.org"}, team_ids=[new.pk], actor=None)

    person.refresh_from_db()
    assert person.email == "ann.new@example.org"
    assert list(person.teams.all()) == [new]
    assert not old.members.exists()


@pytest.mark.parametrize("changes", [{"role": Role.LEAD}, {"is_active": False}])
def test_the_last_admin_stays(changes: dict[str, Any]) -> None:
    admin = ann(role=Role.ADMIN)
    create_user(email="gone@example.org", name="Gone", role=Role.ADMIN)
    User.objects.filter(email="gone@example.org").update(is_active=False)

    with pytest.raises(Refused, match="last admin"):
        change_user(user_id=admin.pk, changes=changes, actor=admin)


@pytest.mark.django_db(transaction=True)
def test_two_admins_who_demote_each_other_at_once_leave_one() -> None:
    first, second = ann(role=Role.ADMIN), ann(email="bea@example.org", role=Role.ADMIN)

    outcomes = race(
        lambda: change_user(user_id=second.pk, changes={"role": Role.AGENT}, actor=first),
        lambda: change_user(user_id=first.pk, changes={"role": Role.AGENT}, actor=second),
    )

    assert sorted(isinstance(outcome, Refused) for outcome in outcomes) == [False, True]
    assert User.objects.filter(role=Role.ADMIN).count() == 1


@pytest.mark.parametrize(
    ("build", "constraint"),
    [
        (lambda: User(email="Ann@example.org", name="Ann"), "user_email_small"),
        (lambda: User(email="bob@example.org", name="Bob", role="owner"), "user_role_known"),
        (lambda: User(email="there@example.org", name="Twice"), "email"),
        (lambda: Organisation(name="Acme", domains=["Example.org"]), "organisation_domains_small"),
        (
            lambda: Organisation(name="Acme", domains=["ok.test", "MÜNCHEN.test"]),
            "organisation_domains_small",
        ),
        (lambda: Organisation(name="There"), "name"),
        (lambda: Team(name="Desk", tier=5), "team_tier_known"),
        (lambda: Team(name="There", tier=1), "name"),
        (lambda: Membership(team=Team.objects.get(), user=User.objects.get()), "one_membership_per_team"),
    ],
)
def test_the_database_refuses_bad_rows_whoever_writes_them(build: Any, constraint: str) -> None:
    there = create_user(email="there@example.org", name="There")
    create_organisation(name="There", domains=["there.test"])
    create_team(name="There", tier=Tier.L1, members=[there])

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        build().save(force_insert=True)


def test_a_form_hears_of_capitals_before_the_database_does() -> None:
    with pytest.raises(ValidationError, match="small letters"):
        Organisation(name="Acme", domains=["Example.org"]).full_clean()
    Organisation(name="Acme", domains=[]).full_clean()


def test_people_are_never_deleted_with_what_they_did() -> None:
    person = ann(role=Role.AGENT)
    create_team(name="Desk", tier=Tier.L1, members=[person])

    with pytest.raises(IntegrityError), transaction.atomic():
        person.delete()
