"""What istiod makes of the manifests, as far as they use it: phases of WasmPlugin, RequestAuthentication, EnvoyFilter."""

import json

TYPE = "type.googleapis.com/"
CONNECTION_MANAGER = "envoy.filters.network.http_connection_manager"


def wasm_filter(plugin, wasm):
    """The Envoy filter of one WasmPlugin. Istio names no `vm_id`, so plugins of the same file share a VM."""
    layer = "http" if plugin["spec"]["type"] == "HTTP" else "network"
    return {
        "name": f"shop.{plugin['metadata']['name']}",
        "typed_config": {
            "@type": f"{TYPE}envoy.extensions.filters.{layer}.wasm.v3.Wasm",
            "config": {
                "name": f"shop.{plugin['metadata']['name']}",
                "failure_policy": plugin["spec"]["failStrategy"],
                "vm_config": {
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": wasm}},
                },
                "configuration": {
                    "@type": f"{TYPE}google.protobuf.StringValue",
                    "value": json.dumps(plugin["spec"]["pluginConfig"]),
                },
            },
        },
    }


def jwt_provider(rule, jwks):
    """Envoy's provider of one rule of a RequestAuthentication."""
    return {
        "issuer": rule["issuer"],
        "audiences": rule["audiences"],
        "local_jwks": {"filename": jwks},
        "from_headers": [{"name": one["name"], "value_prefix": one["prefix"]} for one in rule["fromHeaders"]],
        "forward": rule.get("forwardOriginalToken", False),
        "payload_in_metadata": "payload",
    }


def add_plugins(chain, plugins, wasm):
    """Puts plugins where their phase says: AUTHZ between jwt_authn and RBAC; network filters before the HTTP connection manager."""
    for plugin in plugins:
        if plugin["spec"]["type"] == "NETWORK":
            chain["filters"].insert(len(chain["filters"]) - 1, wasm_filter(plugin, wasm))
            continue
        filters = connection_manager(chain)["http_filters"]
        before = {"AUTHN": "envoy.filters.http.jwt_authn", "AUTHZ": "envoy.filters.http.rbac"}[plugin["spec"]["phase"]]
        names = [one["name"] for one in filters]
        filters.insert(names.index(before), wasm_filter(plugin, wasm))


def add_jwt(chain, rules, jwks):
    """Fills the jwt_authn filter as istiod does: a bad token is refused, a missing one is not."""
    (authn,) = [one for one in connection_manager(chain)["http_filters"] if one["name"].endswith("jwt_authn")]
    providers = {f"origins-{index}": jwt_provider(rule, jwks) for index, rule in enumerate(rules)}
    requires_any = [{"provider_name": name} for name in providers] + [{"allow_missing": {}}]
    requires = {"requires_any": {"requirements": requires_any}}
    authn["typed_config"] |= {"providers": providers, "rules": [{"match": {"prefix": "/"}, "requires": requires}]}


def connection_manager(chain):
    (manager,) = [one["typed_config"] for one in chain["filters"] if one["name"] == CONNECTION_MANAGER]
    return manager


def apply_chain_patches(chain, patches):
    """Applies EnvoyFilter patches of an inbound filter chain, with istiod's merge rules."""
    for patch in patches:
        value, operation = patch["patch"]["value"], patch["patch"]["operation"]
        match (patch["applyTo"], operation):
            case ("FILTER_CHAIN", "MERGE"):
                merge_transport_socket(chain, value)
            case ("NETWORK_FILTER", "INSERT_BEFORE"):
                chain["filters"].insert(_matched(chain, patch), value)
            case ("NETWORK_FILTER", "MERGE"):
                merge(chain["filters"][_matched(chain, patch)], value)
            case other:
                raise NotImplementedError(other)


def apply_cluster_patch(cluster, value):
    """A cluster with one transport socket: another name replaces it."""
    merge_transport_socket(cluster, value)


def merge_transport_socket(target, value):
    """istiod merges sockets of one name and replaces one of another name; the rest is a plain merge."""
    if target["transport_socket"]["name"] == value["transport_socket"]["name"]:
        raise NotImplementedError("a patch of Envoy's own socket")
    target["transport_socket"] = value["transport_socket"]
    merge(target, value)


def merge(target, value):
    for key, part in value.items():
        if isinstance(part, dict) and isinstance(target.get(key), dict):
            merge(target[key], part)
        else:
            target[key] = part


def _matched(chain, patch):
    name = patch["match"]["listener"]["filterChain"]["filter"]["name"]
    return [one["name"] for one in chain["filters"]].index(name)
