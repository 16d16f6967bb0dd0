"""The contracts of the management chain on an EVM chain of others: deployed by the command, and with empty storage."""

import json
from pathlib import Path

import pytest

from piebridge.chains.jsonrpc import JsonRpcClient
from piebridge.cli.management import management_file
from piebridge.crypto import keystore
from piebridge.crypto.keystore import KeyPurpose
from piebridge.evm_chain.header import EMPTY_TRIE_ROOT
from piebridge.management_chain.chain.contracts import ContractName
from piebridge.management_chain.client.reader import ManagementReader
from testkit.anvil import ANVIL_CHAIN_ID, ANVIL_KEY, running_anvil
from testkit.command_line import CommandLine

GOVERNORS = tuple(f"0x{number:040x}" for number in range(1, 5))


@pytest.mark.real_chain
async def test_deploy_puts_all_contracts_on_anvil_and_describes_them(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "password").chmod(0o600)
    keystore.save(tmp_path / "pays.json", ANVIL_KEY, KeyPurpose.USER, "secret", dev=True)
    shell = CommandLine(tmp_path)
    options = [item for governor in GOVERNORS for item in ("--governor", governor)]
    async with running_anvil() as url:
        common = ("management", "deploy", "--rpc", url, "--key", "pays.json", "--passphrase-file", "password")
        refused = shell.run(*common, "--dev", "--governor", GOVERNORS[0], "--governor-threshold", 2)
        assert refused.exit_code == 1
        assert "1 <= k <= n" in refused.errors
        weak = shell.run(*common, "--governor", GOVERNORS[0])
        assert weak.exit_code == 1
        assert "more than two thirds" in weak.errors

        outcome = shell.run(*common, "--dev", *options, "--json")
        assert outcome.exit_code == 0, outcome.errors
        file = management_file.load(tmp_path / "piebridge-management")
        assert outcome.json() == json.loads((tmp_path / "piebridge-management" / "management.json").read_text())
        assert (file.evm_chain_id, file.engine, file.rules.founders.threshold) == (ANVIL_CHAIN_ID, None, 3)

        async with JsonRpcClient(url) as client:
            reader = ManagementReader(client, file.contracts, file.deployed_in_block)
            await reader.check()
            governors = await reader.governors()
            assert (governors.set_hash, governors.epoch, governors.dev) == (file.rules.founders.hash, 0, True)
            for name in ContractName:
                proof = await client.call("eth_getProof", [f"0x{file.contracts.address(name).hex()}", [], "latest"])
                assert isinstance(proof, dict)
                assert proof["storageHash"] == f"0x{EMPTY_TRIE_ROOT.hex()}", f"{name} writes when it is made"

        status = shell.run("management", "status", "--json")
        assert status.exit_code == 0
        assert status.json()["governor_key"] is None

        again = shell.run(*common, "--dev", *options)
        assert again.exit_code == 1
        assert "holds a management chain already" in again.errors
