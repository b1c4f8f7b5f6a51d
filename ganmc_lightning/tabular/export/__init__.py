"""Export of students and teachers: C sources, shared libraries, ONNX files, and skops files without pickle."""

from ganmc_lightning.tabular.export.boosting import encode_samples
from ganmc_lightning.tabular.export.c_library import CModel, ObjectSize, compile_c, measure_object
from ganmc_lightning.tabular.export.c_source import to_c
from ganmc_lightning.tabular.export.dependencies import check_exports
from ganmc_lightning.tabular.export.fixed_point_source import FixedPointReport, to_c_int16
from ganmc_lightning.tabular.export.onnx import count_label_differences, to_onnx
from ganmc_lightning.tabular.export.row_encoder import to_c_encoder
from ganmc_lightning.tabular.export.skops import load_skops, save_skops

__all__ = [
    "CModel",
    "FixedPointReport",
    "ObjectSize",
    "check_exports",
    "compile_c",
    "count_label_differences",
    "encode_samples",
    "load_skops",
    "measure_object",
    "save_skops",
    "to_c",
    "to_c_encoder",
    "to_c_int16",
    "to_onnx",
]
