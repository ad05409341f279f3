"""The command line as a user meets it: exit codes, one line a mistake, no traceback."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from hostile import COLOURS, MARKUP
from nbformat.v4 import new_code_cell, new_notebook
from pictures import write_tree
from PIL import Image

from tpsnet import cli
from tpsnet.cli import notebooks
from tpsnet.cli.commands import COMMANDS
from tpsnet.errors import InputError
from tpsnet.escape import printable


@pytest.fixture(autouse=True)
def fresh_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TPSNET_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def notebook(tmp_path):
    path = tmp_path / "small.ipynb"
    kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
    cells = [
        new_code_cell("epochs: int = 3\nrate: float = 0.5", metadata={"tags": ["parameters"]}),
        new_code_cell("print(epochs, rate)\nassert epochs"),
    ]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


@pytest.fixture
def pictures(tmp_path):
    """Two domains with two classes of two pictures each."""
    root = tmp_path / "pictures"
    for i, place in enumerate(f"{d}/{c}/{n}.png" for d in "ab" for c in ("cat", "dog") for n in "12"):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (i * 30, 0, 0)).save(root / place)
    return root


def complaint(capsys) -> str:
    """The last line on stderr; fails on a traceback."""
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error.rstrip("\n").splitlines()[-1]


def test_run_takes_parameters_in_both_ways(notebook, tmp_path):
    out = tmp_path / "out.ipynb"
    assert cli.main(["run", str(notebook), str(out), "-p", "epochs=7", "-p", "rate=1e-3"]) == 0
    nb = nbformat.read(out, as_version=4)
    assert nb.cells[-1].outputs[0].text == "7 0.001\n"


@pytest.mark.parametrize(
    ("given", "message"),
    [("epoch=3", "did you mean 'epochs'"), ("epochs=x", "must be int"), ("epochs", "write it as name=value")],
)
def test_a_wrong_parameter_ends_with_two_and_writes_nothing(notebook, tmp_path, capsys, given, message):
    out = tmp_path / "runs" / "out.ipynb"
    assert cli.main(["run", str(notebook), str(out), "-p", given]) == 2
    assert message in complaint(capsys)
    assert not out.parent.exists()


def test_a_failing_cell_ends_with_one(notebook, tmp_path, capsys):
    assert cli.main(["run", str(notebook), str(tmp_path / "out.ipynb"), "-p", "epochs=0"]) == 1
    assert "AssertionError" in complaint(capsys)


def test_prepare_counts(pictures, capsys):
    assert cli.main(["prepare", str(pictures), "--size", "16"]) == 0
    assert capsys.readouterr().out == "a: 4 images of 2 classes\nb: 4 images of 2 classes\n"


def test_prepare_refuses_a_disk_that_is_too_small_for_all_domains(pictures, tmp_path, capsys, monkeypatch):
    """There is room for either domain, and not for both: nothing is decoded."""
    one = 128 + 4 * 3 * 16**2
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=one + 100))
    assert cli.main(["prepare", str(pictures), "--size", "16"]) == 2
    assert f"needs 6.4 kB in {tmp_path}/cache, 3.3 kB are free" in complaint(capsys)
    assert not (tmp_path / "cache" / "pixels").exists()


def test_prepare_states_what_it_needs_where_that_is_much(pictures, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.modules["tpsnet.cli.prepare"], "TOLD", 1)
    assert cli.main(["prepare", str(pictures), "--size", "16"]) == 0
    stated = capsys.readouterr().out.splitlines()[0]
    assert stated.startswith(f"{pictures} needs 6.4 kB in {tmp_path}/cache, ") and stated.endswith("are free")
    assert cli.main(["prepare", str(pictures), "--size", "16"]) == 0
    assert "needs" not in capsys.readouterr().out


def test_prepare_checks_all_bytes(pictures, tmp_path, caplog):
    """A pixel of the cache is another."""
    line = ["prepare", str(pictures), "--size", "16"]
    assert cli.main(line) == 0
    file = min((tmp_path / "cache/pixels").glob("*.npy"))
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert cli.main([*line, "--check"]) == 0
    assert f"{file}: its pixels are damaged; decoding anew" in caplog.text and file.read_bytes() == whole


def test_prepare_names_every_unreadable_picture(pictures, caplog, capsys):
    (pictures / "a/cat/1.png").write_bytes(b"broken")
    Image.new("RGB", (1, 1)).save(pictures / "b/dog/2.png")
    assert cli.main(["prepare", str(pictures), "--size", "16"]) == 2
    assert "a/cat/1.png" in caplog.text and "b/dog/2.png" in caplog.text
    assert "2 images cannot be used" in complaint(capsys)


def test_unreadable_pictures_are_named_one_a_line_whatever_they_are_called(pictures):
    """In a real process, as the terminal gets it; one of the names is no UTF-8."""
    names = (f"{COLOURS}.png", "\udce9.png")
    (pictures / "b").rename(pictures / COLOURS)
    for name in names:
        (pictures / COLOURS / "cat" / name).write_bytes(b"broken")
    command = [sys.executable, "-m", "tpsnet.cli", "prepare", str(pictures), "--size", "16"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "\x1b" not in done.stderr + done.stdout
    shown = printable(COLOURS)
    assert done.stdout.splitlines() == ["a: 4 images of 2 classes", f"{shown}: 4 images of 2 classes"]
    *skipped, counted, last = done.stderr.splitlines()
    assert [line.split("cat/")[1].split(": ")[0] for line in skipped] == [f"{shown}.png", r"\udce9.png"]
    assert counted == f"domain {shown}: 2 of 6 images skipped" and "2 images cannot be used" in last


def test_no_command_lets_a_name_act_on_the_terminal(tmp_path, small_clip, capsys):
    """Domains, classes, files and the run folder are called what would move a cursor."""
    classes, (first, second) = (MARKUP, COLOURS), (f"1{COLOURS}", f"2{COLOURS}")
    root = write_tree(tmp_path / COLOURS, {first: classes, second: classes}, each=2)
    run, image = str(tmp_path / f"run{COLOURS}"), str(root / first / COLOURS / "0.png")
    shown = printable(COLOURS)
    train = ["train", first, second, run, "--method", "Frozen", "--ks", "1"]
    for line, starts in (
        ([*train, "--root", str(root), "--model", small_clip], [f"1{shown} → 2{shown}  frozen CLIP"]),
        (["search", run, image, "-k", "2"], ["   1  ", "   2  "]),
        (["embed", run, str(root / first), f"{run}/e.safetensors"], ["wrote "]),
        (["report", run], ["wrote "]),
        (["shape", "few", f"{run}/few", "--root", str(root)], [f"1{shown}: ", f"2{shown}: "]),
        (["run", f"{run}.ipynb", f"{run}.out.ipynb"], []),
        (["search", run, f"{image}{COLOURS}"], []),
        (["train", first, COLOURS, run, "--root", str(root)], []),
    ):
        code = cli.main(line)
        out, err = capsys.readouterr()
        told = [*out.splitlines(), *err.splitlines()]
        assert told == list(map(printable, told)) == (out + err).split("\n")[:-1], line
        assert all(any(one.startswith(start) for one in told) for start in starts), (line, told)
        assert code == (0 if starts else 2), (line, told)
        assert bool(starts) or (len(told) == 1 and shown in told[0].replace("\\\\", "\\")), (line, told)


def test_prepare_takes_domains_and_passes_over_what_is_none(pictures, capsys, caplog):
    (pictures / "splits").mkdir()
    (pictures / "splits" / "a.txt").touch()
    (pictures / "__MACOSX" / "a").mkdir(parents=True)
    assert cli.main(["prepare", str(pictures), "--size", "16"]) == 0
    assert capsys.readouterr().out.count("4 images of 2 classes") == 2
    assert [
        r.getMessage() for r in caplog.records if "splits" in r.getMessage()
    ] and "MACOSX" not in caplog.text
    caplog.clear()
    assert cli.main(["prepare", str(pictures), "b", "--size", "16"]) == 0
    assert capsys.readouterr().out == "b: 4 images of 2 classes\n" and not caplog.records
    assert cli.main(["prepare", str(pictures), "b", "c", "--size", "16"]) == 2
    assert "no domain 'c'" in complaint(capsys)


def test_classes_spelt_in_two_ways_are_told_refused_or_mended(pictures, tmp_path, capsys, caplog):
    (pictures / "b" / "cat").rename(pictures / "b" / "Cats")
    line = ["prepare", str(pictures), "--size", "16"]
    assert cli.main(line) == 0 and "'Cats' in b and 'cat' in a" in caplog.text
    assert cli.main([*line, "--strict"]) == 2
    assert "'Cats' in b and 'cat' in a), which leaves 4 images" in complaint(capsys)
    (tmp_path / "names.txt").write_text("Cats = cat\n")
    caplog.clear()
    assert cli.main([*line, "--strict", "--classes", str(tmp_path / "names.txt")]) == 0 and not caplog.records
    shape = ["shape", "few", str(tmp_path / "few"), "--root", str(pictures)]
    assert cli.main([*shape, "--classes", str(tmp_path / "names.txt")]) == 0
    assert sorted(p.name for p in (tmp_path / "few" / "b").iterdir()) == ["cat", "dog"]


@pytest.mark.parametrize(
    "arguments",
    [["prepare", "absent"], ["prepare", "{}", "--size", "0"], ["train", "a", "b", ""]],  # an unset variable
)
def test_bad_input_is_one_line_and_two(tmp_path, arguments):
    """In a real process, as the shell sees it."""
    line = [a.format(tmp_path) for a in arguments]
    done = subprocess.run([sys.executable, "-m", "tpsnet.cli", *line], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("tpsnet: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["fly"], ["run"], ["prepare", "x", "--size", "big"]])
def test_usage_errors_end_with_two(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2


def test_an_interrupt_ends_with_130(notebook, tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(notebooks, "run_notebook", interrupted)
    assert cli.main(["run", str(notebook), str(tmp_path / "out.ipynb")]) == 130
    assert complaint(capsys) == "tpsnet: interrupted"


def test_a_slip_in_a_parameter_is_told_before_anything_heavy_is_imported(notebook, tmp_path):
    program = (
        "import sys\nfrom tpsnet.cli import main\ncode = main(sys.argv[1:])\n"
        "print(code, [m for m in ('torch', 'papermill', 'nbformat') if m in sys.modules])"
    )
    arguments = ["run", str(notebook), str(tmp_path / "out.ipynb"), "-p", "epoch=3"]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
    assert done.stdout == "2 []\n", done.stdout + done.stderr
    assert "no parameter 'epoch'" in done.stderr


def test_the_installation_is_checked_before_the_command(monkeypatch, capsys, tmp_path):
    def broken():
        raise InputError("two faiss")

    monkeypatch.setattr(cli, "check_installation", broken)
    assert cli.main(["prepare", str(tmp_path / "absent")]) == 2
    assert complaint(capsys) == "tpsnet: two faiss"


def test_all_commands_are_listed(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    shown = capsys.readouterr().out
    assert caught.value.code == 0 and all(name in shown for name in COMMANDS)


def test_searching_imports_no_notebook_tools():
    """They take seconds, and a search should not."""
    code = "import sys, tpsnet.cli.use; print({'papermill', 'nbformat', 'plotly', 'umap'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stdout + done.stderr


def test_the_start_up_check_comes_before_the_heavy_imports():
    """Else a broken torchvision would be a traceback from an import."""
    heavy = {"torchvision", "open_clip", "faiss"}
    code = f"import sys, tpsnet.cli; print({heavy} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent
    )
    assert done.stdout == "set()\n"
