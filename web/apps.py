from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "web"
    verbose_name = "Pages"

    def ready(self) -> None:
        """Let a new password by mail end a lockout, and show on-call schedules in the admin."""
        from allauth.account.signals import password_reset

        from web.oncall import panels
        from web.signing_in import unlock

        panels.register()
        password_reset.connect(unlock, dispatch_uid="web.unlock")
