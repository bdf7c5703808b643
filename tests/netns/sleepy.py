"""`roamd` on a machine that sleeps when a test says so: `python -m tests.netns.sleepy FILE OPTION…`.

FILE holds the seconds that the machine has slept since it was booted.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from client.daemon.main import main
from client.net import power


def asleep(told: Path) -> float:
    """What two clocks tell of a machine that really sleeps."""
    return float(told.read_text())


if __name__ == "__main__":
    power.PERIOD = 0.1
    power.SleepMeter = partial(power.SleepMeter, partial(asleep, Path(sys.argv[1])))  # type: ignore[misc,assignment]
    sys.exit(main(sys.argv[2:]))
