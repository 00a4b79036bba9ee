"""`spendra keys`, `spendra budgets` and the like: the control plane's API, said in words."""

from functools import partial

from spendra.command.console.run import run

api = partial(run, None)
keys = partial(run, "keys")
budgets = partial(run, "budgets")
policies = partial(run, "policies")
prices = partial(run, "prices")
providers = partial(run, "providers")
members = partial(run, "members")
sidecars = partial(run, "sidecars")
doctor = partial(run, "doctor")
