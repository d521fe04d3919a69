"""The pages of the ledger. `urls` lists them; nothing is imported here, so that packages may use each other."""
