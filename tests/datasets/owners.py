"""Files of data sets in small, as their owners give them out."""

import bz2
import io
import struct
import wave

import numpy as np

from sklearn_thin.datasets import (
    _emg,
    _spoken,
    _uci,
    _vowels,
    fetch_emg_gestures,
    fetch_heart_sites,
    fetch_hydraulic,
    fetch_nz_vowels,
    fetch_spoken_digits,
    fetch_wine_quality,
)

HEART = {
    "processed.cleveland.data": "63.0,1.0,1.0,145.0,233.0,1.0,2.0,150.0,0.0,2.3,3.0,0.0,6.0,0\n"
    "67.0,1.0,4.0,160.0,286.0,0.0,2.0,108.0,1.0,1.5,2.0,3.0,?,2\n",
    "processed.hungarian.data": "28,1,2,130,132,0,2,185,0,0,?,?,?,0\n",
    "processed.switzerland.data": "32,1,1,95,0,?,0,127,0,.7,1,?,?,1\n",
    "processed.va.data": "63,1,4,140,260,0,1,112,1,3,2,?,?,4\n",
    "heart-disease.names": "not read",
}
HEADER = ";".join(f'"{name}"' for name in (*_uci.WINE_FEATURES, "quality"))
WINE = {
    "winequality-red.csv": f"{HEADER}\n7.4;0.7;0;1.9;0.076;11;34;0.9978;3.51;0.56;9.4;5\n"
    "7.8;0.88;0;2.6;0.098;25;67;0.9968;3.2;0.68;9.8;6\n"
    "7.4;0.7;0;1.9;0.076;11;34;0.9978;3.51;0.56;9.4;5\n",
    "winequality-white.csv": f"{HEADER}\n7;0.27;0.36;20.7;0.045;45;170;1.001;3;0.45;8.8;9\n",
}
HYDRAULIC = {
    **{
        f"{name}.txt": "".join(f"{place}.5\t{place}.25\t{row}\n" for row in range(4))
        for place, name in enumerate(_uci.SENSORS)
    },
    "profile.txt": "3\t100\t0\t130\t1\n3\t100\t0\t130\t0\n3\t90\t0\t130\t0\n20\t90\t1\t90\t0\n",
    "PS1.txt": "not read",
}


def recording(seed, n_samples=120):
    """The int16 samples (n, 8) of an arm band."""
    return np.random.RandomState(seed).randint(-128, 128, (n_samples, 8)).astype("<i2")


def emg():
    """Recordings of one person with three sessions, of another one, and of a copy of the first."""
    files = {"README.md": b"not read", "EvaluationDataset/Female0/experiment.csv": b"not read"}
    for place, session in enumerate(("Test0", "Test1", "training0")):
        for number in (0, 2, 10):
            name = f"EvaluationDataset/Female0/{session}/classe_{number}.dat"
            files[name] = recording(100 * place + number).tobytes()
    for number in (0, 2, 10):
        folder = f"PreTrainingDataset/Female7/training0/classe_{number}.dat"
        files[folder] = files[f"EvaluationDataset/Female0/training0/classe_{number}.dat"]
    files["PreTrainingDataset/Male0/training0/classe_27.dat"] = recording(99, 52).tobytes()
    return files


def tone(hertz, n_samples, amplitude=0.5):
    """A recording of one tone, in the bytes of a file."""
    sound = amplitude * np.sin(2 * np.pi * hertz / 8000 * np.arange(n_samples))
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(8000)
        written.writeframes(np.round(sound * 2**15).astype("<i2").tobytes())
    return file.getvalue()


SPOKEN = {
    "recordings/0_george_0.wav": tone(0, 1200),
    "recordings/0_george_12.wav": tone(1250, 2400),
    "recordings/0_george_5.wav": tone(1250, 4000, amplitude=0.25),
    "recordings/7_theo_49.wav": tone(3000, 4000),
    "README.md": b"not read",
}


class Written:
    """Items of R's binary format."""

    def __init__(self):
        self.symbols = []

    def numbers(self, kind, letter, values, flags=0):
        return struct.pack(f">ii{len(values)}{letter}", kind | flags, len(values), *values)

    def text(self, text):
        if text is None:
            return struct.pack(">ii", 9, -1)
        return struct.pack(">ii", 0x40009, len(text)) + text.encode()

    def texts(self, texts):
        return struct.pack(">ii", 16, len(texts)) + b"".join(map(self.text, texts))

    def symbol(self, name):
        if name in self.symbols:
            return struct.pack(">i", (self.symbols.index(name) + 1) << 8 | 255)
        self.symbols.append(name)
        return struct.pack(">i", 1) + self.text(name)

    def pairs(self, **items):
        """Items are functions, because a symbol is written once, at its first place."""
        parts = [
            struct.pack(">i", 0x402) + self.symbol(name) + item() for name, item in items.items()
        ]
        return b"".join(parts) + struct.pack(">i", 254)

    def factor(self, codes, levels):
        return self.numbers(13, "i", codes, 0x300) + self.pairs(
            levels=lambda: self.texts(levels),
            **{"class": lambda: self.texts(["factor"])},
        )

    def frame(self, **columns):
        n_rows = 4
        content = struct.pack(">ii", 19 | 0x300, len(columns))
        content += b"".join(column() for column in columns.values())
        return content + self.pairs(
            **{
                "class": lambda: self.texts(["tbl_df", "data.frame"]),
                "row.names": lambda: self.numbers(13, "i", [-(2**31), -n_rows]),
            },
            names=lambda: self.texts(list(columns)),
        )


def vowels():
    """A frame with a missing amplitude, a missing text, integers with a missing one, factors."""
    r = Written()
    content = r.pairs(
        qb_vowels=lambda: r.frame(
            speaker=lambda: r.texts(["QB_2", "QB_1", "QB_2", "QB_1"]),
            vowel=lambda: r.texts(["GOOSE", "DRESS", "DRESS", "KIT"]),
            F1_50=lambda: r.numbers(13, "i", [427, 440, 450, 500]),
            F2_50=lambda: r.numbers(13, "i", [2050, 1900, 1800, -(2**31)]),
            participant_gender=lambda: r.factor([2, 1, 2, 1], ["F", "M"]),
            word=lambda: r.texts(["one", None, "two", "three"]),
            following=lambda: r.factor([2, 1, 2, 1], ["labial", "velar"]),
            vowel_duration=lambda: r.numbers(14, "d", [0.09, 0.1, 0.2, 0.3]),
            articulation_rate=lambda: r.numbers(14, "d", [4, 5, 6, 7]),
            amplitude=lambda: r.numbers(14, "d", [71.5, 60, float("nan"), 62]),
        )
    )
    return bz2.compress(b"RDX2\nX\n" + struct.pack(">iii", 2, 0x40201, 0x20300) + content)


OWNERS = {  # the module, its file, the reader, and the content of the file in small
    "heart": (_uci, "HEART", fetch_heart_sites, HEART),
    "wine": (_uci, "WINE", fetch_wine_quality, WINE),
    "hydraulic": (_uci, "HYDRAULIC", fetch_hydraulic, HYDRAULIC),
    "emg": (_emg, "EMG", fetch_emg_gestures, emg()),
    "spoken": (_spoken, "SPOKEN", fetch_spoken_digits, SPOKEN),
    "vowels": (_vowels, "VOWELS", fetch_nz_vowels, vowels()),
}
