"""The commented ``domain.toml`` that users begin with."""

from importlib.resources import files


def domain_template() -> str:
    """Return the template: a complete file in which only what is marked with an arrow has to be filled in."""
    return files("piebridge.management_chain.domains").joinpath("domain.toml").read_text(encoding="utf-8")
