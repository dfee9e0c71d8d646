from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "web"
    verbose_name = "Pages"

    def ready(self) -> None:
        """Let a new password by mail end a lockout."""
        from allauth.account.signals import password_reset

        from web.signing_in import unlock

        password_reset.connect(unlock, dispatch_uid="web.unlock")
