"""The architecture as tables: who may import whom, what is pure, how large things may grow.

A failing line names the module, what it did and the reason why it may not.  Change a table only together
with the design: each row says why it is as it is.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("client", "ui", "profiles")
LARGEST_FILE = 600  # lines; 400 is the aim
LARGEST_FUNCTION = 60  # lines; the median is 12


@dataclass(frozen=True)
class Rule:
    """What the modules below `who` may import of our own packages, and why no more."""

    who: str
    may: tuple[str, ...]
    why: str


_VOCABULARY = ("client.ike.events", "client.ike.keys", "client.ike.errors")

# The most specific row that matches a module counts.
IMPORTS = (
    Rule("profiles", ("profiles",), "profiles are read by tools that have no engine"),
    Rule("client.ike", ("client.ike",), "the engine knows the protocol and nothing of the system around it"),
    Rule(
        "client.tunnel",
        ("client.tunnel", *_VOCABULARY),
        "decisions are made on what the engine lets out, not on its insides",
    ),
    Rule(
        "client.esp",
        ("client.esp", *_VOCABULARY, "client.ike.transforms", "client.ike.buffer"),
        "the pump process holds session keys: it loads the little that it needs",
    ),
    Rule("client.rtnetlink", (), "the network is read and changed in the same words"),
    Rule(
        "client.net",
        ("client.net", "client.tunnel.model", "client.ike.events", "client.rtnetlink"),
        "reading the world needs its vocabulary only",
    ),
    Rule(
        "client.system",
        (
            "client.system",
            *_VOCABULARY,
            "client.ike.transforms",
            "client.tunnel.model",
            "client.tunnel.ruleset",
            "client.esp",
            "client.rtnetlink",
        ),
        "changing the world follows a plain description of what should be",
    ),
    Rule("client.control", ("client.control",), "the command line loads it at every start"),
    Rule(
        "client.explain",
        ("client.explain", "client.control.evidence"),
        "it is given what was recorded, and nothing else: a file will do, without a daemon or an engine",
    ),
    Rule(
        "client.config",
        ("profiles.model", "profiles.errors", "client.material", "client.tunnel.model", "client.ike"),
        "the one place where a profile's text becomes typed values",
    ),
    Rule(
        "client.material",
        ("profiles.model", "profiles.errors", "profiles.containers", "client.ike"),
        "what it refers to, likewise",
    ),
    Rule("client.daemon", ("client", "profiles"), "the daemon wires everything"),
    Rule("client.__main__", ("client.daemon",), "starts the daemon"),
    Rule(
        "client.lab",
        (
            "client.lab",
            "client.ike",
            "client.esp",
            "client.net",
            "client.system",
            "client.daemon",
            "client.tunnel",
        ),
        "the lab plays the other side with our own parts",
    ),
    Rule(
        "ui",
        ("ui", "profiles", "client.control", "client.explain"),
        "the user's programs speak to the daemon through its socket, as anybody may",
    ),
    Rule("ui.demo", ("ui", "profiles", "client.control", "client.lab"), "the demo brings its own gateway"),
)

# However a row above is worded, these are for nobody but those named.
NEVER = (
    (
        "client.lab",
        ("client.lab", "ui.demo"),
        "a gateway and namespaces have no place in the installed daemon",
    ),
    ("client.control.server", ("client.control", "client.daemon"), "only the daemon listens"),
)

# Libraries without types of their own, or slow to load, stay where they are needed.
LIBRARIES = {
    "pyroute2": ("client.rtnetlink", "client.net", "client.system", "client.lab"),
    "netifaces": ("client.net",),
    "dbus_fast": ("client.net", "client.system", "ui.desktop", "ui.kwallet"),
    "keyring": ("ui",),
    "pkcs11": ("ui.signers",),
    "tomlkit": ("profiles.writing",),
    "textual": ("ui.tui",),
    "OpenSSL": ("client.ike.eap.tls", "client.lab.eap_tls"),
    "cryptography": ("client.ike", "client.esp", "client.material", "client.lab", "profiles"),
}

PURE = (
    "client.ike",
    "client.tunnel",
    "client.explain",
    "client.esp.packet",
    "client.config",
    "client.material",
)

# The standard library as far as it has no clock, no randomness, no input and no output.
PURE_STDLIB = """
__future__ abc base64 binascii bisect collections contextlib copy dataclasses datetime difflib enum functools
hashlib heapq hmac ipaddress itertools json math operator re string stringprep struct textwrap types typing
unicodedata warnings
"""
PURE_LIBRARIES = frozenset({"cryptography"})

# Calls that would fetch the time, a random number or a file although the module imported looks harmless.
IMPURE_CALLS = {
    "open": "files are the shell's",
    "input": "prompts are the user interface's",
    "print": "what happened is an output or a trace event",
    "datetime.now": "the time is an argument",
    "datetime.utcnow": "the time is an argument",
    "datetime.today": "the time is an argument",
    "date.today": "the time is an argument",
}
IMPURE_METHODS = {
    "generate_private_key": "private values come from the rng argument",
    "generate_key": "keys come from the rng argument",
}

PURITY_EXCEPTIONS: dict[tuple[str, str], str] = {
    (
        "client.ike.eap.tls",
        "OpenSSL",
    ): "TLS has a random source of its own; its clock is set through the X509 store",
}

STDLIB_NAMES_ALLOWED = {
    "client.ike.trace": "the trace of a session; imported relatively, never beside the standard library's",
    "client.ike.selectors": "traffic selectors, by the name that RFC 7296 gives them",
}

# What `roam status` may not wait for (all of it is imported where it is used).
HEAVY = (
    "textual",
    "pyroute2",
    "OpenSSL",
    "keyring",
    "cryptography",
    "dbus_fast",
    "netifaces",
    "tomlkit",
    "client.lab",
)


def test_imports_go_downwards_only() -> None:
    complaints: list[str] = []
    for module in modules():
        rule = rule_for(module.name)
        complaints += (
            f"{module.name} imports {target}: {rule.who} may not, {rule.why}"
            for target in module.own_imports()
            if not within(target, rule.may)
        )
    assert complaints == []


@pytest.mark.parametrize(("what", "who", "why"), NEVER)
def test_some_parts_are_for_few(what: str, who: tuple[str, ...], why: str) -> None:
    offenders = [
        module.name
        for module in modules()
        if not within(module.name, who) and any(within(target, (what,)) for target in module.own_imports())
    ]
    assert offenders == [], why


@pytest.mark.parametrize("library", LIBRARIES)
def test_libraries_stay_where_they_are_needed(library: str) -> None:
    offenders = [
        module.name
        for module in modules()
        if library in module.foreign_imports() and not within(module.name, LIBRARIES[library])
    ]
    assert offenders == []


def test_the_core_imports_nothing_that_touches_the_world() -> None:
    complaints = []
    for module in pure_modules():
        for name in module.foreign_imports():
            allowed = (
                name in PURE_STDLIB.split()
                or name in PURE_LIBRARIES
                or (module.name, name) in PURITY_EXCEPTIONS
            )
            if not allowed:
                complaints.append(f"{module.name} imports {name}")
    assert complaints == []


def test_the_core_asks_nobody_for_time_randomness_or_files() -> None:
    complaints = []
    for module in pure_modules():
        for call in (node for node in ast.walk(module.tree) if isinstance(node, ast.Call)):
            text = ast.unparse(call.func)
            reason = IMPURE_CALLS.get(text) or IMPURE_METHODS.get(text.rpartition(".")[2])
            if reason is not None or text.endswith("PrivateKey.generate"):
                complaints.append(f"{module.name}:{call.lineno} calls {text}: {reason}")
    assert complaints == []


def test_files_and_functions_stay_small() -> None:
    complaints = []
    for path in sources(*PACKAGES, "tests"):
        text = path.read_text()
        if (lines := text.count("\n")) > LARGEST_FILE:
            complaints.append(f"{path.relative_to(ROOT)} has {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > LARGEST_FUNCTION:
                    complaints.append(f"{path.relative_to(ROOT)}: {node.name} has {length} lines")
    assert complaints == []


def test_packaging_is_no_python_package() -> None:
    """It has the name of a library that pytest imports: with an __init__.py ours would win."""
    assert list((ROOT / "packaging").rglob("__init__.py")) == []


def test_no_module_has_the_name_of_one_in_the_standard_library() -> None:
    shadows = [
        module.name
        for module in modules()
        if module.name.rpartition(".")[2] in sys.stdlib_module_names - {"__main__"}
        and module.name not in STDLIB_NAMES_ALLOWED
    ]
    assert shadows == []


def test_the_status_command_loads_nothing_heavy() -> None:
    """By the imports at the top of each module that `ui.cli` reaches; slow parts are imported where used."""
    by_name = {module.name: module for module in modules()}
    reached, waiting = set(), ["ui.cli"]
    while waiting:
        module = by_name.get(waiting.pop())
        if module is not None and module.name not in reached:
            reached.add(module.name)
            waiting += module.own_imports(top_only=True)
    heavy = {
        f"{name}: {target}"
        for name in reached
        for target in by_name[name].own_imports(top_only=True) | by_name[name].foreign_imports(top_only=True)
        if within(target, HEAVY)
    }
    assert heavy == set()


def test_the_tables_would_notice() -> None:
    """What a module imports is read rightly, relatively, absolutely and inside functions."""
    session = next(module for module in modules() if module.name == "client.ike.session")
    assert "client.ike.events" in session.own_imports()
    assert "client.ike.session" not in session.own_imports()
    assert {"datetime", "__future__"} <= session.foreign_imports()
    assert rule_for("client.ike.session").who == "client.ike"
    assert rule_for("elsewhere").may == ()
    assert not within("client.ikev1", ("client.ike",))


class Module:
    """One of our modules, read and never imported."""

    def __init__(self, path: Path) -> None:
        parts = path.relative_to(ROOT).with_suffix("").parts
        self.is_package = parts[-1] == "__init__"
        self.name = ".".join(parts[:-1] if self.is_package else parts)
        self.tree = ast.parse(path.read_text())

    def own_imports(self, *, top_only: bool = False) -> set[str]:
        """Dotted names of our own modules that this one imports."""
        names = {name for name in self._imports(top_only) if name.partition(".")[0] in PACKAGES}
        return {_module_of(name) for name in names} - {self.name}

    def foreign_imports(self, *, top_only: bool = False) -> set[str]:
        """First names of all other modules that this one imports."""
        return {name.partition(".")[0] for name in self._imports(top_only)} - set(PACKAGES)

    def _imports(self, top_only: bool) -> Iterator[str]:
        for node in self.tree.body if top_only else ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = self._base(node)
                yield from (f"{base}.{alias.name}" for alias in node.names)

    def _base(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        here = self.name.split(".")
        up = node.level - 1 if self.is_package else node.level
        return ".".join([*here[: len(here) - up], *([node.module] if node.module else [])])


def _module_of(name: str) -> str:
    """`client.ike.events.Selector` is in the module `client.ike.events`."""
    path = ROOT.joinpath(*name.split("."))
    is_module = path.with_suffix(".py").exists() or path.is_dir()
    return name if is_module else name.rpartition(".")[0]


@cache
def modules() -> tuple[Module, ...]:
    return tuple(Module(path) for path in sources(*PACKAGES))


def pure_modules() -> list[Module]:
    return [module for module in modules() if within(module.name, PURE)]


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def within(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def rule_for(name: str) -> Rule:
    fitting = [rule for rule in IMPORTS if within(name, (rule.who,))]
    return max(
        fitting, key=lambda rule: len(rule.who), default=Rule(name, (), "it has no place in the table")
    )
