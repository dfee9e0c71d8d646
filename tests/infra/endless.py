"""An ASGI application whose stream never ends by itself, as a board left open over night."""

import asyncio

from helpdesk.asgi import Receive, Scope, Send


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Send one line, then nothing."""
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
    )
    await send({"type": "http.response.body", "body": b"data: open\n\n", "more_body": True})
    await asyncio.Event().wait()
