"""The pages of the gate. `urls` lists them; nothing is imported here: packages may use each other."""
