"""The stream over a real server: who gets it, what comes, and that it ends when it should."""

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from accounts.models import Role, User
from accounts.operations import create_user
from core.db import database_now
from helpdesk import environment
from helpdesk.lifeline import dying_with_me
from helpdesk.processes import web
from tests.browser_fixtures import Live, wait_until_it_answers
from tests.helpers import free_port
from tests.web.live.listening import Listening, session_of
from tickets.models import Ticket
from tickets.operations import Draft, add_note, add_reply, open_ticket


@pytest.fixture
def person(live: Live) -> Callable[..., User]:
    def create(role: str = Role.AGENT) -> User:
        return create_user(email=f"{uuid.uuid4().hex[:8]}@example.org", name="Any Body", role=role)

    return create


def ticket_of(requester: User) -> Ticket:
    return open_ticket(
        draft=Draft(requester=requester, subject="VPN drops", body="Since this morning."),
        actor=requester,
        now=database_now(),
    )


def listen(live: Live, user: User, query: str = "") -> Listening:
    listening = Listening(live.port, session_of(user)[1], query)
    assert listening.status == 200
    return listening


def test_who_is_not_signed_in_gets_no_stream(live: Live) -> None:
    with Listening(live.port, "nonsense") as stranger:
        assert stranger.status == 403


def test_who_was_switched_off_gets_no_stream(live: Live, person: Callable[..., User]) -> None:
    user = person()
    _, session = session_of(user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    with Listening(live.port, session) as gone:
        assert gone.status == 403


def test_an_agent_hears_of_a_new_ticket_at_once(live: Live, person: Callable[..., User]) -> None:
    with listen(live, person(), "?on=board,queue") as agent:
        began = time.monotonic()
        ticket_of(person(Role.REQUESTER))
        assert "board" in agent.heard("board")
        # The ring comes through Valkey from another process: no waiting for the poll.
        assert time.monotonic() - began < 1.0


def test_a_browser_hears_only_the_topics_it_asked_for(live: Live, person: Callable[..., User]) -> None:
    requester = person(Role.REQUESTER)
    one, other = ticket_of(requester), ticket_of(requester)
    agent = person()
    with listen(live, agent, f"?on=ticket-{one.pk}") as stream:
        add_note(ticket_id=other.pk, body="Not this one.", actor=agent, now=database_now())
        add_note(ticket_id=one.pk, body="This one.", actor=agent, now=database_now())
        assert set(stream.heard(f"ticket-{one.pk}")) == {f"ticket-{one.pk}"}


def test_a_requester_hears_of_replies_and_never_of_notes(live: Live, person: Callable[..., User]) -> None:
    requester, stranger, agent = person(Role.REQUESTER), person(Role.REQUESTER), person()
    ticket = ticket_of(requester)
    with listen(live, requester) as theirs, listen(live, stranger) as other:
        # Its opening may be read only now: committed just before they came.
        theirs.heard(within=1.5)
        add_note(ticket_id=ticket.pk, body="Between us.", actor=agent, now=database_now())
        assert theirs.heard(within=1.5) == []
        add_reply(ticket_id=ticket.pk, body="We are on it.", actor=agent, now=database_now())
        assert f"ticket-{ticket.pk}" in theirs.heard(f"ticket-{ticket.pk}")
        assert other.heard(within=0.5) == []


def test_what_happened_while_the_page_loaded_is_told_on_arrival(
    live: Live, person: Callable[..., User]
) -> None:
    agent = person()
    # Somebody else is there already, so that the reader runs.
    with listen(live, person(), "?on=board") as first:
        ticket_of(person(Role.REQUESTER))
        first.heard("board")
        with listen(live, agent, "?on=board&age=1500") as late:
            assert late.heard("board") == ["board"]
        with listen(live, agent, "?on=board") as careless:
            assert careless.heard(within=0.7) == []


def test_who_was_away_for_too_long_looks_at_everything_again(live: Live, person: Callable[..., User]) -> None:
    with listen(live, person(), f"?on=board&age={3600 * 1000}") as late:
        assert late.heard("resync") == ["resync"]


@pytest.mark.parametrize(
    "query", ["?age=soon", "?age=-5", "?age=nan", "?age=1e400&on=board", "?on=" + "x," * 5000]
)
def test_nonsense_in_the_address_breaks_nothing(live: Live, person: Callable[..., User], query: str) -> None:
    listen(live, person(), query).close()


def test_a_client_that_remembers_an_event_looks_at_everything_again(
    live: Live, person: Callable[..., User]
) -> None:
    headers = {"Last-Event-ID": "7"}
    with Listening(live.port, session_of(person())[1], "?on=board", headers=headers) as back:
        assert back.heard("resync") == ["resync"]


def test_only_getting_is_answered(live: Live) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{live.port}/live/", data=b"x", method="POST")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=5)  # noqa: S310 our own server
    assert caught.value.code == 405


def test_a_broken_broker_only_makes_it_slower(live: Live, person: Callable[..., User], settings: Any) -> None:
    settings.BELAY_WAKE = False
    with listen(live, person(), "?on=board") as agent:
        ticket_of(person(Role.REQUESTER))
        assert agent.heard("board", within=4) == ["board"]


@pytest.fixture
def own_server(live: Live) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    """A second server on the same database, to be stopped by the test."""
    port = free_port()
    process = web("127.0.0.1", port)
    own = Live(f"http://localhost:{port}", port, live.database, live.log.with_name("own.log"))
    extra = {
        "DJANGO_SETTINGS_MODULE": "helpdesk.settings",
        "BELAY_VAR": str(live.log.parent),
        "BELAY_URL": own.url,
        "DATABASE_URL": os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{live.database}",
    }
    with own.log.open("wb") as log:
        server = subprocess.Popen(
            process.command,
            cwd=environment.BASE_DIR,
            env=os.environ | process.extra | extra,
            stdout=log,
            stderr=log,
            preexec_fn=dying_with_me(),  # noqa: PLW1509 no other thread forks here
        )
    try:
        wait_until_it_answers(own, server)
        yield port, server
    finally:
        if server.poll() is None:
            server.kill()
        server.wait(10)


def test_streams_end_at_once_when_the_server_stops(
    own_server: tuple[int, "subprocess.Popen[bytes]"], person: Callable[..., User]
) -> None:
    port, server = own_server
    _, session = session_of(person())
    with Listening(port, session) as one, Listening(port, session) as other:
        assert (one.status, other.status) == (200, 200)
        one.heard(within=0.3)
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        server.wait(5)
        # Without being told the server waits for its streams and kills after two seconds.
        assert time.monotonic() - began < 1.5
        one.heard(within=1)
        other.heard(within=1)
        assert one.ended
        assert other.ended
