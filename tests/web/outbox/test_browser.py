"""The outbox in a browser: one box ticks all, and what became of each is said."""

import uuid
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from core.db import database_now
from notifications.models import Notification
from tests.browser_fixtures import Live
from tests.house import build_house
from tests.notifications.cast import queued


def test_all_dead_letters_of_somebody_are_tried_again_at_once(
    live: Live, page: Page, sign_in: Callable[..., None], axe: Callable[[Any], None]
) -> None:
    house = build_house(tag=uuid.uuid4().hex[:6], with_path=False)
    ticket = house.open()
    rows = [
        queued("gone@example.org", kind="ticket.replied", user_id=house.agent.pk, ticket_id=ticket.pk)
        for _ in range(2)
    ]
    Notification.objects.filter(pk__in=[row.pk for row in rows]).update(
        state="dead", dead_at=database_now(), handled_at=database_now(), answer="550 no such user"
    )
    sign_in(page, house.lead)
    page.goto(f"/outbox/?person={house.agent.pk}&state=dead")
    axe(page)

    page.get_by_label("Tick all").check()
    page.get_by_role("button", name="Try again", exact=True).click()

    expect(page.locator(".outbox-report li")).to_have_count(2)
    expect(page.get_by_text("No message matches")).to_be_visible()
    assert {row.state for row in Notification.objects.filter(user=house.agent)} == {"pending"}
    page.locator(".outbox-report a").first.click()
    expect(page.get_by_role("heading", name="As it would read now")).to_be_visible()
    axe(page)
