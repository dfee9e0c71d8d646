"""Providers and the ways to reach people in the admin: what is written there, what is never shown, and tests."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Role
from accounts.operations import create_user
from core.db import database_now
from core.secrets import decrypt
from notifications import engine
from notifications.models import Contact, ContactMethod, Notification, OnCallSchedule, Provider
from notifications.operations import add_method, save_provider
from tests.admin.conftest import House, signed_in
from tests.admin.pages import Fields, read_form
from tests.notifications.channels.loopback import SECRET, Server

SLACK = f"https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/{'x' * 24}"


@pytest.fixture
def server(request: pytest.FixtureRequest, settings: Any) -> Any:
    import threading

    settings.BELAY_ALLOWED_HOSTS_OUT = ["127.0.0.1"]
    running = Server()
    threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
    yield running
    running.shut_down()


def page_of(contact: Contact) -> str:
    return reverse("admin:notifications_contact_change", args=[contact.pk])


def form_of(client: Client, contact: Contact) -> tuple[Fields, int]:
    form = read_form(client.get(page_of(contact)), "contact_form")
    return form, int(form["methods-INITIAL_FORMS"][0])


def row(number: int, **values: str) -> Fields:
    return {f"methods-{number}-{name}": [value] for name, value in values.items()}


def test_a_secret_is_written_and_never_shown(house: House, admin: Client) -> None:
    contact = house.contacts[1]
    form, rows = form_of(admin, contact)

    answer = admin.post(
        page_of(contact), form | row(rows, channel="slack", address="#net", secret_url=SLACK), follow=True
    )

    method = ContactMethod.objects.get(contact=contact, channel="slack")
    assert (method.address, method.position) == ("#net (Slack, hooks.slack.com)", 2)
    assert SLACK in decrypt(method.secret)
    shown = answer.content.decode()
    assert "#net (Slack, hooks.slack.com)" in shown
    assert "xxxx" not in shown
    assert method.secret not in shown


def test_a_form_sent_back_unchanged_changes_nothing(house: House, admin: Client) -> None:
    contact = house.contacts[1]
    method = add_method(
        contact=contact, channel="slack", address="#net", secret_url=SLACK, actor=None, now=database_now()
    ).method
    form, _ = form_of(admin, contact)

    admin.post(page_of(contact), form | {"name": ["Tomas B."]})

    method.refresh_from_db()
    assert (method.address, SLACK in decrypt(method.secret)) == ("#net (Slack, hooks.slack.com)", True)
    assert Contact.objects.get(pk=contact.pk).name == "Tomas B."


def test_a_wrong_secret_is_refused_and_does_not_come_back(house: House, admin: Client) -> None:
    contact = house.contacts[1]
    form, rows = form_of(admin, contact)

    wrong = f"nonsense://{SECRET}"
    answer = admin.post(page_of(contact), form | row(rows, channel="slack", secret_url=wrong))

    assert "no address of a service" in answer.content.decode()
    assert SECRET not in answer.content.decode()
    assert not ContactMethod.objects.filter(contact=contact, channel="slack").exists()


def test_a_label_changes_and_a_way_is_removed(house: House, admin: Client) -> None:
    contact = house.contacts[1]
    add_method(
        contact=contact, channel="slack", address="#net", secret_url=SLACK, actor=None, now=database_now()
    )
    form, _ = form_of(admin, contact)

    admin.post(page_of(contact), form | row(0, DELETE="on") | row(1, address="#ops", channel="email"))

    (left,) = contact.methods.all()
    # What a page says about the channel of a way that is there is not listened to.
    assert (left.channel, left.address) == ("slack", "#ops (Slack, hooks.slack.com)")


def test_a_webhooks_key_is_shown_on_the_next_page_only(house: House, admin: Client) -> None:
    contact = house.contacts[1]
    form, rows = form_of(admin, contact)

    url = "https://hooks.example.org/x"
    first = admin.post(page_of(contact), form | row(rows, channel="webhook", secret_url=url), follow=True)
    second = admin.get(page_of(contact))

    assert "whsec_" in first.content.decode()
    assert "whsec_" not in second.content.decode()
    assert "hooks.example.org" in second.content.decode()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"quiet_from": ["22:00"]}, "Quiet hours need both a beginning and an end."),
        ({"quiet_until": ["06:00"]}, "Quiet hours need both a beginning and an end."),
        ({"quiet_from": ["22:00"], "quiet_until": ["22:00"]}, "is the whole day"),
        ({"quiet_days": [str(day) for day in range(7)]}, "With every day quiet nobody could be reached."),
        ({"language": ["Klingon!"]}, "no code of a language"),
        ({"kind": ["on_call"]}, "Choose the schedule"),
    ],
)
def test_what_makes_no_sense_of_a_contact_is_refused_in_words(
    house: House, admin: Client, typed: Fields, words: str
) -> None:
    form, _ = form_of(admin, house.contacts[1])

    assert words in admin.post(page_of(house.contacts[1]), form | typed).content.decode()


def test_quiet_hours_language_and_schedule_are_kept(house: House, admin: Client) -> None:
    contact = house.contacts[1]
    schedule = OnCallSchedule.objects.create(name="Network nights")
    form, _ = form_of(admin, contact)
    quiet = {"quiet_from": ["22:00"], "quiet_until": ["06:30"], "quiet_days": ["5", "6"], "language": ["DE"]}

    admin.post(page_of(contact), form | quiet)
    admin.post(
        page_of(contact),
        form | quiet | {"kind": ["on_call"], "schedule": [str(schedule.pk)], "user": [""]},
    )

    kept = Contact.objects.get(pk=contact.pk)
    assert (f"{kept.quiet_from:%H:%M}", f"{kept.quiet_until:%H:%M}") == ("22:00", "06:30")
    assert (kept.quiet_days, kept.language, kept.schedule) == ([5, 6], "de", schedule)


def test_a_test_is_sent_and_its_answer_shown(house: House, admin: Client, server: Server) -> None:
    contact = house.contacts[1]
    server.body = b"thanks"
    url = f"json://127.0.0.1:{server.port}/{SECRET}"
    method = add_method(
        contact=contact, channel="apprise", address="me", secret_url=url, actor=None, now=database_now()
    ).method
    button = reverse("admin:notifications_contact_send_test", args=[contact.pk])
    part = reverse("admin:notifications_contact_tests", args=[contact.pk])

    sent = admin.post(button, {"method": method.pk}, follow=True).content.decode()
    engine.tick(senders=1)

    assert "on its way" in sent
    assert f'data-live="{part}"' in sent
    settled = admin.get(part).content.decode()
    assert "200 OK: thanks" in settled
    assert "data-live" not in settled
    assert SECRET not in sent + settled
    again = admin.post(button, {"method": method.pk}, follow=True).content.decode()
    assert "was sent a moment ago" in again
    assert Notification.objects.filter(method=method).count() == 1


@pytest.mark.parametrize("number", ["", "x", "0", "9" * 30, "other"])
def test_only_a_way_of_this_contact_is_tested(number: str, house: House, admin: Client) -> None:
    button = reverse("admin:notifications_contact_send_test", args=[house.contacts[1].pk])
    if number == "other":
        number = str(ContactMethod.objects.filter(contact=house.contacts[2]).values_list("pk", flat=True)[0])

    assert admin.post(button, {"method": number}).status_code == 404
    assert admin.get(button).status_code == 405
    assert not Notification.objects.filter(kind="notifications.test").exists()


def test_an_admin_keeps_providers_without_ever_seeing_their_urls(house: House, admin: Client) -> None:
    add = reverse("admin:notifications_provider_add")
    form = read_form(admin.get(add), "provider_form")
    url = f"tgram://123456789:{SECRET}/{{to}}"
    values = {"name": ["Bot"], "channel": ["telegram"], "url": [url]}

    refused = admin.post(add, form | values | {"url": ["tgram://123456789:abc/1"]}).content.decode()
    admin.post(add, form | values)

    assert "{to} once" in refused
    provider = Provider.objects.get(name="Bot")
    assert (decrypt(provider.secret), provider.shown) == (url, "Telegram")
    change = reverse("admin:notifications_provider_change", args=[provider.pk])
    shown = (
        admin.get(change).content.decode()
        + admin.get(reverse("admin:notifications_provider_changelist")).content.decode()
    )
    assert SECRET not in shown
    assert provider.secret not in shown
    form = read_form(admin.get(change), "provider_form")
    admin.post(change, form | {"name": ["Our bot"]})
    provider.refresh_from_db()
    assert (provider.name, decrypt(provider.secret)) == ("Our bot", url)


def test_a_provider_is_tested_with_an_address(house: House, admin: Client, server: Server) -> None:
    url = f"json://127.0.0.1:{server.port}/{SECRET}/{{to}}"
    provider = save_provider(name="SMS", channel="sms", url=url, actor=None, now=database_now())
    button = reverse("admin:notifications_provider_send_test", args=[provider.pk])

    good = admin.post(button, {"address": "+15555550123"}, follow=True).content.decode()
    server.status, server.body = 401, SECRET.encode()
    bad = admin.post(button, {"address": "+15555550124"}, follow=True).content.decode()

    assert "200 OK: ok" in good
    assert "401 Unauthorized" in bad
    assert SECRET not in good + bad


def test_the_buttons_are_for_admins(house: House, db: None) -> None:
    lead = create_user(email=f"lead{house.mark}@example.org", name="Lena Lead", role=Role.LEAD)
    provider = save_provider(
        name="Bot",
        channel="telegram",
        url="tgram://123456789:abcdefg_hijklmnop/{to}",
        actor=None,
        now=database_now(),
    )
    for client in (Client(), signed_in(lead), signed_in(house.agent)):
        for name, pk in (("contact", house.contacts[1].pk), ("provider", provider.pk)):
            button = reverse(f"admin:notifications_{name}_send_test", args=[pk])
            assert client.post(button, {"method": "1", "address": "1"}).status_code in (302, 403)
    assert not Notification.objects.filter(kind="notifications.test").exists()
