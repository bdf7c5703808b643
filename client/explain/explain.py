"""From a record to a verdict: the rule whose clues are all there, and what tells it from its neighbours.

Only the record is looked at.  A cause is never guessed from what is missing: where no rule has all of its clues,
the verdict is *unknown* and says what would tell.
"""

from __future__ import annotations

from ..control.evidence import Evidence, NeighbourRecord, Verdict
from .quirks import Adaptation, quirks
from .rule import Rule
from .rules.table import BY_CAUSE, RULES
from .sources import Source, without
from .view import View

UNKNOWN = "unknown"
WORKING = "working"
MOST_NEIGHBOURS = 3


def explain(evidence: Evidence) -> Verdict:
    """What went wrong, as far as the record shows."""
    view = View(evidence)
    rule, lines = _best(view)
    seen = tuple(
        str(quirk) for quirk in quirks(evidence) if view.is_up or isinstance(quirk.quirk, Adaptation)
    )
    if rule is not None:
        return Verdict(
            rule.cause,
            rule.title,
            lines,
            rule.fix,
            "likely" if rule.likely else "certain",
            tuple(_neighbour(view, BY_CAUSE[cause], lines) for cause in rule.unlike[:MOST_NEIGHBOURS]),
            quirks=seen,
        )
    if view.is_up and view.standing is not None and not evidence.failure and (carried := _carried(view)):
        title = "Nothing is wrong: the tunnel is up."
        return Verdict(WORKING, title, (carried,), confidence="certain", quirks=seen)
    return _unknown(view, seen)


def _carried(view: View) -> str:
    """What shows that a tunnel that is up is of use: it stands, and its largest packets pass."""
    size, mtu = view.passing, view.standing.mtu if view.standing is not None else 0
    return (
        f"packets of {size} octets inside the tunnel pass, the largest that it lets out"
        if 0 < mtu <= size
        else ""
    )


def _best(view: View) -> tuple[Rule | None, tuple[str, ...]]:
    found = [(rule, lines) for rule in RULES if (lines := rule.lines(view))]
    return max(found, key=lambda entry: entry[0].weight, default=(None, ()))


def _neighbour(view: View, rule: Rule, lines: tuple[str, ...]) -> NeighbourRecord:
    """What would be seen if it were this other cause, and is not; where all of that is, what is seen beside it."""
    for clue in rule.clues:
        if not clue.find(view):
            unseen = " (nobody has looked)" if _is_unseen(view, clue.source) else ""
            return NeighbourRecord(rule.cause, rule.title, f"it would show {clue.expects}{unseen}")
    return NeighbourRecord(rule.cause, rule.title, lines[-1])


def _is_unseen(view: View, source: Source) -> bool:
    """Whether nobody has looked: what comes by itself is noted always, the rest only after some failures."""
    return source in (Source.CHECKS, Source.PORTAL) and without(view.evidence, source) == view.evidence


def _unknown(view: View, seen: tuple[str, ...]) -> Verdict:
    """The causes that some of the evidence speaks for, nearest first, and what is missing for each."""
    near = sorted(
        (rule for rule in RULES if _share(rule, view) > 0), key=lambda rule: _share(rule, view), reverse=True
    )[:MOST_NEIGHBOURS]
    missing = dict.fromkeys(clue.source.gather for rule in near for clue in rule.clues if not clue.find(view))
    said = view.evidence.failure_text or view.attempt.ended_by
    if view.is_up and view.standing is not None and not said:
        title = "The tunnel is up, and nothing that was noted speaks against it."
        missing = {"whether traffic passes: 'roam verify NAME'": None, **missing}
    else:
        known = view.attempts or said
        title = "The evidence does not tell why." if known else "There is no evidence of a failure."
    return Verdict(
        UNKNOWN,
        title,
        (said,) if said else (),
        neighbours=tuple(_neighbour(view, rule, ()) for rule in near),
        gather=tuple(missing) or ("'roam up NAME', and 'roam explain NAME' after it",),
        quirks=seen,
    )


def _share(rule: Rule, view: View) -> float:
    """Which part of its clues is there; whole clauses about the profile alone speak for nothing."""
    found = [clue for clue in rule.clues if clue.find(view)]
    return len(found) / len(rule.clues) if any(clue.source.name != "OFFER" for clue in found) else 0.0
