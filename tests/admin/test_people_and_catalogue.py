"""People, teams, contacts, lists and the severity matrix in the admin."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from accounts.models import Membership, Role, Team, User
from accounts.operations import change_user, create_user
from core.db import database_now
from core.errors import Refused
from notifications.models import Contact, ContactList, ContactMethod, Notification
from tests.admin.conftest import House, signed_in
from tests.admin.pages import Fields, read_form
from tests.helpers import free_port, race
from tickets.models import SeverityCell
from tickets.operations import Draft, assign_ticket, open_ticket
from tickets.queries import severity_matrix

GOOD = "a long and unlikely phrase"


def form_of(client: Client, page: str, *args: Any) -> tuple[str, Fields]:
    """Return the page's address and what its form would send."""
    app, model, kind = page.split(".")
    address = reverse(f"admin:{app}_{model}_{kind}", args=args)
    return address, read_form(client.get(address), f"{model}_form")


@pytest.mark.django_db(transaction=True)
def test_a_person_is_created_with_teams_and_a_link_to_set_the_password(house: House, admin: Client) -> None:
    address, form = form_of(admin, "accounts.user.add")
    form |= {
        "name": ["Nora New"],
        "email": [f"Nora{house.mark}@Example.org"],
        "role": ["agent"],
        "teams": [str(house.desk.pk), str(house.network.pk)],
        "time_zone": ["Europe/Madrid"],
    }
    assert form["send_link"] == ["on"]
    answer = admin.post(address, form)
    assert answer.status_code == 302
    nora = User.objects.get(name="Nora New")
    assert set(nora.teams.all()) == {house.desk, house.network}
    assert (nora.role, nora.time_zone, nora.has_usable_password()) == (Role.AGENT, "Europe/Madrid", False)
    (letter,) = mail.outbox
    assert letter.to == [nora.email]
    link = next(word for word in letter.body.split() if "/account/password/reset/key/" in word)
    assert Client().get(urlsplit(link).path, follow=True).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_dead_mail_server_loses_neither_the_person_nor_the_page(
    house: House, admin: Client, settings: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    address, form = form_of(admin, "accounts.user.add")
    form |= {"name": ["Nora New"], "email": [f"nora{house.mark}@example.org"]}
    assert admin.post(address, form).status_code == 302
    page = admin.get("/admin/accounts/user/").content.decode()
    assert "No link could be mailed" in page
    assert User.objects.filter(name="Nora New").exists()


def test_a_person_from_a_known_domain_belongs_to_its_organisation(house: House, admin: Client) -> None:
    house.organisation.domains = ["northwind.example"]
    house.organisation.save()
    address, form = form_of(admin, "accounts.user.add")
    form |= {"name": ["Wim"], "email": ["wim@northwind.example"]}
    admin.post(address, {**form, "send_link": []})
    assert User.objects.get(email="wim@northwind.example").organisation == house.organisation


def test_a_password_is_set_but_never_shown(house: House, admin: Client) -> None:
    address, form = form_of(admin, "accounts.user.change", house.agent.pk)
    admin.post(address, form | {"new_password": [GOOD]})
    house.agent.refresh_from_db()
    assert house.agent.check_password(GOOD)
    page = admin.get(address).content.decode()
    assert house.agent.password not in page
    assert GOOD not in page


def test_a_weak_password_is_refused_beside_its_field(house: House, admin: Client) -> None:
    address, form = form_of(admin, "accounts.user.change", house.agent.pk)
    answer = admin.post(address, form | {"new_password": ["password"]})
    assert "new_password" in answer.context["adminform"].form.errors
    house.agent.refresh_from_db()
    assert not house.agent.check_password("password")


def test_an_unchanged_form_changes_nothing_about_a_person(house: House, admin: Client) -> None:
    before = User.objects.filter(pk=house.agent.pk).values().get()
    teams = set(house.agent.teams.all())
    address, form = form_of(admin, "accounts.user.change", house.agent.pk)
    admin.post(address, form)
    assert User.objects.filter(pk=house.agent.pk).values().get() == before
    assert set(house.agent.teams.all()) == teams


def test_an_address_is_taken_whatever_its_capitals(house: House, admin: Client) -> None:
    address, form = form_of(admin, "accounts.user.change", house.agent.pk)
    answer = admin.post(address, form | {"email": [house.requester.email.upper()]})
    assert "This email address is taken." in answer.content.decode()


@pytest.mark.parametrize("way_out", [{"role": ["agent"]}, {"is_active": []}])
def test_the_last_admin_stays_one(house: House, admin: Client, way_out: Fields) -> None:
    address, form = form_of(admin, "accounts.user.change", house.admin.pk)
    answer = admin.post(address, form | way_out)
    assert "This is the last admin." in answer.content.decode()
    house.admin.refresh_from_db()
    assert house.admin.is_staff


@pytest.mark.django_db(transaction=True)
def test_two_admins_who_demote_each_other_at_once_leave_one() -> None:
    pair = [create_user(email=f"a{n}@example.org", name=f"Admin {n}", role=Role.ADMIN) for n in (1, 2)]

    def demote(actor: User, other: User) -> User:
        return change_user(user_id=other.pk, changes={"role": Role.AGENT}, actor=actor)

    outcomes = race(lambda: demote(pair[0], pair[1]), lambda: demote(pair[1], pair[0]))
    assert User.objects.filter(role=Role.ADMIN).count() == 1
    assert sum(isinstance(outcome, Refused) for outcome in outcomes) == 1


def test_people_are_switched_off_not_deleted_and_are_out_at_once(house: House, admin: Client) -> None:
    out = signed_in(house.agent)
    assert out.get("/queue/").status_code == 200
    address, form = form_of(admin, "accounts.user.change", house.agent.pk)
    assert admin.post(address.replace("/change/", "/delete/"), {"post": "yes"}).status_code == 403
    admin.post(address, form | {"is_active": []})
    house.agent.refresh_from_db()
    assert not house.agent.is_active
    assert out.get("/queue/").status_code == 302


def test_the_page_of_a_person_shows_the_open_tickets_they_hold(house: House, admin: Client) -> None:
    draft = Draft(requester=house.requester, subject="VPN drops in Madrid", service=house.service)
    ticket = open_ticket(draft=draft, actor=house.agent, now=database_now())
    assign_ticket(ticket_id=ticket.pk, assignee=house.agent, actor=house.admin, now=database_now())
    address, _ = form_of(admin, "accounts.user.change", house.agent.pk)
    assert "VPN drops in Madrid" in admin.get(address).content.decode()


def test_a_team_is_edited_with_its_members(house: House, admin: Client) -> None:
    other = create_user(email=f"zoe{house.mark}@example.org", name="Zoe", role=Role.AGENT)
    address, form = form_of(admin, "accounts.team.change", house.network.pk)
    rows = int(form["memberships-INITIAL_FORMS"][0])
    assert rows == 2
    form |= {
        "capacity": ["33"],
        "tier": ["3"],
        "lead": [str(house.agent.pk)],
        "memberships-0-DELETE": ["on"],
        f"memberships-{rows}-user": [str(other.pk)],
    }
    answer = admin.post(address, form, follow=True)
    assert "changed successfully" in answer.content.decode()
    team = Team.objects.get(pk=house.network.pk)
    assert (team.capacity, team.tier, team.lead) == (33, 3, house.agent)
    # The first by name was the admin.
    assert set(team.members.all()) == {house.agent, other}


def test_members_cost_no_query_each(house: House, admin: Client, django_assert_max_num_queries: Any) -> None:
    people = [
        create_user(email=f"m{n}-{house.mark}@example.org", name=f"M {n}", role=Role.AGENT) for n in range(15)
    ]
    Membership.objects.bulk_create([Membership(team=house.desk, user=person) for person in people])
    address = reverse("admin:accounts_team_change", args=[house.desk.pk])
    with django_assert_max_num_queries(14):
        assert admin.get(address).status_code == 200


def test_a_contact_is_edited_with_the_ways_to_reach_them(house: House, admin: Client) -> None:
    contact = house.contacts[1]
    address, form = form_of(admin, "notifications.contact.change", contact.pk)
    rows = int(form["methods-INITIAL_FORMS"][0])
    form |= {f"methods-{rows}-address": ["night@example.org"], f"methods-{rows}-position": ["2"]}
    admin.post(address, form)
    assert ContactMethod.objects.filter(contact=contact, address="night@example.org", position=2).exists()
    bad = form | {f"methods-{rows}-address": ["no address"]}
    assert "is no email address. Write it like ann@example.org." in admin.post(address, bad).content.decode()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"kind": ["lead"], "team": [""]}, "Choose the team whose lead is told."),
        ({"kind": ["room"], "team": ["own"]}, "Only “whoever leads the team” has a team"),
        ({"time_zone": ["Mars/Base"]}, "no time zone"),
    ],
)
def test_a_contact_that_makes_no_sense_is_refused_in_words(
    house: House, admin: Client, typed: Fields, words: str
) -> None:
    address, form = form_of(admin, "notifications.contact.change", house.contacts[2].pk)
    if typed.get("team") == ["own"]:
        typed = typed | {"team": [str(house.desk.pk)]}
    assert words in admin.post(address, form | typed).content.decode()
    assert Contact.objects.get(pk=house.contacts[2].pk).kind == "person"


def test_a_contact_list_keeps_order_words_severities_and_rounds(house: House, admin: Client) -> None:
    address, form = form_of(admin, "notifications.contactlist.change", house.first_list.pk)
    rows = int(form["entries-INITIAL_FORMS"][0])
    # An empty row stands at the end, and stays out when nobody is named.
    assert form[f"entries-{rows}-position"] == ["3"]
    assert form[f"entries-{rows + 1}-position"] == ["4"]
    form |= {
        "entries-0-position": ["2"],
        "entries-1-position": ["1"],
        "entries-1-severities": ["1", "2"],
        f"entries-{rows}-contact": [str(house.contacts[2].pk)],
        f"entries-{rows}-when_to_reach_out": ["Only at night"],
        f"entries-{rows}-from_round": ["2"],
    }
    answer = admin.post(address, form, follow=True)
    assert "changed successfully" in answer.content.decode()
    entries = ContactList.objects.get(pk=house.first_list.pk).entries.order_by("position")
    assert [(e.contact, e.severities, e.when_to_reach_out, e.from_round) for e in entries] == [
        (house.contacts[1], [1, 2], "If Ilse can't", 1),
        (house.contacts[0], [], "Core links down", 1),
        (house.contacts[2], [], "Only at night", 2),
    ]


def test_the_severity_matrix_is_one_grid(house: House, admin: Client) -> None:
    address = reverse("admin:tickets_severitycell_changelist")
    before = severity_matrix()
    form = read_form(admin.get(address), "matrix-form")
    assert {key: value for key, value in form.items() if key.startswith("cell_")} == {
        f"cell_{impact}_{urgency}": [str(severity)] for (impact, urgency), severity in before.items()
    }
    answer = admin.post(address, form | {"cell_3_1": ["1"], "cell_1_3": ["4"]}, follow=True)
    assert "2 of 9 cells changed" in answer.content.decode()
    assert severity_matrix() == before | {(3, 1): 1, (1, 3): 4}
    assert SeverityCell.objects.count() == 9


@pytest.mark.parametrize("value", ["", "5", "x"])
def test_a_cell_without_a_severity_is_named(house: House, admin: Client, value: str) -> None:
    address = reverse("admin:tickets_severitycell_changelist")
    before = severity_matrix()
    form = read_form(admin.get(address), "matrix-form")
    answer = admin.post(address, form | {"cell_2_3": [value]})
    assert "Medium impact, low urgency" in answer.content.decode()
    assert severity_matrix() == before


def test_the_matrix_is_closed_to_people_who_administer_nothing(house: House) -> None:
    address = reverse("admin:tickets_severitycell_changelist")
    before = severity_matrix()
    for person in (house.agent, house.requester):
        answer = signed_in(person).post(
            address, {f"cell_{i}_{u}": "1" for i in (1, 2, 3) for u in (1, 2, 3)}, follow=True
        )
        assert answer.status_code == 403
    assert severity_matrix() == before


@pytest.fixture
def dead_letter(house: House) -> Notification:
    draft = Draft(requester=house.requester, subject="VPN drops", body="Since nine.", service=house.service)
    ticket = open_ticket(draft=draft, actor=house.agent, now=database_now())
    row = Notification.objects.filter(ticket=ticket).first()
    assert row is not None
    Notification.objects.filter(pk=row.pk).update(state="dead", dead_at=database_now(), answer="550 unknown")
    return row


def test_a_dead_letter_is_sent_again_by_post_only(
    house: House, admin: Client, dead_letter: Notification
) -> None:
    page = reverse("admin:notifications_notification_change", args=[dead_letter.pk])
    again = reverse("admin:notifications_notification_send_again", args=[dead_letter.pk])
    assert again in admin.get(page).content.decode()
    assert admin.get(again).status_code == 405
    assert signed_in(house.agent).post(again, follow=True).status_code == 403
    dead_letter.refresh_from_db()
    assert dead_letter.state == "dead"
    answer = admin.post(again, follow=True)
    dead_letter.refresh_from_db()
    assert dead_letter.state == "pending"
    assert again not in answer.content.decode()
    twice = admin.post(again, follow=True)
    assert "This is no dead letter any more" in twice.content.decode()


def test_the_buttons_need_a_csrf_token(house: House, dead_letter: Notification) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(house.admin, backend="allauth.account.auth_backends.AuthenticationBackend")
    again = reverse("admin:notifications_notification_send_again", args=[dead_letter.pk])
    assert client.post(again).status_code == 403
    assert (
        client.post(f"/admin/escalation/escalationpath/{house.path.pk}/change/", {"name": "x"}).status_code
        == 403
    )
