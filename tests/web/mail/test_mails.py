"""The caught mails: who reads them, and that they can do no harm."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.mail import EmailMultiAlternatives
from django.test import Client

from accounts.models import Role, User
from accounts.operations import create_user
from helpdesk.mailsink import store

pytestmark = pytest.mark.django_db
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
LINK = "http://localhost:8000/a/WzEsMl0:1abc:x-y_z/"


@pytest.fixture
def sink(tmp_path: Path, settings: Any) -> Path:
    """An installation whose mails go to its own sink."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    settings.BELAY_MAIL_DIR = tmp_path
    return tmp_path


@pytest.fixture
def client_of() -> Callable[[str], Client]:
    def sign_in(role: str) -> Client:
        user: User = create_user(email=f"{role}@example.org", name="Any Body", role=role)
        client = Client()
        client.force_login(user, backend=BACKEND)
        return client

    return sign_in


def keep(sink: Path, *, subject: str = "You are needed", text: str = "", html: str = "") -> str:
    mail = EmailMultiAlternatives(subject, text, "belay@example.org", ["ilse@example.org"])
    if html:
        mail.attach_alternative(html, "text/html")
    return store(sink, mail.message().as_bytes(linesep="\r\n")).name


@pytest.mark.parametrize(
    ("role", "status"), [("requester", 403), ("agent", 403), ("lead", 200), ("admin", 200)]
)
def test_only_leads_and_admins_read_mails(
    sink: Path, client_of: Callable[[str], Client], role: str, status: int
) -> None:
    name = keep(sink, text="Take it", html="<p>Take it</p>")
    client = client_of(role)
    for path in ("/mail/", f"/mail/{name}/", f"/mail/{name}/html/"):
        assert client.get(path).status_code == status
    assert Client().get("/mail/").status_code == 302


def test_where_mails_go_out_into_the_world_there_is_no_such_page(
    sink: Path, client_of: Callable[[str], Client], settings: Any
) -> None:
    name = keep(sink, text="From before")
    settings.EMAIL_HOST = "smtp.example.org"
    client = client_of(Role.ADMIN)
    assert client.get("/mail/").status_code == 404
    assert client.get(f"/mail/{name}/").status_code == 404
    assert client.get(f"/mail/{name}/html/").status_code == 404


def test_an_empty_sink_says_what_will_come(sink: Path, client_of: Callable[[str], Client]) -> None:
    assert "No mail yet" in client_of(Role.LEAD).get("/mail/").content.decode()


def test_the_newest_mail_stands_first(sink: Path, client_of: Callable[[str], Client]) -> None:
    keep(sink, subject="First", text="1")
    keep(sink, subject="Second", text="2")
    page = client_of(Role.LEAD).get("/mail/").content.decode()
    assert page.index("Second") < page.index("First")


def test_the_acknowledge_link_can_be_followed(sink: Path, client_of: Callable[[str], Client]) -> None:
    name = keep(sink, text=f"Payments are down.\n\nTake it: {LINK}\n")
    page = client_of(Role.LEAD).get(f"/mail/{name}/").content.decode()
    assert f'<a href="{LINK}"' in page


def test_text_is_text_whatever_it_says(sink: Path, client_of: Callable[[str], Client]) -> None:
    name = keep(
        sink, subject="<script>alert(1)</script>", text="<script>alert(2)</script> javascript:alert(3)"
    )
    client = client_of(Role.LEAD)
    for path in ("/mail/", f"/mail/{name}/"):
        page = client.get(path).content.decode()
        assert "<script>alert" not in page
        assert 'href="javascript' not in page


def test_the_html_part_can_run_and_fetch_nothing(sink: Path, client_of: Callable[[str], Client]) -> None:
    name = keep(sink, text="Take it", html='<p style="color:red">Take it</p><script>alert(1)</script>')
    client = client_of(Role.LEAD)

    page = client.get(f"/mail/{name}/").content.decode()
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page

    part = client.get(f"/mail/{name}/html/")
    policy = part["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "sandbox allow-popups allow-popups-to-escape-sandbox" in policy
    assert part["X-Frame-Options"] == "SAMEORIGIN"


@pytest.mark.parametrize(
    "name", ["x.eml", "..%2F..%2Fsecret-key", "00000000000000000000-00000000.eml", "%2e%2e", "a" * 300]
)
def test_no_other_name_reaches_the_disk(sink: Path, client_of: Callable[[str], Client], name: str) -> None:
    client = client_of(Role.ADMIN)
    assert client.get(f"/mail/{name}/").status_code == 404
    assert client.get(f"/mail/{name}/html/").status_code == 404


def test_a_mail_in_an_unknown_charset_is_still_shown(sink: Path, client_of: Callable[[str], Client]) -> None:
    raw = b'Subject: Odd\r\nContent-Type: text/plain; charset="x-nobody"\r\n\r\nHelp \xff me\r\n'
    name = store(sink, raw).name
    assert "Help" in client_of(Role.LEAD).get(f"/mail/{name}/").content.decode()
