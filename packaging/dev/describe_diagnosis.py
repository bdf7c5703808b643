"""Write docs/diagnosis.md: the golden verdicts, recomputed, and every cause that `roam explain` knows.

    python packaging/dev/describe_diagnosis.py [--check]

With `--check` nothing is written: a page out of date is an error.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "diagnosis.md"
sys.path.insert(0, str(ROOT))

from client.control.evidence import Verdict  # noqa: E402 - the script stands outside the packages
from client.explain.explain import explain  # noqa: E402
from client.explain.rules.table import RULES  # noqa: E402
from client.explain.sources import Source  # noqa: E402
from tests.explain.golden import GOLDEN  # noqa: E402
from tests.netns.broken_networks import AT_ONCE, ONE_BY_ONE  # noqa: E402
from tests.netns.misconfigured import CASES  # noqa: E402

_INTRODUCTION = """\
# Why it does not work

<!-- made by packaging/dev/describe_diagnosis.py -->

The daemon notes what each attempt of a tunnel leaves behind: every message with its size and what it says, routers'
reports, the look-up of the gateway's name, this computer's networks and date, how a connection that stood ended. No
secret is among it. `roam explain` judges that record and nothing else, so `roam explain --json` on one machine and
`roam explain --file evidence.json` on another come to the same verdict.

A verdict has a cause, the evidence for it, what to do, and the causes that look alike with what tells them apart.
It is *certain* where the evidence admits nothing else, *likely* where it fits best. Where the evidence does not
suffice, the cause is `unknown`, and what would tell is named: Roam does not guess.

The last four attempts of a tunnel are kept while the daemon runs, and in its state directory (0600) after that.
When a gateway is silent for some five seconds, both of its ports are asked once more, over each network at most
every two minutes.
"""
_QUIRKS = """
## Peculiarities of gateways

Beside a verdict stands what the gateway has shown of itself, and what Roam does differently for it:
[quirks](quirks.md).
"""


def page() -> str:
    """The whole page."""
    parts = [_INTRODUCTION, *_golden(), *_real(), *_networks(), *_causes(), _QUIRKS]
    return "\n".join(parts) + "\n"


def _golden() -> Iterator[str]:
    yield "## Golden verdicts\n"
    yield f"Tests break {len(GOLDEN)} gateways and networks in one way each. From what is left behind the cause"
    yield "must be found; without the evidence in the fourth column the verdict must be `unknown`.\n"
    yield "| broken | verdict | | deciding evidence | told from |"
    yield "|---|---|---|---|---|"
    for name, case in GOLDEN.items():
        verdict = explain(case.build())
        yield _row(
            name,
            f"`{verdict.cause}`",
            verdict.confidence,
            _source(case.decides),
            _nearest(verdict),
        )


def _nearest(verdict: Verdict) -> str:
    near = verdict.neighbours[:1]
    return f"`{near[0].cause}`: {near[0].told_by}" if near else ""


def _real() -> Iterator[str]:
    yield "\n## Real gateways\n\nstrongSwan (Debian's), configured wrongly in these ways, with what is found:\n"
    yield "| wrong | verdict |"
    yield "|---|---|"
    yield from (_row(name, f"`{case.cause}`") for name, case in CASES.items())


def _networks() -> Iterator[str]:
    yield "\n## Real networks\n"
    yield "Networks that are really broken in these ways, with what is found in the record of a real daemon, and"
    yield "the evidence without which it must be `unknown` there too:\n"
    yield "| broken | verdict | deciding evidence |"
    yield "|---|---|---|"
    for name, case in {**AT_ONCE, **ONE_BY_ONE}.items():
        yield _row(name, f"`{case.cause}`", _source(case.decides))


def _source(decides: Source) -> str:
    return decides.name.lower().replace("_", " ")


def _causes() -> Iterator[str]:
    yield f"\n## All {len(RULES)} causes\n"
    yield "| cause | what it is | what it shows |"
    yield "|---|---|---|"
    for rule in RULES:
        shows = "; ".join(dict.fromkeys(clue.expects for clue in rule.clues))
        yield _row(f"`{rule.cause}`", rule.title, shows + (" (likely)" if rule.likely else ""))


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main() -> int:
    """Write the page, or compare it."""
    text = page()
    if "--check" in sys.argv:
        return 0 if PAGE.read_text() == text else 1
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
