"""The narrower network beside the one that it was pruned from, in every other command."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import vggexport
from tests.recorded_progress import Recorded
from vggexport.errors import InputError
from vggexport.network.preprocessing import CONVENTIONS
from vggexport.opening.network import NetworkOptions, open_network
from vggexport.system.progress import Progress, Steps


def exported(weights, name):
    """Its ONNX file."""
    network = NetworkOptions(str(weights), labels=weights.with_name("labels.txt"))
    if weights.suffix == ".safetensors":
        network = replace(network, labels=None)
    file, options = vggexport.FileOptions("onnx", Path(name)), vggexport.BuildOptions(check=False)
    return vggexport.build(network, vggexport.CalibrationOptions(), file, options).artifact


def test_every_command_knows_it_beside_its_ancestor(prune, folder, whole_spec, class_names):
    made = prune(target_sqnr=15.0).narrowed
    wide, narrow = folder / "wide.npz", "narrow.onnx"
    artifact = exported(Path("narrow.safetensors"), narrow)
    assert artifact.weights.pruning == made.pruning
    exported(wide, "wide.onnx")
    data = str(folder / "images.npz")
    for pair in ([str(wide), narrow], ["wide.onnx", "narrow.safetensors"], [narrow, "wide.onnx"]):
        report = vggexport.verify(
            pair, data=data, layers=True, save_golden=Path("g.npz"), force=True
        )
        (candidate,) = report.candidates
        assert candidate.tolerance.min_logit_sqnr_db == round(
            made.pruning.promised_logit_sqnr_db, 1
        )
        assert candidate.passed
        assert [layer.name for layer in candidate.layers] == [
            layer.name
            for layer, other in zip(whole_spec.layers, made.spec.layers, strict=True)
            if layer.output_shape == other.output_shape
        ]
    assert report.reference_seen + candidate.seen == 48
    with np.load(data) as file:
        for number, pixels in enumerate(file["images"]):
            place = Path("sorted", class_names[number % len(class_names)])
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(place / f"{number}.png")
    judged = vggexport.evaluate(artifacts=("wide.onnx", str(narrow)), data=Path("sorted"))
    (beside,) = judged.to_json()["comparisons"]
    assert (beside["a"], beside["b"], judged.images) == ("wide.onnx", "narrow.onnx", 60)
    assert beside["agreement"] > 0.8
    assert 0 <= beside["mcnemar_p"] <= 1
    (facts,) = (model.facts for model in vggexport.diff(Path("wide.onnx"), Path(narrow)).models)
    changes = {fact.name: (fact.old, fact.new) for fact in facts}
    assert changes["pruned from"] == (None, "wide.npz")
    assert changes["network blocks"][0] == [["conv3-16", "conv3-16"], ["conv3-32"]]
    vggexport.verify(["wide.onnx", narrow], data=data, save_golden=Path("g.npz"), force=True)
    packed = vggexport.bundle([Path(narrow)], output=Path("out"), golden=Path("g.npz"))
    assert packed.passed
    assert "pruned from wide.npz, SHA-256" in Path("out/MODEL_CARD.md").read_text()
    assert vggexport.check_bundle(Path("out")).passed
    golden = json.loads(next(Path("out").rglob("golden*.json")).read_text())
    assert golden["reference"]["name"] == "wide.onnx"


def test_an_ancestor_is_run_under_its_own_preprocessing(prune, folder):
    """The narrower weights have it in their first kernel: their file records a mean alone."""
    wide, data = str(folder / "wide.npz"), str(folder / "images.npz")
    torch = CONVENTIONS["torch"]
    made = prune(network=NetworkOptions(wide, preprocessing=torch), target_sqnr=15.0).narrowed
    assert made.pruning.preprocessing == torch
    exported(Path("narrow.safetensors"), "narrow.onnx")
    (candidate,) = vggexport.verify([wide, "narrow.onnx"], data=data).candidates
    assert candidate.metrics.logit_sqnr_db > made.pruning.promised_logit_sqnr_db
    assert candidate.passed
    whole = NetworkOptions(wide, preprocessing=torch)
    file = vggexport.FileOptions("onnx", Path("wide.onnx"))
    vggexport.build(whole, vggexport.CalibrationOptions(), file)
    assert vggexport.verify([wide, "wide.onnx", "narrow.onnx"], data=data).passed


def test_what_was_assumed_of_an_ancestor_stays_assumed(prune, folder):
    """Weights that were pruned from it say what is in them, which rests on the assumption."""
    prune(target_sqnr=15.0)
    path = Path("narrow.safetensors")
    with safe_open(path, "numpy") as file:
        told = file.metadata()
    ((name, described),) = told.items()
    document = json.loads(described)
    assert document["pruning"]["preprocessing"]["known"] is True
    document["pruning"]["preprocessing"] |= {"name": "torch", "known": False}
    save_file(load_file(path), path, {name: json.dumps(document)})
    progress = Recorded()
    open_network(NetworkOptions(str(path)), Steps(progress))
    said = "wide.npz, which narrow.safetensors was pruned from: torchvision's convention assumed"
    assert [note.partition(" (RGB")[0] for note in progress.notes if "pruned from" in note] == [
        said
    ]
    with pytest.raises(InputError, match="prune it again and state"):
        open_network(NetworkOptions(str(path), strict=True), Steps(Progress()))
    exported(path, "narrow.onnx")
    with pytest.raises(InputError, match=r"which it was pruned from, was assumed \(torch\)"):
        vggexport.bundle([Path("narrow.onnx")], output=Path("out"))


def test_a_network_of_another_ancestor_is_another_network(prune, folder, make_weights, whole_spec):
    prune(target_sqnr=15.0)
    other = {name: array * 2 for name, array in make_weights(whole_spec).items()}
    np.savez("other.npz", **other)
    with pytest.raises(InputError, match=r"is for another network|are different networks"):
        vggexport.verify(["narrow.safetensors", "other.npz"], data=str(folder / "images.npz"))
