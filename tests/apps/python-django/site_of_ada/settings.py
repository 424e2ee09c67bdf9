"""The least that a site needs."""

from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "for a test alone"
ALLOWED_HOSTS = [".localhost", "127.0.0.1"]
INSTALLED_APPS = ["django.contrib.staticfiles"]
ROOT_URLCONF = "site_of_ada.urls"
WSGI_APPLICATION = "site_of_ada.wsgi.application"
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "collected"
STATICFILES_DIRS = [BASE_DIR / "assets"]
