from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "web"
    verbose_name = "Pages"

    def ready(self) -> None:
        """Let a new password by mail end a lockout, show on-call schedules in the admin, and name kinds of messages."""
        from allauth.account.signals import password_reset

        from notifications.rendering import name_kinds
        from web.oncall import panels
        from web.signing_in import unlock
        from web.wording import KINDS

        name_kinds({kind: words.name for kind, words in KINDS.items()})
        panels.register()
        password_reset.connect(unlock, dispatch_uid="web.unlock")
