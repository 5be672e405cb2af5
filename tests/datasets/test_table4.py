"""The paper's recipe for faces, `benchmarks/paper/table4.py`, on each owner's layout in small."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sklearn_thin._compat import import_torchvision
from tests.helpers import cells

# joblib warns where a slow or busy disk takes half a second for the arguments of a cached call
pytestmark = pytest.mark.filterwarnings("ignore:Persisting input arguments")
BLOCKS = (2, 2, 3, 3, 3)
PLACES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # of convolutions, in torchvision
WIDTHS = (4, 4, 4, 4, 6)  # filters of the blocks; VGG-16 has 64 to 512
FOLDERS = {"rafdb": "RAFDB", "affectnet": "AFFECTNET", "expw": "EXPW"}
SMALL = ("--side", "32", "--iterations", "2", "--seeds", "1", "--device", "cpu")


def vgg(n_identities=9, dense=True, widths=WIDTHS):
    """A narrow VGG-16 with VGGFace's names."""
    draw, tensors, width = torch.Generator().manual_seed(0), {}, 3
    for block, (n, after) in enumerate(zip(BLOCKS, widths, strict=True), 1):
        for place in range(1, n + 1):
            weight = torch.randn(after, width, 3, 3, generator=draw) / (3 * width**0.5)
            tensors[f"conv{block}_{place}.weight"] = weight
            tensors[f"conv{block}_{place}.bias"] = 0.1 * torch.randn(after, generator=draw)
            width = after
    shapes = {"fc6": (8, 4 * width), "fc7": (8, 8), "fc8": (n_identities, 8)}  # from 2 x 2 maps
    for name, shape in shapes.items() if dense else ():
        tensors[f"{name}.weight"] = torch.randn(shape, generator=draw)
        tensors[f"{name}.bias"] = torch.randn(shape[0], generator=draw)
    return tensors


def as_torchvision(tensors):
    """The same tensors in the order and with the names of torchvision's vgg16."""
    layers = [f"features.{place}" for place in PLACES] + [f"classifier.{n}" for n in (0, 3, 6)]
    names = [f"{layer}.{part}" for layer in layers for part in ("weight", "bias")]
    return dict(zip(names, tensors.values(), strict=False))


def blue_first(tensors):
    """The same tensors as converted from VGG_FACE.t7, in a parallel network."""
    flipped = {**tensors, "conv1_1.weight": tensors["conv1_1.weight"].flip(1)}
    return {f"module.{name.replace('conv', 'conv_')}": part for name, part in flipped.items()}


@pytest.fixture
def weights(tmp_path):
    """Function that writes tensors to a file, and returns its path."""

    def write(tensors, name="vgg.pth"):
        torch.save(tensors, tmp_path / name)
        return str(tmp_path / name)

    return write


@pytest.fixture
def expressions(tmp_path):
    """Folder of an archive of expressions: 6 people with 8 images, and 30 with two."""
    rng = np.random.RandomState(0)
    names = ["anger", "happiness", "neutral", "sadness", "surprise"]
    arrays = {
        "images": rng.randint(256, size=(108, 64, 64)).astype(np.uint8),
        "expression": np.resize(names, 108),
        "subject": np.r_[np.repeat(np.arange(6), 8), np.repeat(np.arange(10, 40), 2)],
    }
    np.savez(tmp_path / "expressions_in_the_wild.npz", **arrays)
    return tmp_path


@pytest.fixture
def recipe(run, weights, tmp_path):
    """Run table4.py or figure5.py with the recipe: the text, and the figures of its JSON file."""

    whole = weights(vgg())

    def call(command, data, folder, *arguments, tensors=None):
        file = whole if tensors is None else weights(tensors, "other.pth")
        figures = tmp_path / "figures.json"
        given = ("--data", data, "--folder", str(folder), "--weights", file)
        printed = run(f"paper/{command}.py", *given, *SMALL, *arguments, "--json", str(figures))
        return printed, json.loads(figures.read_text())

    return call


@pytest.fixture(autouse=True)
def few_units(modules, monkeypatch):
    """Hidden layers of the experts with few units, for speed; they have 512."""
    assert modules("_vgg").HIDDEN == 512
    monkeypatch.setattr(modules("_vgg"), "HIDDEN", 16)


@pytest.fixture
def run_of(modules, expressions, weights):
    """Function that makes a Run of the expressions from its changes."""
    key = modules("_faces").file_key(weights(vgg()))

    def make(architecture, **changes):
        files = {"weights": key, "identity": key, "folder": str(expressions)}
        given = {"data": "EXPRESSIONS", "iterations": 6, "lam": 0.1, "side": 64, "device": "cpu"}
        return modules("_recipe").Run(architecture, **{**files, **given, **changes})

    return make


# --------------------------------------------------------------------------- the commands


@pytest.mark.parametrize("release", FOLDERS)
def test_the_recipe_runs_on_the_layout_of_each_owner(
    release, recipe, request, tmp_path, modules, monkeypatch
):
    release, data = request.getfixturevalue(release), FOLDERS[release]
    printed, figures = recipe("table4", data, release.root)
    runs = {name: results for name, (results,) in figures["runs"].items()}
    assert list(runs) == [
        "baseline",
        "simple ensemble",
        "tree gate on h_endo",
        "identity gate",
        "THIN",
    ]
    assert f"{data} (32 × 32 pixels" in printed
    assert "2 iterations, 1 seed, λ = 0.005" in printed
    for name, results in runs.items():
        accuracies, measured = [line for line in printed.splitlines() if f"| {name} |" in line]
        assert f"| {results['accuracy']:.2f} ± nan | – |" in accuracies  # the paper's is not known
        ratio = results["ratio"]  # none for RAF-DB, whose classes have one test image each
        assert ("| – |" if ratio is None else f"| {ratio:.3f} ± nan |") in measured
        assert len(results["recalls"]) == 7
        assert (results["cosine"] is None) == (name != "THIN")
    expert = 6 * 16 + 16 * 16 + 5 * 16 + 7 * 17  # two hidden layers, each with its norm
    convolutions = sum(part.numel() for part in vgg(dense=False).values())
    assert runs["baseline"]["parameters"] == convolutions + expert
    assert runs["THIN"]["parameters"] == convolutions + 32 * expert + 31 * 9  # 6 maps, bias, norm
    monkeypatch.setattr(modules("_recipe").Trainer, "train", None)  # the runs are there
    file = tmp_path / "figure5.png"
    printed, gates = recipe("figure5", data, release.root, "--figure", str(file))
    assert file.read_bytes().startswith(b"\x89PNG")
    assert len(gates["mean_weights"][0]) == 32
    assert sum(gates["mean_weights"][0]) == pytest.approx(1, abs=1e-4)
    assert "pairs in one leaf" not in printed  # subjects are not known


def test_on_our_faces_the_leaves_are_compared_by_subject(recipe, expressions, tmp_path):
    sizes = ("--rows", "40", "--test-rows", "20")
    printed, figures = recipe("figure5", "EXPRESSIONS", expressions, *sizes, "--side", "64")
    assert "EXPRESSIONS (64 × 64 pixels; 20 test images)" in printed
    assert cells(printed, "")[1] == f"{figures['same_leaf'][0][0]:.1f} ± nan"


def test_the_recipe_runs_on_our_faces_at_64_pixels(recipe, data_dir):
    sizes = ("--rows", "60", "--test-rows", "40", "--side", "64", "--models", "THIN")
    printed, figures = recipe("table4", "EXPRESSIONS", data_dir, *sizes)
    assert "EXPRESSIONS (64 × 64 pixels; 40 test images): 2 iterations" in printed
    assert 0 <= figures["runs"]["THIN"][0]["cosine"] <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--folder", "/nowhere"), "RAF-DB: expected .* in /nowhere, which is no folder"),
        (("--weights", "none.pth"), "there is no file 'none.pth'"),
        (("--identity", "none.pth"), "there is no file 'none.pth'"),
        (("--iterations", "0"), "--iterations must be at least 1, got 0"),
        (("--side", "31"), "--side of RAFDB must be at least 32 pixels, got 31"),
        (("--rows", "3"), "the train part has 3 images, at least 4 needed"),
    ],
)
def test_what_cannot_run_is_named_before_any_training(arguments, message, recipe, rafdb):
    with pytest.raises(SystemExit, match=message):
        recipe("table4", "RAFDB", rafdb.root, *arguments)


def test_our_faces_are_shrunk_by_whole_factors(recipe, expressions):
    with pytest.raises(SystemExit, match="--side of EXPRESSIONS must be 32 or 64 pixels, got 224"):
        recipe("table4", "EXPRESSIONS", expressions, "--side", "224")


def test_a_folder_is_asked_for(run, weights, monkeypatch):
    monkeypatch.delenv("SKLEARN_THIN_DATA", raising=False)
    with pytest.raises(SystemExit, match="name their folder with --folder"):
        run("paper/table4.py", "--data", "EXPW", "--weights", weights(vgg()))


def test_without_a_fitting_c_all_but_thin_run(recipe, rafdb, weights):
    convolutions = vgg(dense=False)
    with pytest.raises(SystemExit, match=r"THIN needs .* holds the convolutions alone"):
        recipe("table4", "RAFDB", rafdb.root, tensors=convolutions)
    wider = weights(vgg(widths=(4, 4, 4, 4, 8)), "wider.pth")
    with pytest.raises(SystemExit, match="--weights has 6 maps and --identity 8: pass files of"):
        recipe("table4", "RAFDB", rafdb.root, "--identity", wider)
    names = ("--models", "identity gate")
    runs = recipe("table4", "RAFDB", rafdb.root, *names, tensors=convolutions)[1]["runs"]
    assert list(runs) == ["baseline", "identity gate"]


def test_the_gate_reads_the_identity_network(recipe, rafdb, weights):
    identity = weights(vgg(dense=False, widths=(4, 4, 4, 4, 8)), "identity.pth")
    names, counts = ("--models", "identity gate"), []
    for more in ((), ("--identity", identity)):
        (results,) = recipe("table4", "RAFDB", rafdb.root, *names, *more)[1]["runs"][names[1]]
        counts.append(results["parameters"])
    assert counts[1] - counts[0] == 31 * 2  # nodes, and two more maps


# ----------------------------------------------------------------------------- the weights


def test_all_layouts_give_the_same_network(modules, weights):
    read, tensors = modules("_vgg").read_weights, vgg()
    of_vggface = read(weights(tensors))
    of_torchvision = read(weights(as_torchvision(tensors)))
    assert of_vggface.layout == "VGGFace"
    assert of_torchvision.layout == "torchvision"
    for layout in (of_torchvision, read(weights(blue_first(tensors)))):
        for name, values in of_vggface.tensors.items():
            assert torch.equal(layout.tensors[name], values), name
    wrapped = read(weights({"state_dict": as_torchvision(vgg(dense=False))}))
    assert wrapped.n_classes is None
    assert of_vggface.n_classes == 9


def test_torchvisions_weights_give_torchvisions_maps(modules, weights):
    layers = import_torchvision().models.vgg.make_layers
    plan = [step for n, width in zip(BLOCKS, WIDTHS, strict=True) for step in (*[width] * n, "M")]
    network = layers(plan)
    file = weights({f"features.{name}": part for name, part in network.state_dict().items()})
    maps = modules("_vgg").Maps(modules("_vgg").read_weights(file))
    images = torch.rand(2, 3, 64, 64)
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
    shown = (images - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    torch.testing.assert_close(maps(images), network(shown).flatten(1))
    gray = images[:, :1]
    torch.testing.assert_close(maps(gray), maps(gray.repeat(1, 3, 1, 1)))


def test_vggface_reads_pixels_of_255_around_its_mean(modules, weights):
    module = modules("_vgg").Maps(modules("_vgg").read_weights(weights(vgg())))
    image = torch.tensor([129.1863, 104.7624, 93.5940]).view(1, 3, 1, 1) / 255
    scaled = (image + 1 / 255 - module.centre) / module.scale
    torch.testing.assert_close(scaled, torch.ones(1, 3, 1, 1), atol=1e-4, rtol=0)


def test_c_is_the_dense_layers_for_maps_of_any_side(modules, weights):
    tensors = vgg()
    c = modules("_vgg").dense_layers(modules("_vgg").read_weights(weights(tensors)))
    maps = torch.rand(3, 6, 4, 4)
    h = maps.unflatten(2, (2, 2)).unflatten(4, (2, 2)).mean((3, 5)).flatten(1)  # 2 x 2 maps
    for name in ("fc6", "fc7", "fc8"):
        h = F.linear(h, tensors[f"{name}.weight"], tensors[f"{name}.bias"])
        h = h if name == "fc8" else h.relu()
    torch.testing.assert_close(c(maps.flatten(1)), h)
    assert not any(part.requires_grad for part in c.parameters())


def without(tensors, *names):
    return {name: values for name, values in tensors.items() if name not in names}


@pytest.mark.parametrize(
    ("tensors", "fault"),
    [
        (without(vgg(), "conv5_3.bias"), "missing conv5_3.bias"),
        (without(vgg(), "fc8.weight", "fc8.bias"), "missing fc8.weight, fc8.bias"),
        ({**vgg(), "conv3_4.weight": torch.ones(1)}, "unexpected conv3_4.weight"),
        ({"features.1.running_mean": torch.ones(1)}, "unexpected features.1.running_mean"),
        ({"conv1.0.weight": torch.ones(1)}, "unexpected conv1.0.weight"),
        ({**vgg(), "features.0.weight": vgg()["conv1_1.weight"]}, "its names mix the layouts"),
        ({**vgg(), "conv2_1.weight": torch.ones(4, 5, 3, 3)}, r"conv2_1.weight has the shape \(4,"),
        ({**vgg(), "conv2_1.bias": torch.ones(3)}, "conv2_1.bias does not belong to 4 filters"),
        ({**vgg(), "fc7.weight": torch.ones(8, 5)}, r"fc6, fc7 and fc8 of the shapes \[\(8, 24\)"),
        ([torch.ones(1)], "it holds a list, not names with tensors"),
    ],
)
def test_files_of_another_layout_are_refused_by_their_names(tensors, fault, modules, weights):
    with pytest.raises(ValueError, match=rf"holds no weights of VGG-16: {fault}") as caught:
        modules("_vgg").read_weights(weights(tensors))
    assert "Expected features.0.weight to features.28.bias (torchvision) or" in str(caught.value)
    if re.match("missing|unexpected|its names", fault):
        assert f"It holds {next(iter(tensors))}" in str(caught.value)


def test_a_file_that_is_none_of_torch_is_refused(modules, tmp_path):
    (tmp_path / "vgg.pth").write_text("weights")
    with pytest.raises(ValueError, match=r"is no file of torch\.save with tensors"):
        modules("_vgg").read_weights(tmp_path / "vgg.pth")


# ---------------------------------------------------------------------------- the training


def trained(recipe, run):
    """The trainer of a run, after its training."""
    part, names = recipe.part_of_run(run, "train")
    trainer = recipe.Trainer(run, len(names))
    trainer.train(part)
    return trainer


def test_an_interrupted_run_continues_as_if_it_had_not_stopped(run_of, modules, monkeypatch):
    recipe, run = modules("_recipe"), run_of("THIN")
    monkeypatch.setattr(recipe, "CHUNK", 2)
    whole = trained(recipe, run)
    monkeypatch.setattr(recipe, "SAVE_AFTER", 0)
    steps, taken = recipe.Trainer.steps, []

    def interrupted(self, *given):
        taken.append(self.done)
        if len(taken) == 3:
            raise KeyboardInterrupt
        steps(self, *given)

    monkeypatch.setattr(recipe.Trainer, "steps", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained(recipe, run)
    again = trained(recipe, run)
    assert taken == [0, 2, 4, 4]
    assert again.best_loss == whole.best_loss
    for name, values in whole.module.state_dict().items():
        assert torch.equal(again.module.state_dict()[name], values), name


def test_the_weights_of_the_smallest_held_out_loss_stay(run_of, modules, monkeypatch):
    recipe, looks = modules("_recipe"), []
    monkeypatch.setattr(recipe, "CHUNK", 1)
    keep_best = recipe.Trainer.keep_best

    def kept(self, *given):
        keep_best(self, *given)
        looks.append(self.module.experts.last.bias.clone())
        if len(looks) == 2:
            self.best_loss = -1.0  # no later look is better

    monkeypatch.setattr(recipe.Trainer, "keep_best", kept)
    monkeypatch.setattr(recipe, "LR", 1e-2)
    bias = trained(recipe, run_of("baseline", iterations=4)).module.experts.last.bias
    assert [torch.equal(bias, look) for look in looks] in ([0, 1, 0, 0], [1, 0, 0, 0])


def test_each_chunk_draws_its_own_rows_and_none_that_is_held_out(run_of, modules, monkeypatch):
    recipe, drawn = modules("_recipe"), []
    monkeypatch.setattr(recipe, "CHUNK", 3)
    images = recipe.Trainer.images

    def noted(self, X, rows):
        drawn.append((self.module.training, rows.tolist()))
        return images(self, X, rows)

    monkeypatch.setattr(recipe.Trainer, "images", noted)
    run = run_of("baseline", rows=60)
    trained(recipe, run)
    batches = [rows for training, rows in drawn if training]
    held_out = {tuple(rows) for training, rows in drawn if not training}
    assert [len(rows) for rows in batches] == [16] * 6
    assert batches[:3] != batches[3:]
    ((*held_out,),) = held_out
    assert len(held_out) == 15  # a quarter, as there are fewer than 256 rows
    assert not set(held_out) & set(np.ravel(batches).tolist())


def test_the_identity_network_and_c_stay_as_they_are(run_of, modules, weights):
    recipe = modules("_recipe")
    trainer = trained(recipe, run_of("THIN"))
    read = modules("_vgg").read_weights(weights(vgg()))
    fresh = modules("_vgg").Maps(read), modules("_vgg").dense_layers(read)
    for frozen, other in zip((trainer.identity, trainer.c), fresh, strict=True):
        for part, as_read in zip(frozen.parameters(), other.parameters(), strict=True):
            assert torch.equal(part, as_read)
    before = fresh[0].layers[0].weight
    assert not torch.equal(trainer.module.backbone.layers[0].weight, before)


def test_the_dispelling_term_lowers_the_cosine(run_of, modules, monkeypatch):
    recipe, cosines = modules("_recipe"), []
    monkeypatch.setattr(recipe, "LR", 3e-3)
    for lam in (0.0, 100.0):
        trainer = trained(recipe, run_of("THIN", lam=lam, iterations=30))
        test, names = recipe.part_of_run(trainer.run, "test")
        cosines.append(recipe.evaluate(trainer, test, len(names))[0]["cosine"])
    assert cosines[1] < cosines[0] - 0.05


def test_only_affectnet_takes_the_classes_in_turn(run_of, modules):
    recipe, y = modules("_recipe"), np.array([0] * 20 + [1] * 3 + [2])
    run = replace(run_of("baseline"), data="AFFECTNET")
    drawn = y[recipe.draw_rows(run, y, 48, np.random.RandomState(0))]
    np.testing.assert_array_equal(np.bincount(drawn), [16, 16, 16])
    assert (np.sort(drawn.reshape(-1, 3), 1) == [0, 1, 2]).all()
    passes = recipe.draw_rows(run_of("baseline"), y, 48, np.random.RandomState(0))
    for one in (passes[:24], passes[24:]):
        np.testing.assert_array_equal(np.sort(one), np.arange(24))


def test_packed_experts_are_experts_side_by_side(modules, monkeypatch):
    n_experts, width = 3, 5
    monkeypatch.setattr(modules("_vgg"), "HIDDEN", width)
    experts = modules("_vgg").DeepExperts(channels=2, side=4, n_outputs=4, n_experts=n_experts)
    for norm in experts.norms:
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
    h = torch.randn(6, 2, 4, 4)
    pooled = F.max_pool2d(h, 2).flatten(1)
    expected = []
    for expert in range(n_experts):
        own = slice(expert * width, (expert + 1) * width)
        maps = experts.first.weight[own], experts.weight[expert]
        biases = experts.first.bias[own], torch.zeros(width)
        x = pooled
        for weight, bias, norm in zip(maps, biases, experts.norms, strict=True):
            x = (x @ weight.T + bias - norm.running_mean[own]) / norm.running_var[own].sqrt()
            x = x.relu()
        expected.append(x @ experts.last.weight[expert].T + experts.last.bias[expert])
    found = experts.eval()(h.flatten(1))
    torch.testing.assert_close(found, torch.stack(expected, 1), atol=1e-4, rtol=1e-3)


def test_the_ratio_is_of_the_scatter_between_classes_to_that_within(modules):
    rng = np.random.RandomState(0)
    h, y = rng.normal(size=(40, 3)), np.repeat([0, 1, 3], [10, 25, 5])  # none of class 2
    means = np.stack([h[y == k].mean(0) for k in y])
    between = np.square(means - h.mean(0)).sum()
    spread = modules("_recipe").Spread(4)
    for rows in np.array_split(np.arange(40), 3):
        spread.add(h[rows], y[rows])
    assert spread.ratio() == pytest.approx(between / np.square(h - means).sum())
