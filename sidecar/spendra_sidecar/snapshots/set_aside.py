"""Which budgets let requests through while a store is away, by the snapshot in force."""

from spendra_sidecar.ledger.failing_open import NOTHING, Wanted
from spendra_sidecar.ledger.ledger import Ledger
from spendra_sidecar.snapshots.receiver import Receiver


def set_aside(receiver: Receiver, ledger: Ledger) -> Wanted:
    """The accounts of their present windows."""
    live, now_ms = receiver.live, ledger.now_ms()
    if live is None:
        return NOTHING
    named = [each for each in live.budgets if each.budget.open_up_to_nanousd]
    accounts = (each.account(now_ms) for each in named)
    return Wanted([account for account in accounts if account is not None], live.version)
