import pytest

from landscope.runs import RunWriter, discard, erase, list_runs, open_run, restore, trashed


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
        with pytest.raises(FileNotFoundError):
            erase(name, tmp_path)
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


def test_a_run_in_the_trash_is_deleted_for_good_and_no_other(tmp_path, ended):
    with pytest.raises(FileNotFoundError, match=f"no run '{ended}'"):
        erase(ended, tmp_path)
    assert trashed(tmp_path) == []
    folder = discard(ended, tmp_path)
    (folder.parent / "damaged").mkdir()
    assert {run.id for run in trashed(tmp_path)} == {ended, "damaged"}
    erase(ended, tmp_path)
    assert not folder.exists()
    erase("damaged", tmp_path)
    assert trashed(tmp_path) == []


def test_links_in_the_trash_are_not_followed(tmp_path, ended):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    trash = tmp_path / "runs" / ".trash"
    trash.mkdir(parents=True)
    (trash / "linked").symlink_to(elsewhere)
    with pytest.raises(FileNotFoundError, match="only a link"):
        erase("linked", tmp_path / "runs")
    (trash / "linked").unlink()
    trash.rmdir()
    trash.symlink_to(tmp_path)
    with pytest.raises(OSError, match="is a link"):
        erase(ended, tmp_path / "runs")
    assert open_run(ended, tmp_path).id == ended
