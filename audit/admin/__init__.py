"""The pages of the ledger. `urls` lists them; nothing is imported here: packages may use each other."""
