"""docs/diagnosis.md says what the rules and the golden set give."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def script() -> Any:  # noqa: ANN401 - a module
    """packaging/dev/describe_diagnosis.py: `packaging` is no package."""
    path = ROOT / "packaging" / "dev" / "describe_diagnosis.py"
    spec = importlib.util.spec_from_file_location("describe_diagnosis", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date() -> None:
    """If not: python packaging/dev/describe_diagnosis.py"""
    module = script()
    assert module.PAGE.read_text() == module.page()


def test_the_real_gateways_are_enough() -> None:
    assert len(script().CASES) >= 12
