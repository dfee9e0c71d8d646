"""Apply a version to open tickets in a real browser: live, by keyboard, without scripts, in both themes."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from escalation import recomputing
from escalation.models import RecomputeJob, Standing
from tests.admin.conftest import House, build_house
from tests.admin.test_recompute_pages import JOBS, edited, opened
from tests.browser_fixtures import Live, pictures


@pytest.fixture
def house(live: Live, page: Page, sign_in: Callable[[Page, Any], None]) -> House:
    """The house on the live server, with tickets on an older version, its admin signed in."""
    house = build_house()
    for _ in range(5):
        opened(house)
    edited(house)
    sign_in(page, house.admin)
    return house


def newest() -> RecomputeJob:
    return RecomputeJob.objects.latest("pk")


def test_progress_comes_without_a_reload_and_the_keyboard_stays(
    house: House, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recomputing, "BATCH", 2)
    page.goto(f"/admin/escalation/escalationpath/{house.path.pk}/change/")
    page.get_by_role("link", name="Apply version 2 to open tickets…").click()
    page.get_by_role("button", name="Show what would change").press("Enter")
    said = page.locator("#job-said")
    expect(said).to_have_text("The preview is being computed")
    page.evaluate("window.same = true")

    recomputing.run(newest().pk)
    expect(said).to_have_text("This is what would change; nothing has yet")
    expect(page.get_by_role("region", name="Clocks by kind")).to_contain_text("Time at this tier")
    assert page.evaluate("window.same")

    page.get_by_role("button", name="Apply to 5 tickets").press("Enter")
    expect(said).to_have_text("Waiting for a worker")
    page.evaluate("window.same = true")
    page.get_by_role("button", name="Stop").focus()
    job = newest()
    runner = uuid.uuid4()
    recomputing._take(job.pk, runner)
    recomputing._step(job.pk, runner, 2)
    expect(said).to_have_text("Version 2 is being applied")
    expect(said).to_be_focused()
    expect(page.locator("#job-progress")).to_contain_text("2 of 5 tickets: 2 changed.")
    page.get_by_role("button", name="Stop").focus()
    recomputing._step(job.pk, runner, 2)
    expect(page.locator("#job-progress")).to_contain_text("4 of 5 tickets")
    expect(page.get_by_role("button", name="Stop")).to_be_focused()
    assert page.evaluate("window.same")

    page.keyboard.press("Enter")
    expect(said).to_have_text("Stopped: 1 ticket is as before")
    page.get_by_role("button", name="Go on").press("Enter")
    recomputing.run(job.pk)
    expect(said).to_have_text("Done")
    assert Standing.objects.filter(version=house.path.current).count() == 5


def test_without_scripts_the_page_refreshes_itself(
    house: House, live: Live, browser: Any, sign_in: Callable[[Page, Any], None]
) -> None:
    context = browser.new_context(base_url=live.url, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, house.admin)
    page.goto(f"{JOBS}path/{house.path.pk}/")
    page.get_by_role("button", name="Show what would change").click()
    recomputing.run(newest().pk)
    expect(page.locator("#job-said")).to_have_text(
        "This is what would change; nothing has yet", timeout=10_000
    )
    page.get_by_role("button", name="Apply to 5 tickets").click()
    recomputing.run(newest().pk)
    expect(page.locator("#job-said")).to_have_text("Done", timeout=10_000)
    context.close()


def test_axe_finds_nothing_serious(
    house: House, page: Page, axe: Callable[[Page], None], request: Any
) -> None:
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    folder = request.config.getoption("--screenshots")

    def look(name: str) -> None:
        assert found == []
        if folder:
            pictures(page, f"{folder}/{name}")
        axe(page)
        found.clear()

    page.goto(f"{JOBS}path/{house.path.pk}/")
    look("ask")
    page.get_by_role("button", name="Show what would change").click()
    look("previewing")
    recomputing.run(newest().pk)
    page.reload()
    look("previewed")
    page.get_by_role("button", name="Apply to 5 tickets").click()
    look("queued")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#job-said")).to_contain_text("Stopped")
    look("stopped")
    page.goto(f"/admin/escalation/escalationpath/{house.path.pk}/change/")
    look("path")
    page.goto(JOBS)
    look("jobs")
