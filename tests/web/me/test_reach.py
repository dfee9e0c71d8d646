"""“How Belay reaches you”: one's own methods, quiet hours, and where one stands."""

import datetime as dt
from typing import Any

import pytest

from accounts.models import User
from core.errors import NotAllowed, Refused
from notifications.models import Contact, ContactMethod, Notification, RotationMember
from notifications.operations import (
    Turns,
    create_contact,
    create_contact_list,
    create_schedule,
    move_method,
    save_quiet_hours,
    save_rotation,
    switch_method,
)
from tests.house import House
from tests.notifications.cast import queued
from tests.web.desk.conftest import As, text_of

QUIET = {"quiet_from": "22:00", "quiet_until": "07:00", "quiet_days": ["6"], "time_zone": "Europe/Berlin"}


@pytest.fixture
def contact(house: House) -> Contact:
    """Aisha, who has a phone besides her mail."""
    contact = Contact.objects.get(user=house.second)
    ContactMethod.objects.create(contact=contact, channel="sms", address="+4930123456", position=2)
    return contact


def order_of(contact: Contact) -> list[str]:
    return list(contact.methods.order_by("position", "pk").values_list("channel", flat=True))


def method(contact: Contact, channel: str) -> ContactMethod:
    return contact.methods.get(channel=channel)


def quiet(contact: Contact, actor: User | None, **more: Any) -> Contact:
    values: dict[str, Any] = {
        "begins": dt.time(22),
        "ends": dt.time(7),
        "days": [6],
        "time_zone": "Europe/Berlin",
        "language": "en",
    }
    return save_quiet_hours(contact_id=contact.pk, actor=actor, **values | more)


# --- the page --------------------------------------------------------------------------------------------------------


def test_who_has_no_contact_yet_gets_one_by_looking(house: House, signed_in_as: As) -> None:
    assert not Contact.objects.filter(user=house.agent).exists()

    page = text_of(signed_in_as(house.agent).get("/me/reach/"))

    assert house.agent.email in page
    assert "Never proven" in page
    assert "You stand on no contact list." in page
    assert Contact.objects.get(user=house.agent).methods.count() == 1


def test_the_page_says_what_works_what_fails_and_where_one_stands(
    house: House, signed_in_as: As, contact: Contact
) -> None:
    mail, phone = method(contact, "email"), method(contact, "sms")
    ContactMethod.objects.filter(pk=mail.pk).update(proven_at=house.now)
    ContactMethod.objects.filter(pk=phone.pk).update(failing_since=house.now)
    row = queued(phone.address, contact_id=contact.pk, method_id=phone.pk, channel="sms", now=house.now)
    Notification.objects.filter(pk=row.pk).update(state="dead", dead_at=house.now, answer="30003 unreachable")
    role = Contact.objects.create(name="Lead of desk", kind="lead", team=house.desk)
    house.desk.lead = house.second
    house.desk.save()
    create_contact_list(name="Desk leads", entries=[(role, "When the desk is full.")])

    page = text_of(signed_in_as(house.second).get("/me/reach/"))

    assert "Proven <time" in page
    assert "Failing since" in page
    assert "30003 unreachable" in page
    assert "“First, by day and night.”" in page
    assert "as lead of Service desk" in page
    assert "“When the desk is full.”" in page
    assert 'href="/me/reach/"' in page


def test_turns_on_call_are_named(house: House, signed_in_as: As, contact: Contact) -> None:
    schedule = create_schedule(name="Network duty", time_zone="UTC", actor=house.admin)
    save_rotation(
        schedule=schedule,
        turns=Turns(
            name="Weeks",
            unit="weekly",
            length=1,
            starts_on=house.now.date(),
            handoff_time=dt.time(9),
            groups=((contact,),),
        ),
        actor=house.admin,
    )
    assert RotationMember.objects.filter(contact=contact).exists()

    page = text_of(signed_in_as(house.second).get("/me/reach/"))

    assert "Network duty" in page
    assert "Weeks, turn 1" in page


def test_the_page_needs_somebody_who_works_tickets(house: House, signed_in_as: As) -> None:
    client = signed_in_as(house.requester)

    assert client.get("/me/reach/").status_code == 403
    assert client.post("/me/reach/quiet/", QUIET).status_code == 403


def test_methods_are_moved_and_switched_by_their_owner_only(
    house: House, signed_in_as: As, contact: Contact
) -> None:
    mail, phone = method(contact, "email"), method(contact, "sms")
    client = signed_in_as(house.second)

    client.post(f"/me/reach/methods/{phone.pk}/move/", {"way": "up"})
    assert order_of(contact) == ["sms", "email"]
    client.post(f"/me/reach/methods/{phone.pk}/switch/", {"on": "no"})
    phone.refresh_from_db()
    assert not phone.is_active
    last = client.post(f"/me/reach/methods/{mail.pk}/switch/", {"on": "no"}, follow=True)
    assert "is the only way left to reach" in last.content.decode()
    # Not even a lead changes somebody else's here.
    for verb in ("move", "switch"):
        assert signed_in_as(house.lead).post(f"/me/reach/methods/{mail.pk}/{verb}/").status_code == 404


def test_quiet_hours_are_saved_and_said(house: House, signed_in_as: As, contact: Contact) -> None:
    client = signed_in_as(house.second)

    answer = client.post("/me/reach/quiet/", {**QUIET, "language": "en"})

    contact.refresh_from_db()
    assert answer.status_code == 302
    assert (contact.quiet_from, contact.quiet_until, contact.quiet_days) == (dt.time(22), dt.time(7), [6])
    assert contact.time_zone == "Europe/Berlin"
    assert 'value="22:00"' in client.get("/me/reach/").content.decode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"quiet_until": ""}, "Quiet hours need both a beginning and an end."),
        ({"quiet_days": list("0123456")}, "With every day quiet nobody could be reached."),
        ({"quiet_from": "25:00"}, "Enter a valid time."),
        ({"time_zone": "Mars/Olympus"}, "Select a valid choice."),
    ],
)
def test_what_can_not_be_is_said_beside_its_field_and_nothing_is_saved(
    house: House, signed_in_as: As, contact: Contact, change: dict[str, Any], words: str
) -> None:
    answer = signed_in_as(house.second).post("/me/reach/quiet/", {**QUIET, "language": "en", **change})

    contact.refresh_from_db()
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert contact.quiet_from is None


# --- the operations --------------------------------------------------------------------------------------------------


def test_moving_beyond_either_end_moves_nothing(house: House, contact: Contact) -> None:
    assert not move_method(method_id=method(contact, "email").pk, up=True, actor=house.second)
    assert not move_method(method_id=method(contact, "sms").pk, up=False, actor=house.second)
    assert order_of(contact) == ["email", "sms"]


def test_methods_that_share_a_position_are_told_apart_by_moving(house: House, contact: Contact) -> None:
    contact.methods.update(position=1)
    move_method(method_id=method(contact, "sms").pk, up=True, actor=house.second)

    assert list(contact.methods.order_by("position").values_list("channel", "position")) == [
        ("sms", 1),
        ("email", 2),
    ]


@pytest.mark.parametrize("who", ["second", "lead", "admin"])
def test_leads_may_change_how_others_are_reached(house: House, contact: Contact, who: str) -> None:
    actor = getattr(house, who)

    assert quiet(contact, actor).quiet_days == [6]
    switch_method(method_id=method(contact, "sms").pk, on=False, actor=actor)
    assert not method(contact, "sms").is_active


@pytest.mark.parametrize("who", ["third", "requester"])
def test_others_may_not(house: House, contact: Contact, who: str) -> None:
    actor, pk = getattr(house, who), method(contact, "sms").pk

    for call in (
        lambda: quiet(contact, actor),
        lambda: move_method(method_id=pk, up=True, actor=actor),
        lambda: switch_method(method_id=pk, on=False, actor=actor),
    ):
        with pytest.raises(NotAllowed):
            call()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"begins": None}, "quiet_from"),
        ({"ends": dt.time(22)}, "quiet_until"),
        ({"days": [7]}, "quiet_days"),
        ({"time_zone": "Europe"}, "time_zone"),
        ({"language": "Klingon!"}, "language"),
    ],
)
def test_each_refusal_names_its_field(
    house: House, contact: Contact, change: dict[str, Any], field: str
) -> None:
    with pytest.raises(Refused) as refused:
        quiet(contact, house.second, **change)

    assert refused.value.field == field


def test_a_method_that_is_gone_is_refused(house: House) -> None:
    with pytest.raises(Refused, match="gone"):
        switch_method(method_id=10**9, on=False, actor=house.admin)


def test_a_room_has_no_owner_but_leads(house: House) -> None:
    room = create_contact(name="NOC", email="noc@example.org")
    with pytest.raises(NotAllowed):
        quiet(room, house.agent)
    assert quiet(room, house.lead).quiet_from == dt.time(22)


# --- adding, testing, taking away ----------------------------------------------------------------------------------


def test_one_adds_a_way_for_oneself_and_what_will_not_do_is_said_beside_its_field(
    house: House, signed_in_as: As, contact: Contact
) -> None:
    client = signed_in_as(house.second)

    bad = client.post("/me/reach/methods/add/", {"channel": "sms", "address": "12"})
    good = client.post("/me/reach/methods/add/", {"channel": "email", "address": "aisha@home.example"})

    assert (
        bad.status_code,
        "No provider carries SMS yet" in text_of(bad) or "is no phone number" in text_of(bad),
    ) == (
        422,
        True,
    )
    assert good.status_code == 302
    assert order_of(contact) == ["email", "sms", "email"]


def test_a_webhooks_signing_key_is_shown_once_and_its_address_never(
    house: House, signed_in_as: As, contact: Contact
) -> None:
    client = signed_in_as(house.second)
    values = {"channel": "webhook", "address": "pager", "secret_url": "https://hooks.example.org/x/s3cret"}

    answer = client.post("/me/reach/methods/add/", values)
    later = text_of(client.get("/me/reach/"))

    assert (answer.status_code, text_of(answer).count("whsec_")) == (200, 1)
    assert "pager (hooks.example.org)" in later
    assert "whsec_" not in later
    assert "s3cret" not in later + text_of(answer)


def test_a_test_goes_through_the_outbox_to_ones_own_way_only(
    house: House, signed_in_as: As, contact: Contact
) -> None:
    mine, client = method(contact, "email"), signed_in_as(house.second)

    client.post(f"/me/reach/methods/{mine.pk}/test/")
    page = text_of(client.get("/me/reach/"))
    stranger = signed_in_as(house.lead).post(f"/me/reach/methods/{mine.pk}/test/")

    row = Notification.objects.get(kind="notifications.test")
    assert (row.method, row.state) == (mine, "pending")
    assert "a message is on its way" in page
    assert stranger.status_code == 404


def test_the_last_way_that_is_on_is_not_taken_away(house: House, signed_in_as: As, contact: Contact) -> None:
    client = signed_in_as(house.second)

    client.post(f"/me/reach/methods/{method(contact, 'sms').pk}/remove/")
    client.post(f"/me/reach/methods/{method(contact, 'email').pk}/remove/")

    assert order_of(contact) == ["email"]
