"""How often the doors open that stand before every sign-in."""

from rest_framework.settings import api_settings
from rest_framework.throttling import AnonRateThrottle


class SignInThrottle(AnonRateThrottle):
    """Ten attempts a minute from one address, whoever they are for; the setting "sign_in" changes it."""

    scope = "sign_in"

    def get_rate(self) -> str:
        return str(api_settings.DEFAULT_THROTTLE_RATES.get(self.scope) or "10/min")
