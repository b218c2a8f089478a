"""A picture of digits that needs no decoder, written in every format that the server reads.

The picture is made of squares of 8x8 equal pixels, so that a JPEG of it is exact but for rounding: every block is its
mean alone. Formats: ITU-T T.81 (JPEG), RFC 2083 (PNG), TIFF 6.0, RFC 9649 (WebP, lossless), BMP, GIF89a.
"""
import struct
import zlib

SQUARE = 8
GLYPHS = {
    "7": ("#####", "#####", "...##", "..##.", ".##..", ".##..", ".##.."),
    "4": ("...#.", "..##.", ".#.#.", "#..#.", "#####", "...#.", "...#."),
    "0": (".###.", "#...#", "#...#", "#...#", "#...#", "#...#", ".###."),
    "3": ("####.", "....#", "....#", ".###.", "....#", "....#", "####."),
}


def page(text=(("7", 3, 3), ("4", 14, 6), ("0", 24, 2), ("3", 20, 15)), width=40, height=28):
    """Rows of grey values, one for each square: ink on paper. text: (digit, column, row)."""
    rows = [[230] * width for _ in range(height)]
    for digit, x0, y0 in text:
        for y, line in enumerate(GLYPHS[digit]):
            for x, mark in enumerate(line):
                if mark == "#":
                    rows[y0 + y][x0 + x] = 30
    return rows


def turned(rows, orientation):
    """The squares as a camera stores them, so that EXIF's orientation shows them as `rows`."""
    flip = [line[::-1] for line in rows]
    down = rows[::-1]
    both = [line[::-1] for line in down]

    def transpose(r):
        return [list(column) for column in zip(*r)]
    return {1: rows, 2: flip, 3: both, 4: down, 5: transpose(rows), 6: transpose(flip), 7: transpose(both),
            8: transpose(down)}[orientation]


def pixels(rows):
    """(width, height, RGB bytes)."""
    out = bytearray()
    for line in rows:
        out += b"".join(bytes([v] * 3) * SQUARE for v in line) * SQUARE
    return len(rows[0]) * SQUARE, len(rows) * SQUARE, bytes(out)


def jpeg(rows):
    """Baseline, grey: for each block the difference of its mean, then the end of the block."""
    bits = []

    def put(value, n):
        bits.extend(value >> i & 1 for i in range(n - 1, -1, -1))
    last = 0
    for line in rows:
        for v in line:
            level = v - 128  # the mean times 8, divided by the quantiser 8
            diff, last = level - last, level
            size = abs(diff).bit_length()
            put(size, 4)  # sixteen codes of four bits but one: category n is n
            put(diff if diff > 0 else diff + (1 << size) - 1, size)
            put(0, 1)
    bits.extend([1] * (-len(bits) % 8))
    scan = bytes(int("".join(map(str, bits[i:i + 8])), 2) for i in range(0, len(bits), 8)).replace(b"\xff", b"\xff\0")
    height, width = len(rows) * SQUARE, len(rows[0]) * SQUARE

    def segment(marker, data):
        return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data
    dc = bytes([0, 0, 0, 12] + [0] * 12) + bytes(range(12))
    ac = bytes([1] + [0] * 15) + b"\0"
    return (b"\xff\xd8" + segment(0xDB, b"\0" + bytes([8] * 64))
            + segment(0xC0, struct.pack(">BHHBBBB", 8, height, width, 1, 1, 0x11, 0))
            + segment(0xC4, b"\0" + dc) + segment(0xC4, b"\x10" + ac)
            + segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + scan + b"\xff\xd9")


def with_orientation(data, orientation):
    """The JPEG with an EXIF block that holds nothing but the orientation."""
    exif = b"Exif\0\0" + struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


def png(rows):
    width, height, rgb = pixels(rows)
    return png_of(width, height, b"".join(b"\0" + rgb[y * width * 3:(y + 1) * width * 3] for y in range(height)))


def png_of(width, height, filtered):
    """A PNG of this size whatever is in it."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(filtered)) + chunk(b"IEND", b""))


def tiff(rows):
    """Uncompressed RGB in one strip."""
    width, height, rgb = pixels(rows)
    n = 9
    after = 8 + 2 + 12 * n + 4
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, after), (259, 3, 1, 1), (262, 3, 1, 2),
               (273, 4, 1, after + 6), (277, 3, 1, 3), (278, 4, 1, height), (279, 4, 1, len(rgb))]
    out = struct.pack("<2sHIH", b"II", 42, 8, n)
    for tag, kind, count, value in entries:
        short = kind == 3 and count == 1
        out += struct.pack("<HHI", tag, kind,
                           count) + (struct.pack("<HH", value, 0) if short else struct.pack("<I", value))
    return out + struct.pack("<IHHH", 0, 8, 8, 8) + rgb


def bmp(rows):
    width, height, rgb = pixels(rows)
    lines = [rgb[y * width * 3:(y + 1) * width * 3] for y in range(height)]
    body = b"".join(bytes(v for i in range(0, len(line), 3) for v in line[i:i + 3][::-1]) for line in lines[::-1])
    return struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 54 + len(body), 0, 0, 54, 40, width, height, 1, 24, 0, len(body),
                       0, 0,
                       0, 0) + body


def gif(rows):
    """Grey palette of 128 colours; LZW that never fills its table: codes of eight bits, cleared in time."""
    width, height, rgb = pixels(rows)
    grey = [v >> 1 for v in rgb[::3]]
    data, codes = bytearray(), []
    for i, v in enumerate(grey):
        if i % 100 == 0:
            codes.append(128)
        codes.append(v)
    codes.append(129)
    data += bytes(codes)
    blocks = b"".join(bytes([len(data[i:i + 255])]) + data[i:i + 255] for i in range(0, len(data), 255))
    palette = b"".join(bytes([2 * v] * 3) for v in range(128))
    return (b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF6, 0, 0) + palette
            + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x07" + blocks + b"\0;")


def webp(rows):
    """Lossless, without transforms: 256 literals of eight bits for green, red and blue."""
    width, height, rgb = pixels(rows)
    out, used, word = bytearray(), 0, 0

    def put(value, n):
        nonlocal used, word
        word |= value << used
        used += n
        while used >= 8:
            out.append(word & 255)
            word >>= 8
            used -= 8

    def put_literals(nsymbols):
        put(0, 1)       # not simple
        put(12 - 4, 4)  # lengths of the code lengths, in the order 17 18 0 1 2 3 4 5 16 6 7 8
        for length in (0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1):
            put(length, 3)
        put(0, 1)       # all symbols
        for s in range(nsymbols):
            put(1 if s < 256 else 0, 1)  # length 8, then length 0
    put(0x2F, 8)
    put(width - 1, 14)
    put(height - 1, 14)
    put(0, 1 + 3)       # no alpha, version 0
    put(0, 3)           # no transform, no colour cache, one set of codes
    put_literals(280)
    put_literals(256)
    put_literals(256)
    for symbol in (255, 0):  # alpha, distance: one symbol, no bits
        put(1 | 0 << 1 | 1 << 2 | symbol << 3, 11)
    reverse = [int(f"{v:08b}"[::-1], 2) for v in range(256)]
    for i in range(0, len(rgb), 3):
        put(reverse[rgb[i + 1]] | reverse[rgb[i]] << 8 | reverse[rgb[i + 2]] << 16, 24)
    put(0, 7)
    body = bytes(out) + b"\0" * (len(out) & 1)
    return b"RIFF" + struct.pack("<I", len(body) + 12) + b"WEBPVP8L" + struct.pack("<I", len(out)) + body
