"""Two hundred open browsers: how long from a commit until each of them knows (DESIGN 7)."""

import json
import uuid
from itertools import cycle, islice

import pytest
from django.db import connection

from accounts.models import Role
from accounts.operations import create_user
from bench.stream import BROWSERS, reply, summed_up
from bench.web.browsers import listen
from core.db import database_now
from tests.browser_fixtures import Live
from tests.web.live.listening import session_of
from tickets.operations import Draft, open_ticket

COMMITS = 40


@pytest.mark.slow
def test_two_hundred_browsers_know_within_300_ms(live: Live) -> None:
    agents = [
        create_user(email=f"{uuid.uuid4().hex[:8]}@example.org", name="Any Body", role=Role.AGENT)
        for _ in range(20)
    ]
    sessions = [session_of(agent)[1] for agent in agents]
    ticket = open_ticket(draft=Draft(requester=agents[0], subject="Busy"), actor=None, now=database_now())

    def commit(_number: int) -> float:
        try:
            return reply(ticket_id=ticket.pk)
        finally:
            connection.close()  # the thread's own

    figures = summed_up(listen(live.port, list(islice(cycle(sessions), BROWSERS)), COMMITS, commit), COMMITS)

    print(json.dumps(figures))
    assert figures["lost"] == 0
    assert min(figures["receipts_per_browser"]) >= COMMITS
    assert figures["holds"]
