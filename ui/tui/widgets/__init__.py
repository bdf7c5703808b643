"""Widgets, one a file; they own no logic."""
