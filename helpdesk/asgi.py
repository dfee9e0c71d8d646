"""One port: the live stream as plain ASGI, everything else through Django's WSGI in eight threads.

Pages through WSGI threads were quicker than Django's ASGI with sync views when that was tried, and keep one database
connection a thread (docs/decisions/0009).
"""

import multiprocessing
import os
import signal
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

from a2wsgi import WSGIMiddleware
from django.core.wsgi import get_wsgi_application

from helpdesk.lifeline import die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "helpdesk.settings")
if multiprocessing.parent_process() is not None:
    # A worker of granian's: it would outlive a parent that was killed, and keep the port.
    die_with_parent(os.getppid(), signal.SIGKILL)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

THREADS = 8
# Sets Django up, which the stream's own imports need.
django = get_wsgi_application()
pages: Application = WSGIMiddleware(cast("Any", django), workers=THREADS)  # type: ignore[assignment]

from web.live import application as live  # noqa: E402


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Hand a request to the stream or to the pages."""
    if scope["type"] != "http":
        # Neither lifespan nor websockets: granian takes the end of the call for "not supported".
        return

    async def received() -> Message:
        # a2wsgi makes a task of it, which granian's own awaitable can't be.
        return await receive()

    target = live if scope["path"].startswith("/live/") else pages
    await target(scope, received, send)
