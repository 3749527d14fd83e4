# SPDX-License-Identifier: MIT
"""What a request on the wire asks of the store: the bytes of a payload as a request of the model (model.py)."""
import re

from .wire import NAMES, NUMBERS

HOME = "/local/domain/0"  # where relative paths of a socket begin
NAMES_OF_PATH = re.compile(r"[A-Za-z0-9\-_@]+(/[A-Za-z0-9\-_@]+)*")
NUMBER = re.compile(r"[ \t\n\v\f\r]*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")
PERMISSIONS_MAX = 256
FIRST_RESERVED = 32752  # domain ids from here on belong to no domain
ONE_ARGUMENT = ("DIRECTORY", "READ", "GET_PERMS", "MKDIR", "RM")
PART = NAMES["DIRECTORY_PART"]


def path_of(text):
    """The path in full, None if it is not legal. Names with @ are not for the model."""
    text = text.decode("latin-1")
    if text == "/":
        return text
    if not NAMES_OF_PATH.fullmatch(text[1:] if text[:1] == "/" else text) or text[0] == "@":
        return None
    return text if text[0] == "/" else f"{HOME}/{text}"


def permission_of(text):
    """A permission as GET_PERMS shows it, None if it is not legal."""
    text = text.decode("latin-1")
    m = NUMBER.fullmatch(text[1:])
    if text[:1] not in tuple("nrwb") or not m:
        return None
    digits = m[2]
    number = int(digits, 16 if digits[:2].lower() == "0x" else 8 if digits[0] == "0" else 10)
    return None if m[1] == "-" and number else b"%c%d" % (text[0].encode(), number)


def offset_of(payload):
    """Of DIRECTORY_PART: the place in the list of names from which on they are wanted."""
    digits = re.match(rb"\s*([+-]?[0-9]*)", payload.split(b"\0")[1])[1]
    return int(digits) if digits.strip(b"+-") else 0


def request_of(kind, payload):
    """('READ', path, …); None: whatever the store holds, this is refused, or does not concern it."""
    name = NUMBERS.get(kind, "")
    strings = payload.split(b"\0")
    path = path_of(strings[0])
    if path is None:
        return None
    if name in ONE_ARGUMENT and len(strings) == 2 and not strings[1]:
        return name, path
    if name == "DIRECTORY_PART" and len(strings) == 3 and re.fullmatch(rb"-?[0-9]+", strings[1]):
        return "DIRECTORY", path
    if name == "WRITE" and len(strings) >= 2:
        return name, path, payload[len(strings[0]) + 1:]
    if name == "SET_PERMS" and 3 <= len(strings) <= PERMISSIONS_MAX + 2:
        permissions = [permission_of(s) for s in strings[1:-1]]
        if None not in permissions and int(permissions[0][1:]) < FIRST_RESERVED:
            return name, path, tuple(permissions)
    return None
