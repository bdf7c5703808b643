"""TOML as profiles have it, in time that grows with the text: `tomllib`, kept from what it takes hours for.

For a key of n parts with dots between, `tomllib` takes time that grows with the square of n.  No profile has such a
key, but whoever may send the daemon a profile could send one that it never gets done with.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

from .errors import ProfileError

SIZE_LIMIT = 256 * 1024
"""Characters of a profile, and octets of its file."""
MOST_PARTS = 16
"""Of a key; four are the most that means something."""

_TOKEN = re.compile(
    r"""
    "{3} (?: [^\\] | \\. )*? (?: "{3} | \Z ) | '{3} .*? (?: '{3} | \Z )  # a string over several lines
    | " (?: [^"\\\n] | \\[^\n] )* "? | ' [^'\n]* '?                      # on one
    | \# [^\n]*                                                          # a remark
    | (?P<dot> \. ) | [\w \t-]+                                          # of a key
    | (?P<end> . )                                                       # anything else ends it
    """,
    re.VERBOSE | re.DOTALL,
)


def parse(text: str) -> dict[str, Any]:
    """The table in a text; `ProfileError` with line and column for what is none, or too large to be one."""
    if len(text) > SIZE_LIMIT:
        raise ProfileError("", f"is larger than {SIZE_LIMIT} octets")
    if _most_parts(text) > MOST_PARTS:
        raise ProfileError("", f"is no TOML of a profile: a key has more than {MOST_PARTS} parts")
    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, and what Python says of a number with too many digits
        raise ProfileError("", f"is no TOML: {error}") from None
    except RecursionError:
        raise ProfileError("", "is nested too deeply") from None


def _most_parts(text: str) -> int:
    most = parts = 1
    for token in _TOKEN.finditer(text):
        if token["end"]:
            parts = 1
        elif token["dot"]:
            parts += 1
            most = max(most, parts)
    return most
