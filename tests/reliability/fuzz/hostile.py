"""Files that no random mutation finds: pickles that run code, claims of terabytes, bombs, pipes, devices and loops."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mutations import Canary, canary_pickle

Maker = Callable[[Path, Path, Path], Path]
"""Function of a folder, the canary and the seeds that writes a file and returns its path."""


def pickled_checkpoint(folder: Path, canary: Path, seeds: Path) -> Path:
    return _write(folder / "x.ckpt", canary_pickle(canary))


def zipped_pickle(folder: Path, canary: Path, seeds: Path) -> Path:
    torch.save({"state_dict": {"network.weight": Canary(canary)}, "hyper_parameters": {}}, folder / "x.ckpt")
    return folder / "x.ckpt"


def checkpoint_bomb(folder: Path, canary: Path, seeds: Path) -> Path:
    """A checkpoint of 500 kB whose deflated weights have 512 MiB."""
    with zipfile.ZipFile(seeds / "checkpoint" / "teacher.ckpt") as source:
        members = {name: source.read(name) for name in source.namelist()}
    largest = max((name for name in members if "/data/" in name), key=lambda name: len(members[name]))
    members[largest] = bytes(2**29)
    return _zip(folder / "x.ckpt", members, zipfile.ZIP_DEFLATED)


def checkpoint_without_parts(folder: Path, canary: Path, seeds: Path) -> Path:
    torch.save({"state_dict": {}, "hyper_parameters": None, "trained_on": 3}, folder / "x.ckpt")
    return folder / "x.ckpt"


def recipe_of_a_large_network(folder: Path, canary: Path, seeds: Path) -> Path:
    """A recipe of a few bytes that builds a network of 40 GB."""
    content = torch.load(seeds / "checkpoint" / "teacher.ckpt", weights_only=True)
    content["hyper_parameters"]["network"]["init_args"]["hidden"] = [100_000, 100_000]
    torch.save(content, folder / "x.ckpt")
    return folder / "x.ckpt"


def recipe_of_a_command(folder: Path, canary: Path, seeds: Path) -> Path:
    content = torch.load(seeds / "checkpoint" / "teacher.ckpt", weights_only=True)
    content["hyper_parameters"]["network"] = {"class_path": "os.system", "init_args": {"command": f"touch {canary}"}}
    torch.save(content, folder / "x.ckpt")
    return folder / "x.ckpt"


def strided_weights(folder: Path, canary: Path, seeds: Path) -> Path:
    """Weights of terabytes in 4 bytes, by strides of 0."""
    torch.save({"state_dict": {"network.weight": torch.zeros(1).expand(10**6, 10**6)}}, folder / "x.ckpt")
    return folder / "x.ckpt"


def safetensors_header(folder: Path, canary: Path, seeds: Path) -> Path:
    header = json.dumps({"weight": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    return _write(folder / "x.safetensors", struct.pack("<Q", len(header)) + header)


def _changed_program(folder: Path, seeds: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    with zipfile.ZipFile(seeds / "exported" / "model.pt2") as source:
        members = {name: source.read(name) for name in source.namelist()}
    name = next(name for name in members if "/models/" in name)
    program = json.loads(members[name])
    change(program)
    members[name] = json.dumps(program).encode()
    return _zip(folder / "x.pt2", members)


def program_with_a_guard(folder: Path, canary: Path, seeds: Path) -> Path:
    return _changed_program(folder, seeds, lambda program: program.update(guards_code=[f"open({str(canary)!r}, 'w')"]))


def program_with_an_expression(folder: Path, canary: Path, seeds: Path) -> Path:
    def change(program: dict[str, Any]) -> None:
        for value in program["graph_module"]["graph"]["tensor_values"].values():
            for size in value["sizes"]:
                if "as_expr" in size:
                    size["as_expr"]["expr_str"] = f"__import__('pathlib').Path({str(canary)!r}).touch()"

    return _changed_program(folder, seeds, change)


def program_with_a_function(folder: Path, canary: Path, seeds: Path) -> Path:
    def change(program: dict[str, Any]) -> None:
        node = program["graph_module"]["graph"]["nodes"][0]
        node["target"] = "torch.serialization.os.system"
        node["inputs"] = [{"name": "command", "arg": {"as_string": f"touch {canary}"}, "kind": 1}]

    return _changed_program(folder, seeds, change)


def program_with_a_name(folder: Path, canary: Path, seeds: Path) -> Path:
    def change(program: dict[str, Any]) -> None:
        for call in program["graph_module"]["module_call_graph"]:
            if call["signature"] is not None:
                call["signature"]["forward_arg_names"] = [f"x=open({str(canary)!r}, 'w')"]

    return _changed_program(folder, seeds, change)


def program_with_an_object(folder: Path, canary: Path, seeds: Path) -> Path:
    """A constant that PyTorch unpickles without restrictions."""
    with zipfile.ZipFile(seeds / "exported" / "model.pt2") as source:
        members = {name: source.read(name) for name in source.namelist()}
    config = next(name for name in members if name.endswith("constants_config.json"))
    meta = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
    members[config] = json.dumps({"config": {"c": meta}}).encode()
    members[f"{config.rpartition('/')[0]}/opaque_obj_0"] = pickle.dumps(Canary(canary))
    return _zip(folder / "x.pt2", members)


def claimed_array(folder: Path, canary: Path, seeds: Path) -> Path:
    """Headers of an array of terabytes."""
    content = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (2**31, 64, 64, 3)}
    np.lib.format.write_array_header_1_0(content, header)
    return _zip(folder / "x.npz", {name: content.getvalue() for name in _NAMES})


def array_bomb(folder: Path, canary: Path, seeds: Path) -> Path:
    """300 kB that expand to 320 MB."""
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "|u1", "fortran_order": False, "shape": (2**16, 32, 32, 1)})
    return _zip(folder / "x.npz", dict.fromkeys(_NAMES, content.getvalue() + bytes(2**26)), zipfile.ZIP_DEFLATED)


def pickled_array(folder: Path, canary: Path, seeds: Path) -> Path:
    np.savez(folder / "x.npz", **dict.fromkeys(_NAMES, np.array([Canary(canary)], dtype=object)))
    return folder / "x.npz"


def negative_array(folder: Path, canary: Path, seeds: Path) -> Path:
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "<f8", "fortran_order": False, "shape": (-4, 2)})
    return _zip(folder / "x.npz", {name: content.getvalue() + bytes(64) for name in _NAMES})


def dictionary_bomb(folder: Path, canary: Path, seeds: Path) -> Path:
    """200,000 rows of one text of 100,000 characters: 20 GB in a file of a few kB."""
    import pyarrow as pa
    from pyarrow import parquet

    column = pa.DictionaryArray.from_arrays(pa.array([0] * 200_000, pa.int32()), pa.array(["x" * 100_000]))
    table = pa.table({"text": column, "sold": pa.array([0, 1] * 100_000)})
    parquet.write_table(table, folder / "x.parquet", store_schema=False)
    return folder / "x.parquet"


def row_bomb(folder: Path, canary: Path, seeds: Path) -> Path:
    import pyarrow as pa
    from pyarrow import parquet

    values = pa.array(np.zeros(200_000_000, dtype=np.int8))
    parquet.write_table(pa.table({"a": values, "sold": values}), folder / "x.parquet", compression="zstd")
    return folder / "x.parquet"


def wide_table(folder: Path, canary: Path, seeds: Path) -> Path:
    """Short rows below a header of 20,000 names, which pandas would fill up to a billion cells."""
    header = ",".join(["sold", *(f"c{k}" for k in range(20_000))])
    return _write(folder / "x.csv", (header + "\n" + "1\n0\n" * 40_000).encode())


def long_field(folder: Path, canary: Path, seeds: Path) -> Path:
    return _write(folder / "x.csv", b'sold,a\n1,"' + b"x" * 300_000)


def png_bomb(folder: Path, canary: Path, seeds: Path) -> Path:
    """60,000 x 60,000 pixels in a file of a few MB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    compressor = zlib.compressobj(9)
    rows = b"".join(compressor.compress(bytes(7501 * 1000)) for _ in range(60)) + compressor.flush()
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return _write(folder / "x.png", content)


def narrow_image(folder: Path, canary: Path, seeds: Path) -> Path:
    from PIL import Image

    Image.new("L", (1, 200_000)).save(folder / "x.png")
    return folder / "x.png"


def named_pipe(folder: Path, canary: Path, seeds: Path) -> Path:
    os.mkfifo(folder / "x.png")
    return folder / "x.png"


def endless_device(folder: Path, canary: Path, seeds: Path) -> Path:
    (folder / "x.png").symlink_to("/dev/zero")
    return folder / "x.png"


def link_loop(folder: Path, canary: Path, seeds: Path) -> Path:
    (folder / "again").symlink_to(folder.parent)
    (folder / "x.png").symlink_to(folder / "x.png")
    return folder / "x.png"


def hostile_names(folder: Path, canary: Path, seeds: Path) -> Path:
    for name in (b"a\nb.png", b"\xff\xfe.png", b"\x1b[31mred.png", b"-rf.png", "\u202egnp.png".encode(), b"%s{0}.png"):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(b"not an image")
    return folder / "x.png"


def pickled_model(folder: Path, canary: Path, seeds: Path) -> Path:
    return _write(folder / "x.joblib", canary_pickle(canary))


def skops_of_a_function(folder: Path, canary: Path, seeds: Path) -> Path:
    schema = {
        "__class__": "system", "__module__": "os", "__loader__": "FunctionNode", "__id__": 1,
        "content": {"module_path": "os", "function": "system"}, "protocol": 2,
    }  # fmt: skip
    return _zip(folder / "x.skops", {"schema.json": json.dumps(schema).encode()})


def skops_bomb(folder: Path, canary: Path, seeds: Path) -> Path:
    members = {"schema.json": b"{}", "array.npy": bytes(2**29)}
    return _zip(folder / "x.skops", members, zipfile.ZIP_DEFLATED)


def yaml_object(folder: Path, canary: Path, seeds: Path) -> Path:
    return _write(folder / "x.yaml", f"a: !!python/object/apply:builtins.open ['{canary}', w]\n".encode())


def yaml_bomb(folder: Path, canary: Path, seeds: Path) -> Path:
    lines = ["a0: &a0 [x, x]", *(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, 12))]
    return _write(folder / "x.yaml", "\n".join(lines).encode())


def deep_text(folder: Path, canary: Path, seeds: Path) -> Path:
    return _write(folder / "x.yaml", b"[" * 100_000)


def output_elsewhere(folder: Path, canary: Path, seeds: Path) -> Path:
    """An experiment whose stages write outside the output folder."""
    text = (seeds / "experiment" / "demo.yaml").read_text()
    text = text.replace("trainer.max_epochs: 2", "trainer.default_root_dir: /outside/ganmc")
    return _write(folder / "x.yaml", text.encode())


def text_pipe(folder: Path, canary: Path, seeds: Path) -> Path:
    os.mkfifo(folder / "x.yaml")
    return folder / "x.yaml"


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _zip(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


_NAMES = ("train_images.npy", "train_labels.npy", "test_images.npy", "test_labels.npy", "images.npy")
_TEXTS = (deep_text, text_pipe)
HOSTILE: dict[str, tuple[Maker, ...]] = {
    "checkpoint": (
        *(pickled_checkpoint, zipped_pickle, checkpoint_bomb, checkpoint_without_parts, recipe_of_a_large_network),
        *(recipe_of_a_command, strided_weights, text_pipe),
    ),
    "safetensors": (safetensors_header, text_pipe),
    "exported": (
        *(program_with_a_guard, program_with_an_expression, program_with_a_function, program_with_a_name),
        program_with_an_object,
    ),
    "onnx": (pickled_checkpoint,),
    "npz": (claimed_array, array_bomb, pickled_array, negative_array),
    "table": (dictionary_bomb, row_bomb, wide_table, long_field),
    "config": (yaml_object, yaml_bomb, *_TEXTS),
    "experiment": (yaml_object, yaml_bomb, output_elsewhere, *_TEXTS),
    "image": (png_bomb, narrow_image, named_pipe, endless_device, link_loop, hostile_names),
    "skops": (pickled_model, skops_of_a_function, skops_bomb),
    "metrics": (long_field, *_TEXTS),
    "result": _TEXTS,
    "state": _TEXTS,
    "plan": _TEXTS,
    "statistics": (claimed_array, array_bomb, pickled_array),
    "pool": (pickled_array, text_pipe),
}
