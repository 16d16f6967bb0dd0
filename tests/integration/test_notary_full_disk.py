"""A notary whose disk is full signs nothing that it could not write down, says so, and goes on once there is room."""

from pathlib import Path

import pytest

from piebridge.crypto.errors import ConfigurationError, ProtocolError
from piebridge.crypto.hash import sha256
from piebridge.gateway.evidence import EvidenceLog
from piebridge.protocol_stack.notary_statement import NotaryStatement, SlotValue
from testkit.faults.disk import small_disk

pytestmark = pytest.mark.slow


def statement(number: int, value: bytes = bytes(32)) -> NotaryStatement:
    slots = tuple(SlotValue(bytes(31) + bytes([slot]), value) for slot in range(16))
    return NotaryStatement(b"\x11" * 20, number, sha256(b"block %d" % number), 1_000 + number, slots)


def test_what_cannot_be_written_is_not_signed_and_nothing_is_half_written(tmp_path: Path) -> None:
    folder = tmp_path / "notary"
    with small_disk(folder, megabytes=8) as disk:
        log = EvidenceLog(folder / "evidence.sqlite3")
        log.write(1, statement(1))
        disk.fill()
        reasons: set[str] = set()
        for number in range(2, 60):
            try:
                log.write(1, statement(number))
            except ConfigurationError as error:
                reasons.add(str(error).partition("cannot be written: ")[2].partition(";")[0])
        assert reasons == {"database or disk is full"}, "there was room for everything, or no clear word"
        disk.free()
        for number in range(1, 60):
            log.write(1, statement(number))
        log.close()
        again = EvidenceLog(folder / "evidence.sqlite3")
        for number in range(1, 60):
            with pytest.raises(ProtocolError):
                again.write(1, statement(number, sha256(b"another truth")))
        again.close()
