"""The pages about people. `urls` lists them; `accounts` registers the stock form for accounts."""

from access.admin import accounts as accounts
