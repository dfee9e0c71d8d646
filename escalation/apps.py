from django.apps import AppConfig


class EscalationConfig(AppConfig):
    name = "escalation"

    def ready(self) -> None:
        from escalation import incident_messages, messages, question_messages
        from escalation.receivers import on_ticket_events
        from tickets.signals import ticket_events

        ticket_events.connect(on_ticket_events, dispatch_uid="escalation")
        messages.register()
        question_messages.register()
        incident_messages.register()
