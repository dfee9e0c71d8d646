"""Somebody who works with the helpdesk while it is being broken."""

import http.client
import json
import threading
import time
from dataclasses import dataclass, field

from knox.models import AuthToken

from tests.chaos.installation import Installation, wait_for
from tests.house import House


@dataclass
class Clicker:
    """Somebody who replies on a ticket twice a second, by the API of the web process."""

    port: int
    token: str
    ticket: int
    took: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def click(self) -> None:
        """Reply once; note how long it took."""
        began = time.monotonic()
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            body = json.dumps({"body": "Still nothing."})
            head = {"Authorization": f"Token {self.token}", "Content-Type": "application/json"}
            link.request("POST", f"/api/v1/tickets/{self.ticket}/reply/", body, head)
            answer = link.getresponse()
            said = answer.read(400)
            if answer.status != 201:
                self.failed.append(f"{answer.status} {said!r}")
        except (OSError, http.client.HTTPException) as error:
            self.failed.append(repr(error))
        finally:
            link.close()
        self.took.append(time.monotonic() - began)

    def start(self) -> None:
        def go_on() -> None:
            while not self._stop.wait(0.5):
                self.click()

        self._thread = threading.Thread(target=go_on)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(40)


def clicker(installation: Installation, house: House) -> Clicker:
    """Return somebody signed in, with a ticket of their own; the web process answers them."""
    _, token = AuthToken.objects.create(house.requester)
    one = Clicker(installation.port, token, house.open().pk)

    def answered() -> bool:
        one.failed.clear()
        one.click()
        return not one.failed

    wait_for("the web process", answered, 40)
    one.took.clear()
    return one
