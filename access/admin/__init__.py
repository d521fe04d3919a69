"""The pages about people. `urls` lists them; `accounts` takes Django's groups out of the admin."""

from access.admin import accounts as accounts
