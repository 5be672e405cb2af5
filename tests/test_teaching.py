"""The lab runs, its notebooks differ by the solutions alone, and the lecture quotes the results."""

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from tests.helpers import run_script

DOCS = Path(__file__).parents[1] / "docs"
LAB = (DOCS / "lab" / "lab.py").read_text(encoding="utf-8")
LECTURE = (DOCS / "lecture" / "index.md").read_text(encoding="utf-8")


def test_the_solutions_of_the_lab_pass_its_checks(monkeypatch):
    monkeypatch.setattr("sklearn_thin.inspection._report.models.STEPS", 200)
    printed = run_script(
        DOCS / "lab" / "lab.py",
        smaller={
            "max_epochs=30": "max_epochs=20",
            '"max_epochs": 10': '"max_epochs": 4',
            "z, random_state=0)": "z, n_splits=2, n_repeats=1, random_state=0)",
            "n_rows = [120, 400, 2000]": "n_rows = [400, 400, 2000]",
            '({"lr": 0.5}, {"depth": 5})': '({"lr": 0.5},)',
        },
    )
    assert "drift: gate" in printed


def test_the_students_sheet_has_the_checks_and_no_solution():
    spec = spec_from_file_location("notebooks", DOCS / "lab" / "notebooks.py")
    spec.loader.exec_module(notebooks := module_from_spec(spec))
    sheet = notebooks.student_sheet(LAB)
    compile(sheet, "sheet", "exec")
    assert sheet.count("# Your code.") == LAB.count('tags=["solution"]') == 8
    assert "solution" not in sheet
    assert "def " not in sheet
    assert re.findall("assert.*", sheet) == re.findall("assert.*", LAB)


def test_each_slide_has_notes_and_the_lecture_its_length():
    first, *slides = re.split(r"^## ", LECTURE, flags=re.MULTILINE)
    assert 25 <= len(slides) <= 35
    assert all(slide.count(":::{revealjs-notes}") == 1 for slide in (first, *slides))


def test_numbers_of_the_lecture_stand_in_the_results():
    results = (DOCS / "results.md").read_text(encoding="utf-8")
    quoted = re.findall(r"\d+\.\d+ ± \d+\.\d+", LECTURE)
    assert len(quoted) > 10
    assert [number for number in quoted if number not in results] == []


@pytest.mark.parametrize("option", ["start-after", "end-before"])
def test_tables_that_the_lecture_includes_are_there(option):
    guide = (DOCS / "choosing.md").read_text(encoding="utf-8")
    marks = re.findall(rf':{option}: "(.*)"', LECTURE)
    assert len(marks) == 2
    assert [guide.count(mark) for mark in marks] == [1, 1]


def test_figures_and_links_of_the_lecture_have_a_source():
    examples = re.findall(r"sphx_glr_(\w+?)_00\d_2_00x\.png", LECTURE)
    examples += re.findall(r"\.\./auto_examples/(\w+)\.html", LECTURE)
    assert len(examples) > 5
    assert all((DOCS.parent / "examples" / f"{name}.py").exists() for name in examples)
    pages = re.findall(r"href=\"\.\./(\w+)\.html", LECTURE)
    assert "teaching" in pages
    assert all((DOCS / f"{name}.md").exists() for name in pages)
