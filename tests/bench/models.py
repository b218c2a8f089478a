"""ONNX files of any size, written here byte by byte: one Add of the input and a constant of random floats. Enough of
protobuf for that: a field is a key (number << 3 | wire type) and a varint or a length with bytes."""
import os


def varint(n):
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def number(field, n):
    return varint(field << 3) + varint(n)


def head(field, size):
    return varint(field << 3 | 2) + varint(size)


def block(field, data):
    data = data.encode() if isinstance(data, str) else data
    return head(field, len(data)) + data


def value_info(name, count):
    shape = block(1, number(1, 1)) + block(1, number(1, count))
    return block(1, name) + block(2, block(1, number(1, 1) + block(2, shape)))


def write_model(path, size, seed=None):
    """A model of about size bytes (never more). seed: bytes that make it unlike any other."""
    floats = (size - 1024) // 4
    raw = floats * 4
    node = block(1, "x") + block(1, "w") + block(2, "y") + block(3, "add") + block(4, "Add")
    tensor = number(1, 1) + number(1, floats) + number(2, 1) + block(8, "w") + head(9, raw)
    rest = block(1, node) + block(2, "bench")
    ends = block(11, value_info("x", floats)) + block(12, value_info("y", floats))
    initializer = head(5, len(tensor) + raw) + tensor
    graph = len(rest) + len(initializer) + raw + len(ends)
    with open(path, "wb") as out:
        out.write(number(1, 8) + block(2, "bench") + block(8, block(1, "") + number(2, 13)) + head(7, graph) + rest
                  + initializer)
        at = out.tell()
        piece = bytes(range(0, 64)) * 16384  # harmless floats; what they are does not matter
        left = raw
        while left:
            left -= out.write(piece[:min(left, len(piece))])
        out.write(ends)
    reseed(path, at, seed or os.urandom(16))
    return at


def reseed(path, at, seed):
    """Other bytes in the constant: another file to the store."""
    with open(path, "r+b") as out:
        out.seek(at)
        out.write(bytes(b & 0x3F for b in seed))
