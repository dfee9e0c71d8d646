"""Reaching people with every real part: workers, SMTP, a webhook receiver, a service spoken to through Apprise."""

import datetime as dt
import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from standardwebhooks.webhooks import Webhook

from core.db import database_now
from core.secrets import decrypt
from escalation.models import Escalation, EscalationPath
from escalation.operations import PromiseSpec, publish_path
from notifications.models import Channel, Contact, ContactMethod, Notification
from notifications.operations import (
    Turns,
    add_method,
    create_contact,
    create_contact_list,
    create_schedule,
    save_rotation,
)
from tests import mail
from tests.browser_fixtures import Live
from tests.e2e.conftest import wait_for
from tests.house import SEVERITIES, House, build_house, default_spec, steps_for
from tests.notifications.channels.loopback import Server
from tickets.models import Category, Ticket

SECOND = dt.timedelta(seconds=1)
WAIT = 3 * SECOND
State = Notification.State


@pytest.fixture
def outside() -> Iterator[dict[str, Server]]:
    """The outside world: a webhook receiver, a service that Apprise speaks to, and a receiver that never answers."""
    found = {name: Server() for name in ("webhook", "apprise", "frozen")}
    found["frozen"].hangs = True
    # Asks for a pause at first, as busy services do.
    found["apprise"].status, found["apprise"].headers = 429, {"Retry-After": "2"}
    for server in found.values():
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield found
    for server in found.values():
        server.shut_down()


def path_that_tells_in_turn(house: House, contacts: list[Contact]) -> Category:
    """Publish a path whose second step tells these one after another, twice around."""
    category = Category.objects.create(name=f"Payments {uuid.uuid4().hex[:8]}")
    told = create_contact_list(
        name=category.name, entries=[(one, f"When {one.name} is needed") for one in contacts]
    )
    desk, network, *rest = steps_for(house)
    spec = default_spec(
        house,
        name=category.name,
        is_default=False,
        position=1,
        conditions={"categories": [category.pk]},
        promises={severity: PromiseSpec() for severity in SEVERITIES},
        steps=(
            replace(desk, targets=dict.fromkeys(SEVERITIES, (None, SECOND))),
            replace(
                network,
                contact_list_ids=(told.pk,),
                telling="in_turn",
                wait=WAIT,
                rounds=2,
                targets=dict.fromkeys(SEVERITIES, (dt.timedelta(minutes=2), dt.timedelta(hours=1))),
            ),
            *rest,
        ),
    )
    publish_path(path_id=None, spec=spec, actor=house.admin, now=database_now())
    return category


def on_call(house: House, person: Contact, tag: str) -> Contact:
    """Return the role of whoever is on call: this person, around the clock."""
    schedule = create_schedule(name=f"Duty {tag}", time_zone="Europe/Berlin", actor=None)
    today = database_now().date()
    turns = Turns(
        name="Weekly",
        groups=[[person]],
        unit="weekly",
        starts_on=today - dt.timedelta(days=9),
        handoff_time=dt.time(9),
    )
    save_rotation(schedule=schedule, turns=turns, actor=None)
    return Contact.objects.create(name=f"On call {tag}", kind=Contact.Kind.ON_CALL, schedule=schedule)


def method(contact: Contact, channel: str, url: str) -> ContactMethod:
    kept = add_method(
        contact=contact, channel=channel, address="test", secret_url=url, actor=None, now=database_now()
    )
    return kept.method


def test_round_after_round_by_every_channel_until_somebody_acknowledges_by_link(
    live: Live, workers: None, mailbox: mail.Mailbox, outside: dict[str, Server], settings: Any, page: Page
) -> None:
    # Given Ann, whose mail address is refused and who has a webhook too; Ben, on call, by Apprise at a busy service;
    # Cleo, whose service never answers; and Dora, by mail
    settings.BELAY_ALLOWED_HOSTS_OUT = ["127.0.0.1"]
    tag = uuid.uuid4().hex[:6]
    house = build_house(tag=tag, with_path=not EscalationPath.objects.filter(is_default=True).exists())
    ann, ben, cleo, dora = (
        create_contact(name=f"{name} {tag}", email=f"{name.lower()}{tag}@example.org")
        for name in ("Ann", "Ben", "Cleo", "Dora")
    )
    mailbox.unknown.add(f"ann{tag}@example.org")
    hook = method(ann, Channel.WEBHOOK, f"http://127.0.0.1:{outside['webhook'].port}/hook")
    ContactMethod.objects.filter(contact__in=(ben, cleo)).delete()
    method(ben, Channel.APPRISE, f"json://127.0.0.1:{outside['apprise'].port}/ben")
    method(cleo, Channel.WEBHOOK, f"http://127.0.0.1:{outside['frozen'].port}/cleo")
    category = path_that_tells_in_turn(house, [ann, on_call(house, ben, tag), cleo, dora])

    # When a ticket comes in and nobody takes it
    ticket = house.open(
        severity=1, category=category, at=database_now(), subject="Payments down for all shops"
    )

    # Then the first contact's refused address is a dead letter, and the next method is told within two seconds
    wait_for("the webhook", lambda: outside["webhook"].seen)
    refused = Notification.objects.get(ticket=ticket, address=f"ann{tag}@example.org", round=1)
    by_hook = wait_for("it settled", lambda: row_of(ticket, ann, 1, channel="webhook", state=State.SENT))
    assert refused.state == State.DEAD
    assert "550 5.1.1 no such mailbox" in refused.answer
    assert refused.dead_at is not None
    assert by_hook.sent_at - refused.dead_at < 2 * SECOND

    # and what it got is signed with the key that was shown once
    path, headers, body = outside["webhook"].seen[0]
    key = json.loads(decrypt(hook.secret))["key"]
    event = Webhook(key).verify(body, {name.lower(): value for name, value in headers.items()})
    assert path == "/hook"
    assert event["data"]["ticket"] == ticket.pk

    # and the service that asked for a pause of two seconds got it, then the message
    wait_for("the busy service", lambda: outside["apprise"].seen)
    outside["apprise"].status, outside["apprise"].headers = 200, {}
    busy = wait_for("it settled", lambda: row_of(ticket, ben, 1, state=State.SENT))
    first, last = busy.deliveries.order_by("pk")
    assert (first.ok, last.ok) == (False, True)
    assert "429" in first.answer
    assert last.at - first.at >= 2 * SECOND

    # and the receiver that never answers holds up neither the next contact nor the next round
    wait_for("Dora's mail", lambda: to(mailbox, dora))
    again = wait_for("round two", lambda: row_of(ticket, ann, 2))
    assert row_of(ticket, cleo, 1, sent_at__isnull=True)
    told = list(Notification.objects.filter(ticket=ticket, round=1).order_by("pk"))
    begun = {row.contact_id: row.created_at for row in reversed(told)}
    assert begun[ann.pk] < begun[ben.pk] < begun[cleo.pk] < begun[dora.pk]
    # known to fail: the second round begins with what worked
    assert again.channel == Channel.WEBHOOK

    # When Dora takes it by the link of her mail, on a phone
    page.set_viewport_size({"width": 390, "height": 780})
    page.goto(link_in(to(mailbox, dora)[0]))
    expect(page.get_by_text(f"Ann {tag}")).to_be_visible()
    page.get_by_role("button", name="I take it").click()
    expect(page.get_by_text("You have it")).to_be_visible()

    # Then nothing is sent any more
    wait_for("the acknowledgement", lambda: Escalation.objects.get(ticket=ticket, seq=1).acknowledged_at)
    wait_for("quiet", lambda: not waiting(ticket))
    assert Escalation.objects.get(ticket=ticket, seq=1).acknowledged_contact == dora

    # and the outbox tells the same story as the servers' own logs
    same_story(ticket, mailbox, outside, ann=ann, ben=ben, cleo=cleo)


def same_story(
    ticket: Ticket,
    mailbox: mail.Mailbox,
    outside: dict[str, Server],
    *,
    ann: Contact,
    ben: Contact,
    cleo: Contact,
) -> None:
    rows = Notification.objects.filter(ticket=ticket, round__isnull=False)
    mails = {str(one["Message-ID"]) for one in mailbox.mails}
    sent = rows.filter(state=State.SENT)
    assert {row.message_id for row in sent.filter(channel="email")} <= mails
    assert not {row.message_id for row in rows.exclude(state=State.SENT).filter(channel="email")} & mails
    assert sent.filter(contact=ann).count() == len(outside["webhook"].seen)
    assert sum(row.deliveries.count() for row in rows.filter(contact=ben)) == len(outside["apprise"].seen)
    assert not rows.filter(contact=cleo, state=State.SENT).exists()
    hooked = {one[1]["webhook-id"] for one in outside["webhook"].seen}
    assert len(hooked) == len(outside["webhook"].seen)


def row_of(ticket: Ticket, contact: Contact, number: int, **more: Any) -> Notification | None:
    return (
        Notification.objects.filter(ticket=ticket, contact=contact, round=number, **more)
        .order_by("-pk")
        .first()
    )


def to(mailbox: mail.Mailbox, contact: Contact) -> list[Any]:
    address = contact.methods.get(channel="email").address
    return [one for one in mailbox.mails if address in str(one["to"])]


def link_in(message: Any) -> str:
    text = message.get_body(("plain",)).get_content()
    return next(word for word in text.split() if "/a/" in word)


def waiting(ticket: Ticket) -> bool:
    return Notification.objects.filter(ticket=ticket, state__in=(State.PENDING, State.SENDING)).exists()
