"""A torch data set is read once, into arrays."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from sklearn_thin import ExogenousEncoder
from tests.helpers import SMALL, small


class Pairs(Dataset):
    """A data set of a user, that counts how often it is asked."""

    def __init__(self, X, y=None, convert=np.asarray):
        self.X, self.y, self.convert, self.asked = X, y, convert, 0

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        self.asked += 1
        x = self.convert(self.X[i])
        return x if self.y is None else (x, self.y[i])


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_a_data_set_is_read_once_and_learned_like_its_arrays(dtype, convert, rows, in_files):
    X, y = (255 * rows[0]).astype(dtype).reshape(-1, 8, 8), rows[1]
    clf = small(max_epochs=3).fit(X, y)
    files = in_files()
    pairs = Pairs(X, torch.tensor(y), convert)
    other = small(max_epochs=3).fit(pairs)
    assert pairs.asked == len(X)
    assert files.called
    assert other.classes_.dtype == clf.classes_.dtype
    for images in (Pairs(X, convert=convert), pairs):
        np.testing.assert_array_equal(other.predict_proba(images), clf.predict_proba(X))
    assert other.score(pairs) == clf.score(X, y)
    named = np.where(y % 2, "odd", "even")
    assert small().fit(pairs, named).classes_.tolist() == ["even", "odd"]


def test_a_data_set_teaches_an_encoder_and_may_be_held_out(rows):
    X, y, z = rows
    encoder = ExogenousEncoder(SMALL, max_epochs=2, random_state=0)
    clf = small(encoder).fit(Pairs(X, y), exogenous_target=z, X_val=Pairs(X, y))
    expected = small(encoder).fit(X, y, exogenous_target=z, X_val=X, y_val=y)
    assert "valid_loss" in clf.history_[-1]
    alone = TensorDataset(torch.tensor(X))
    np.testing.assert_array_equal(clf.predict_proba(alone), expected.predict_proba(X))
    small().partial_fit(Pairs(X, y))
    np.testing.assert_array_equal(
        encoder.fit(Pairs(X, z)).transform(X), encoder.transform(Pairs(X))
    )


class Endless(IterableDataset):
    def __iter__(self):
        yield from ()


def as_it_is(x):
    return x


UNREADABLE = {
    "endless": (Endless(), TypeError, "must have a length.* got Endless"),
    "empty": (Pairs(np.ones((0, 4)), np.ones(0)), ValueError, "Pairs has no items"),
    "lists": (Pairs([[1, 2]], [0], list), TypeError, r"but item 0 is \(list, int\)$"),
    "pictures": (Pairs([Image.new("L", (4, 4))], [0], as_it_is), TypeError, "PILToTensor"),
    "shapes": (Pairs([np.ones(3), np.ones(2)], [0, 1]), ValueError, r"item 1 has shape \(2,\)"),
    "types": (Pairs([np.ones(3), np.ones(3, int)], [0, 1]), ValueError, "item 1 .* type int64"),
    "complex": (Pairs(np.ones((2, 3), complex), [0, 1]), TypeError, "real numbers.* complex128"),
    "one-hot": (Pairs(np.ones((2, 3)), np.eye(2)), ValueError, r"single values.* shape \(2,\)"),
    "no labels": (Pairs(np.ones((4, 4))), ValueError, "requires y to be passed"),
}


@pytest.mark.parametrize(("data", "error", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_data_set_that_cannot_be_read_is_refused(data, error, message):
    with pytest.raises(error, match=message):
        small().fit(data)
