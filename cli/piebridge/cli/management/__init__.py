"""A management chain on this machine, its description, and what commands need to act on one."""
