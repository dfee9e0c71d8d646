"""The on-call pages in a real browser: for everybody, at every width, and with nothing refused by their policy."""

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from notifications.models import OnCallSchedule
from tests.house import House, build_house
from tests.web.oncall.world import network_schedule

# Before the browser: the database must be set up while no event loop runs in this thread.
pytestmark = pytest.mark.usefixtures("live")
SignIn = Callable[[Any, Any], None]


@pytest.fixture
def house(live: Any) -> House:
    return build_house(with_path=False, tag=uuid.uuid4().hex[:6])


@pytest.fixture
def schedule(house: House) -> OnCallSchedule:
    return network_schedule(house, name=f"Network {uuid.uuid4().hex[:6]}")


def test_overview_month_and_forms_are_for_everybody(
    page: Page, house: House, schedule: OnCallSchedule, sign_in: SignIn, axe: Callable[[Any], None]
) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    sign_in(page, house.lead)
    for path in ("", f"{schedule.pk}/", f"{schedule.pk}/override/", f"{schedule.pk}/rotations/new/"):
        page.goto(f"/oncall/{path}")
        axe(page)
    page.set_viewport_size({"width": 390, "height": 844})
    for path in ("", f"{schedule.pk}/"):
        page.goto(f"/oncall/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert not said


def test_a_shift_is_taken_from_the_month(
    page: Page, house: House, schedule: OnCallSchedule, sign_in: SignIn
) -> None:
    sign_in(page, house.second)
    page.goto(f"/oncall/{schedule.pk}/")
    month = page.get_by_role("table")
    expect(month.locator("tbody tr").first.locator("td")).to_have_count(7)
    expect(month.get_by_text("Nobody").first).to_be_visible()
    row = page.locator(".oc-list li", has_text=re.compile("Nobody|Tomas")).filter(has=page.locator("a")).first
    row.get_by_role("link", name="Take").click()
    expect(page.get_by_role("heading", name="What changes")).to_be_visible()
    expect(page.locator("tr.differs b").first).to_have_text("Aisha Test")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".toast-item")).to_contain_text("The override is in force.")
    page.get_by_role("button", name="Take back").click()
    expect(page.locator(".toast-item")).to_contain_text("taken back")
