"""Passwords are hashed as in the product, a million times less often: a sign-in would cost half a second."""

from __future__ import annotations

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class QuickHasher(PBKDF2PasswordHasher):
    """The same algorithm and form. Installations that tests start as processes have the product's own."""

    iterations = 1
