"""The pages of the catalogue. `urls` lists them; nothing is imported here: packages may use each other."""
