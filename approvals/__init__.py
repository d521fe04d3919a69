"""The gate: every change of what any environment serves is proposed, reviewed and applied here."""
