"""An address that hangs holds up one sender, not all of them."""

import contextlib

import pytest

from notifications.channels import Envelope, Failed, FailedForGood
from notifications.channels.hanging import Hanging


class Server:
    """A channel in a time of its own: what it does with the next message, how long that takes, whom it met."""

    def __init__(self) -> None:
        self.now = 0.0
        self.takes = 0.0
        self.raises: Failed | None = None
        self.met: list[str] = []
        self.send = Hanging(clock=lambda: self.now).guard(self._send)

    def _send(self, envelope: Envelope) -> str:
        self.met.append(envelope.address)
        self.now += self.takes
        if self.raises is not None:
            raise self.raises
        return "accepted"

    def meet(self, address: str = "a@example.org") -> bool:
        """Send a message; tell whether the server has seen anything of it."""
        before = len(self.met)
        with contextlib.suppress(Failed):
            self.send(Envelope(address=address, subject="", text="", html="", key="k"))
        return len(self.met) > before


@pytest.fixture
def server() -> Server:
    server = Server()
    server.takes, server.raises = 10.0, Failed("timed out")
    return server


def test_after_a_hanging_attempt_the_address_rests_and_others_do_not(server: Server) -> None:
    assert server.meet()

    assert not server.meet()
    assert server.meet("b@example.org")


def test_after_the_rest_one_message_is_tried_at_a_time(server: Server) -> None:
    server.meet()
    server.now += 16
    server.takes = 0

    assert server.meet()
    assert not server.meet()


def test_an_address_that_answers_again_is_well_at_once(server: Server) -> None:
    server.meet()
    server.now += 16
    server.takes, server.raises = 0.1, None

    assert [server.meet() for _ in range(3)] == [True, True, True]


@pytest.mark.parametrize("failure", [Failed("421 later"), FailedForGood("550 unknown")])
def test_a_failure_that_comes_at_once_holds_nobody_up(server: Server, failure: Failed) -> None:
    server.takes, server.raises = 0.1, failure

    assert [server.meet() for _ in range(3)] == [True, True, True]
