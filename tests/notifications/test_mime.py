"""What we write down is what a mail program reads, whatever stands in it."""

from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

import pytest
from django.core import mail
from hypothesis import given
from hypothesis import strategies as st

from notifications.channels import Envelope, services
from notifications.channels.email import send_email
from notifications.channels.mime import address, write_mail
from notifications.letters import one_line

PARTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=300)
LONG_LINES = st.sampled_from(
    ["x" * 2000, "ü" * 2000, "From here\n.\n..dots\n", "=20 =\n", " trailing \t \n", "a\r\nb\rc"]
)


def read(content: bytes) -> EmailMessage:
    return BytesParser(policy=policy.default).parsebytes(content)  # type: ignore[arg-type]


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def lines(text: str) -> str:
    """Return a text with the line ends that mail has, one at its end, as the parser adds."""
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


@given(text=PARTS | LONG_LINES, html=PARTS | LONG_LINES, subject=PARTS.map(one_line))
def test_it_reads_back_as_it_was_written(text: str, html: str, subject: str) -> None:
    content = write_mail(headers={"Subject": subject}, text=text, html=html)

    message = read(content)

    assert message.get_content_type() == ("multipart/alternative" if html else "text/plain")
    assert lines(body(message, "plain")) == lines(text)
    if html:
        assert lines(body(message, "html")) == lines(html)
    assert " ".join(str(message["Subject"]).split()) == subject
    assert message.defects == []
    assert max(len(line) for line in content.split(b"\r\n")) <= 998
    assert content.replace(b"\r\n", b"").count(b"\n") == 0


def test_a_long_subject_is_folded_into_words_that_servers_take() -> None:
    subject = "Zahlungen schlagen fehl – bitte übernehmen. " * 4

    head = write_mail(headers={"Subject": subject.strip()}, text="").split(b"\r\nDate")[0]

    assert max(len(line) for line in head.split(b"\r\n")) <= 90
    assert all(len(word) <= 75 for word in head.split() if word.startswith(b"=?"))


@pytest.mark.parametrize("value", ["a\nBcc: b@example.org", "a\r\n\r\nb", "a\0b"])
def test_a_header_of_several_lines_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="more than one line"):
        write_mail(headers={"Subject": value}, text="")


@pytest.mark.parametrize(
    ("spelled", "written"),
    [
        ("ann@example.org", "ann@example.org"),
        ("Belay <belay@example.org>", "Belay <belay@example.org>"),
        ("Bürö <b@bücher.example>", "=?utf-8?b?QsO8csO2?= <b@xn--bcher-kva.example>"),
    ],
)
def test_addresses_are_written_as_servers_take_them(spelled: str, written: str) -> None:
    assert address(spelled).lower() == written.lower()


def test_a_backend_that_is_not_smtp_gets_the_same_mail(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    mail.outbox = []

    send_email(
        Envelope(address="ann@example.org", subject="Grüße", text="Zeile", html="<p>Zeile</p>", key="<k@x>")
    )

    (sent,) = mail.outbox
    message = read(sent.message().as_bytes(linesep="\r\n"))
    assert (message["Subject"], message["To"], message["Message-ID"]) == ("Grüße", "ann@example.org", "<k@x>")
    assert body(message, "html") == "<p>Zeile</p>"


def test_headers_are_written_alike_whatever_libraries_have_been_loaded() -> None:
    """Apprise's plugin for mail changes the standard library's encodings, for everybody."""
    services.prepare()

    assert address("Bürö <b@example.org>") == "=?utf-8?b?QsO8csO2?= <b@example.org>"
