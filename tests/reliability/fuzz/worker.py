"""Fuzz kinds of files: ``python worker.py KIND:CASES ... --seeds FOLDER --work FOLDER [--engine atheris]``.

Appends one JSON line per case to ``WORK/KIND.jsonl``, before and after reading, so that a crash names its case.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import shutil
import sys
import warnings
from pathlib import Path

import torch
from hostile import HOSTILE
from mutations import mutate
from observation import Observation, Observer

if "atheris" in sys.argv:
    import atheris

    with atheris.instrument_imports(include=["ganmc_lightning.io", "ganmc_lightning.data", "ganmc_lightning.runs"]):
        from readers import READERS
else:
    from readers import READERS

CHOOSY = ("checkpoint", "safetensors", "onnx", "npz", "result")
"""Kinds with files for several readers, of which one is chosen at random, so that valid files may be refused."""


class Campaign:
    """Cases of one kind."""

    def __init__(self, arguments: argparse.Namespace, kind: str) -> None:
        self.kind, self.seeds, self.work = kind, arguments.seeds.resolve(), arguments.work.resolve()
        self.files = sorted(file for file in (self.seeds / self.kind).iterdir())
        self.observer = Observer(self.work)
        self.log = (self.work / f"{self.kind}.jsonl").open("a", buffering=1)
        self.made: dict[str, tuple[str, bytes]] = {}
        self.canary = self.work / "canary"

    def run(self, number: int, seed: int) -> None:
        """Make one file by mutation, or every tenth time by one of the hostile files, and read it."""
        random_ = random.Random(f"{self.kind} {seed} {number}")
        hostile = HOSTILE.get(self.kind, ())
        if hostile and number % 10 == 0:
            make = hostile[number // 10 % len(hostile)]
            folder, kept = self.folder(), self.made.get(make.__name__)
            if kept is None:
                path = make(folder, self.canary, self.seeds)
                if path.is_file() and not path.is_symlink():  # kept, because bombs take seconds to compress
                    self.made[make.__name__] = path.name, path.read_bytes()
            else:
                path = folder / kept[0]
                path.write_bytes(kept[1])
            self.read(number, path, random_, make.__name__)
            return
        if number % 20 == 1:
            source = self.files[number // 20 % len(self.files)]
            self.read_content(number, source.name, source.read_bytes(), random_, "valid")
            return
        source, other = random_.choice(self.files), random_.choice(self.files)
        self.read_content(number, source.name, mutate(source.read_bytes(), random_, other.read_bytes()), random_)

    def read_content(
        self, number: int, name: str, content: bytes, random_: random.Random, origin: str = "mutation"
    ) -> None:
        """Write a file and read it."""
        path = self.folder() / name
        path.write_bytes(content)
        self.read(number, path, random_, origin)

    def folder(self) -> Path:
        """Return a new folder for the file; images are in a class folder beside valid ones."""
        shutil.rmtree(self.work / "case", ignore_errors=True)
        folder = self.work / "case" / "photos" / "cat"
        folder.mkdir(parents=True)
        if self.kind == "image":
            (folder.parent / "dog").mkdir()
            for k in range(5):
                for name in ("dog", "cat"):
                    shutil.copy(self.seeds / "image" / "rgb.png", folder.parent / name / f"valid{k}.png")
        return folder

    def read(self, number: int, path: Path, random_: random.Random, origin: str) -> Observation:
        """Read a file and record what happened."""
        out = self.work / "case" / "out"
        out.mkdir()
        self.log.write(json.dumps({"case": number, "origin": origin}) + "\n")
        size = path.stat().st_size if path.is_file() else 0
        torch.manual_seed(0)
        found = self.observer.observe(lambda: READERS[self.kind](path, out, self.seeds, random_), size)
        if self.canary.exists():
            self.canary.unlink()
            found = Observation("code executed", origin)
        if origin == "valid" and found.outcome == "refused" and self.kind not in CHOOSY:
            found = found._replace(outcome="valid file refused")
        record = {"case": number, "outcome": found.outcome, "memory": found.memory, "size": size}
        detail = {} if found.outcome == "accepted" else {"detail": f"{origin}: {found.detail}"}
        self.log.write(json.dumps(record | detail) + "\n")
        if found.outcome not in ("accepted", "refused"):
            kept = self.work / "failures" / f"{self.kind}-{number}"
            shutil.rmtree(kept, ignore_errors=True)
            kept.parent.mkdir(exist_ok=True)
            shutil.copytree(self.work / "case", kept, symlinks=True, ignore=_ignore_special)
        return found


def _ignore_special(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not (Path(folder, name).is_file() or Path(folder, name).is_dir())]


def run_hypothesis(campaign: Campaign, cases: int, seed: int) -> None:
    """Read files whose contents hypothesis generates."""
    import hypothesis
    from structured import contents

    strategy, random_, counter = contents(campaign.kind, campaign.seeds), random.Random(seed), iter(range(10**9))

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=cases, database=None, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(strategy)
    def read(file: tuple[str, bytes]) -> None:
        campaign.read_content(next(counter), *file, random_)

    read()


def run_atheris(campaign: Campaign, cases: int, seed: int) -> None:
    """Let libFuzzer's mutations drive the readers, guided by the coverage of this package."""
    random_ = random.Random(seed)
    names = [file.name for file in campaign.files]
    counter = iter(range(10**9, 2 * 10**9))

    def read(content: bytes) -> None:
        campaign.read_content(next(counter), random_.choice(names), content, random_)

    options = [f"-atheris_runs={cases}", f"-seed={seed + 1}", "-max_len=65536", "-rss_limit_mb=0", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options, str(campaign.seeds / campaign.kind)], read)
    atheris.Fuzz()


def run_kind(arguments: argparse.Namespace, kind: str, start: int) -> None:
    """Read the cases of one kind from ``start`` on, in this process."""
    campaign = Campaign(arguments, kind)
    if arguments.engine != "mutations":
        run = run_atheris if arguments.engine == "atheris" else run_hypothesis
        run(campaign, arguments.cases, arguments.seed)
        return
    for number in range(start, arguments.cases):
        campaign.run(number, arguments.seed)


def run_in_child(arguments: argparse.Namespace, kind: str) -> None:
    """Run one kind in a child process; after a crash, continue behind its case in a new one."""
    start = 0
    while True:
        child = os.fork()
        if child == 0:
            run_kind(arguments, kind, start)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        log = arguments.work / f"{kind}.jsonl"
        last = json.loads(log.read_text().splitlines()[-1])
        if status == 0 or "outcome" in last:
            return
        crash = {"case": last["case"], "outcome": "crash", "memory": 0, "size": 0, "detail": f"{last}: status {status}"}
        with log.open("a") as file:
            file.write(json.dumps(crash) + "\n")
        start = last["case"] + 1
        if arguments.engine != "mutations":
            return


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kinds", nargs="+", metavar="KIND:CASES", help=f"kinds of files: {', '.join(READERS)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=Path, required=True, help="folder of seeds.py")
    parser.add_argument("--work", type=Path, required=True, help="folder of the cases and their outcomes")
    parser.add_argument("--engine", choices=("mutations", "hypothesis", "atheris"), default="mutations")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    for text in arguments.kinds:
        kind, arguments.cases = text.partition(":")[0], int(text.partition(":")[2])
        run_in_child(arguments, kind)


if __name__ == "__main__":
    main()
