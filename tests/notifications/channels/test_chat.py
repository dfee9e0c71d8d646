"""What goes out by Apprise: guarded, ended in time, and answered with what the provider really said."""

import logging
import time
from typing import Any

import pytest

from notifications.channels import Envelope, Failed, FailedForGood, chat, sender_for
from notifications.channels.services import NotUnderstood, describe, describe_provider, fill
from tests.helpers import free_port
from tests.notifications.channels.loopback import SECRET, Server, envelope, own, provider

CHATS = ["slack", "teams", "mattermost", "telegram", "apprise"]


def to(server: Server, **more: Any) -> Envelope:
    return envelope(
        secret=own(f"json://user:{SECRET}@127.0.0.1:{server.port}/{SECRET}/x?token={SECRET}"), **more
    )


def send(message: Envelope) -> str:
    return chat.sender()(message)


def test_an_accepted_message_brings_the_providers_answer(server: Server) -> None:
    server.body = b'{"message": "queued"}'

    answer = send(to(server))

    assert answer == '200 OK: {"message": "queued"}'
    assert server.said["title"] == "[SEV1] #7 VPN drops"
    assert server.said["message"] == "Ann Test needs you now.\nhttps://belay.example/a/xyz"


@pytest.mark.parametrize("channel", CHATS)
def test_chats_are_registered(channel: str, server: Server) -> None:
    assert sender_for(channel)(to(server, address=f"room of {channel}")).startswith("200 OK")


def test_a_chat_takes_an_admins_words_although_it_has_room_for_more(server: Server) -> None:
    sender_for("slack")(to(server, short="Up, *Ann*! https://belay.example/a/xyz", own_short=True))

    assert server.said["message"].startswith("Up, ")
    assert server.said["message"].count("https://belay.example/a/xyz") == 1
    assert "needs you now" not in server.said["message"]
    assert server.said["title"] == ""


@pytest.mark.parametrize("channel", ["sms", "ntfy"])
def test_short_channels_get_the_short_form(channel: str, server: Server) -> None:
    carried = provider(f"json://127.0.0.1:{server.port}/sms?to={{to}}")

    sender_for(channel)(envelope(provider=carried))

    assert server.said["message"] == "[SEV1] #7 VPN drops. https://belay.example/a/xyz"
    assert server.said["title"] == ""


def test_a_provider_gets_the_address_in_its_place(server: Server) -> None:
    carried = provider(f"json://127.0.0.1:{server.port}/send/{{to}}/now")

    send(envelope(provider=carried, address="+15555550123"))

    assert server.seen[-1][0] == "/send/+15555550123/now"


@pytest.mark.parametrize(
    "address",
    ["+1/../x", "a?b=c", "a&to=b", "a b", "a,b", "a%2Fb", "a\nb", "x" * 101, "", "ü", "a\\b", "{to}"],
)
def test_an_address_that_could_change_the_url_is_refused(address: str, server: Server) -> None:
    carried = provider(f"json://127.0.0.1:{server.port}/{{to}}")

    with pytest.raises(FailedForGood):
        send(envelope(provider=carried, address=address))

    assert not server.seen


def test_without_a_provider_nothing_is_sent() -> None:
    with pytest.raises(FailedForGood, match="no provider"):
        send(envelope())


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422, 301, 308])
def test_what_is_refused_is_refused_for_good(status: int, server: Server) -> None:
    server.status, server.body = status, b"no_such_channel"

    with pytest.raises(FailedForGood, match=f"{status} .*: no_such_channel"):
        send(to(server))


@pytest.mark.parametrize("status", [302, 408, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(status: int, server: Server) -> None:
    server.status = status

    with pytest.raises(Failed, match=str(status)) as failed:
        send(to(server))

    assert not isinstance(failed.value, FailedForGood)
    assert failed.value.retry_after is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "17"}, 17.0),
        ({"Retry-After": "0"}, 0.0),
        (
            {"Date": "Mon, 02 Mar 2026 09:00:00 GMT", "Retry-After": "Mon, 02 Mar 2026 09:01:30 GMT"},
            90.0,
        ),
        ({"Retry-After": "Mon, 02 Mar 1998 09:01:30 GMT"}, 0.0),
        ({"Retry-After": "99999999999999999999999"}, 3600.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "1e3"}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_server_says_when_it_wants_to_be_asked_again(
    status: int, headers: dict[str, str], expected: float | None, server: Server
) -> None:
    server.status, server.headers = status, headers

    with pytest.raises(Failed) as failed:
        send(to(server))

    assert failed.value.retry_after == expected


def test_a_server_that_hangs_costs_the_time_there_is(server: Server, seconds: float) -> None:
    server.hangs = True
    began = time.monotonic()

    with pytest.raises(Failed, match="timed out") as failed:
        send(to(server))

    assert time.monotonic() - began < seconds + 0.5
    assert not isinstance(failed.value, FailedForGood)


def test_a_server_that_trickles_is_given_up_in_time(server: Server, seconds: float) -> None:
    server.trickles = True
    began = time.monotonic()

    with pytest.raises(Failed, match="timed out"):
        send(to(server))

    assert time.monotonic() - began < seconds + 0.5


def test_where_nobody_listens_the_message_waits() -> None:
    gone = own(f"json://127.0.0.1:{free_port()}/x")

    with pytest.raises(FailedForGood, match="private network"):
        send(envelope(secret=gone))


def test_a_connection_that_is_refused_may_pass(settings: Any) -> None:
    settings.BELAY_ALLOWED_HOSTS_OUT = ["127.0.0.1"]

    with pytest.raises(Failed, match="no connection") as failed:
        send(envelope(secret=own(f"json://127.0.0.1:{free_port()}/x")))

    assert not isinstance(failed.value, FailedForGood)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433"])
def test_this_machine_is_not_reached_unless_an_admin_allows_it(
    host: str, server: Server, settings: Any
) -> None:
    settings.BELAY_ALLOWED_HOSTS_OUT = []

    with pytest.raises(FailedForGood):
        send(envelope(secret=own(f"json://{host}:{server.port}/x")))

    assert not server.seen


def test_a_redirect_into_the_private_network_is_not_followed(server: Server) -> None:
    server.status, server.headers = 302, {"Location": f"http://127.0.0.1:{server.port}/inside"}

    with pytest.raises(Failed, match="302"):
        send(to(server))

    assert len(server.seen) == 1


def test_a_proxy_of_the_environment_leads_nowhere(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")

    assert send(to(server)).startswith("200 OK")


@pytest.mark.parametrize("status", [200, 404, 429, 500])
def test_secrets_are_neither_in_answers_nor_in_logs(
    status: int, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.status = status
    # Some servers repeat the path that they don't know.
    server.body = f"Cannot POST /{SECRET}/x?token={SECRET} by user:{SECRET}".encode()
    message = to(server)

    try:
        told = send(message)
    except Failed as failed:
        told = f"{failed!r} {failed.__cause__!r}"

    assert "Cannot" in told
    assert SECRET not in told
    assert SECRET not in caplog.text
    assert SECRET not in repr(message)


def test_secrets_are_not_in_what_a_failed_connection_says(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings.BELAY_ALLOWED_HOSTS_OUT = ["127.0.0.1"]

    with pytest.raises(Failed) as failed:
        send(envelope(secret=own(f"json://127.0.0.1:{free_port()}/{SECRET}")))

    assert SECRET not in repr(failed.value)
    assert failed.value.__cause__ is None
    assert SECRET not in caplog.text


def test_an_answer_without_end_is_read_no_further_than_its_beginning(server: Server) -> None:
    server.body = b"x" * 3_000_000

    assert len(send(to(server))) < 300


@pytest.mark.parametrize(
    "url",
    [
        "syslog://",
        "dbus://",
        "gnome://",
        "macosx://",
        "windows://",
        "mailto://user:pass@example.com",
        "rsyslog://127.0.0.1",
        "mqtt://127.0.0.1/topic",
        "irc://127.0.0.1/#x",
        "nonsense",
        "https://example.com/unknown",
        "",
    ],
)
def test_what_acts_on_this_machine_or_by_other_ways_is_refused(url: str) -> None:
    with pytest.raises(FailedForGood) as failed:
        send(envelope(secret=own(url)))

    assert "pass" not in str(failed.value)


def test_files_that_a_url_names_are_not_read(server: Server, tmp_path: Any) -> None:
    template = tmp_path / "card.json"
    template.write_text('{"type": "secret of this machine"}')
    url = (
        f"workflows://127.0.0.1:{server.port}/643e69f83c8944438d68119179a10a64/KODuebbbGGGdummyssssssssssssssssssss/"
        f"?template={template}"
    )

    with pytest.raises(Failed):
        send(envelope(secret=own(url)))

    assert not server.seen


def test_a_stored_secret_of_another_key_is_said_so(settings: Any) -> None:
    secret = own("json://127.0.0.1/")
    settings.SECRET_KEY = "another"
    settings.SECRET_KEY_FALLBACKS = []

    with pytest.raises(FailedForGood, match="another key"):
        send(envelope(secret=secret))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/{'x' * 24}", "Slack, hooks.slack.com"),
        (f"slack://T1JJ3T3L2/A1BRTD4JD/{'x' * 24}/", "Slack"),
        ("ntfys://ntfy.example.com/topic", "ntfy, ntfy.example.com"),
        ("ntfy://secrettopic", "ntfy"),
        ("mmosts://chat.example.com/abcdefghijklmnopqrstuvwxyz", "Mattermost, chat.example.com"),
        ("tgram://123456789:abcdefg_hijklmnop/-1001", "Telegram"),
    ],
)
def test_of_an_address_only_service_and_host_are_shown(url: str, shown: str) -> None:
    assert describe(url) == shown


def test_a_providers_url_needs_one_place_for_the_address() -> None:
    assert describe_provider("tgram://123456789:abcdefg_hijklmnop/{to}") == "Telegram"
    for url in (
        "tgram://123456789:abcdefg_hijklmnop/1",
        "json://x/{to}/{to}",
        "nonsense://{to}",
        "syslog://{to}",
    ):
        with pytest.raises(NotUnderstood):
            describe_provider(url)


def test_room_names_go_into_a_url_quoted() -> None:
    assert fill("slack://a/b/c/{to}", "#netops") == "slack://a/b/c/%23netops"
