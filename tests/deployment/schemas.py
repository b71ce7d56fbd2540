"""Schemas of Kubernetes objects: from the outlines in `schemas.yaml`.

An API server prunes or refuses fields that a definition does not name: here they are refused. Rules in CEL
(`x-kubernetes-validations`) are not evaluated.
"""

import functools
import pathlib

import jsonschema
import yaml

HERE = pathlib.Path(__file__).parent
METADATA = {
    "type": "object",
    "required": ["name"],
    "properties": {name: {} for name in ("name", "namespace", "labels", "annotations")},
    "additionalProperties": False,
}
TYPES = {
    "text": {"type": "string"},
    "switch": {"type": "boolean"},
    "text_map": {"type": "object", "additionalProperties": {"type": "string"}},
    "anything": {},
}


def validator(api_version, kind):
    """The validator of one kind; KeyError when it is not known."""
    return jsonschema.Draft202012Validator(_schemas()[f"{api_version} {kind}"])


@functools.cache
def _schemas():
    return dict(map(_of_outline, _load(HERE / "schemas.yaml")[0].items()))


def _load(path):
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def _of_outline(item):
    name, outline = item
    head = {"apiVersion": "text", "kind": "text"}
    schema = _outlined(head | outline)
    schema["properties"]["metadata"] = METADATA
    return name, schema


def _outlined(outline):
    if isinstance(outline, str):
        return TYPES[outline]
    if isinstance(outline, list):
        return {"type": "array", "items": _outlined(outline[0])}
    properties = {name: _outlined(value) for name, value in outline.items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}
