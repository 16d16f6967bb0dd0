import io
import json
import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from piebridge.cli import keys, passphrase
from piebridge.cli.main import run
from piebridge.crypto import keystore
from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.keystore import KeyPurpose

PRIVATE_KEY = "4646464646464646464646464646464646464646464646464646464646464646"
ADDRESS = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"
"""Of that key: EIP-155's example."""

runner = CliRunner()


def secret_file(folder: Path, content: str, name: str = "passphrase") -> Path:
    path = folder / name
    path.write_text(content)
    path.chmod(0o600)
    return path


def invoke(*arguments: object) -> str:
    result = runner.invoke(keys.app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_generated_key_opens_with_its_passphrase_for_its_purpose(tmp_path: Path) -> None:
    file = tmp_path / "alice.json"
    secret = secret_file(tmp_path, "correct horse\n")
    output = invoke("generate", file, "--purpose", "user", "--dev", "--passphrase-file", secret, "--json")
    document = json.loads(output)
    assert document["purpose"] == "user"
    assert document["encryption"] == "light (--dev)"
    keystore.load(file, KeyPurpose.USER, "correct horse", dev=True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_an_existing_key_is_never_overwritten(tmp_path: Path) -> None:
    file, secret = tmp_path / "alice.json", secret_file(tmp_path, "secret\n")
    invoke("generate", file, "--purpose", "user", "--dev", "--passphrase-file", secret)
    before = file.read_bytes()
    with pytest.raises(ConfigurationError, match="exists already"):
        invoke("generate", file, "--purpose", "user", "--dev", "--passphrase-file", secret)
    assert file.read_bytes() == before


def test_an_imported_key_has_the_address_that_it_must_have(tmp_path: Path) -> None:
    file, secret = tmp_path / "bob.json", secret_file(tmp_path, "secret\n")
    private = secret_file(tmp_path, f"0x{PRIVATE_KEY}\n", "bob.hex")
    options = ("--purpose", "gateway", "--dev", "--passphrase-file", secret, "--private-key-file", private)
    invoke("import", file, *options)
    assert invoke("export-address", file) == f"{ADDRESS}\n"
    assert keystore.load(file, KeyPurpose.GATEWAY, "secret", dev=True).hex() == PRIVATE_KEY


@pytest.mark.parametrize("content", ["", "0x12", PRIVATE_KEY + "00", "z" * 64])
def test_what_is_no_private_key_is_refused_and_nothing_is_written(tmp_path: Path, content: str) -> None:
    private, secret = secret_file(tmp_path, content, "key.hex"), secret_file(tmp_path, "secret\n")
    file = tmp_path / "key.json"
    with pytest.raises(ConfigurationError, match="holds no private key"):
        invoke(
            "import",
            file,
            "--purpose",
            "user",
            "--dev",
            "--private-key-file",
            private,
            "--passphrase-file",
            secret,
        )
    assert not file.exists()


@pytest.mark.parametrize("option", ["--passphrase-file", "--private-key-file"])
def test_a_secret_that_others_may_read_is_refused(tmp_path: Path, option: str) -> None:
    files = {
        "--passphrase-file": secret_file(tmp_path, "secret\n"),
        "--private-key-file": secret_file(tmp_path, PRIVATE_KEY, "key.hex"),
    }
    files[option].chmod(0o644)
    with pytest.raises(ConfigurationError, match=r"other users may read.*chmod 600"):
        invoke(
            "import",
            tmp_path / "key.json",
            "--purpose",
            "user",
            "--dev",
            *(part for pair in files.items() for part in pair),
        )
    assert not (tmp_path / "key.json").exists()


def test_no_option_takes_a_passphrase_or_a_key_itself() -> None:
    for command in ("generate", "import"):
        text = invoke(command, "--help")
        assert "--passphrase-file" in text
        assert "--passphrase " not in text
        assert "--private-key " not in text


def test_a_passphrase_comes_from_a_descriptor(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, "pässword\nrest".encode())
    os.close(writing)
    try:
        assert passphrase.read(None, reading, prompt="") == "pässword"
    finally:
        os.close(reading)


def test_two_places_for_a_passphrase_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="exclude each other"):
        passphrase.read(secret_file(tmp_path, "x"), 3, prompt="")


def test_a_closed_descriptor_is_told_with_how_to_open_one() -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be read from descriptor 987.*987<file"):
        passphrase.read(None, 987, prompt="")


def test_without_a_terminal_a_missing_passphrase_says_which_options_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(ConfigurationError, match="--passphrase-file or --passphrase-fd"):
        passphrase.read(None, None, prompt="")


def test_an_empty_passphrase_is_refused_outside_of_dev(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="an empty one protects nothing"):
        invoke("generate", tmp_path / "a.json", "--purpose", "user", "--passphrase-file", secret_file(tmp_path, "\n"))


def test_list_shows_keystores_and_names_damaged_ones(tmp_path: Path) -> None:
    secret = secret_file(tmp_path, "secret\n")
    invoke("generate", tmp_path / "good.json", "--purpose", "notary", "--dev", "--passphrase-file", secret)
    (tmp_path / "other.json").write_text("{}")
    damaged = tmp_path / "damaged.json"
    damaged.write_text('{"crypto": 1}')
    damaged.chmod(0o600)
    listed = json.loads(invoke("list", tmp_path, "--json"))
    assert {Path(item["file"]).name: item["purpose"] for item in listed} == {
        "good.json": "notary",
        "damaged.json": "damaged",
    }


def test_show_needs_no_passphrase_and_shows_no_secret(tmp_path: Path) -> None:
    file, secret = tmp_path / "k.json", secret_file(tmp_path, "secret\n")
    private = secret_file(tmp_path, PRIVATE_KEY, "key.hex")
    options = ("--purpose", "user", "--dev", "--passphrase-file", secret, "--private-key-file", private)
    invoke("import", file, *options)
    output = invoke("show", file)
    assert ADDRESS in output
    assert PRIVATE_KEY not in output


def test_an_expected_error_is_one_line_and_exit_code_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def fail() -> None:
        invoke("show", tmp_path / "missing.json")

    assert run(fail) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: keystore ")
    assert "Traceback" not in captured.err
