"""What the board reads: who sees what, and at what price."""

import pytest
from django.test import Client
