"""TOML that no profile has, and that would keep whoever reads it busy, or break it."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from profiles.errors import ProfileError
from profiles.redaction import redacted_profile
from profiles.store import parse_text
from profiles.toml_text import MOST_PARTS, SIZE_LIMIT, parse

DOTS = ".".join("a" * (MOST_PARTS + 1))
"""A key with a part too many."""


def test_a_key_may_have_the_most_parts() -> None:
    table: Any = parse(".".join("a" * MOST_PARTS) + " = 1")
    for _ in range(MOST_PARTS):
        table = table["a"]
    assert table == 1


@pytest.mark.parametrize(
    "text",
    [
        f"{DOTS} = 1",
        f"[{DOTS}]",
        f"[[{DOTS}]]",
        f"x = {{ {DOTS} = 1 }}",
        f"x = [1, {{ {DOTS} = 1 }}]",
        DOTS.replace(".", " \t. ") + " = 1",
        DOTS.replace("a", '"="') + " = 1",
        DOTS.replace("a", "'#'") + " = 1",
        DOTS.replace("a", r'"\""') + " = 1",
        DOTS.replace("a", '""') + " = 1",
        f'x = """\\\\"""\n{DOTS} = 1',
        f"x = '''\\'''\n{DOTS} = 1",
        f'x = """a"""""\n{DOTS} = 1',
        f"x = 'C:\\'\n{DOTS} = 1",
        f"# it's a remark\n{DOTS} = 1",
    ],
)
def test_a_key_of_more_parts_is_refused_before_it_is_read(text: str) -> None:
    with pytest.raises(ProfileError, match="a key has more than"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        f'x = "{DOTS}"',
        f"x = '{DOTS}'",
        f'x = """\n{DOTS}"""',
        f"x = '''\n{DOTS}'''",
        f'x = "\\"{DOTS}"',
        f"# {DOTS}",
        "x = [" + "1.5, " * 2 * MOST_PARTS + "]",
        "\n".join(f"a.b{n} = 1" for n in range(2 * MOST_PARTS)),
    ],
)
def test_dots_elsewhere_are_no_parts_of_a_key(text: str) -> None:
    assert parse(text) == tomllib.loads(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = " + "9" * 5000, "is no TOML"),
        ("x = " + "[" * 50_000, "nested too deeply"),
        ("#" * (SIZE_LIMIT + 1), "is larger than"),
        ('x = "' + "\\", "is no TOML"),
        ('x = """' + "\\", "is no TOML"),
    ],
)
def test_what_python_cannot_read_is_a_profile_s_error(text: str, reason: str) -> None:
    with pytest.raises(ProfileError, match=reason):
        parse_text(text)
    assert redacted_profile(text).startswith('{"unreadable"')
