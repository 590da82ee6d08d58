import pytest

from landscope.runs import RunWriter, discard, list_runs, open_run, restore


@pytest.fixture
def ended(tmp_path):
    with RunWriter.create(tmp_path, name="one") as made:
        made.scalars(3, {"loss": 1.5})
    return made.id


def test_a_run_goes_to_the_trash_and_comes_back_whole(tmp_path, ended):
    folder = discard(ended, tmp_path)
    assert folder == tmp_path / ".trash" / ended
    assert list_runs(tmp_path) == []
    assert open_run(folder).scalars("loss")[1].tolist() == [1.5]
    assert restore(ended, tmp_path) == tmp_path / ended
    assert [run.id for run in list_runs(tmp_path)] == [ended]
    assert open_run(ended, tmp_path).scalars("loss")[1].tolist() == [1.5]


def test_a_run_that_is_written_is_kept(tmp_path):
    with RunWriter.create(tmp_path, name="live") as made:
        with pytest.raises(RuntimeError, match=f"run {made.id} is running: stop it"):
            discard(made.id, tmp_path)
        assert (tmp_path / made.id).is_dir()


def test_nothing_outside_of_the_folder_is_moved(tmp_path, ended):
    for name in ("../one", "nobody", ".trash", f"x/{ended}", ""):
        with pytest.raises(FileNotFoundError):
            discard(name, tmp_path)
        with pytest.raises(FileNotFoundError):
            restore(name, tmp_path)
    assert open_run(ended, tmp_path).id == ended


def test_neither_way_replaces_another_run(tmp_path, ended):
    (tmp_path / ".trash" / ended).mkdir(parents=True)
    with pytest.raises(FileExistsError, match="is there already"):
        discard(ended, tmp_path)
    (tmp_path / ".trash" / ended).rmdir()
    discard(ended, tmp_path)
    (tmp_path / ended).mkdir()
    with pytest.raises(FileExistsError, match="is there already"):
        restore(ended, tmp_path)
