"""Who: people, service accounts, roles, tokens."""
