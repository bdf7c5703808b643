"""What went wrong, from what was recorded: pure, and of use without a daemon."""
