"""Ask a bench's web process for pages as a few browsers would: each on a connection of its own that is kept open."""

import http.client
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

from bench.web.counting import ASKED, TOLD

# As many requests at once: they wait for each other as they do at a busy desk, yet none of them for one of the web
# process's eight threads, which would measure the queue and not the page.
CONNECTIONS = 4
_PATIENCE = 60.0


@dataclass(frozen=True)
class Visit:
    """What is asked for, by whom, and words that the answer has when it is the page and no other."""

    path: str
    session: str
    holds: str


class Visitors:
    """Open connections to one web process."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.links = [self._link() for _ in range(CONNECTIONS)]
        self.pool = ThreadPoolExecutor(CONNECTIONS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown()
        for link in self.links:
            link.close()

    def ask(self, visits: Sequence[Visit]) -> list[float]:
        """Ask for all of them, in their order, as many at once as there are connections; return milliseconds each."""
        waiting = list(reversed(visits))
        for link in self.links:
            # Anew: the web process closes a connection that has been idle for half a minute.
            link.close()
            link.connect()
        guard = threading.Lock()

        def one_after_another(link: http.client.HTTPConnection) -> list[float]:
            took: list[float] = []
            while True:
                with guard:
                    if not waiting:
                        return took
                    visit = waiting.pop()
                took.append(self._visit(link, visit)[0])

        return [ms for each in self.pool.map(one_after_another, self.links) for ms in each]

    def count(self, visit: Visit) -> int:
        """Ask once and return how many queries that took, signing in included."""
        return self._visit(self.links[0], visit, count=True)[1]

    def warm(self, visits: Sequence[Visit]) -> None:
        """Ask with as many at once as the web process has threads: then each has a connection to the database."""
        with ThreadPoolExecutor(2 * CONNECTIONS) as pool:
            list(pool.map(self._visit_once, list(visits) * 2))

    def _visit_once(self, visit: Visit) -> None:
        link = self._link()
        self._visit(link, visit)
        link.close()

    def _link(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)

    def _visit(
        self, link: http.client.HTTPConnection, visit: Visit, *, count: bool = False
    ) -> tuple[float, int]:
        headers = {
            "Host": f"localhost:{self.port}",
            "Cookie": f"sessionid-{self.port}={visit.session}",
            **({ASKED: "1"} if count else {}),
        }
        began = time.perf_counter()
        link.request("GET", visit.path, headers=headers)
        answer = link.getresponse()
        body = answer.read()
        took = (time.perf_counter() - began) * 1000
        if answer.status != 200 or visit.holds.encode() not in body:
            where = answer.headers.get("Location", "")
            raise RuntimeError(f"{visit.path} answered {answer.status} {where}without “{visit.holds}”")
        return took, int(answer.headers.get(TOLD, 0))
