"""Long runs: nothing grows, threads predict the same bits at once, and forks do not hang."""

import sys

import pytest

from tests.helpers import run_python

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads /proc")


def test_threads_predict_the_same_bits_while_another_estimator_is_fitted():
    from tests.reliability.running import Models, threads

    assert threads(Models(), 48, while_fitting=True) == 48


@pytest.mark.long
def test_long_runs_end_as_promised():
    done = run_python("-m", "tests.reliability.running")
    assert done.returncode == 0, done.stdout + done.stderr
