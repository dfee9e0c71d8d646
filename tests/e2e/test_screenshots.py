"""The demo looks as the README shows it; with --screenshots FOLDER the pictures are written anew."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from playwright.sync_api import Page, expect

from accounts.models import Role, User
from escalation.engine import tick
from escalation.models import Escalation
from escalation.queries import acknowledge_url
from notifications.models import Notification
from tests.browser_fixtures import Live
from tickets.models import Ticket

DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 780}


@pytest.fixture
def demo(live: Live, request: pytest.FixtureRequest) -> Path:
    """The demo in the live server's database, and the folder for the pictures."""
    folder = request.config.getoption("--screenshots")
    if folder is None:
        pytest.skip("pictures are taken on request: --screenshots FOLDER")
    if User.objects.exists():
        pytest.fail("the live database is no longer empty: run this file alone")
    call_command("load_demo")
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder)


def picture(page: Page, folder: Path, name: str, scheme: str, size: dict[str, int]) -> None:
    # No worker runs here: without a tick the board would rightly complain of the engine.
    tick()
    page.set_viewport_size({"width": size["width"], "height": size["height"]})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.reload()
    page.wait_for_timeout(800)
    page.screenshot(path=folder / f"{name}-{scheme}.png")


def test_the_pictures_of_the_readme(
    live: Live, demo: Path, page: Page, sign_in: Callable[[Any, Any], None]
) -> None:
    lead = User.objects.filter(role=Role.LEAD).order_by("pk")[0]
    sign_in(page, lead)
    page.goto("/board/")
    expect(page.get_by_role("heading", name="Escalation board")).to_be_visible()
    for scheme in ("light", "dark"):
        picture(page, demo, "board", scheme, DESKTOP)

    climbed = Escalation.objects.filter(
        seq__gte=2, handoff__isnull=False, ticket__status="open", ticket__tier__gte=3
    )
    ticket = Ticket.objects.filter(pk__in=climbed.values("ticket")).order_by("severity", "-pk")[0]
    page.goto(f"/t/{ticket.pk}/")
    expect(page.get_by_text(ticket.subject).first).to_be_visible()
    for scheme in ("light", "dark"):
        picture(page, demo, "ticket", scheme, DESKTOP)

    told = Notification.objects.filter(
        round__isnull=False, ticket__unacknowledged_since__isnull=False, contact__isnull=False
    ).order_by("ticket__severity", "-pk")[0]
    assert told.ticket_id is not None
    assert told.seq is not None
    assert told.contact_id is not None
    page.goto(
        acknowledge_url(told.ticket_id, told.seq, told.contact_id).replace("http://localhost:8000", live.url)
    )
    expect(page.get_by_role("button", name="I take it")).to_be_visible()
    picture(page, demo, "phone", "light", PHONE)
    assert {path.name for path in demo.glob("*.png")} >= {
        "board-light.png",
        "ticket-dark.png",
        "phone-light.png",
    }
