"""Students, and teachers, that leave Python: C, shared libraries, ONNX; and files without pickle."""

from ganmc_lightning.tabular.export.c_library import CModel, compile_c
from ganmc_lightning.tabular.export.c_source import to_c
from ganmc_lightning.tabular.export.dependencies import check_exports
from ganmc_lightning.tabular.export.onnx import label_flips, to_onnx
from ganmc_lightning.tabular.export.skops import load_skops, save_skops

__all__ = ["CModel", "check_exports", "compile_c", "label_flips", "load_skops", "save_skops", "to_c", "to_onnx"]
