"""The desk: queues, the ticket page and its verbs."""

from django.urls import path

from web.agent import composer, details, new, queues, ticket, verbs, why

urlpatterns = [
    path("queue/", queues.queue, name="queue"),
    path("queue/<slug:slug>/", queues.queue, name="queue"),
    path("new/", new.new, name="new"),
    path("new/people/", new.people, name="people"),
    path("t/<int:pk>/", ticket.ticket_page, name="ticket"),
    path("t/<int:pk>/why/", why.why, name="why"),
    path("t/<int:pk>/live/", ticket.ticket_live, name="ticket_live"),
    path("t/<int:pk>/write/", composer.write, name="write"),
    path("t/<int:pk>/take/", verbs.take, name="take"),
    path("t/<int:pk>/acknowledge/", verbs.acknowledge_ticket, name="acknowledge_ticket"),
    path("t/<int:pk>/cannot/", verbs.pass_ticket_on, name="pass_on"),
    path("t/<int:pk>/escalate/", verbs.escalate_ticket, name="escalate"),
    path("t/<int:pk>/deescalate/", verbs.deescalate_ticket, name="deescalate"),
    path("t/<int:pk>/wish/<int:wish>/", verbs.answer_wish, name="wish"),
    path("t/<int:pk>/assign/", details.assign, name="assign"),
    path("t/<int:pk>/severity/", details.severity, name="severity"),
    path("t/<int:pk>/status/", details.status, name="status"),
    path("t/<int:pk>/details/", details.details, name="details"),
    path("t/<int:pk>/tags/", details.tags, name="tags"),
]
