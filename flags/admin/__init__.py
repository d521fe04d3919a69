"""The pages of the catalogue. `urls` lists them; nothing is imported here, so that packages may use each other."""
