"""Compile the contracts and keep the committed artifacts honest.

    build.py                     compile for every EVM version and write the artifacts
    build.py --check             compare the artifacts with the sources by hash; needs no compiler, takes milliseconds
    build.py --recompile-check   compile again and fail when anything differs from the committed artifacts

Compiler settings come from ``foundry.toml``, so that forge tests exactly what is committed. Which contracts are
deployable is the table ``DEPLOYABLE`` below. An artifact holds the ABI, creation and runtime bytecode, immutable
references, compiler version, settings and the SHA-256 of every source file that went in.
"""

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
ARTIFACTS = ROOT / "piebridge" / "contracts" / "artifacts"
PROFILES = {"cancun": "default", "london": "london"}
"""EVM version of the artifacts to the profile of foundry.toml that has its settings."""
DEPLOYABLE = {
    "Hub": "src/hub/Hub.sol",
    "Administration": "src/hub/Administration.sol",
    "CommitVerifier": "src/hub/CommitVerifier.sol",
    "BridgeToken": "src/apps/BridgeToken.sol",
    "RecordNotary": "src/apps/RecordNotary.sol",
    "ERC7786Door": "src/apps/ERC7786Door.sol",
    "MessageBoard": "src/apps/MessageBoard.sol",
    "GovernorBoard": "src/management/GovernorBoard.sol",
    "NodeMarket": "src/management/NodeMarket.sol",
    "DomainRules": "src/management/DomainRules.sol",
    "DomainDesk": "src/management/DomainDesk.sol",
    "DomainRegistry": "src/management/DomainRegistry.sol",
    "ApplicationDirectory": "src/management/ApplicationDirectory.sol",
}
"""Contract name to the file that defines it, relative to this folder."""
RUNS_AS_OWN = {"Hub": "Administration", "DomainRegistry": "DomainDesk"}
"""A contract that runs the functions of another one as its own, through its fallback: its ABI has them too."""
TRANSIENT_STORAGE_REMINDER = "2394"
"""Warning of solc at the first TSTORE: clear it at the end of the call. The guard does."""

_IMPORT = re.compile(r'^\s*import\s+(?:[^"\']*\sfrom\s+)?["\']([^"\']+)["\']', re.MULTILINE)


class BuildError(Exception):
    """The compiler refused, or artifacts do not match. The message says what to do."""


def profile_settings(evm_version: str) -> dict[str, Any]:
    """The settings of foundry.toml for one EVM version, those of the default profile filled in."""
    profiles = tomllib.loads((ROOT / "foundry.toml").read_text())["profile"]
    settings: dict[str, Any] = {**profiles["default"], **profiles[PROFILES[evm_version]]}
    if settings["evm_version"] != evm_version:
        raise BuildError(
            f"{PROFILES[evm_version]} of foundry.toml has evm_version {settings['evm_version']}, not {evm_version}"
        )
    return settings


def compiler_settings(evm_version: str, source: str) -> dict[str, Any]:
    """The ``settings`` of solc's standard JSON for one file and EVM version, without the selection of outputs."""
    settings = profile_settings(evm_version)
    for restriction in settings["compilation_restrictions"]:
        if fnmatch(source, restriction["paths"]):
            settings |= restriction
    return {
        "evmVersion": evm_version,
        "metadata": {"appendCBOR": settings["cbor_metadata"], "bytecodeHash": settings["bytecode_hash"]},
        "optimizer": {"enabled": settings["optimizer"], "runs": settings["optimizer_runs"]},
        "remappings": settings["remappings"],
        "viaIR": settings["via_ir"],
    }


def resolve_sources(entry: str, remappings: list[str]) -> dict[str, str]:
    """The file ``entry`` and all that it imports: path relative to this folder to content."""
    prefixes = [mapping.split("=", 1) for mapping in remappings]
    found: dict[str, str] = {}
    waiting = [entry]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found[path] = (ROOT / path).read_text()
        for target in _IMPORT.findall(found[path]):
            if target.startswith("."):
                resolved = (ROOT / path).parent / target
            else:
                resolved = ROOT / next(
                    (to + target[len(prefix) :] for prefix, to in prefixes if target.startswith(prefix)), target
                )
            waiting.append(resolved.resolve().relative_to(ROOT).as_posix())
    return found


def source_hashes(entry: str, remappings: list[str]) -> dict[str, str]:
    """SHA-256, in hexadecimal, of ``entry`` and all that it imports."""
    sources = resolve_sources(entry, remappings)
    return {path: hashlib.sha256(text.encode()).hexdigest() for path, text in sorted(sources.items())}


def run_solc(arguments: list[str], standard_input: str = "") -> str:
    """Run the solc wrapper and return its output."""
    result = subprocess.run(
        [str(ROOT / "tools" / "solc"), *arguments], input=standard_input, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise BuildError(f"solc failed with exit code {result.returncode}: {result.stderr.strip()}")
    return result.stdout


def compiler_version() -> str:
    """The version of solc, e.g. ``0.8.37+commit.f401782d``."""
    match = re.search(r"Version: (\d+\.\d+\.\d+\+commit\.[0-9a-f]+)", run_solc(["--version"]))
    if match is None:
        raise BuildError("solc does not say its version")
    return match[1]


def compile_contracts(contracts: dict[str, str], evm_version: str) -> dict[str, dict[str, Any]]:
    """Compile contracts (name to file) for one EVM version; the artifacts by contract name."""
    groups: dict[str, dict[str, str]] = {}
    for name, path in contracts.items():
        settings = json.dumps(compiler_settings(evm_version, path), sort_keys=True)
        groups.setdefault(settings, {})[name] = path
    artifacts: dict[str, dict[str, Any]] = {}
    for settings, group in groups.items():
        artifacts |= _compile_alike(group, json.loads(settings))
    for name, other in RUNS_AS_OWN.items():
        if name in artifacts:
            own = artifacts[name]["abi"]
            artifacts[name]["abi"] = own + [
                entry for entry in artifacts[other]["abi"] if entry["type"] != "constructor" and entry not in own
            ]
    return artifacts


def _compile_alike(contracts: dict[str, str], settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    sources: dict[str, str] = {}
    for path in contracts.values():
        sources |= resolve_sources(path, settings["remappings"])
    selected = ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "evm.deployedBytecode.immutableReferences"]
    selection: dict[str, dict[str, list[str]]] = {path: {} for path in contracts.values()}
    for name, path in contracts.items():
        selection[path][name] = selected
    request = {
        "language": "Solidity",
        "sources": {path: {"content": text} for path, text in sorted(sources.items())},
        "settings": {**settings, "outputSelection": selection},
    }
    answer = json.loads(run_solc(["--standard-json"], json.dumps(request)))
    # "info" is what solc says of things that are no fault; warnings are faults here.
    faults = [
        error["formattedMessage"]
        for error in answer.get("errors", [])
        if error["severity"] != "info" and error.get("errorCode") != TRANSIENT_STORAGE_REMINDER
    ]
    if faults:
        raise BuildError("\n".join(faults))
    compiler = compiler_version()
    artifacts = {}
    for name, path in contracts.items():
        output = answer["contracts"][path][name]
        deployed = output["evm"]["deployedBytecode"]
        artifacts[name] = {
            "name": name,
            "source": path,
            "compiler": compiler,
            "settings": settings,
            "sources": source_hashes(path, settings["remappings"]),
            "abi": output["abi"],
            "creation_bytecode": "0x" + output["evm"]["bytecode"]["object"],
            "runtime_bytecode": "0x" + deployed["object"],
            "immutable_references": sorted(
                [place["start"], place["length"]]
                for places in deployed["immutableReferences"].values()
                for place in places
            ),
        }
    return artifacts


def serialise(artifact: dict[str, Any]) -> str:
    """The one text form of an artifact, so that equal artifacts are equal files."""
    return json.dumps(artifact, indent=1, sort_keys=True) + "\n"


def artifact_path(evm_version: str, name: str) -> Path:
    """Where the artifact of a contract for an EVM version is kept."""
    return ARTIFACTS / evm_version / f"{name}.json"


def stray_files() -> list[Path]:
    """Files among the artifacts that belong to no deployable contract."""
    expected = {artifact_path(evm_version, name) for evm_version in PROFILES for name in DEPLOYABLE}
    return sorted(path for path in ARTIFACTS.rglob("*") if path.is_file() and path not in expected)


def write() -> None:
    """Compile all and write the artifacts."""
    for path in stray_files():
        path.unlink()
    for evm_version in PROFILES:
        for name, artifact in compile_contracts(DEPLOYABLE, evm_version).items():
            path = artifact_path(evm_version, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(serialise(artifact))
            print(f"{evm_version}/{name}: {len(artifact['runtime_bytecode']) // 2 - 1} bytes")


def check() -> None:
    """Compare settings and source hashes in the artifacts with foundry.toml and the sources."""
    problems = [f"{path} belongs to no deployable contract" for path in stray_files()]
    for evm_version in PROFILES:
        for name, source in DEPLOYABLE.items():
            settings = compiler_settings(evm_version, source)
            path = artifact_path(evm_version, name)
            if not path.is_file():
                problems.append(f"{path.relative_to(ROOT)} is missing")
                continue
            artifact = json.loads(path.read_text())
            if artifact["settings"] != settings:
                problems.append(f"{evm_version}/{name} was compiled with other settings")
            hashes = source_hashes(source, settings["remappings"])
            changed = sorted(
                key
                for key in hashes.keys() | artifact["sources"].keys()
                if hashes.get(key) != artifact["sources"].get(key)
            )
            if changed:
                problems.append(f"{evm_version}/{name} was compiled from other sources: {', '.join(changed)}")
    if problems:
        raise BuildError("\n".join([*problems, "run contracts/build.py and commit the artifacts"]))
    print(f"{len(PROFILES) * len(DEPLOYABLE)} artifacts match their sources")


def recompile_check() -> None:
    """Compile all again and compare every byte with the committed artifacts."""
    check()
    problems = [
        f"{evm_version}/{name} differs from what the compiler makes of the sources"
        for evm_version in PROFILES
        for name, artifact in compile_contracts(DEPLOYABLE, evm_version).items()
        if artifact_path(evm_version, name).read_text() != serialise(artifact)
    ]
    if problems:
        raise BuildError("\n".join([*problems, "run contracts/build.py and commit the artifacts"]))
    print("recompiled: identical")


def main() -> int:
    """Run the command line; 0 when all is well."""
    parser = argparse.ArgumentParser(description="Compile the contracts, or check the committed artifacts.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="compare artifacts with source hashes, without compiling")
    mode.add_argument("--recompile-check", action="store_true", help="compile again and compare every byte")
    arguments = parser.parse_args()
    try:
        if arguments.check:
            check()
        elif arguments.recompile_check:
            recompile_check()
        else:
            write()
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
