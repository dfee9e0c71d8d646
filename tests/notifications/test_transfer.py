"""Contacts and contact lists out and in: what is looked at is what is written, or nothing is."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from calendars.models import Calendar
from core.errors import Conflict, NotAllowed, Refused
from core.secrets import encrypt
from notifications.models import Contact, ContactList, ContactListEntry, ContactMethod
from notifications.operations.transfer import (
    import_contacts,
    import_entries,
    preview_contacts,
    preview_entries,
)
from notifications.queries.transfer import contact_world, entry_world
from notifications.rules.transfer.contacts import write_contacts
from notifications.rules.transfer.entries import write_entries
from tests.house import House, build_house

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
SECRET = "https://hooks.example.org/T0/very-secret"
CONTACTS, LISTS = "/admin/notifications/contact/", "/admin/notifications/contactlist/"


@pytest.fixture
def house(db: None) -> House:
    """A house with a room behind a secret, a role, and somebody with quiet hours."""
    house = build_house()
    room = Contact.objects.create(name="=NOC", kind="room")
    ContactMethod.objects.create(
        contact=room, channel="slack", address="#noc", secret=encrypt(SECRET), position=1
    )
    Contact.objects.create(name="Lead of network", kind="lead", team=house.network)
    Contact.objects.filter(user=house.second).update(
        quiet_from="22:00", quiet_until="07:00", quiet_days=[6], time_zone="Europe/Berlin"
    )
    house.lists[2].calendar = Calendar.objects.get(is_built_in=True)
    house.lists[2].save()
    return house


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


def upload(text: str | bytes, name: str = "some.csv") -> dict[str, Any]:
    data = text.encode() if isinstance(text, str) else text
    return {"file": SimpleUploadedFile(name, data, content_type="text/csv")}


def take(text: str, actor: Any, *, lists: bool = False) -> None:
    preview, apply = (preview_entries, import_entries) if lists else (preview_contacts, import_contacts)
    data = text.encode()
    apply(data=data, digest=preview(data=data, actor=actor).digest, actor=actor)


def ways_of(contact: Contact) -> list[tuple[str, str, bool, bool]]:
    rows = contact.methods.order_by("position", "pk")
    return [(row.channel, row.address, row.is_active, bool(row.secret)) for row in rows]


# --- the operations --------------------------------------------------------------------------------------------------


def test_what_was_exported_changes_nothing_when_it_comes_back(house: House) -> None:
    people, lists = write_contacts(contact_world().contacts), write_entries(entry_world())

    first, second = (
        preview_contacts(data=people, actor=house.admin).plan,
        preview_entries(data=lists, actor=house.admin).plan,
    )

    assert (first.added, first.changed, first.problems) == ((), (), ())
    assert (second.added, second.changed, second.problems) == ((), (), ())
    assert first.unchanged == Contact.objects.count()
    assert second.unchanged == ContactListEntry.objects.count()


def test_no_secret_is_exported_and_no_formula(house: House) -> None:
    text = write_contacts(contact_world().contacts).decode("utf-8-sig")

    assert "very-secret" not in text
    assert "secret slack:#noc" in text
    assert "'=NOC" in text


def test_contacts_are_added_and_changed_with_their_methods(house: House) -> None:
    room = Contact.objects.get(name="=NOC")
    take(
        "number,name,kind,account,quiet hours,methods\n"
        f"{room.pk},NOC,room,,,email:noc@example.org | slack:#noc\n"
        f",Piet Test,person,{house.agent.email},20:00-06:00 Sat,sms:+49 30 123456 | off email:piet@example.org\n",
        house.admin,
    )

    room.refresh_from_db()
    assert room.name == "NOC"
    assert ways_of(room) == [("email", "noc@example.org", True, False), ("slack", "#noc", True, True)]
    piet = Contact.objects.get(user=house.agent)
    assert (f"{piet.quiet_from:%H:%M}", piet.quiet_days) == ("20:00", [5])
    assert ways_of(piet) == [("sms", "+4930123456", True, False), ("email", "piet@example.org", False, False)]


def test_two_swap_their_accounts(house: House) -> None:
    first, second = (Contact.objects.get(user=user) for user in (house.second, house.third))
    take(
        f"number,name,account\n{first.pk},{first.name},{house.third.email}\n"
        f"{second.pk},{second.name},{house.second.email}\n",
        house.admin,
    )

    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.user, second.user) == (house.third, house.second)


def test_lists_are_made_filled_and_given_their_calendar(house: House) -> None:
    built_in = Calendar.objects.get(is_built_in=True)
    take(
        "list,position,contact,when to reach out,severities,hours,from round,business hours\n"
        f"L3 contacts,1,Duty L3,At once.,1 2,inside,2,{built_in.name}\n"
        "Nights,1,Duty L2,,,,,\n",
        house.admin,
        lists=True,
    )

    entry = ContactListEntry.objects.get(contact_list=house.lists[3], contact__name="Duty L3")
    assert (entry.position, entry.when_to_reach_out, entry.severities) == (1, "At once.", [1, 2])
    assert (entry.hours, entry.from_round, entry.contact_list.calendar) == ("inside", 2, built_in)
    assert house.lists[3].entries.count() == 2
    assert ContactList.objects.get(name="Nights").entries.count() == 1


def test_nothing_is_written_where_anything_has_changed_meanwhile(house: House) -> None:
    data = b"name,kind\nNew room,room\n"
    digest = preview_contacts(data=data, actor=house.admin).digest
    Contact.objects.filter(name="Duty officer").update(time_zone="Europe/Rome")

    with pytest.raises(Conflict, match="have changed since you looked"):
        import_contacts(data=data, digest=digest, actor=house.admin)

    assert not Contact.objects.filter(name="New room").exists()


def test_nothing_is_written_while_a_problem_is_left(house: House) -> None:
    data = b"name,kind\nNew room,room\nOther,boss\n"
    with pytest.raises(Refused, match="1 problems are left"):
        import_contacts(
            data=data, digest=preview_contacts(data=data, actor=house.admin).digest, actor=house.admin
        )

    assert not Contact.objects.filter(name="New room").exists()


def test_only_who_administers_may(house: House) -> None:
    for call in (preview_contacts, preview_entries):
        with pytest.raises(NotAllowed):
            call(data=b"name\nx\n", actor=house.lead)
    with pytest.raises(NotAllowed):
        import_contacts(data=b"name\nx\n", digest="", actor=house.lead)


def test_looking_costs_the_same_for_few_and_many(house: House, django_assert_num_queries: Any) -> None:
    data = b"name\n" + b"".join(b"Room %d\n" % number for number in range(200))
    # Methods, contacts with what they name, accounts, teams, schedules.
    with django_assert_num_queries(5):
        preview_contacts(data=data, actor=house.admin)


# --- the pages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [CONTACTS, LISTS])
def test_the_pages_are_for_admins_and_linked_from_the_list(house: House, page: str) -> None:
    admin = signed_in(house.admin)
    text = admin.get(page).content.decode()

    assert f'href="{page}export/"' in text
    assert f'href="{page}import/"' in text
    export = admin.get(f"{page}export/")
    assert export["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in export["Content-Disposition"]
    assert admin.get(f"{page}import/").status_code == 200
    for path in ("export/", "import/"):
        assert signed_in(house.lead).get(page + path, follow=True).status_code == 403


def test_an_import_is_looked_at_then_confirmed(house: House) -> None:
    admin = signed_in(house.admin)
    text = "name;kind;time zone\nDuty officer;person;Europe/Berlin\nWar room;room;\n"

    page = admin.post(f"{CONTACTS}import/", upload(text))
    shown = page.content.decode()
    assert "1 to add, 1 to change, 0 stay as they are" in shown
    assert "<b>Europe/Berlin</b>" in shown
    assert not Contact.objects.filter(name="War room").exists()
    answer = admin.post(f"{CONTACTS}import/", {"confirm": page.context["token"]}, follow=True)

    assert "Taken over: 1 added, 1 changed, 0 as they were." in answer.content.decode()
    assert Contact.objects.get(name="Duty officer").time_zone == "Europe/Berlin"
    assert LogEntry.objects.filter(object_repr="War room", user=house.admin).count() == 1
    again = admin.post(f"{CONTACTS}import/", {"confirm": page.context["token"]}, follow=True)
    assert "have changed since you looked" in again.content.decode()


def test_problems_are_shown_with_line_and_mend_and_can_not_be_confirmed(house: House) -> None:
    page = signed_in(house.admin).post(f"{CONTACTS}import/", upload("name,kind\nA,boss\nB,room\n"))

    text = page.content.decode()
    assert page.status_code == 422
    assert "There is no such word here. Take one of: person, lead, on_call, room." in text
    assert 'name="confirm"' not in text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"first,last\nA,B\n", "names a column “first”"),
        (b"name\n\xff\n", "not UTF-8"),
        (b"name\n" + b"x" * 1_000_001, "1,000,006 bytes"),
    ],
)
def test_what_is_no_such_file_is_said_on_the_page(house: House, data: bytes, words: str) -> None:
    page = signed_in(house.admin).post(f"{CONTACTS}import/", upload(data))
    assert (page.status_code, words in page.content.decode()) == (422, True)


def test_what_is_there_already_leaves_nothing_to_confirm(house: House) -> None:
    admin = signed_in(house.admin)
    text = admin.post(f"{LISTS}import/", upload(admin.get(f"{LISTS}export/").content)).content.decode()

    assert "there is nothing to do" in text
    assert 'name="confirm"' not in text


def test_a_preview_is_neither_forged_nor_anothers_nor_of_another_page(house: House) -> None:
    admin = signed_in(house.admin)
    token = admin.post(f"{CONTACTS}import/", upload("name,kind\nWar room,room\n")).context["token"]
    house.manager.role = "admin"
    house.manager.save()

    for client, page, sealed in (
        (admin, CONTACTS, token[:-2]),
        (admin, LISTS, token),
        (signed_in(house.manager), CONTACTS, token),
    ):
        text = client.post(f"{page}import/", {"confirm": sealed}, follow=True).content.decode()
        assert "Send the file again." in text
    assert not Contact.objects.filter(name="War room").exists()
