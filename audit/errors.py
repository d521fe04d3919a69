"""How the ledger refuses."""


class LedgerError(RuntimeError):
    """The ledger cannot append or sign; what needed it did not happen."""
