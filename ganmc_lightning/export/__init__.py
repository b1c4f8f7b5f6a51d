"""Export of networks as ONNX, ``torch.export``, safetensors and int8 files, each verified against PyTorch and timed."""

from ganmc_lightning.export.files import ExportedFile, export_network

__all__ = ["ExportedFile", "export_network"]
