"""The rows of pages and stream: what they measure against, what they ask for, and what they make of it."""

import asyncio
import http.server
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Role
from accounts.operations import create_user
from bench import pages, stream
from bench.data import build
from bench.web import browsers
from bench.web.addresses import prepare
from bench.web.counting import ASKED, TOLD
from bench.web.people import session_of
from bench.web.reference import ROWS
from bench.web.visiting import Visit, Visitors
from tests.house import House
from tickets.models import Entry

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
REFERENCE = "/bench/reference/"


@pytest.fixture
def as_benched(settings: Any) -> None:
    """What bench.web.settings makes different."""
    folders = settings.TEMPLATES[0]["DIRS"]
    settings.TEMPLATES = [
        settings.TEMPLATES[0] | {"DIRS": [*folders, settings.BASE_DIR / "bench/web/templates"]}
    ]
    settings.ROOT_URLCONF = "bench.web.urls"
    settings.MIDDLEWARE = ["bench.web.counting.count_queries", *settings.MIDDLEWARE]


@pytest.fixture
def house(standing_house: House) -> House:
    return standing_house


# --- the reference page ---------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.usefixtures("as_benched")
def test_the_reference_page_shows_an_agent_its_rows_by_one_indexed_query(house: House) -> None:
    for _ in range(ROWS + 1):
        house.open()
    client = Client()
    client.force_login(house.agent, backend=BACKEND)
    client.get(REFERENCE)

    with CaptureQueriesContext(connection) as queries:
        answer = client.get(REFERENCE, headers={ASKED: "1"})

    assert answer.status_code == 200
    assert answer.content.count(b"<tr><td>") == ROWS
    # Session, person, what the bar on top counts, and the rows.
    assert len(queries) == int(answer[TOLD]) == 4
    with connection.cursor() as cursor:
        # As among very many; these few are quicker sorted.
        cursor.execute(
            "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off"
        )
        cursor.execute("EXPLAIN " + queries[-1]["sql"])
        assert "ticket_open_by_due" in "".join(row[0] for row in cursor.fetchall())


@pytest.mark.django_db
@pytest.mark.usefixtures("as_benched")
def test_the_reference_page_is_nothing_for_others(house: House) -> None:
    assert Client().get(REFERENCE)["Location"].startswith("/sign-in/")
    requester = Client()
    requester.force_login(house.requester, backend=BACKEND)
    assert requester.get(REFERENCE).status_code == 403


@pytest.mark.django_db
def test_the_product_has_no_reference_page(house: House) -> None:
    client = Client()
    client.force_login(house.agent, backend=BACKEND)
    assert client.get(REFERENCE).status_code == 404


# --- what is asked for ----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("as_benched")
def test_every_address_answers_agents_and_leads_with_the_page_that_is_measured(settings: Any) -> None:
    build(200)
    sessions, addresses = prepare(tickets=14, long=1, entries=9)

    assert set(addresses) == {"reference", *pages.ASKER}
    assert {len(keys) for keys in sessions.values()} == {8, 4}
    longest = max(
        Entry.objects.values_list("ticket").distinct(),
        key=lambda row: Entry.objects.filter(ticket=row).count(),
    )
    assert Entry.objects.filter(ticket=longest).count() == 9
    assert (f"/t/{longest[0]}/", f'data-live="ticket-{longest[0]}"') in addresses["ticket"]
    for keys in sessions.values():
        client = Client()
        client.cookies[settings.SESSION_COOKIE_NAME] = keys[0]
        for page, paths in addresses.items():
            for path, words in paths:
                answer = client.get(path, headers={ASKED: "1"})
                assert answer.status_code == 200, path
                assert words in answer.content.decode(), path
                assert int(answer[TOLD]) <= pages.QUERIES.get(page, 4), path


class Canned(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f"<main>{self.path} for {self.headers['Cookie']}</main>".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header(TOLD, "7" if ASKED in self.headers else "0")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Canned)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_visitors_ask_for_everything_and_notice_another_page(port: int) -> None:
    with Visitors(port) as visitors:
        took = visitors.ask([Visit(f"/{n}", "key", f"/{n} for sessionid-{port}=key") for n in range(9)])
        assert len(took) == 9
        assert min(took) > 0
        assert visitors.count(Visit("/", "key", "<main>")) == 7
        with pytest.raises(RuntimeError, match="without “the wanted page”"):
            visitors.ask([Visit("/", "key", "the wanted page")])


# --- what is made of it ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page_ms", "small_ms", "queries", "holds"),
    [
        (29.0, 25.0, 10, True),
        (31.0, 25.0, 10, False),
        (29.0, 15.0, 10, False),
        (29.0, 25.0, 11, False),
    ],
)
def test_a_page_holds_its_three_limits(page_ms: float, small_ms: float, queries: int, holds: bool) -> None:
    turn = {"reference": [10.0] * 20, "page": [page_ms] * 20, "small": [small_ms] * 20}
    slow = turn | {"page": [500.0] * 20}

    row = pages.summed_up("list", [turn, turn, slow], queries)

    assert row["holds"] is holds
    assert row["ratio"] == pytest.approx(page_ms / 10, abs=0.01)
    assert row["ratio_spread"][1] == 50


@pytest.mark.parametrize(("late", "lost", "holds"), [(0.299, 0, True), (0.301, 0, False), (0.1, 1, False)])
def test_the_stream_holds_when_nearly_all_know_in_time_and_none_is_lost(
    late: float, lost: int, holds: bool
) -> None:
    heard = browsers.Heard([0.02] * 90 + [late] * 10, lost, receipts=[5, 6])

    row = stream.summed_up(heard, commits=5)

    assert row["holds"] is holds
    assert (row["median_ms"], row["p95_ms"]) == (20, late * 1000)
    assert (row["browsers"], row["receipts_per_browser"]) == (2, [5, 6])


def test_a_browser_that_hears_nothing_is_counted_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsers, "PATIENCE", 1.0)
    monkeypatch.setattr(browsers, "_SETTLING", 0.0)
    rings: list[asyncio.StreamWriter] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        # Among those rung before it is answered: the first commit comes as soon as the last browser has its answer.
        if b"=deaf" not in asked:
            rings.append(writer)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

    def run_server(started: threading.Event, ports: list[int]) -> None:
        async def forever() -> None:
            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            ports.append(server.sockets[0].getsockname()[1])
            loops.append(asyncio.get_running_loop())
            started.set()
            await asyncio.sleep(3600)

        asyncio.run(forever())

    started, ports = threading.Event(), list[int]()
    threading.Thread(target=run_server, args=(started, ports), daemon=True).start()
    assert started.wait(5)

    def commit(_number: int) -> float:
        for writer in rings:
            loops[0].call_soon_threadsafe(partial(writer.write, b"event: board\ndata: {}\n\n"))
        return 0.0

    heard = browsers.listen(ports[0], ["one", "deaf", "two"], 2, commit)

    assert heard.lost == 2
    assert heard.receipts == [2, 0, 2]
    assert len(heard.delays) == 4


@pytest.mark.django_db(transaction=True)
def test_a_reply_is_timed_at_its_commit(house: House) -> None:
    ticket = house.open()
    create_user(email="another@example.org", name="An Other", role=Role.AGENT)
    before = stream.time.perf_counter()

    committed = stream.reply(ticket_id=ticket.pk)

    assert before < committed < stream.time.perf_counter()
    assert Entry.objects.filter(ticket=ticket, body="We are on it.").exists()
    assert session_of(house.agent)
