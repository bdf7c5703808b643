"""What to say to somebody who has mistyped: in few words, with the nearest of what there is."""

from __future__ import annotations

import re
from difflib import get_close_matches

from client.control.messages import ControlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Iterable


def no_command(word: str, commands: Collection[str]) -> ControlError:
    """There is no such command."""
    hint = f"{_nearest(word, commands)}'roam --help' shows what there is."
    return ControlError("usage", f'there is no command "{word}"', hint)


def no_choice(
    argument: argparse.Action, word: object, choices: Iterable[object], program: str
) -> ControlError:
    """An argument, or an option's value, is none of those that it may be."""
    known = [str(choice) for choice in choices]
    name = "/".join(argument.option_strings) or argument.metavar or argument.dest
    hint = f"{_nearest(str(word), known)}'{program} --help' shows what there is."
    return ControlError("usage", f'{name} is {_either(known)}, and not "{word}"', hint)


def not_taken(words: list[str], parser: argparse.ArgumentParser) -> ControlError:
    """Words that the command does not take; `parser` is its own."""
    options = re.findall(r"(?<![\w-])--?[a-z][a-z-]*", parser.format_usage())
    word = words[0].partition("=")[0]
    near = _nearest(word, options) if word.startswith("-") else ""
    what = f'takes no "{word}"'
    return ControlError(
        "usage", f"{parser.prog} {what}", f"{near}'{parser.prog} --help' shows what there is."
    )


def _nearest(word: str, known: Collection[str]) -> str:
    close = get_close_matches(word, known, n=1)
    return f'Did you mean "{close[0]}"? ' if close else ""


def _either(words: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))
