"""The layers that a Keras file describes, in order of computation, whatever they are nested in.

Read from JSON as Keras 2 and Keras 3 write it; nothing is constructed and no code runs. Sequential
and functional models are unfolded; a model that is not one line from one input to one output, a
layer that is called more than once, and classes that are not Keras' own are refused.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vggexport.errors import WeightsError
from vggexport.weights.keras.calls import Call, Reference, channels_taken, parse_call
from vggexport.weights.keras.refusal import refusal, understanding

INPUT_LAYER = "InputLayer"
MAX_LAYERS = 4096
_MODELS = ("Sequential", "Functional", "Model")
"""Classes that hold layers; "Model" is what Keras before 2.4 called a functional one."""
_OWN_MODULE = re.compile(r"(tf_)?keras(\.|$)")
_SLICES = ("GetItem", "SlicingOpLambda")


@dataclass(frozen=True, slots=True)
class Step:
    """A layer's place among the layers of the model that holds it.

    Attributes:
        name: The layer's name.
        class_name: Its class.
        number: How many layers of its class stand before it, in the model's own order.
        trainable: Whether training changed it; this decides the order of legacy files.
    """

    name: str
    class_name: str
    number: int
    trainable: bool


@dataclass(frozen=True, slots=True)
class DescribedLayer:
    """One layer that computes something, or an input.

    Attributes:
        name: Its name, unique only among its neighbours.
        class_name: Its class.
        config: Its settings, as in the file.
        path: The models that it lies in, the outermost first, and itself.
        call: How it is called, in functional models.
    """

    name: str
    class_name: str
    config: Mapping[str, Any]
    path: tuple[Step, ...]
    call: Call = field(default_factory=Call)


def described_layers(document: Mapping[str, Any], origin: str) -> tuple[DescribedLayer, ...]:
    """Every layer of the described model in order of computation, inputs included.

    Raises:
        WeightsError: The description is damaged, or is not one line of Keras' own layers.
    """
    with understanding(origin):
        if document["class_name"] not in _MODELS:
            raise refusal(
                origin,
                _name(document),
                document["class_name"],
                "a model of its own class",
                "build the same network as a Sequential or functional model, copy the weights, "
                "and save that",
            )
        return tuple(_unfolded(document, (), origin))


def _unfolded(
    entry: Mapping[str, Any], path: tuple[Step, ...], origin: str
) -> Iterator[DescribedLayer]:
    config = entry["config"]
    members = config if isinstance(config, list) else config["layers"]
    if len(members) > MAX_LAYERS:
        raise ValueError(f"{len(members)} layers")
    steps = _steps(members)
    if entry["class_name"] == "Sequential":
        yield from _sequential_inputs(entry, members, path)
        line = [(member, Call()) for member in members]
    else:
        line = list(_line(config, origin))
    for member, call in line:
        yield from _layers_of(member, call, (*path, steps[_name(member)]), origin)


def _layers_of(
    entry: Mapping[str, Any], call: Call, path: tuple[Step, ...], origin: str
) -> Iterator[DescribedLayer]:
    name, class_name = _name(entry), entry["class_name"]
    if not _is_own(entry):
        raise refusal(origin, name, class_name, "not one of Keras' own")
    if call.keywords.get("training"):
        raise refusal(origin, name, class_name, "called with training=True")
    if class_name in _MODELS:
        yield from _unfolded(entry, path, origin)
    else:
        config = {**entry["config"]}
        yield DescribedLayer(name, class_name, config, path, call)


def _steps(members: Sequence[Mapping[str, Any]]) -> dict[str, Step]:
    counts: Counter[str] = Counter()
    steps = {}
    for member in members:
        name, class_name = _name(member), member["class_name"]
        if name in steps:
            raise ValueError(f"two layers are called {name}")
        trainable = True
        if isinstance(member["config"], Mapping):
            trainable = bool(member["config"].get("trainable", True))
        steps[name] = Step(name, class_name, counts[class_name], trainable)
        counts[class_name] += 1
    return steps


def _sequential_inputs(
    entry: Mapping[str, Any], members: Sequence[Any], path: tuple[Step, ...]
) -> Iterator[DescribedLayer]:
    """What a Sequential without an input of its own tells of its input's shape."""
    if members[0]["class_name"] == INPUT_LAYER:
        return
    for config in (members[0]["config"], entry["config"], entry.get("build_config") or {}):
        if isinstance(config, Mapping):
            for key in ("batch_input_shape", "build_input_shape", "input_shape"):
                if config.get(key):
                    yield DescribedLayer(
                        _name(entry), INPUT_LAYER, {"batch_shape": config[key]}, path
                    )


def _line(config: Mapping[str, Any], origin: str) -> Iterator[tuple[Mapping[str, Any], Call]]:
    """The layers of a functional model from its input to its output."""
    entries = {_name(entry): entry for entry in config["layers"]}
    first, last = (_only_end(config, key, origin) for key in ("input_layers", "output_layers"))
    calls = {name: _only_call(entry, origin) for name, entry in entries.items()}
    backwards, beside = [last], set(entries) - {last}
    while backwards[-1] != first:
        name = backwards[-1]
        source, gathered = _source(name, entries, calls)
        if source is None or source not in beside:
            count = len(calls[name].references)
            raise refusal(origin, name, entries[name]["class_name"], f"a layer of {count} inputs")
        beside -= {source, *gathered}
        if gathered:
            taken = tuple(channels_taken(calls[part]) for part in gathered)
            calls[name] = Call((Reference(source),), {**calls[name].keywords, "channels": taken})
        backwards.append(source)
    if beside:
        name = min(beside)
        raise refusal(origin, name, entries[name]["class_name"], "beside the line to the output")
    for name in reversed(backwards):
        yield entries[name], calls[name]


def _source(
    name: str, entries: Mapping[str, Any], calls: Mapping[str, Call]
) -> tuple[str | None, tuple[str, ...]]:
    """The one layer that ``name`` computes from, and the channels between that it gathers."""
    references = calls[name].references
    if len(references) == 1:
        return references[0], ()
    sliced = all(entries[part]["class_name"] in _SLICES for part in references)
    sources = {source for part in references for source in calls[part].references}
    if sliced and len(sources) == 1 and len(set(references)) == len(references):
        return sources.pop(), references
    return None, ()


def _only_end(config: Mapping[str, Any], key: str, origin: str) -> str:
    ends = config[key]
    if isinstance(ends, Mapping):
        ends = list(ends.values())
    if len(ends) == 1 and isinstance(ends[0], list):
        ends = ends[0]
    if len(ends) != 3 or not isinstance(ends[0], str):
        what = key.partition("_")[0]
        raise WeightsError(
            f"{origin}: the model {_name({'config': config})!r} has {len(ends)} {what}s, expected "
            f"one: save a model of one {what}"
        )
    return ends[0]


def _only_call(entry: Mapping[str, Any], origin: str) -> Call:
    nodes = entry["inbound_nodes"]
    if entry["class_name"] == INPUT_LAYER and not nodes:
        return Call()
    if len(nodes) != 1:
        why = f"called {len(nodes)} times"
        raise refusal(origin, _name(entry), entry["class_name"], why)
    return parse_call(nodes[0])


def _is_own(entry: Mapping[str, Any]) -> bool:
    class_name = entry["class_name"]
    if entry.get("registered_name") not in {None, class_name}:
        return False
    module = entry.get("module")
    return module is None or bool(_OWN_MODULE.match(module))


def _name(entry: Mapping[str, Any]) -> str:
    config = entry["config"]
    name = entry.get("name") or (config.get("name") if isinstance(config, Mapping) else None)
    if not isinstance(name, str | None):
        raise TypeError(f"a layer is called {name}")
    return name or str(entry["class_name"])
