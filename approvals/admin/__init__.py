"""The pages of the gate. `urls` lists them; nothing is imported here, so that packages may use each other."""
