"""The ledger: what happened, by whom, in an order nobody can change unseen."""
