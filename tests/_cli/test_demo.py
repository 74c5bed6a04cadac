import re
import subprocess
import sys

import pytest

import skcalib
from skcalib._cli import main


def figures(table):
    """Log loss, Brier and ECE of each printed row, in order: before and after for each model."""
    rows = [line for line in table.splitlines() if " before " in line or " after " in line]
    return [[float(x) for x in re.findall(r"\d+\.\d{3}", row)[:3]] for row in rows]


def test_the_demo_improves_every_figure_of_both_models_and_says_where_the_picture_is(
    tmp_path, capsys
):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "demo.png"
    assert main(["demo", "--output", str(picture)]) == 0
    printed = capsys.readouterr().out
    before_language_model, after_language_model, before_forest, after_forest = figures(printed)
    assert all(a < b for a, b in zip(after_language_model, before_language_model, strict=True))
    assert all(a < b for a, b in zip(after_forest, before_forest, strict=True))
    # The data set's own record: log loss 1.6687 before and 1.0051 after (at maximum likelihood).
    assert before_language_model[0] == 1.669
    assert after_language_model[0] == pytest.approx(1.005, abs=0.001)
    assert str(picture) in printed
    assert picture.read_bytes()[1:4] == b"PNG"


def test_a_picture_that_cannot_be_written_is_one_line_and_exit_status_2(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    nowhere = tmp_path / "missing" / "demo.png"
    assert main(["demo", "--output", str(nowhere)]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith(f"skcalib demo: cannot write {nowhere}")
    assert complaint.count("\n") == 1


def test_without_matplotlib_the_table_is_printed_and_the_way_out_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["demo"]) == 0
    printed = capsys.readouterr()
    assert len(figures(printed.out)) == 4
    assert "pip install skcalib[plot]" in printed.err


def test_python_m_skcalib_runs_the_command_line():
    command = [sys.executable, "-m", "skcalib", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"skcalib {skcalib.__version__}\n"


def test_no_command_is_a_usage_error():
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
