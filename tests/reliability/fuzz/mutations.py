"""Seeded mutations of files: of their bytes, of their text, and of the members of archives."""

from __future__ import annotations

import io
import pickle
import random
import zipfile
from pathlib import Path

INTERESTING = (
    b"\0",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\0\0\0\x80",
    b"\xff" * 8,
    b"\xff" * 7 + b"\x7f",
)
TOKENS = (
    *(
        "",
        "null",
        "true",
        "nan",
        "-inf",
        "1e999",
        "-1",
        "0",
        "9" * 30,
        "9" * 5000,
        "[]",
        "{}",
        "[[1]]",
        "text",
        "é",
        "\x1b[31m",
    ),
    *(
        "&a [*a]",
        "*x",
        "!!python/object/apply:os.system [id]",
        "2026-13-45",
        "\0",
        "'",
        '"',
        "${x}",
        "../../../outside",
    ),
    *("/outside/ganmc", "{a: 1}", "1_000", "0x10", ": ", "- -", "\u2028", "\ud7ff", "%s", "{teacher}", "{0.__class__}"),
)


class Canary:
    """Object whose pickle creates a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return open, (str(self.path), "w")


def canary_pickle(path: Path, protocol: int = 2) -> bytes:
    return pickle.dumps({"state_dict": {"weight": Canary(path)}}, protocol)


def mutate(content: bytes, random_: random.Random, other: bytes = b"") -> bytes:
    """Apply one to four random mutations; zip archives are mutated at the level of members in half of the cases."""
    if content.startswith(b"PK") and random_.random() < 0.5:
        return mutate_archive(content, random_)
    for _ in range(random_.choice((1, 1, 1, 2, 4))):
        content = random_.choice(MUTATIONS)(content, random_, other)
    return content


def mutate_archive(content: bytes, random_: random.Random) -> bytes:
    """Change, drop, rename, duplicate or compress members; checksums match the changed members."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(member.filename, archive.read(member)) for member in archive.infolist()]
    except Exception:  # an already damaged archive
        return flip(content, random_)
    place = random_.randrange(len(members))
    name, data = members[place]
    change = random_.choice(("mutate", "mutate", "mutate", "text", "drop", "rename", "duplicate", "bomb", "deflate"))
    if change == "mutate":
        members[place] = name, mutate(data, random_)
    elif change == "text":
        members[place] = name, change_token(data, random_)
    elif change == "drop":
        del members[place]
    elif change == "rename":
        members[place] = random_.choice(("../../outside", "/outside", name.upper(), name + "x", "x")), data
    elif change == "duplicate":
        members.insert(random_.randrange(len(members)), (name, mutate(data, random_)))
    elif change == "bomb":
        members[place] = name, data + bytes(2**26)
    result = io.BytesIO()
    with zipfile.ZipFile(
        result, "w", zipfile.ZIP_DEFLATED if change in ("bomb", "deflate") else zipfile.ZIP_STORED
    ) as new:
        for name, data in members:
            new.writestr(name, data)
    return result.getvalue()


def flip(content: bytes, random_: random.Random, other: bytes = b"") -> bytes:
    changed = bytearray(content or b"\0")
    for _ in range(random_.choice((1, 1, 2, 8, 64))):
        changed[random_.randrange(len(changed))] ^= 1 << random_.randrange(8)
    return bytes(changed)


def truncate(content: bytes, random_: random.Random, other: bytes) -> bytes:
    return content[: random_.randrange(len(content) + 1)]


def cut(content: bytes, random_: random.Random, other: bytes) -> bytes:
    start = random_.randrange(len(content) + 1)
    return content[:start] + content[start + random_.choice((1, 4, 100, 4096)) :]


def insert(content: bytes, random_: random.Random, other: bytes) -> bytes:
    start = random_.randrange(len(content) + 1)
    return content[:start] + random_.randbytes(random_.choice((1, 4, 100))) + content[start:]


def repeat(content: bytes, random_: random.Random, other: bytes) -> bytes:
    start = random_.randrange(len(content) + 1)
    return content[:start] + content[start : start + 200] * random_.choice((2, 50)) + content[start + 200 :]


def overwrite(content: bytes, random_: random.Random, other: bytes) -> bytes:
    value = random_.choice(INTERESTING)
    start = random_.randrange(min(len(content), random_.choice((64, 10**9))) + 1)
    return content[:start] + value + content[start + len(value) :]


def splice(content: bytes, random_: random.Random, other: bytes) -> bytes:
    return content[: random_.randrange(len(content) + 1)] + other[random_.randrange(len(other) + 1) :]


def change_token(content: bytes, random_: random.Random, other: bytes = b"") -> bytes:
    """Replace a word between separators, or a whole line, by a token that parsers often mistreat."""
    token = random_.choice(TOKENS).encode("utf-8", "surrogatepass")
    separators = [k for k, byte in enumerate(content[:100_000]) if byte in b" ,:;\n\t\"'[]{}()="]
    if len(separators) < 2:
        return token
    k = random_.randrange(len(separators) - 1)
    return content[: separators[k] + 1] + token + content[separators[k + 1] :]


def change_line(content: bytes, random_: random.Random, other: bytes) -> bytes:
    lines = content.split(b"\n")
    k = random_.randrange(len(lines))
    lines[k : k + 1] = random_.choice(([], [lines[k]] * 2, [b"  " + lines[k]], [lines[k].strip()], [b"\t" + lines[k]]))
    return b"\n".join(lines)


MUTATIONS = (flip, flip, truncate, cut, insert, repeat, overwrite, splice, change_token, change_token, change_line)
