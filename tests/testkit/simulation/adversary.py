"""The adversary (stub until the honest run works)."""

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testkit.simulation.domain import Domain


class Adversary:
    def __init__(self, domain: "Domain") -> None:
        self._domain = domain

    async def run(self) -> None:
        await asyncio.sleep(1e6)
