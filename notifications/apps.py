from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "notifications"

    def ready(self) -> None:
        """Connect the one receiver and register how its mails read."""
        from notifications import messages, trials, watch_messages
        from notifications.receivers import tell_people
        from tickets.signals import ticket_events

        ticket_events.connect(tell_people, dispatch_uid="notifications.tell_people")
        messages.register()
        watch_messages.register()
        trials.register()
