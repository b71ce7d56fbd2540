"""Schemas of Kubernetes objects: from CustomResourceDefinitions, and from the outlines in `schemas.yaml`.

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
    schemas = dict(map(_of_outline, _load(HERE / "schemas.yaml")[0].items()))
    for path in sorted((HERE / "crds").glob("*.yaml")):
        for definition in _load(path):
            schemas.update(_of_definition(definition["spec"]))
    return schemas


def _load(path):
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def _of_outline(item):
    name, outline = item
    head = {"apiVersion": "text", "kind": "text"}
    schema = _outlined(head | outline)
    if not name.endswith("Component"):
        schema["properties"]["metadata"] = METADATA
    return name, schema


def _outlined(outline):
    if isinstance(outline, str):
        return TYPES[outline]
    if isinstance(outline, list):
        return {"type": "array", "items": _outlined(outline[0])}
    properties = {name: _outlined(value) for name, value in outline.items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _of_definition(spec):
    for version in spec["versions"]:
        schema = _strict(version["schema"]["openAPIV3Schema"])
        schema["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": METADATA}
        schema["additionalProperties"] = False
        yield f"{spec['group']}/{version['name']} {spec['names']['kind']}", schema


def _strict(schema):
    """The JSON Schema of a structural schema: unknown fields are refused, `nullable` is a type."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _keyword(key, value) for key, value in schema.items()}
    if "properties" in schema and schema.get("type") == "object":
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            strict.setdefault("additionalProperties", False)
    if schema.get("nullable"):
        strict["type"] = [schema["type"], "null"]
    if schema.get("x-kubernetes-int-or-string"):
        strict["type"] = ["integer", "string"]
    return strict


def _keyword(key, value):
    if key == "properties":
        return {name: _strict(schema) for name, schema in value.items()}
    return _strict(value) if key in ("items", "additionalProperties", "allOf", "anyOf", "oneOf", "not") else value
