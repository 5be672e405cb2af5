"""The notebooks of the lab: one source makes the students' sheet and the sheet with solutions.

`python docs/lab/notebooks.py FOLDER` writes `lab.ipynb` and `lab_solutions.ipynb`, which hold no
output. It needs jupytext. The build of the site runs it.
"""

import re
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("lab.py")
SOLUTION = re.compile(r'\n*^# %% tags=\["solution"\]\n.*?(?=\n+^# %%|\Z)', re.DOTALL | re.MULTILINE)


def student_sheet(source):
    """The source, with an empty cell in place of each solution."""
    return SOLUTION.sub("\n\n# %%\n# Your code.", source)


def write(folder):
    """Both notebooks, in a new or existing folder."""
    import jupytext

    source = SOURCE.read_text(encoding="utf-8")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("lab", student_sheet(source)), ("lab_solutions", source)):
        jupytext.write(jupytext.reads(text, fmt="py:percent"), folder / f"{name}.ipynb")


if __name__ == "__main__":
    write(sys.argv[1])
