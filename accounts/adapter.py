"""How django-allauth behaves in Belay: sign in by email, no open sign-up."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):
    """Close the sign-up page: people come from an admin, an import or a mail."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
