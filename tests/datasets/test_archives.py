"""NumPy archives of data sets are found, read and checked, or named in an error."""

import os
import re
import tracemalloc
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from sklearn_thin.datasets import _files, load_dsprites, load_expressions


def expressions():
    rng = np.random.RandomState(0)
    return SimpleNamespace(
        load=load_expressions,
        name="expressions_in_the_wild.npz",
        arrays={
            "images": rng.randint(256, size=(20, 8, 6)).astype(np.uint8),
            "expression": np.resize(["anger", "happiness", "neutral", "surprise"], 20),
            "subject": np.arange(20),
        },
        missing="expressions: expected the file",
        how="It is a NumPy archive of the arrays images",
        anew="copy it anew",
    )


def dsprites():
    rng = np.random.RandomState(0)
    return SimpleNamespace(
        load=load_dsprites,
        name="dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz",
        arrays={
            "imgs": rng.randint(2, size=(20, 8, 8)).astype(np.uint8),
            "latents_classes": rng.randint(3, size=(20, 6)),
            "latents_values": rng.uniform(0.5, 1, size=(20, 6)),
        },
        missing="dSprites: expected the file",
        how="dSprites is the file",
        anew="download it anew",
    )


@pytest.fixture(params=[expressions, dsprites])
def archive(request, tmp_path):
    """A data set's arrays, written to its `file`, and its loader."""
    archive = request.param()
    archive.file = tmp_path / archive.name
    np.savez(archive.file, **archive.arrays)
    return archive


@pytest.mark.parametrize("name", [None, "", "other.npz"])
def test_a_missing_file_is_named_with_its_source(archive, name):
    archive.file.unlink()
    path = archive.file if name is None else archive.file.parent / name
    expected = re.escape(str(path if name else archive.file))
    match = f"{archive.missing} {expected}, which is not there. {archive.how}"
    with pytest.raises(FileNotFoundError, match=match):
        archive.load(path)


def corrupt(file, place):
    """Change one byte behind the name of the first array; the archive's checksum shows it."""
    data = bytearray(file.read_bytes())
    data[data.index(b".npy") + place] ^= 255
    file.write_bytes(bytes(data))


def save_array(file):
    """Write a single array without an archive."""
    with file.open("wb") as content:
        np.save(content, np.zeros(3))


BROKEN = {
    **{
        f"{share} of it": lambda file, share=share: os.truncate(
            file, int(share * file.stat().st_size)
        )
        for share in (0, 0.1, 0.5, 0.9, 0.999)
    },
    **{
        f"byte {place}": lambda file, place=place: corrupt(file, place)
        for place in (60, 300, 600, 900)
    },
    "text": lambda file: file.write_text("not found"),
    "one array": save_array,
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_archive_is_named(archive, how):
    BROKEN[how](archive.file)
    match = rf"{re.escape(str(archive.file))} is truncated or corrupt \(.*{archive.anew}"
    with pytest.raises(ValueError, match=match):
        archive.load(archive.file)


def test_an_error_does_not_quote_the_archive(archive):
    """Byte 27 makes the data a part of a member's name, which zipfile quotes."""
    data = bytearray(archive.file.read_bytes())
    data[27] = 0x08
    archive.file.write_bytes(bytes(data))
    with pytest.raises(ValueError, match=r"is truncated or corrupt \(File name in") as caught:
        archive.load(archive.file)
    assert len(str(caught.value)) < 1_000


def test_an_archive_of_python_objects_says_how_to_save_texts(archive):
    arrays = {name: array.astype(object) for name, array in archive.arrays.items()}
    np.savez(archive.file, **arrays)
    with pytest.raises(ValueError, match=r"holds Python objects, .*astype\(str\)"):
        archive.load(archive.file)


def test_an_archive_without_room_in_memory_is_not_called_corrupt(archive, monkeypatch):
    def read_array(*args, **options):
        raise MemoryError("Unable to allocate")

    monkeypatch.setattr(np.lib.format, "read_array", read_array)
    with pytest.raises(MemoryError, match="Unable to allocate"):
        archive.load(archive.file)


def write_members(file, arrays, packing=zipfile.ZIP_DEFLATED):
    """Write an archive of headers, each with as many bytes as given: (shape, type, bytes)."""
    with zipfile.ZipFile(file, "w", packing, compresslevel=1) as whole:
        for name, (shape, dtype, n_bytes) in arrays.items():
            with whole.open(f"{name}.npy", "w") as content:
                header = {"descr": dtype, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(content, header)
                for start in range(0, n_bytes, 2**20):
                    content.write(bytes(min(2**20, n_bytes - start)))


@pytest.fixture
def little_memory():
    """Fails a test that allocates 32 MB."""
    tracemalloc.start()
    yield
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**25


@pytest.mark.parametrize(
    "shape", [(2**50,), (2**20, 2**10, 2**10), (2**34, 2**34), (10**4000,), (-1,), (-2, -(2**40))]
)
def test_a_header_that_announces_more_than_the_archive_holds_is_named(
    archive, shape, little_memory
):
    first = next(iter(archive.arrays))
    write_members(archive.file, {first: (shape, "|u1", 0)})
    match = rf"{re.escape(str(archive.file))} is truncated or corrupt \(.*{archive.anew}"
    with pytest.raises(ValueError, match=match):
        archive.load(archive.file)


def test_arrays_that_unpack_to_other_shapes_are_not_unpacked(archive, little_memory):
    """Each takes 200 MB, and 1 MB in the archive."""
    first = next(iter(archive.arrays))
    write_members(archive.file, dict.fromkeys(archive.arrays, ((2 * 10**8,), "|u1", 2 * 10**8)))
    match = rf"{archive.name} holds {first} \(200000000,\) of uint8, .*{archive.how}"
    with pytest.raises(ValueError, match=match):
        archive.load(archive.file)


def test_an_archive_that_unpacks_to_gigabytes_is_named(archive, little_memory, monkeypatch):
    """The limit is lowered to 0.1 GB, as packing gigabytes takes half a minute."""
    monkeypatch.setattr(_files, "LARGEST_ARRAYS", 10**8)
    arrays = {}
    for name, array in archive.arrays.items():
        shape = (len(array) * 10**5, *array.shape[1:])
        arrays[name] = (shape, array.dtype.str, int(np.prod(shape)) * array.dtype.itemsize)
    write_members(archive.file, arrays)
    match = rf"{archive.name} unpacks to \d\.\d GB, expected at most 0\.1 GB\. {archive.how}"
    with pytest.raises(ValueError, match=match):
        archive.load(archive.file)


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packing_that_numpy_does_not_use_is_refused(archive, packing):
    write_members(archive.file, dict.fromkeys(archive.arrays, ((8,), "|u1", 8)), packing)
    with pytest.raises(ValueError, match=rf"{archive.name} is truncated or corrupt \(.*packed"):
        archive.load(archive.file)


def test_an_archive_that_may_not_be_read_is_not_called_corrupt(archive):
    archive.file.chmod(0)
    if os.access(archive.file, os.R_OK):
        pytest.skip("this user may read every file")
    with pytest.raises(PermissionError, match=re.escape(str(archive.file))):
        archive.load(archive.file)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_an_array_that_is_missing_is_named(archive, position):
    name = list(archive.arrays)[position]
    del archive.arrays[name]
    np.savez(archive.file, **archive.arrays)
    with pytest.raises(ValueError, match=rf"{archive.name} lacks {name}\. {archive.how}"):
        archive.load(archive.file)


def test_all_arrays_that_are_missing_are_named(archive):
    zipfile.ZipFile(archive.file, "w").close()
    with pytest.raises(ValueError, match=f"lacks {', '.join(archive.arrays)}. {archive.how}"):
        archive.load(archive.file)


@pytest.mark.parametrize(
    ("make", "name", "change", "came"),
    [
        (expressions, "images", lambda a: a / 255, r"images \(20, 8, 6\) of float64"),
        (expressions, "images", lambda a: a.reshape(20, -1), r"images \(20, 48\) of uint8"),
        (expressions, "images", lambda a: a[1:], r"images \(19, 8, 6\) of uint8"),
        (expressions, "expression", lambda a: a[:-1], r"expression \(19,\) of <U9"),
        (expressions, "expression", lambda a: np.arange(20), r"expression \(20,\) of int64"),
        (expressions, "subject", lambda a: a[:, None], r"subject \(20, 1\) of int64"),
        (expressions, "subject", lambda a: a.astype(str), r"subject \(20,\) of <U21"),
        (dsprites, "imgs", lambda a: a[:, 0], r"imgs \(20, 8\) of uint8"),
        (dsprites, "imgs", lambda a: a[:, 1:], r"imgs \(20, 7, 8\) of uint8"),
        (dsprites, "imgs", lambda a: a.astype(np.float32), r"imgs \(20, 8, 8\) of float32"),
        (dsprites, "latents_classes", lambda a: a[:-1], r"latents_classes \(19, 6\) of int64"),
        (dsprites, "latents_classes", lambda a: a + 0.0, r"latents_classes \(20, 6\) of float64"),
        (dsprites, "latents_values", lambda a: a[:, 1:], r"latents_values \(20, 5\) of float64"),
        (dsprites, "latents_values", lambda a: a.astype(str), r"latents_values \(20, 6\) of <U"),
    ],
)
def test_arrays_of_another_shape_or_type_are_refused(tmp_path, make, name, change, came):
    archive = make()
    file = tmp_path / archive.name
    np.savez(file, **{**archive.arrays, name: change(archive.arrays[name])})
    with pytest.raises(ValueError, match=rf"{archive.name} holds .*{came}.*{archive.how}"):
        archive.load(file)
