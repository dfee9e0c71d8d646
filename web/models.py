"""What the pages themselves remember: which forms have arrived."""

from django.conf import settings
from django.db import models


class Submission(models.Model):
    """One form that was sent; its key is unique, so that a double click or a resent page adds nothing."""

    key = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.key[:12]
