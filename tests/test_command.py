"""How commands end: a status and a message that names what is wrong; no traceback for a mistake."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.job import environment
from werp.command import run
from werp.dedup.belt import SeatBeltError
from werp.errors import WerpError


def ended(
    command: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    monkeypatch.setattr("sys.argv", ["job"])
    with pytest.raises(SystemExit) as caught:
        run("job", command)  # type: ignore[arg-type]
    return int(caught.value.code or 0), capsys.readouterr().err


def test_each_error_has_its_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fine() -> None:
        pass

    def mistake() -> None:
        raise WerpError("--input x: no such file")

    def alarm() -> None:
        raise SeatBeltError("too much")

    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/lake/out")

    assert ended(fine, monkeypatch, capsys) == (0, "")
    assert ended(mistake, monkeypatch, capsys) == (2, "job: --input x: no such file\n")
    assert ended(alarm, monkeypatch, capsys) == (3, "job: too much\n")
    code, said = ended(full, monkeypatch, capsys)
    assert (code, said.startswith("job: /lake/out: No space left on device; ")) == (2, True)


def test_a_damaged_table_is_named_and_a_bug_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.parquet").write_text("x")

    def damaged() -> None:
        pq.read_table(tmp_path / "a.parquet")

    def bug() -> None:
        raise ValueError("a bug")

    code, said = ended(damaged, monkeypatch, capsys)
    assert code == 2
    assert "a.parquet" in said
    assert said.endswith("the file is damaged, make it again\n")
    with pytest.raises(ValueError, match="a bug"):
        run("job", bug)


def test_a_signal_in_a_destructor_is_not_lost() -> None:
    program = """
import os, signal, time
from werp.command import run
class Late:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
def main():
    late = Late()
    del late
    time.sleep(20)
run("job", main)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, "job: ended by SIGINT\n")


def test_a_reader_that_has_enough_is_no_error() -> None:
    line = f"{sys.executable} -c 'from werp.cli import main; main()' schema | head -c 1"
    done = subprocess.run(["bash", "-c", line], env=environment(), capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("{", "")


def test_a_terminal_that_lacks_a_character_is_no_error() -> None:
    line = [sys.executable, "-m", "werp.cli", "recipe", "raw", "--set", "description=café 😀"]
    ascii_only = environment() | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(line, env=ascii_only, capture_output=True, text=True, check=True)
    assert "description: caf\\xe9 \\U0001f600" in done.stdout
