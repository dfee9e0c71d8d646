"""The bell in a browser: it counts by itself, opens where one is, and is read at a click."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from core.db import database_now
from escalation.models import EscalationPath
from escalation.operations import escalate, publish_path
from tests.browser_fixtures import Live
from tests.house import House, build_house, default_spec


@pytest.fixture
def house(live: Live) -> Iterator[House]:
    """A house of its own in the live server's database; new tickets enter its path as long as the test runs."""
    tag = uuid.uuid4().hex[:6]
    house = build_house(tag=tag, with_path=False)
    spec = default_spec(house, name=f"Standard {tag}")
    version = publish_path(path_id=None, spec=spec, actor=house.admin, now=house.now)
    EscalationPath.objects.exclude(pk=version.path_id).update(is_active=False)
    house.now = database_now()
    yield house
    EscalationPath.objects.filter(pk=version.path_id).update(is_default=False, is_active=False)


def test_somebody_who_is_told_sees_it_at_once_and_reads_it_on_the_spot(
    house: House, page: Page, sign_in: Callable[..., None], axe: Callable[[Any], None]
) -> None:
    sign_in(page, house.second)
    page.goto("/queue/")
    expect(page.locator("#bell-count b")).to_have_count(0)

    ticket = house.open(subject="Bell rings")
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Needs L2.")

    expect(page.locator("#bell-count b")).to_have_text("1", timeout=10_000)
    page.locator("#bell > summary").click()
    expect(page.locator("#bell-sheet")).to_contain_text(f"#{ticket.pk} Bell rings")
    axe(page)
    page.get_by_role("button", name="Mark all read").click()
    expect(page.locator("#bell-count b")).to_have_count(0)
    expect(page.locator("#bell-sheet .is-new")).to_have_count(0)
    page.locator("#bell-sheet").get_by_role("link", name=f"#{ticket.pk}").click()
    expect(page).to_have_url(f"{page.evaluate('location.origin')}/t/{ticket.pk}/")
