"""JSON files with a schema that describe what runs: checked when read, written whole or not at all."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema

from piebridge.crypto.errors import ConfigurationError


def check(document: object, schema: Mapping[str, Any], *, source: str, kind: str) -> dict[str, Any]:
    """Return a parsed document that fits its schema.

    Args:
        document: what was parsed.
        schema: JSON Schema.
        source: where it comes from, for the message.
        kind: what it should be, for the message.

    Raises:
        ConfigurationError: it does not fit; the message names the place.
    """
    try:
        jsonschema.validate(document, schema)
    except jsonschema.ValidationError as error:
        place = "/".join(str(part) for part in error.absolute_path) or "the document"
        raise ConfigurationError(f"{source} is no {kind} of version 1: {place}: {error.message}") from error
    assert isinstance(document, dict)
    return document


def write(document: Mapping[str, Any], schema: Mapping[str, Any], path: Path) -> Path:
    """Write a document that fits its schema, so that a reader finds either the old file or the new one."""
    jsonschema.validate(document, schema)
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8") as stream:
        json.dump(document, stream, indent=2)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    return path
