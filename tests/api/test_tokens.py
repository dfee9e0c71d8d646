"""Sign in for a token, see one's tokens, revoke them."""

from typing import Any

import pytest
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
    yield_hotp_counters_from_time,
)
from axes.models import AccessAttempt
from django.test import Client
from knox.models import AuthToken

from accounts.models import User
from accounts.operations import create_user
from tests.api.conftest import Call
from tests.house import House

PASSWORD = "correct horse battery"


@pytest.fixture
def ada(db: None) -> User:
    return create_user(email="Ada.L@example.org", name="Ada L", role="agent", password=PASSWORD)


def sign_in(email: str = "ada.l@example.org", password: str = PASSWORD, **more: Any) -> Any:
    body = {"email": email, "password": password, **more}
    return Client().post("/api/v1/auth/token/", body, content_type="application/json")


def me(token: str) -> int:
    return Client().get("/api/v1/me/", headers={"Authorization": f"Token {token}"}).status_code


def test_email_and_password_give_a_token_that_signs_in(ada: User) -> None:
    response = sign_in()

    document = response.json()
    assert response.status_code == 201, document
    assert response["Cache-Control"] == "no-store"
    assert me(document["token"]) == 200
    assert document["user"]["id"] == ada.pk
    # Ninety days, and kept as a digest only.
    life = AuthToken.objects.get().expiry - AuthToken.objects.get().created
    assert life.days in (89, 90)
    assert document["token"] not in str(AuthToken.objects.values())


@pytest.mark.parametrize(("seconds", "expires"), [(60, True), (None, False)])
def test_who_signs_in_says_how_long_the_token_holds(seconds: int | None, expires: bool, ada: User) -> None:
    assert (sign_in(expires_in_seconds=seconds).json()["expires_at"] is not None) == expires


@pytest.mark.parametrize(
    ("email", "password"),
    [("ada.l@example.org", "wrong"), ("nobody@example.org", PASSWORD), ("no address", "x")],
)
def test_a_wrong_pair_is_a_401_that_does_not_tell_which_was_wrong(
    email: str, password: str, ada: User
) -> None:
    response = sign_in(email, password)

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Token"
    assert response.json()["detail"] == "This email address and password don't belong together."
    assert password not in response.content.decode()


def test_who_was_switched_off_gets_no_token(ada: User) -> None:
    User.objects.filter(pk=ada.pk).update(is_active=False)

    assert sign_in().status_code == 401


def test_five_failures_close_the_door_whatever_the_capitals(ada: User) -> None:
    answers = [
        sign_in(email, "wrong").status_code for email in ["ada.l@example.org", "ADA.L@example.org"] * 3
    ]

    response = sign_in()

    assert 429 in answers
    assert (response.status_code, response["Content-Type"]) == (429, "application/problem+json")
    assert response.json()["type"] == "urn:belay:problem:locked-out"
    assert not AuthToken.objects.exists()


def test_a_success_forgets_the_failures_before(ada: User) -> None:
    for _ in range(4):
        sign_in(password="wrong")
    assert AccessAttempt.objects.exists()

    assert sign_in().status_code == 201
    assert not AccessAttempt.objects.exists()


def test_ten_attempts_a_minute_from_one_address(db: None) -> None:
    answers = [sign_in(f"person{number}@example.org") for number in range(11)]

    assert [response.status_code for response in answers] == [401] * 10 + [429]
    assert answers[-1].json()["type"] == "urn:belay:problem:throttled"
    assert int(answers[-1]["Retry-After"]) > 0


def test_passwords_are_never_sent_back(db: None) -> None:
    response = Client().post(
        "/api/v1/auth/token/", {"email": 1, "password": {"a": "s3cret!"}}, content_type="application/json"
    )

    assert response.status_code == 400
    assert "s3cret!" not in response.content.decode()


@pytest.fixture
def totp(ada: User) -> str:
    secret = generate_totp_secret()
    TOTP.activate(ada, secret)
    RecoveryCodes.activate(ada)
    return secret


def code_of(secret: str) -> str:
    return str(format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time())))))


def test_a_second_factor_is_asked_for_and_checked(ada: User, totp: str) -> None:
    without, wrong, right = sign_in(), sign_in(code="000000"), sign_in(code=code_of(totp))

    assert (without.status_code, without.json()["field"]) == (400, "code")
    assert wrong.status_code == 401
    assert right.status_code == 201
    assert AuthToken.objects.count() == 1


def test_a_code_holds_once(ada: User, totp: str) -> None:
    code = code_of(totp)

    assert [sign_in(code=code).status_code, sign_in(code=code).status_code] == [201, 401]


def test_a_recovery_code_holds_once_too(ada: User, totp: str) -> None:
    codes = Authenticator.objects.get(user=ada, type=Authenticator.Type.RECOVERY_CODES).wrap()
    code = codes.get_unused_codes()[0]
    assert get_adapter().is_mfa_enabled(ada)

    assert [sign_in(code=code).status_code, sign_in(code=code).status_code] == [201, 401]


def test_wrong_codes_are_counted(ada: User, totp: str) -> None:
    answers = [sign_in(code="000000").status_code for _ in range(6)]

    assert set(answers) == {401, 429}
    assert sign_in(code=code_of(totp)).status_code == 429


def test_tokens_are_listed_and_revoked_one_by_one(ada: User, house: House, call: Call) -> None:
    first, second = sign_in().json(), sign_in().json()
    other, _ = AuthToken.objects.create(house.agent)
    headers = {"Authorization": f"Token {first['token']}"}

    rows = Client().get("/api/v1/auth/tokens/", headers=headers).json()["results"]
    revoked = Client().delete(f"/api/v1/auth/tokens/{second['id']}/", headers=headers)
    foreign = Client().delete(f"/api/v1/auth/tokens/{other.token_key}/", headers=headers)

    assert {row["id"]: row["is_current"] for row in rows} == {first["id"]: True, second["id"]: False}
    assert (revoked.status_code, foreign.status_code) == (204, 404)
    assert (me(first["token"]), me(second["token"])) == (200, 401)
    assert AuthToken.objects.filter(pk=other.pk).exists()


def test_signing_out_ends_this_token_only(ada: User) -> None:
    first, second = sign_in().json()["token"], sign_in().json()["token"]

    Client().post("/api/v1/auth/sign-out/", headers={"Authorization": f"Token {first}"})

    assert (me(first), me(second)) == (401, 200)


def test_signing_out_ends_a_browser_s_session(ada: User) -> None:
    client = Client()
    client.force_login(ada, backend="allauth.account.auth_backends.AuthenticationBackend")

    assert client.post("/api/v1/auth/sign-out/").status_code == 204
    assert client.get("/api/v1/me/").status_code == 401


def test_an_expired_token_is_none(ada: User) -> None:
    token = sign_in().json()["token"]
    AuthToken.objects.update(expiry="2020-01-01T00:00:00Z")

    assert me(token) == 401
