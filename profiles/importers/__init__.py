"""Profiles from the files that administrators and providers hand out: octets in, profile and report out.

One module per format; none reads a file, and none raises anything but `ProfileError`.  `detect` has the table.
"""
