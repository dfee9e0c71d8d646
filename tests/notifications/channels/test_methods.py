"""The ways in which contacts are reached: checked by channel, secrets stored for good and never shown."""

import json
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from accounts.models import Role, User
from core.db import database_now
from core.errors import NotAllowed, Refused
from core.secrets import decrypt, encrypt
from notifications import engine
from notifications.models import Contact, ContactMethod, Delivery, Provider
from notifications.operations import (
    Kept,
    add_method,
    change_method,
    create_contact,
    move_method,
    remove_method,
    save_provider,
    send_test,
    try_provider,
)
from notifications.trials import last_tests
from tests.notifications.cast import person
from tests.notifications.channels.loopback import SECRET, Server

pytestmark = pytest.mark.django_db

SLACK = f"https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/{'x' * 24}"
NOW = database_now


@pytest.fixture
def ann() -> User:
    return person("Ann", Role.AGENT)


@pytest.fixture
def lead() -> User:
    return person("Lena", Role.LEAD)


@pytest.fixture
def contact(ann: User) -> Contact:
    return create_contact(name="Ann", email="ann@example.org", user=ann)


@pytest.fixture
def gateway() -> Provider:
    return carried_by("tgram://123456789:abcdefg_hijklmnop/{to}", "telegram")


def carried_by(url: str, channel: str, name: str = "Gateway") -> Provider:
    return Provider.objects.create(name=name, channel=channel, secret=encrypt(url), shown="somewhere")


def add(contact: Contact, channel: str, address: str = "", **more: Any) -> Kept:
    return add_method(
        contact=contact, channel=channel, address=address, **{"actor": None, "now": NOW(), **more}
    )


def test_a_new_way_is_tried_last(contact: Contact) -> None:
    second = add(contact, "email", "  night@example.org ").method

    assert (second.address, second.position) == ("night@example.org", 2)


@pytest.mark.parametrize(
    ("channel", "address", "field"),
    [
        ("email", "night", "address"),
        ("email", "", "address"),
        ("sms", "030 901820", "address"),
        ("sms", "+49", "address"),
        ("sms", "+15555550123/x", "address"),
        ("telegram", "Ann Test", "address"),
        ("telegram", "-100?x=1", "address"),
        ("pigeon", "x", "channel"),
        ("slack", "#net", "channel"),
        ("webhook", "", "secret_url"),
    ],
)
def test_what_a_channel_does_not_take_is_refused_with_the_mend(
    channel: str, address: str, field: str, contact: Contact, gateway: Provider
) -> None:
    carried_by("json://127.0.0.1/{to}", "sms", "SMS")

    with pytest.raises(Refused) as refused:
        add(contact, channel, address)

    assert refused.value.field == field
    assert refused.value.mend
    assert contact.methods.count() == 1


@pytest.mark.parametrize(
    ("region", "typed", "stored"),
    [
        ("", "+49 (30) 901820", "+4930901820"),
        ("DE", "030 901820", "+4930901820"),
        ("DE", "+1 201 555 0123", "+12015550123"),
    ],
)
def test_phone_numbers_are_stored_in_one_form(
    region: str, typed: str, stored: str, contact: Contact, settings: Any
) -> None:
    settings.BELAY_PHONE_REGION = region
    carried_by("json://127.0.0.1/{to}", "sms")

    assert add(contact, "sms", typed).method.address == stored


@pytest.mark.parametrize(
    ("label", "shown"), [("", "Slack, hooks.slack.com"), ("#netops", "#netops (Slack, hooks.slack.com)")]
)
def test_of_a_rooms_own_address_only_service_and_host_are_shown(
    label: str, shown: str, contact: Contact
) -> None:
    method = add(contact, "slack", label, secret_url=SLACK).method

    assert method.address == shown
    assert "xxxx" not in str(method) + repr(method) + method.secret
    assert json.loads(decrypt(method.secret)) == {"url": SLACK}


@pytest.mark.parametrize("url", ["https://example.org/hook", "syslog://", "dbus://", "slack://", "x"])
def test_what_apprise_does_not_carry_is_refused(url: str, contact: Contact) -> None:
    with pytest.raises(Refused) as refused:
        add(contact, "apprise", "x", secret_url=url)

    assert refused.value.field == "secret_url"
    assert refused.value.value is None


def test_a_credential_pasted_as_a_label_is_refused(contact: Contact) -> None:
    with pytest.raises(Refused, match="label is shown"):
        add(contact, "slack", SLACK, secret_url=SLACK)


def test_an_empty_secret_leaves_it_as_it_is_and_the_label_may_change(contact: Contact) -> None:
    method = add(contact, "slack", "#net", secret_url=SLACK).method
    ContactMethod.objects.filter(pk=method.pk).update(proven_at=NOW())
    before = method.secret

    for typed, shown in (
        ("#ops", "#ops (Slack, hooks.slack.com)"),
        ("#ops (Slack, hooks.slack.com)", "#ops (Slack, hooks.slack.com)"),
        ("", "Slack, hooks.slack.com"),
    ):
        kept = change_method(method=method, address=typed, actor=None, now=NOW())
        assert (kept.method.address, kept.method.secret) == (shown, before)
        assert kept.method.proven_at is not None


def test_a_way_that_leads_elsewhere_has_to_be_proven_anew(contact: Contact) -> None:
    method = contact.methods.get()
    ContactMethod.objects.filter(pk=method.pk).update(proven_at=NOW(), failing_since=NOW())

    changed = change_method(method=method, address="new@example.org", actor=None, now=NOW()).method

    assert (changed.proven_at, changed.failing_since) == (None, None)


def test_a_webhooks_key_is_shown_once_and_kept(contact: Contact) -> None:
    kept = add(contact, "webhook", "pager", secret_url="https://hooks.example.org/x?t=1")

    assert kept.method.address == "pager (hooks.example.org)"
    assert kept.signing_key.startswith("whsec_")
    assert kept.signing_key not in repr(kept)
    Webhook(kept.signing_key)
    moved = change_method(method=kept.method, secret_url="https://other.example.org/y", actor=None, now=NOW())
    assert (moved.signing_key, moved.method.address) == ("", "pager (other.example.org)")
    assert json.loads(decrypt(moved.method.secret)) == {
        "url": "https://other.example.org/y",
        "key": kept.signing_key,
    }
    renewed = change_method(method=kept.method, renew_key=True, actor=None, now=NOW())
    assert renewed.signing_key not in {"", kept.signing_key}


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "http://user:pw@example.org/",
        "https://",
        "https://[x",
        "https://10.0.0.1/",
        "https://127.0.0.1/x",
        "hooks.example.org",
        "https://example.org:x/",
    ],
)
def test_what_is_no_address_of_a_webhook_is_refused(url: str, contact: Contact) -> None:
    with pytest.raises(Refused) as refused:
        add(contact, "webhook", "", secret_url=url)

    assert refused.value.field == "secret_url"


def test_the_bell_is_for_those_who_have_an_account(contact: Contact) -> None:
    assert add(contact, "app").method.address == "the bell"
    with pytest.raises(Refused, match="no account"):
        add(create_contact(name="Room", email="room@example.org"), "app")


def test_a_provider_has_to_carry_the_channel(contact: Contact, gateway: Provider) -> None:
    assert add(contact, "telegram", "-1001", provider=gateway).method.provider == gateway
    with pytest.raises(Refused, match="carries Telegram"):
        add(contact, "ntfy", "topic", provider=gateway)
    with pytest.raises(Refused, match="no provider"):
        add(contact, "slack", "", secret_url=SLACK, provider=gateway)


def test_the_same_way_is_there_once(contact: Contact) -> None:
    add(contact, "slack", "", secret_url=SLACK)

    with pytest.raises(Refused, match="already"):
        add(contact, "slack", "", secret_url=SLACK)
    with pytest.raises(Refused, match="already"):
        add(contact, "email", "ann@example.org")


def test_ways_change_places(contact: Contact) -> None:
    second, third = (
        add(contact, "email", "b@example.org").method,
        add(contact, "email", "c@example.org").method,
    )

    move_method(method_id=third.pk, up=True, actor=None)
    move_method(method_id=third.pk, up=True, actor=None)
    remove_method(method=second, actor=None, now=NOW())

    found = contact.methods.order_by("position").values_list("address", flat=True)
    assert list(found) == ["c@example.org", "ann@example.org"]


def test_people_change_their_own_ways_and_leads_everybodys(contact: Contact, ann: User, lead: User) -> None:
    other = person("Olaf", Role.AGENT)
    add(contact, "email", "a@example.org", actor=ann)
    method = add(contact, "email", "b@example.org", actor=lead).method

    with pytest.raises(NotAllowed):
        add(contact, "email", "c@example.org", actor=other)
    with pytest.raises(NotAllowed):
        change_method(method=method, address="d@example.org", actor=other, now=NOW())
    with pytest.raises(NotAllowed):
        remove_method(method=method, actor=other, now=NOW())
    with pytest.raises(NotAllowed):
        send_test(method=method, actor=other, now=NOW())
    requester = person("Rita")
    with pytest.raises(NotAllowed):
        add(create_contact(name="Rita", email="r@example.org", user=requester), "app", actor=requester)


def test_a_test_goes_through_the_outbox_and_proves_the_way(
    contact: Contact, ann: User, server: Server
) -> None:
    method = add(contact, "apprise", "me", secret_url=f"json://127.0.0.1:{server.port}/{SECRET}").method

    row = send_test(method=method, actor=ann, now=NOW())
    engine.tick(senders=1)

    row.refresh_from_db()
    method.refresh_from_db()
    assert (row.state, row.answer, row.ticket_id, row.round) == ("sent", "200 OK: ok", None, None)
    assert method.proven_at is not None
    assert "Test from Belay" in server.said["title"]
    assert last_tests([method]) == {method.pk: row}


def test_a_test_that_is_refused_says_why_without_secrets(contact: Contact, server: Server) -> None:
    server.status, server.body = 404, f"no such path /{SECRET}".encode()
    method = add(contact, "apprise", "me", secret_url=f"json://127.0.0.1:{server.port}/{SECRET}").method

    row = send_test(method=method, actor=None, now=NOW())
    engine.tick(senders=1)

    row.refresh_from_db()
    method.refresh_from_db()
    assert row.state == "dead"
    assert row.answer == Delivery.objects.get(notification=row).answer == "404 Not Found: no such path …"
    assert method.failing_since is not None


def test_a_signed_test_reaches_a_webhook(contact: Contact, server: Server) -> None:
    kept = add(contact, "webhook", "pager", secret_url=f"http://127.0.0.1:{server.port}/in")

    send_test(method=kept.method, actor=None, now=NOW())
    engine.tick(senders=1)

    _, headers, body = server.seen[-1]
    assert Webhook(kept.signing_key).verify(body, dict(headers))["type"] == "notifications.test"


def test_a_test_of_the_bell_is_shown_in_belay(contact: Contact) -> None:
    row = send_test(method=add(contact, "app").method, actor=None, now=NOW())

    engine.tick(senders=1)

    row.refresh_from_db()
    assert (row.state, row.answer) == ("sent", "shown in Belay")


def test_one_test_in_ten_seconds_is_enough(contact: Contact, ann: User) -> None:
    method = contact.methods.get()
    send_test(method=method, actor=ann, now=NOW())

    with pytest.raises(Refused, match="moment ago"):
        send_test(method=method, actor=ann, now=NOW())
    send_test(method=add(contact, "email", "b@example.org").method, actor=ann, now=NOW())


def test_an_admin_keeps_providers(lead: User) -> None:
    admin = person("Ada", Role.ADMIN)
    url = f"tgram://123456789:{SECRET}/{{to}}"

    made = save_provider(name=" Telegram ", channel="telegram", url=url, actor=admin, now=NOW())

    assert (made.name, made.shown) == ("Telegram", "Telegram")
    assert SECRET not in made.secret + str(made) + repr(made)
    again = save_provider(
        name="Bot", channel="telegram", is_active=False, provider=made, actor=admin, now=NOW()
    )
    assert (again.pk, decrypt(again.secret), again.is_active) == (made.pk, url, False)
    with pytest.raises(NotAllowed):
        save_provider(name="Mine", channel="telegram", url=url, actor=lead, now=NOW())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"url": "tgram://123456789:abcdefg_hijklmnop/1"}, "url"),
        ({"url": ""}, "url"),
        ({"url": "syslog://{to}"}, "url"),
        ({"name": " "}, "name"),
        ({"name": "Gateway"}, "name"),
        ({"channel": "email"}, "channel"),
    ],
)
def test_a_provider_that_can_not_work_is_refused(
    changes: dict[str, str], field: str, gateway: Provider
) -> None:
    values = {"name": "Bot", "channel": "telegram", "url": "tgram://123456789:abcdefg_hijklmnop/{to}"}

    with pytest.raises(Refused) as refused:
        save_provider(**values | changes, actor=None, now=NOW())

    assert refused.value.field == field
    assert refused.value.value != changes.get("url") or not changes.get("url")


def test_a_provider_is_tried_with_an_address(server: Server) -> None:
    carried = carried_by(f"json://127.0.0.1:{server.port}/{SECRET}/{{to}}", "sms")

    assert try_provider(provider=carried, address="+15555550123", actor=None, now=NOW()) == (
        True,
        "200 OK: ok",
    )
    server.status, server.body = 401, SECRET.encode()
    assert try_provider(provider=carried, address="+15555550124", actor=None, now=NOW()) == (
        False,
        "401 Unauthorized: …",
    )
