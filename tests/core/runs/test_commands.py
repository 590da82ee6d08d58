import os
import subprocess
import sys

import pytest

from landscope.runs import Command, RunWriter, open_run
from landscope.runs.commands import Inbox, send_command


def received(writer, wait, count):
    commands = []
    wait(lambda: commands.extend(writer.commands()) or len(commands) >= count)
    return commands


def test_each_command_is_handed_out_once_and_in_order(writer, wait):
    run = open_run(writer.path)
    assert writer.commands() == []
    assert [run.send("pause"), run.send("resume"), run.send("set-rate", lr=0.5, layers=[1, 2])] == [1, 2, 3]
    assert received(writer, wait, 3) == [
        Command(1, "pause", {}),
        Command(2, "resume", {}),
        Command(3, "set-rate", {"lr": 0.5, "layers": [1, 2]}),
    ]
    run.send("stop")
    assert received(writer, wait, 1) == [Command(4, "stop", {})]


def test_the_trainer_never_writes_commands_and_the_dashboard_never_the_run(writer, wait):
    run = open_run(writer.path)
    run.send("pause")
    content = (writer.path / "control.sqlite").read_bytes()
    received(writer, wait, 1)
    assert (writer.path / "control.sqlite").read_bytes() == content
    assert not (writer.path / "control.sqlite-journal").exists()


def test_commands_of_several_processes_all_arrive(writer, wait):
    program = (
        "import sys\nfrom landscope.runs import open_run\n"
        "run = open_run(sys.argv[1])\nfor n in range(20): run.send('note', sender=sys.argv[2], n=n)\n"
    )
    senders = [subprocess.Popen([sys.executable, "-c", program, writer.path, str(n)]) for n in range(3)]
    commands = received(writer, wait, 60)
    assert [sender.wait(30) for sender in senders] == [0, 0, 0]
    assert [command.seq for command in commands] == list(range(1, 61))
    for sender in range(3):
        assert [c.params["n"] for c in commands if c.params["sender"] == str(sender)] == list(range(20))


@pytest.mark.parametrize("kind", ["", "Pause", "rm -rf", "a" * 41, "x;y", "-x", "päuse", "a\n"])
def test_commands_are_lower_case_words(tmp_path, kind):
    with pytest.raises(ValueError, match="lower-case word"):
        send_command(tmp_path, kind, {})
    assert list(tmp_path.iterdir()) == []


def test_nobody_takes_commands_in_a_run_that_ended(tmp_path):
    with RunWriter.create(tmp_path, name="x") as writer:
        pass
    with pytest.raises(RuntimeError, match="has finished: nobody is there to pause it"):
        open_run(writer.path).send("pause")
    assert not (writer.path / "control.sqlite").exists()


def test_an_unreadable_file_of_commands_is_reported_once_and_tried_again(tmp_path, caplog):
    inbox = Inbox(tmp_path)
    (tmp_path / "control.sqlite").write_text("not a database" * 100)
    assert [inbox.poll(), inbox.poll()] == [[], []]
    assert len(caplog.records) == 1
    os.unlink(tmp_path / "control.sqlite")
    send_command(tmp_path, "pause", {})
    assert inbox.poll() == [Command(1, "pause", {})]
