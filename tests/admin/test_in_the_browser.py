"""The admin in a real browser: by keyboard, in both themes, under the strict Content-Security-Policy."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from escalation.models import EscalationPath
from escalation.operations.publishing import spec_of
from tests.admin.conftest import House, build_house, minutes
from tests.browser_fixtures import Live


@pytest.fixture
def house(live: Live, page: Page, sign_in: Callable[[Page, Any], None]) -> House:
    """The house on the live server, its admin signed in."""
    house = build_house()
    sign_in(page, house.admin)
    return house


@pytest.fixture
def complaints(page: Page) -> list[str]:
    """Everything the browser complained about, refused scripts and styles above all."""
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


def type_into(page: Page, selector: str, text: str) -> None:
    page.locator(selector).focus()
    page.keyboard.press("Control+a")
    page.keyboard.type(text)


def choose(page: Page, selector: str, label: str) -> None:
    """Choose by typing the option's first letters, as a keyboard does."""
    page.locator(selector).focus()
    page.keyboard.type(label)
    expect(page.locator(f"{selector} option:checked")).to_have_text(label)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).focus()
    page.keyboard.press("Enter")


def test_a_path_of_three_steps_is_built_and_reordered_by_keyboard(
    house: House, page: Page, complaints: list[str]
) -> None:
    page.goto("/admin/escalation/escalationpath/add/")
    type_into(page, "#id_name", f"Payments {house.mark}")
    choose(page, "#id_calendar_id", house.calendar.name)
    choose(page, "#id_fallback_contact_id", house.contacts[0].name)
    type_into(page, "#id_steps-0-name", "Desk")
    choose(page, "#id_steps-0-team_id", f"{house.desk.name} (L1)")
    for index, name in ((1, "Core"), (2, "Network")):
        press(page, "+ Add a step")
        # The keyboard is where the next word is typed.
        expect(page.locator(f"#id_steps-{index}-name")).to_be_focused()
        page.keyboard.type(name)
        choose(page, f"#id_steps-{index}-list_0", house.first_list.name)
    choose(page, "#id_steps-1-tier", "L3")
    choose(page, "#id_steps-2-tier", "L2")
    type_into(page, "#id_steps-2-ack_1", "15min")
    type_into(page, "#id_steps-2-work_1", "1h 30min")

    # L2 stands above L3: that is refused, and the mistake leads to its field.
    press(page, "Create the path")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("tiers never fall along a path")
    page.get_by_role("link", name="Step 3 “Network”, Tier").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#id_steps-2-tier")).to_be_focused()
    expect(page.locator("#id_steps-2-work_1")).to_have_value("1h 30min")

    press(page, "Move Network up")
    expect(page.locator("#path-said")).to_have_text("“Network” is now step 2 of 3.")
    expect(page.get_by_role("button", name="Move Network up")).to_be_focused()
    expect(page.locator("#id_steps-1-name")).to_have_value("Network")
    expect(page.locator("#id_steps-1-work_1")).to_have_value("1h 30min")
    expect(page.locator("#matrix tbody th")).to_have_text(["1 Desk", "2 Network", "3 Core"])

    # Once more, to where there is no higher place: the keyboard goes to the button that is left.
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Move Network down")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#id_steps-0-name")).to_have_value("Desk")

    # Enter in a field saves, it does not move or remove a step.
    page.locator("#id_description").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".messagelist")).to_contain_text("is there; tickets that match take it from now on.")
    spec = spec_of(EscalationPath.objects.get(name=f"Payments {house.mark}"))
    assert [(step.name, step.tier) for step in spec.steps] == [("Desk", 1), ("Network", 2), ("Core", 3)]
    assert spec.steps[1].targets[1] == (minutes(15), minutes(90))
    assert spec.steps[1].contact_list_ids == (house.first_list.pk,)
    assert complaints == []


def test_a_steps_name_is_the_head_of_its_row_as_it_is_typed(house: House, page: Page) -> None:
    page.goto(f"/admin/escalation/escalationpath/{house.path.pk}/change/")
    type_into(page, "#id_steps-1-name", "Core network")
    expect(page.locator("#matrix tbody th").nth(1)).to_have_text("2 Core network")


def test_a_doubt_leads_to_its_cell(house: House, page: Page) -> None:
    page.goto(f"/admin/escalation/escalationpath/{house.path.pk}/change/")
    type_into(page, "#id_steps-1-work_3", "")
    page.keyboard.press("Delete")
    press(page, "Save as a new version")
    doubts = page.get_by_role("region", name="Worth a look")
    expect(doubts).to_contain_text("Step 2 “Network” is the last one and has no time to work at SEV3")
    doubts.get_by_role("link").first.click()
    expect(page.locator("#id_steps-1-work_3")).to_be_focused()


def test_without_scripts_steps_are_added_and_the_path_is_saved(
    house: House, live: Live, browser: Any, sign_in: Callable[[Page, Any], None]
) -> None:
    context = browser.new_context(base_url=live.url, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, house.admin)
    page.goto(f"/admin/escalation/escalationpath/{house.path.pk}/change/")
    page.get_by_role("button", name="+ Add a step").click()
    page.locator("#id_steps-2-name").fill("Management")
    page.get_by_role("button", name="Move Step 3 up").click()
    expect(page.locator("#id_steps-1-name")).to_have_value("Management")
    page.get_by_role("button", name="Move Management down").click()
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.locator(".messagelist")).to_contain_text("Version 2 is in force.")
    context.close()
    house.path.refresh_from_db()
    assert [step.name for step in spec_of(house.path).steps] == ["Service desk", "Network", "Management"]


def test_axe_finds_nothing_serious_and_the_policy_refuses_nothing(
    house: House, page: Page, axe: Callable[[Page], None], complaints: list[str]
) -> None:
    addresses = [
        "/admin/",
        f"/admin/escalation/escalationpath/{house.path.pk}/change/",
        f"/admin/calendars/calendar/{house.calendar.pk}/change/",
        f"/admin/notifications/contactlist/{house.first_list.pk}/change/",
        f"/admin/accounts/team/{house.network.pk}/change/",
        "/admin/tickets/severitycell/",
        "/admin/tickets/ticket/",
    ]
    grounds = {"light": "rgb(244, 246, 248)", "dark": "rgb(15, 22, 32)"}
    for address in addresses:
        page.goto(address)
        # Before axe comes: it brings styles of its own.
        assert complaints == [], address
        for scheme, ground in grounds.items():
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            expect(page.locator("body")).to_have_css("background-color", ground)
        axe(page)
        complaints.clear()


def test_the_theme_of_the_app_is_the_theme_of_the_admin(house: House, page: Page) -> None:
    page.goto("/admin/")
    page.get_by_label("Colours").select_option("dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_label("Colours").select_option("light")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
