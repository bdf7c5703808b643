"""The commands of `roam`, one module for those that belong together; imported when one of them runs."""
