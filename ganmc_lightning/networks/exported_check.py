"""Check that a file of ``torch.export`` runs no code, which ``torch.export.load`` does not ensure.

PyTorch evaluates texts of the file as Python: symbolic sizes, guards, and the names in the generated code of the graph.
It also unpickles custom objects and loads shared libraries of AOTInductor.
"""

from __future__ import annotations

import ast
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from ganmc_lightning.exceptions import ConfigurationError

_FOLDERS = frozenset({"models", "weights", "constants", "sample_inputs", "extra", ".data"})
_ROOT_FILES = frozenset({"archive_format", "archive_version", "byteorder", "version"})
_OPERATORS = re.compile(
    r"torch\.ops\.(?!aten\.from_file\b)(aten|prims|torchvision|quantized_decomposed)(\.\w+){1,2}"
    r"|torch\.ops\.higher_order\.(cond|map_impl|while_loop|scan|wrap_with_set_grad_enabled|wrap_with_autocast)"
    r"|torch\.sym_\w+|math\.\w+|_operator\.(?!attrgetter|methodcaller|call)\w+"
)
_NAME = re.compile(r"[\w.:+/ -]*")
_SPEC = re.compile(r'[\w.:," \[\]{}]*')
_SPEC_TYPES = frozenset({"builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"})
_FREE_TEXT = frozenset({"metadata", "as_string", "as_strings"})
"""Keys of texts that are not evaluated: descriptions of nodes, and arguments, which are quoted in generated code."""
_SYMPY = frozenset(
    {
        *("Symbol", "Integer", "Float", "Rational", "Add", "Mul", "Pow", "Max", "Min", "Mod", "Abs", "Identity"),
        *("Eq", "Ne", "Lt", "Le", "Gt", "Ge", "Equality", "Unequality", "LessThan", "StrictLessThan", "GreaterThan"),
        *("StrictGreaterThan", "And", "Or", "Not", "Where", "true", "false", "FloorDiv", "CleanDiv", "CeilDiv"),
        *("ModularIndexing", "PythonMod", "PowByNatural", "FloatTrueDiv", "IntTrueDiv", "CeilToInt", "FloorToInt"),
        *("TruncToFloat", "TruncToInt", "RoundToInt", "RoundDecimal", "ToFloat", "IsNonOverlappingAndDenseIndicator"),
    }
)
_SYMBOL = re.compile(r"-?\w{1,40}(\.\w{1,40})?")
_NODES = (
    *(ast.Expression, ast.Call, ast.keyword, ast.Name, ast.Load, ast.Constant, ast.UnaryOp, ast.USub, ast.BinOp),
    *(ast.Add, ast.Sub, ast.Mult),
)
_GUARD_NODES = (
    *(ast.Expression, ast.Call, ast.Name, ast.Load, ast.Constant, ast.Attribute, ast.Subscript, ast.Compare, ast.cmpop),
    *(ast.BoolOp, ast.boolop, ast.UnaryOp, ast.Not, ast.USub, ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.FloorDiv),
    *(ast.Mod,),
)
_MAX_EXPRESSION = 2000
_MAX_EXPONENT = 8


def check_program(path: str) -> None:
    """Validate the texts and members of an exported network.

    Args:
        path: a zip archive without damage.

    Raises:
        ConfigurationError: it contains a custom object or a compiled library, an operator that may read files or run
            code, or a text that PyTorch would evaluate and that is not a number, a symbol or a name.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                _check_member(name, path)
                if name.endswith(".json") and not _is_extra(name):
                    _check_json(archive.read(name), path)
    except ConfigurationError:
        raise
    except Exception as error:  # zipfile raises many types
        raise ConfigurationError(f"{path}: cannot be read as a network of torch.export: {error}") from error


def _check_member(name: str, path: str) -> None:
    parts = PurePosixPath(name).parts[1:]
    parts = parts[1:] if parts[:1] == ("data",) else parts
    if not parts or name.startswith("extra_files/"):  # the format of torch 2.7
        return
    unknown = parts[0] not in (_FOLDERS if len(parts) > 1 else _ROOT_FILES)
    unknown |= parts[0] == "models" and not name.endswith(".json")
    if unknown or parts[-1].startswith(("custom_obj", "opaque_obj")):
        raise _refused(path, f"the member {name!r}, which may run code")


def _is_extra(name: str) -> bool:
    """Whether a member is a text of the user that PyTorch returns."""
    return name.startswith("extra_files/") or PurePosixPath(name).parts[1:2] == ("extra",)


def _check_json(content: bytes, path: str) -> None:
    try:
        values = list(_texts(json.loads(content)))
    except (ValueError, RecursionError) as error:
        reason = type(error).__name__
        raise ConfigurationError(f"{path}: cannot be read as a network of torch.export: {reason}") from error
    for key, text in values:
        if not _is_harmless(key, text):
            raise _refused(path, f"{key} {text[:80]!r}, which may run code")


def _is_harmless(key: str, text: str) -> bool:
    if key in _FREE_TEXT:
        return True
    if key == "target":
        return _OPERATORS.fullmatch(text) is not None
    if key == "expr_str":
        return _is_expression(text)
    if key in ("in_spec", "out_spec"):
        types = re.findall(r'"type"\s*:\s*"([^"]*)"', text)
        return _SPEC.fullmatch(text) is not None and _SPEC_TYPES.issuperset(types)
    if key == "guards_code":
        return _is_guard(text)
    return _NAME.fullmatch(text) is not None


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield all texts with the nearest key; texts below a key of free text have that key."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, key)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield "name", name
            yield from _texts(item, key if key in _FREE_TEXT else name)


def _is_guard(text: str) -> bool:
    """Whether a text compares sizes of the inputs, such as ``L['x'].size()[0] > 3``."""
    nodes = _parse(text)
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    return bool(nodes) and all(
        isinstance(node, _GUARD_NODES)
        and (not isinstance(node, ast.Name) or node.id == "L")
        and (not isinstance(node, ast.Attribute) or (node.attr == "size" and any(call.func is node for call in calls)))
        and (not isinstance(node, ast.Call) or (isinstance(node.func, ast.Attribute) and not node.args))
        for node in nodes
    )


def _parse(text: str) -> list[ast.AST]:
    """Return the nodes of a Python expression; none if it is invalid or too long."""
    if len(text) > _MAX_EXPRESSION:
        return []
    try:
        return list(ast.walk(ast.parse(text, mode="eval")))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return []


def _is_expression(text: str) -> bool:
    """Whether a text is a sum, product or function of numbers and symbols, with limited powers."""
    nodes = _parse(text)
    functions = [node.func for node in nodes if isinstance(node, ast.Call)]
    return bool(nodes) and all(_is_allowed(node, functions) for node in nodes) and _count_powers(nodes) <= 4


def _is_allowed(node: ast.AST, functions: list[ast.expr]) -> bool:
    if not isinstance(node, _NODES):
        return False
    if isinstance(node, ast.Name):
        return node.id in _SYMPY or (node not in functions and re.fullmatch(r"[a-z]+\d+|int_oo", node.id) is not None)
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and _has_small_exponent(node)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _SYMBOL.fullmatch(node.value) is not None and "__" not in node.value
    return not isinstance(node, ast.Constant) or len(str(node.value)) <= 40


def _has_small_exponent(call: ast.Call) -> bool:
    assert isinstance(call.func, ast.Name)
    if call.func.id not in ("Pow", "PowByNatural"):
        return True
    exponent = re.fullmatch(r"(Integer\()?(-?\d)\)?", ast.unparse(call.args[-1])) if call.args else None
    return exponent is not None and abs(int(exponent[2])) <= _MAX_EXPONENT


def _count_powers(nodes: list[ast.AST]) -> int:
    return sum(isinstance(node, ast.Name) and node.id in ("Pow", "PowByNatural") for node in nodes)


def _refused(path: str, found: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path}: got {found}, expected a network of usual operators; if you trust the file, set trust: true "
        "(ganmc compress: --trust)"
    )
