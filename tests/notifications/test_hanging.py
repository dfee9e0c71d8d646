"""An address that hangs holds up one sender, not all of them."""

import contextlib
import datetime as dt
import time

import pytest

from core.db import database_now
from notifications import channels, engine
from notifications.channels import Envelope, Failed, FailedForGood, Resting
from notifications.channels.hanging import Hanging
from notifications.models import Provider
from notifications.operations import withdraw
from tests.notifications.cast import queued


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

    def meet(self, address: str = "a@example.org", provider: Provider | None = None) -> bool:
        """Send a message; tell whether the server has seen anything of it."""
        before = len(self.met)
        with contextlib.suppress(Failed):
            self.send(Envelope(address=address, subject="", text="", html="", key="k", provider=provider))
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


def test_nothing_tried_is_no_failure_until_the_address_has_hung_for_minutes(server: Server) -> None:
    def kind_of_failure() -> type[Failed]:
        with pytest.raises(Failed) as caught:
            server.send(Envelope(address="a@example.org", subject="", text="", html="", key="k"))
        return type(caught.value)

    server.meet()
    assert kind_of_failure() is Resting
    while server.now < 120:
        server.now += 16
        server.meet()

    assert kind_of_failure() is Failed


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


def test_a_server_that_asks_to_be_left_alone_is_asked_nothing_until_then(server: Server) -> None:
    server.takes, server.raises = 0.1, Failed("429 too many", retry_after=30)
    server.meet()
    server.raises = None

    assert not server.meet()
    server.now += 29
    assert not server.meet()
    server.now += 2
    assert server.meet()


def test_all_that_one_provider_carries_waits_when_it_asks_to_be_left_alone(server: Server) -> None:
    server.takes, server.raises = 0.1, Failed("429 too many", retry_after=30)
    gateway, other = Provider(pk=1), Provider(pk=2)
    server.meet("+4930123456", gateway)

    assert not server.meet("+4930999999", gateway)
    assert server.meet("+4930999999", other)


def test_no_server_is_left_alone_for_longer_than_an_hour(server: Server) -> None:
    server.takes, server.raises = 0.1, Failed("429 too many", retry_after=86_400)
    server.meet()

    server.now += 3_601

    assert server.meet()


@pytest.mark.django_db
def test_a_message_that_was_not_tried_waits_for_the_end_of_the_rest_and_keeps_its_attempts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hanging = Hanging()
    hanging.failed("a@example.org", began=time.monotonic() - 10)
    monkeypatch.setitem(channels._SENDERS, "email", hanging.guard(lambda _envelope: "accepted"))
    waiting, other = queued("a@example.org"), queued("b@example.org")

    engine.tick(senders=1)

    waiting.refresh_from_db()
    other.refresh_from_db()
    assert (waiting.state, waiting.attempts, waiting.lease_token) == ("pending", 0, None)
    assert dt.timedelta(seconds=5) < waiting.due_at - database_now() <= dt.timedelta(seconds=15)
    assert not waiting.deliveries.exists()
    assert other.state == "sent"


@pytest.mark.django_db
def test_a_message_withdrawn_while_its_address_rests_is_not_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def withdrawn_meanwhile(_envelope: Envelope) -> str:
        withdraw(groups=["telling"], now=database_now())
        raise Resting("not tried", seconds=10)

    monkeypatch.setitem(channels._SENDERS, "email", withdrawn_meanwhile)
    row = queued("a@example.org", group="telling")

    engine.tick(senders=1)

    row.refresh_from_db()
    assert row.state == "withdrawn"
