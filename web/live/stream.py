"""The ASGI callable of /live/: server-sent events for one browser tab.

    GET /live/?on=board,bell,ticket-12&age=840

`on` names the topics wanted (all that the person may hear if left out), `age` how many milliseconds ago the page was
rendered or the last stream broke: what happened since is told first, or `resync` where that isn't known any more.
Events: see web.live.topics; besides `resync` (look at everything again) and `gone` (signed out: don't come back).
"""

import asyncio
import contextlib
import functools
import random
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar
from urllib.parse import parse_qs

from django.db import Error as DatabaseFailure

from web.live.hub import Hub, on_shutdown
from web.live.lines import Line, message
from web.live.people import find_person, session_key
from web.live.topics import read_topics

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

P = ParamSpec("P")
T = TypeVar("T")

HEARTBEAT = 15.0
RECHECK = 60.0
# A browser that doesn't take its bytes for so long is gone.
PATIENCE = 20.0
MOST_LINES = 2000
MOST_PER_PERSON = 40
MOST_TOPICS = 200
OLDEST_AGE = 24 * 3600.0

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    # Proxies that would collect the stream until it is worth sending.
    (b"x-accel-buffering", b"no"),
]

# A comment for proxies, an event for the page: scripts don't see comments.
STILL_HERE = b": still here\n" + message("here")

_people = ThreadPoolExecutor(2, thread_name_prefix="live-people")


@functools.lru_cache(maxsize=1)
def _hub_of(loop: asyncio.AbstractEventLoop) -> Hub:
    hub = Hub()
    on_shutdown(loop, hub.stop)
    return hub


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request for the stream."""
    if scope["method"] != "GET":
        await _refuse(send, 405, "GET only.")
        return
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    key = session_key(headers.get(b"cookie", ""))
    try:
        hearer = await _in_thread(find_person, key)
    except DatabaseFailure:
        await _refuse(send, 503, "The database can't be reached; try again in a moment.")
        return
    if hearer is None:
        await _refuse(send, 403, "Sign in first.")
        return
    hub = _hub_of(asyncio.get_running_loop())
    theirs = sum(line.hearer.user_id == hearer.user_id for line in hub.lines)
    if len(hub.lines) >= MOST_LINES or theirs >= MOST_PER_PERSON:
        await _refuse(send, 429, "Too many streams are open; close some tabs.")
        return
    asked = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=20)
    line = Line(hearer, _topics(asked))
    gone = asyncio.create_task(_disconnected(receive))
    try:
        await hub.join(line, _age(asked, headers))
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await _talk(line, key, gone, send)
    except (TimeoutError, OSError):
        pass  # the browser has gone without a word
    finally:
        hub.leave(line)
        gone.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await gone


async def _talk(line: Line, key: str, gone: "asyncio.Task[None]", send: Send) -> None:
    """Send what comes, heartbeats in between, until either side ends."""
    loop = asyncio.get_running_loop()
    # Spread, so that the sessions of all who came with one restart aren't checked at once.
    recheck_at = loop.time() + RECHECK * random.uniform(0.8, 1.2)  # noqa: S311 no secret
    await _write(send, f"retry: {random.randint(2000, 6000)}\n: here\n\n".encode())  # noqa: S311
    while not line.ended and not gone.done():
        ready = asyncio.ensure_future(line.ready.wait())
        patience = max(0.0, min(HEARTBEAT, recheck_at - loop.time()))
        await asyncio.wait({ready, gone}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if line.ended or gone.done():
            break
        if loop.time() >= recheck_at:
            recheck_at = loop.time() + RECHECK
            # Without a database nothing is told either: check again in a minute.
            with contextlib.suppress(DatabaseFailure):
                hearer = await _in_thread(find_person, key)
                if hearer is None:
                    await _write(send, message("gone"))
                    break
                line.hearer = hearer
        await _write(send, line.take() or STILL_HERE)
    with contextlib.suppress(Exception):  # whatever the server raises for a connection that is gone
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _write(send: Send, body: bytes) -> None:
    async def written() -> None:
        # wait_for makes a task of it, which granian's own awaitable can't be.
        await send({"type": "http.response.body", "body": body, "more_body": True})

    await asyncio.wait_for(written(), PATIENCE)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    bound = functools.partial(call, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_people, bound)


async def _refuse(send: Send, status: int, words: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{words}\n".encode()})


def _topics(asked: dict[str, list[str]]) -> frozenset[str] | None:
    if "on" not in asked:
        return None
    return read_topics(asked["on"][0].split(",")[:MOST_TOPICS])


def _age(asked: dict[str, list[str]], headers: dict[bytes, str]) -> float | None:
    """Return how many seconds ago this browser last knew everything; None if it says nothing."""
    try:
        return min(max(0.0, float(asked["age"][0]) / 1000), OLDEST_AGE)
    except (KeyError, ValueError):
        # Ids are not sent, but a client may bring one from elsewhere: it means "I was here before".
        return OLDEST_AGE if b"last-event-id" in headers else None
