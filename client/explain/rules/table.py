"""All rules, in the order in which equally good ones count: what is nearest to the user first."""

from __future__ import annotations

from . import child, eap, life, login, machine, network, suites, trust

RULES = (
    *machine.RULES,
    *network.RULES,
    *suites.RULES,
    *trust.RULES,
    *eap.RULES,
    *login.RULES,
    *child.RULES,
    *life.RULES,
)
BY_CAUSE = {rule.cause: rule for rule in RULES}
