"""The main job with every real part: PostgreSQL, Valkey, workers, beat, an SMTP server and Chromium."""

import datetime as dt
import re
import time
import uuid
from dataclasses import replace
from typing import Any

from playwright.sync_api import Page, expect

from core.db import database_now
from escalation.models import Escalation, EscalationPath
from escalation.operations import PromiseSpec, publish_path
from notifications.models import Notification
from tests import mail
from tests.browser_fixtures import Live
from tests.e2e.conftest import wait_for
from tests.house import SEVERITIES, House, build_house, default_spec, steps_for
from tickets.models import Category, Event, Ticket
from tickets.verification import verify

SECOND = dt.timedelta(seconds=1)
WAIT = 2 * SECOND
TO_ACKNOWLEDGE = 5 * SECOND
PUNCTUAL = 2 * SECOND


def quick_path(house: House) -> Category:
    """Publish a path on which a SEV1 ticket of its own category climbs within seconds."""
    category = Category.objects.create(name=f"Payments {uuid.uuid4().hex[:8]}")
    desk, *rest = steps_for(house, wait=WAIT, rounds=3)
    hour = dt.timedelta(hours=1)
    times = dict.fromkeys(SEVERITIES, (TO_ACKNOWLEDGE, hour))
    top = {severity: (dt.timedelta(minutes=2), hour) for severity in SEVERITIES}
    queue = dict.fromkeys(SEVERITIES, (None, 4 * SECOND))
    spec = default_spec(
        house,
        name=category.name,
        is_default=False,
        position=1,
        conditions={"categories": [category.pk]},
        promises={severity: PromiseSpec() for severity in SEVERITIES},
        steps=(
            replace(desk, targets=queue),
            *(replace(step, targets=times) for step in rest[:-1]),
            replace(rest[-1], targets=top),
        ),
    )
    publish_path(path_id=None, spec=spec, actor=house.admin, now=database_now())
    return category


def test_a_ticket_nobody_touches_climbs_to_management_and_is_acknowledged_by_link(
    live: Live, workers: None, mailbox: mail.Mailbox, page: Page
) -> None:
    tag = uuid.uuid4().hex[:6]
    # The live database keeps what earlier tests left: the first one brings the default path.
    house = build_house(tag=tag, with_path=not EscalationPath.objects.filter(is_default=True).exists())
    category = quick_path(house)

    # when a SEV1 ticket comes in and nobody touches it
    opened = database_now()
    ticket = house.open(severity=1, category=category, at=opened, subject="Payments down for all shops")

    # then it climbs L1, L2, L3, management, each step within two seconds of its due
    def at_the_top() -> bool:
        return Ticket.objects.get(pk=ticket.pk).tier == 4

    wait_for("management", at_the_top)
    climbs = list(Escalation.objects.filter(ticket=ticket, seq__gt=0).order_by("seq"))
    assert [(climb.from_tier, climb.to_tier, climb.trigger) for climb in climbs] == [
        (1, 2, "tier_time"),
        (2, 3, "acknowledge"),
        (3, 4, "acknowledge"),
    ]
    for climb in climbs:
        assert climb.late_by is not None
        assert climb.late_by < PUNCTUAL

    # and the mail to the next tier's contacts is out; its link acknowledges on a phone
    link = wait_for("the mail to the manager", lambda: acknowledge_link(mailbox, f"ilse{tag}@example.org"))
    page.set_viewport_size({"width": 390, "height": 780})
    page.goto(link)
    expect(page.get_by_text("Payments down for all shops")).to_be_visible()
    assert Escalation.objects.get(ticket=ticket, seq=3).acknowledged_at is None
    page.get_by_role("button", name="I take it").click()
    wait_for("the acknowledgement", lambda: Escalation.objects.get(ticket=ticket, seq=3).acknowledged_at)

    # and each contact of each list was told once per round, and nothing more is told for two full intervals
    wait_for(
        "quiet", lambda: not Notification.objects.filter(ticket=ticket, state__in=("pending", "sending"))
    )
    sent = len(of_ticket(mailbox, ticket))
    rows = Notification.objects.filter(ticket=ticket, round__isnull=False)
    keys = list(rows.values_list("seq", "round", "contact"))
    assert len(keys) == len(set(keys))
    for seq, tier in ((1, 2), (2, 3), (3, 4)):
        people = {
            f"{name}{tag}@example.org" for name in (f"duty{tier}", ("", "", "aisha", "tomas", "ilse")[tier])
        }
        for number in rows.filter(seq=seq).values_list("round", flat=True).distinct():
            assert sorted(rows.filter(seq=seq, round=number).values_list("address", flat=True)) == sorted(
                people
            )
    time.sleep((2 * WAIT).total_seconds() + 1)
    assert len(of_ticket(mailbox, ticket)) == sent
    assert rows.count() == len(keys)
    assert not Notification.objects.filter(ticket=ticket, state="dead").exists()

    # and the timeline tells the whole story, in a chain that verifies
    story = list(Event.objects.filter(ticket=ticket).order_by("seq").values_list("kind", flat=True))
    assert story[0] == "opened"
    assert [kind for kind in story if kind == "escalation.escalated"] == ["escalation.escalated"] * 3
    assert story.count("escalation.acknowledged") == 1
    told = Event.objects.filter(ticket=ticket, kind="escalation.told")
    assert {(event.data["seq"], event.data["round"]) for event in told} == {(s, r) for s, r, _ in keys}
    assert [finding for finding in verify() if finding.ticket_id in (ticket.pk, None)] == []


def of_ticket(mailbox: mail.Mailbox, ticket: Ticket) -> list[Any]:
    return [message for message in mailbox.mails if f"#{ticket.pk}" in str(message["subject"])]


def acknowledge_link(mailbox: mail.Mailbox, address: str) -> str | None:
    for message in mailbox.mails:
        body = message.get_body(("plain",))
        if address in str(message["to"]) and body is not None:
            found = re.search(r"https?://\S+/a/\S+/", body.get_content())
            if found:
                return found.group(0)
    return None
