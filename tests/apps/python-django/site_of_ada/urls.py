"""One page: what the site was made from, and what of it was collected."""

import platform
from pathlib import Path

import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
from django.utils.text import slugify

COMMIT = (settings.BASE_DIR / "COMMIT").read_text().strip()
COLLECTED = ",".join(sorted(file.name for file in Path(settings.STATIC_ROOT).iterdir()))


def page(_request):
    words = ["one", COMMIT, django.get_version(), slugify("Hello Ada"), COLLECTED, platform.python_version()]
    return HttpResponse(" ".join(words), content_type="text/plain")


urlpatterns = [path("", page)]
