"""How Belay reaches one, in a browser and without its scripts."""

import uuid
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Browser, expect

from notifications.models import Contact, ContactMethod
from tests.browser_fixtures import Live
from tests.house import build_house


def test_order_and_quiet_hours_are_set_without_scripts(
    live: Live, browser: Browser, sign_in: Callable[..., None], axe: Callable[[Any], None]
) -> None:
    house = build_house(tag=uuid.uuid4().hex[:6], with_path=False)
    contact = Contact.objects.get(user=house.second)
    ContactMethod.objects.create(contact=contact, channel="sms", address="+4930123456", position=2)
    context = browser.new_context(base_url=live.url, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, house.second)
    page.goto("/me/reach/")

    page.get_by_role("button", name="Try SMS +4930123456 earlier").click()
    expect(page.locator(".ways li").first).to_contain_text("+4930123456")
    page.get_by_label("From").fill("22:00")
    page.get_by_label("Until").fill("07:00")
    page.get_by_label("Sunday").check()
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.get_by_label("From")).to_have_value("22:00")
    expect(page.get_by_label("Sunday")).to_be_checked()
    context.close()
    with_scripts = browser.new_context(base_url=live.url)
    page = with_scripts.new_page()
    sign_in(page, house.second)
    page.goto("/me/reach/")
    axe(page)
    with_scripts.close()
