"""Domains as their people see them: the file that asks for one, what is wrong with it, and where a domain is in its life."""
