"""The ways to reach people in a real browser: a test's answer comes without a reload, and without scripts by one."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from core.db import database_now
from notifications.models import Contact, Delivery, Notification
from notifications.operations import add_method, save_provider
from tests.admin.conftest import House, build_house
from tests.browser_fixtures import Live, pictures


@pytest.fixture
def house(live: Live, page: Page, sign_in: Callable[[Page, Any], None]) -> House:
    house = build_house()
    sign_in(page, house.admin)
    return house


def furnished(house: House) -> Contact:
    """Give a contact several ways, one of them with a secret."""
    contact = house.contacts[1]
    slack = f"https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/{'x' * 24}"
    add_method(
        contact=contact, channel="slack", address="#netops", secret_url=slack, actor=None, now=database_now()
    )
    add_method(
        contact=contact,
        channel="webhook",
        address="pager",
        secret_url="https://hooks.example.org/x",
        actor=None,
        now=database_now(),
    )
    return contact


def answered(row: Notification, state: str, answer: str) -> None:
    now = database_now()
    at = {"sent": {"sent_at": now}, "dead": {"dead_at": now, "handled_at": now}}[state]
    Notification.objects.filter(pk=row.pk).update(state=state, answer=answer, attempts=1, **at)
    Delivery.objects.create(notification=row, attempt=1, at=now, ok=state == "sent", answer=answer)


def test_a_tests_answer_comes_by_itself(house: House, page: Page) -> None:
    contact = furnished(house)
    page.goto(f"/admin/notifications/contact/{contact.pk}/change/")

    page.get_by_role("button", name="Send a test to Slack").press("Enter")
    tests = page.get_by_role("region", name="Tests")
    expect(tests).to_contain_text("on its way")
    page.evaluate("window.same = true")
    answered(Notification.objects.latest("pk"), "sent", "200 OK: ok")

    expect(tests).to_contain_text("200 OK: ok")
    expect(page.get_by_role("status")).to_contain_text("A success proves a way")
    assert page.evaluate("window.same")


def test_axe_finds_nothing_serious(
    house: House, page: Page, axe: Callable[[Page], None], request: Any
) -> None:
    contact = furnished(house)
    provider = save_provider(
        name=f"Twilio {house.mark}",
        channel="sms",
        url=f"twilio://AC{'a' * 32}:{'b' * 32}@15551230000/{{to}}",
        actor=None,
        now=database_now(),
    )
    folder = request.config.getoption("--screenshots")

    def look(name: str) -> None:
        if folder:
            pictures(page, f"{folder}/{name}")
        axe(page)

    page.goto(f"/admin/notifications/contact/{contact.pk}/change/")
    page.get_by_role("button", name="Send a test to Slack").click()
    answered(Notification.objects.latest("pk"), "sent", "200 OK: ok")
    page.get_by_role("button", name="Send a test to Webhook").click()
    answered(Notification.objects.latest("pk"), "dead", "410 Gone: this hook has been taken away")
    page.get_by_role("button", name="Send a test to Email").click()
    look("contact")
    page.goto(f"/admin/notifications/provider/{provider.pk}/change/")
    look("provider")
    page.goto("/admin/notifications/provider/")
    look("providers")
    page.goto(f"/admin/escalation/escalationpath/{house.path.pk}/change/")
    look("path")
