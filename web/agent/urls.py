"""The desk: queues, the ticket page and its verbs."""

from django.urls import path

from web.agent import queues

urlpatterns = [
    path("queue/", queues.queue, name="queue"),
    path("queue/<slug:slug>/", queues.queue, name="queue"),
    path("new/", queues.queue, name="new"),
]
