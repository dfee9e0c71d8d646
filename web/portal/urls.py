"""The portal, the acknowledge page, and files."""

from django.urls import path

from web.portal import acknowledging, files, lists, opening, tickets

urlpatterns = [
    path("portal/", lists.my_tickets, name="portal"),
    path("portal/new/", opening.new_request, name="portal_new"),
    path("portal/<int:pk>/", tickets.ticket_page, name="portal_ticket"),
    path("portal/<int:pk>/reply/", tickets.reply, name="portal_reply"),
    path("portal/<int:pk>/solved/", tickets.solved, name="portal_solved"),
    path("portal/<int:pk>/ask/", tickets.ask_for_escalation, name="portal_ask"),
    path("a/<str:token>/", acknowledging.acknowledge_page, name="acknowledge"),
    path("files/<int:pk>/<str:name>", files.download, name="file"),
]
