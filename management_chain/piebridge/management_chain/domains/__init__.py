"""Domains as people see them: the file that asks for one, what is wrong with it, and where one is in its life."""
