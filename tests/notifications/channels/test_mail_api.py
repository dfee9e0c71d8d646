"""Mail by a provider's API: Anymail against a server that speaks as Postmark does."""

import json
import logging
import time
from typing import Any

import pytest

from helpdesk import environment
from notifications.channels import Envelope, Failed, FailedForGood, sender_for
from notifications.channels.email import send_email
from tests.notifications.channels.loopback import SECRET, Server, envelope

ACCEPTED = {"ErrorCode": 0, "Message": "OK", "MessageID": "b7bc2f4a", "To": "ann@example.org"}


@pytest.fixture
def postmark(server: Server, settings: Any) -> Server:
    settings.EMAIL_BACKEND = "anymail.backends.postmark.EmailBackend"
    settings.ANYMAIL = {
        "POSTMARK_SERVER_TOKEN": SECRET,
        "POSTMARK_API_URL": f"http://127.0.0.1:{server.port}/",
    }
    server.headers = {"Content-Type": "application/json"}
    server.body = json.dumps(ACCEPTED).encode()
    return server


def mail(**more: Any) -> Envelope:
    return envelope(address="ann@example.org", thread="<ticket-7@belay.example>", **more)


def test_a_mail_goes_out_with_all_its_headers(postmark: Server) -> None:
    answer = sender_for("email")(mail())

    assert answer.startswith('200 OK: {"ErrorCode": 0')
    path, headers, _ = postmark.seen[-1]
    said = postmark.said
    assert path == "/email"
    assert (headers["X-Postmark-Server-Token"], headers["Idempotency-Key"]) == (
        SECRET,
        "<0190abc@belay.example>",
    )
    assert (said["To"], said["Subject"], said["HtmlBody"]) == (
        "ann@example.org",
        "[SEV1] #7 VPN drops",
        "<p>",
    )
    assert {one["Name"]: one["Value"] for one in said["Headers"]} == {
        "Message-ID": "<0190abc@belay.example>",
        # Without it Postmark puts its own Message-ID in the place of ours.
        "X-PM-KeepID": "true",
        "Auto-Submitted": "auto-generated",
        "X-Belay-Key": "<0190abc@belay.example>",
        "References": "<ticket-7@belay.example>",
        "In-Reply-To": "<ticket-7@belay.example>",
    }


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (422, {"ErrorCode": 406, "Message": "You tried to send to a recipient that is inactive."}),
        (422, {"ErrorCode": 300, "Message": "Invalid 'To' address: 'ann'."}),
        (413, {"ErrorCode": 0, "Message": "too large"}),
    ],
)
def test_a_recipient_is_refused_for_good(status: int, said: dict[str, Any], postmark: Server) -> None:
    postmark.status, postmark.body = status, json.dumps(said).encode()

    with pytest.raises(FailedForGood, match=str(said["Message"])[:20]):
        send_email(mail())


@pytest.mark.parametrize("status", [401, 402, 403, 429, 500, 503])
def test_what_is_wrong_with_account_or_service_is_tried_again(status: int, postmark: Server) -> None:
    postmark.status, postmark.headers = status, {"Retry-After": "30"}

    with pytest.raises(Failed, match=str(status)) as failed:
        send_email(mail())

    assert not isinstance(failed.value, FailedForGood)
    assert failed.value.retry_after == (30 if status in {429, 503} else None)


def test_an_answer_that_is_none_is_no_success(postmark: Server) -> None:
    postmark.body = b"<html>maintenance</html>"

    with pytest.raises(Failed, match="maintenance") as failed:
        send_email(mail())

    assert not isinstance(failed.value, FailedForGood)


@pytest.mark.parametrize("ill", ["hangs", "trickles"])
def test_a_provider_that_never_gets_there_is_given_up_in_time(
    ill: str, postmark: Server, seconds: float
) -> None:
    setattr(postmark, ill, True)
    began = time.monotonic()

    with pytest.raises(Failed, match="timed out"):
        send_email(mail())

    assert time.monotonic() - began < seconds + 0.5


def test_a_provider_in_the_private_network_has_to_be_allowed(postmark: Server, settings: Any) -> None:
    settings.BELAY_ALLOWED_HOSTS_OUT = []

    with pytest.raises(FailedForGood, match="private network"):
        send_email(mail())

    assert not postmark.seen


@pytest.mark.parametrize("address", ["ann", "a b@example.org", "ann@example.org\nBcc: eve@example.org", ""])
def test_what_is_no_address_is_refused_for_good(address: str, postmark: Server) -> None:
    with pytest.raises(FailedForGood):
        send_email(envelope(address=address))


def test_the_token_is_neither_in_answers_nor_in_logs(
    postmark: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    postmark.status, postmark.body = 500, f"token {SECRET} is wrong".encode()

    with pytest.raises(Failed, match="is wrong") as failed:
        send_email(mail())

    assert SECRET not in f"{failed.value!r} {failed.value.__cause__!r} {caplog.text}"


def test_a_provider_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELAY_MAIL_PROVIDER", "Mailgun")
    assert environment.mail_provider() == "mailgun"

    monkeypatch.setenv("BELAY_MAIL_PROVIDER", "pigeon")
    with pytest.raises(environment.ConfigurationError, match="postmark"):
        environment.mail_provider()


@pytest.mark.parametrize("text", ["[1]", "{", f'"{SECRET}"'])
def test_credentials_that_are_none_are_refused_without_being_quoted(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANYMAIL", text)

    with pytest.raises(environment.ConfigurationError, match="POSTMARK_SERVER_TOKEN") as refused:
        environment.mail_credentials()

    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("name", environment.MAIL_PROVIDERS)
def test_every_provider_named_sends_by_requests(name: str) -> None:
    from anymail.backends.base_requests import AnymailRequestsBackend
    from django.utils.module_loading import import_string

    assert issubclass(import_string(f"anymail.backends.{name}.EmailBackend"), AnymailRequestsBackend)
