"""Files that are written whole or not at all."""

import os

import pytest

from skcalib._files import written_whole


def test_a_file_appears_when_all_is_written(tmp_path):
    path = tmp_path / "out.txt"
    with written_whole(path) as partial:
        partial.write_text("half")
        assert not path.exists()
        assert partial.parent == tmp_path
    assert path.read_text() == "half"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt])
def test_what_fails_leaves_the_old_file_and_nothing_beside_it(error, tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")

    def fail():
        with written_whole(path) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "plain.txt").write_text("")
    with written_whole(tmp_path / "out.txt") as partial:
        partial.write_text("")
    modes = {os.stat(path).st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_a_folder_is_not_replaced(tmp_path):
    with pytest.raises(OSError, match="is no file that could be replaced"), written_whole(tmp_path):
        pytest.fail("there is nothing to write to")


def test_of_two_writers_the_last_one_stays_whole(tmp_path):
    path = tmp_path / "out.txt"
    with written_whole(path) as one:
        one.write_text("one")
        with written_whole(path) as other:
            other.write_text("other")
        assert path.read_text() == "other"
    assert path.read_text() == "one"


def test_what_is_replaced_hands_on_its_permissions(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")
    path.chmod(0o640)
    with written_whole(path) as partial:
        partial.write_text("new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o640)


def test_a_file_that_nobody_may_write_is_not_replaced(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")
    path.chmod(0o444)
    with pytest.raises(PermissionError, match="read-only"), written_whole(path):
        pytest.fail("there is nothing to write to")
    assert path.read_text() == "old"


def test_errors_name_the_file_that_was_asked_for(tmp_path):
    path = tmp_path / "nowhere" / "out.txt"
    with pytest.raises(FileNotFoundError) as error, written_whole(path):
        pytest.fail("there is nothing to write to")
    assert error.value.filename == str(path)


def test_a_name_may_be_as_long_as_names_can_be(tmp_path):
    with written_whole(tmp_path / ("x" * 255)) as partial:
        partial.write_text("")
    assert [len(path.name) for path in tmp_path.iterdir()] == [255]
