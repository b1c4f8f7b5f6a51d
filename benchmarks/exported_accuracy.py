"""Accuracy and latency of exported ONNX files of a classifier on the test images of an ``.npz`` file.

python -m benchmarks.exported_accuracy DATA.npz FILE.onnx ...
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("files", nargs="+", type=Path)
    arguments = parser.parse_args()
    with np.load(arguments.data) as data:
        images, labels = data["test_images"].transpose(0, 3, 1, 2), data["test_labels"]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    for file in arguments.files:
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        uint8 = session.get_inputs()[0].type == "tensor(uint8)"
        inputs = images if uint8 else images.astype(np.float32) / 127.5 - 1
        correct = sum(
            int((_run(session, inputs[i : i + 64]).argmax(axis=1) == labels[i : i + 64]).sum())
            for i in range(0, len(labels), 64)
        )
        latency = {n: 1000 * median(_seconds(session, inputs[:n]) for _ in range(50)) for n in (1, 64)}
        times = ", ".join(f"{value:.2f} ms at batch {n}" for n, value in latency.items())
        print(f"{file}: accuracy {correct / len(labels):.4f}, {file.stat().st_size:,} bytes, {times}")


def _run(session: onnxruntime.InferenceSession, inputs: np.ndarray) -> np.ndarray:
    output: np.ndarray = session.run(None, {session.get_inputs()[0].name: inputs})[0]
    return output


def _seconds(session: onnxruntime.InferenceSession, inputs: np.ndarray) -> float:
    started = time.perf_counter()
    _run(session, inputs)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
