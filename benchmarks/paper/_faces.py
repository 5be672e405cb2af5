"""The command line of the paper's recipe for faces: arguments, checks before long work, runs."""

import argparse
import sys
from pathlib import Path

from _command import arguments, data_folder
from _models import LAM
from _recipe import ARCHITECTURES, LEAST_SIDE, RECIPES, Run, part_of_run
from _vgg import read_weights

SIDES = {"EXPRESSIONS": 64}  # pixels; the paper's network reads 224
LEAST_ROWS = 4  # a quarter of them is held out
HINT = f"with --data {', '.join(RECIPES)}: the paper's recipe; see --data {RECIPES[0]} --help"


def names_recipe(argv):
    """Whether --data names a data set of the recipe, instead of a folder."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--data")
    return parser.parse_known_args(argv)[0].data in RECIPES


def recipe_arguments(doc, **models):
    """Parser of the arguments of a command with the recipe."""
    parser = arguments(doc, epochs=None, **models)
    parser.add_argument("--data", choices=RECIPES, required=True)
    folder = "as its owners give it out; EXPRESSIONS is expressions_in_the_wild.npz"
    parser.add_argument("--folder", default=data_folder(), help=f"of the data set, {folder}")
    weights = "file of VGG-16's weights, torchvision's or VGGFace's"
    parser.add_argument("--weights", required=True, help=weights)
    identity = "file of the frozen identity network; default the file of --weights"
    parser.add_argument("--identity", help=identity)
    parser.add_argument("--iterations", type=int, default=100_000)
    parser.add_argument("--lam", type=float, default=LAM)
    parser.add_argument("--side", type=int, help="of the images in pixels; default 224, or 64")
    on_error = "whether images that cannot be read end the command"
    parser.add_argument("--on-error", choices=("raise", "warn"), default="raise", help=on_error)
    return parser


def recipe_runs(args, names):
    """Runs by name of the architecture, one for each seed; exits where one cannot run."""
    try:
        return checked_runs(args, names)
    except (FileNotFoundError, ValueError, ImportError) as error:
        sys.exit(str(error))


def checked_runs(args, names):
    if args.folder is None:
        raise ValueError(f"{args.data} is read from files: name their folder with --folder")
    for name in ("iterations", "seeds"):
        if getattr(args, name) < 1:
            raise ValueError(f"--{name} must be at least 1, got {getattr(args, name)}")
    args.side = args.side or SIDES.get(args.data, 224)
    if args.side < LEAST_SIDE or (args.data in SIDES and SIDES[args.data] % args.side):
        shapes = "32 or 64" if args.data in SIDES else f"at least {LEAST_SIDE}"
        raise ValueError(f"--side of {args.data} must be {shapes} pixels, got {args.side}")
    args.identity = args.identity or args.weights
    check_weights(args, names)
    shared = ("data", "folder", "iterations", "lam", "side", "rows", "test_rows", "on_error")
    given = {name: getattr(args, name) for name in (*shared, "device")}
    given["folder"] = str(Path(args.folder).expanduser().resolve())
    files = {name: file_key(getattr(args, name)) for name in ("weights", "identity")}
    seeds = range(args.seeds)
    runs = {name: [Run(name, **given, **files, seed=seed) for seed in seeds] for name in names}
    some = next(iter(runs.values()))[0]
    for subset in ("train", "test"):  # before any training
        n_rows = len(part_of_run(some, subset)[0].y)
        if n_rows < LEAST_ROWS:
            raise ValueError(f"the {subset} part has {n_rows} images, at least {LEAST_ROWS} needed")
    return runs


def check_weights(args, names):
    """Read the files once, name them, and refuse THIN without c."""
    backbone = read_weights(args.weights)
    print(f"VGG-16: {backbone}", file=sys.stderr)
    kinds = [ARCHITECTURES[name] for name in names]
    if not any(kind.reads_identity for kind in kinds):
        return
    identity = read_weights(args.identity)
    print(f"identity: {identity}", file=sys.stderr)
    if not any(kind.dispels for kind in kinds):
        return
    if identity.n_classes is None:
        raise ValueError(
            f"THIN needs the identity network's predictor c, but {str(args.identity)!r} holds the "
            "convolutions alone. Pass a file with fc6, fc7 and fc8 as --identity, or leave THIN "
            "out with --models"
        )
    if identity.channels != backbone.channels:
        raise ValueError(
            "c of THIN reads the maps of both networks, but --weights has "
            f"{backbone.channels} maps and --identity {identity.channels}: pass files of equal "
            "widths, or leave THIN out with --models"
        )


def file_key(file):
    """A file's path, size and time of change."""
    path = Path(file).expanduser().resolve()
    return str(path), path.stat().st_size, path.stat().st_mtime_ns


def recipe_title(run, part):
    """The data set, its scored images, and the sides of the images."""
    return f"{run.data} ({run.side} × {run.side} pixels; {len(part.y):,} test images)"
