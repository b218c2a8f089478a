"""Trains the demonstration model and writes digits.onnx, page.jpg and expected.json beside this file.

    python3 train.py FOLDER_OF_DIGITS [--steps 1300]

Needs Debian's python3-torch, python3-numpy, python3-pil. One thread, seeded. See README.md; run it by train.sh.
"""
import argparse
import json
import math
import os
import time

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

import pages
from network import BINS, Detector, cells, iou

SIDE = 256                   # of the input, pixels
BATCH = 16
NAMES = [str(n) for n in range(10)]
SMALL, LARGE = 40, 28        # a digit up to SMALL px belongs to the fine level, from LARGE px on to the coarse one
HERE = os.path.dirname(os.path.abspath(__file__))


def one_page(rng, digits):
    """A page of SIDE x SIDE; every third one stands between grey bars, as a letterboxed picture does."""
    if rng.random() > 1 / 3:
        return pages.compose(rng, digits, SIDE, SIDE, int(rng.integers(4, 22)))
    short = int(rng.integers(SIDE // 2, SIDE))
    width, height = (SIDE, short) if rng.random() < 0.6 else (short, SIDE)
    small, boxes, labels = pages.compose(rng, digits, width, height, int(rng.integers(3, 16)))
    left, top = (SIDE - width) // 2, (SIDE - height) // 2
    picture = np.full((SIDE, SIDE, 3), 114, dtype=np.uint8)
    picture[top:top + height, left:left + width] = small
    return picture, boxes + np.array([left, top, left, top], dtype=np.float32), labels


def assign(boxes, labels, centres, strides):
    """For each cell the box it answers for: boxes [A, 4] and class [A], -1 for background.

    A cell answers for a box of its level when its centre lies in the box and within 1.3 strides of the box's centre;
    of several boxes for the nearest."""
    box_of, label_of = np.zeros((len(strides), 4), np.float32), np.full(len(strides), -1)
    if len(boxes) == 0:
        return box_of, label_of
    middle, size = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).max(1)
    away = np.abs(centres[:, None] - middle[None]).max(2) / strides[:, None]
    inside = ((centres[:, None] > boxes[None, :, :2]) & (centres[:, None] < boxes[None, :, 2:])).all(2)
    level = np.where(strides[:, None] == 8, size[None] <= SMALL, size[None] >= LARGE)
    away[~inside | ~level | (away > 1.3)] = np.inf
    best = away.argmin(1)
    hit = np.isfinite(away.min(1))
    box_of[hit], label_of[hit] = boxes[best[hit]], labels[best[hit]]
    return box_of, label_of


def batch_of(rng, digits, centres, strides):
    pictures, boxes, labels = [], [], []
    for _ in range(BATCH):
        picture, b, l = one_page(rng, digits)
        box_of, label_of = assign(b, l, centres, strides)
        pictures.append(picture)
        boxes.append(box_of)
        labels.append(label_of)
    x = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255  # channels last in memory
    return x, torch.from_numpy(np.stack(boxes)), torch.from_numpy(np.stack(labels))


def loss_of(model, x, boxes, labels, strides):
    sides, kinds = model.raw(x)
    found = model.corners(sides).transpose(1, 2)             # [B, A, 4]
    kinds = kinds.transpose(1, 2)                            # [B, A, classes]
    hit = labels >= 0
    overlap = iou(found[hit], boxes[hit])
    target = torch.zeros_like(kinds)
    target[hit] = functional.one_hot(labels[hit], len(NAMES)).float() * (0.5 + 0.5 * overlap.detach())[:, None]
    n = max(int(hit.sum()), 1)
    kind_loss = functional.binary_cross_entropy_with_logits(kinds, target, reduction="sum") / n

    image, cell = hit.nonzero(as_tuple=True)
    centre, stride = model.centres[0].T[cell], strides[cell][:, None]
    wanted = torch.cat((centre - boxes[hit][:, :2], boxes[hit][:, 2:] - centre), 1) / stride
    wanted = wanted.clamp(0, BINS - 1.01)                    # [n, 4] in cells
    low, share = wanted.floor().long(), wanted - wanted.floor()
    logs = sides.reshape(len(x), 4, BINS, -1)[image, :, :, cell].log_softmax(2)
    side_loss = -(logs.gather(2, low[..., None])[..., 0] * (1 - share) +
                  logs.gather(2, low[..., None] + 1)[..., 0] * share).mean()
    return kind_loss + 4 * (1 - overlap).mean() + side_loss


def train(model, digits, steps, rng):
    """AdamW, warm-up and cosine decay. Prints its progress."""
    centres, strides = cells(SIDE)
    fixed = centres.numpy(), strides.numpy()
    model.to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=1e-3)
    began = time.time()
    for step in range(steps):
        decay = (1 + math.cos(math.pi * step / steps)) / 2
        for group in optimiser.param_groups:
            group["lr"] = 4e-3 * min(1, (step + 1) / 40) * (0.01 + 0.99 * decay)
        x, boxes, labels = batch_of(rng, digits, *fixed)
        loss = loss_of(model, x, boxes, labels, strides)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10)
        optimiser.step()
        if step % 50 == 0:
            print(f"step {step}/{steps} loss {loss.item():.3f} {time.time() - began:.0f} s", flush=True)


def detect(model, x, conf, limit=0.7):
    """Rows (class, score, x0, y0, x1, y1) of one input [1, 3, SIDE, SIDE], best first, after NMS within each class."""
    with torch.no_grad():
        out = model(x)[0].T
    score, label = out[:, 4:].max(1)
    order = score.argsort(descending=True, stable=True)
    order = order[score[order] > conf]
    boxes = torch.cat((out[:, :2] - out[:, 2:4] / 2, out[:, :2] + out[:, 2:4] / 2), 1)
    kept = []
    for i in order.tolist():
        same = [k for k in kept if label[k] == label[i]]
        if not same or iou(boxes[i], boxes[same]).max() <= limit:
            kept.append(i)
    return [(int(label[i]), float(score[i]), *boxes[i].tolist()) for i in kept[:300]]


def average_precision(found, truth, label, limit):
    """101-point interpolated AP of one class. found: rows of detect() per page; truth: (boxes, labels) per page."""
    ranked = sorted(((row[1], page, row[2:]) for page, rows in enumerate(found) for row in rows if row[0] == label),
                    key=lambda r: -r[0])
    total = sum(int((labels == label).sum()) for _, labels in truth)
    free = [labels == label for _, labels in truth]
    right = []
    for _, page, box in ranked:
        boxes = torch.from_numpy(truth[page][0])
        overlap = iou(torch.tensor(box), boxes).numpy() * free[page] if len(boxes) else np.zeros(1)
        best = int(overlap.argmax())
        right.append(overlap[best] >= limit)
        if right[-1]:
            free[page] = free[page].copy()
            free[page][best] = False
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(hits / total, np.linspace(0, 1, 101))
    return float(np.mean([precision[i] if i < len(precision) else 0 for i in at]))


def evaluate(model, digits, count, rng):
    """mAP50 and mAP50-95 on pages of digits that training did not see."""
    found, truth = [], []
    for _ in range(count):
        picture, boxes, labels = one_page(rng, digits)
        x = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
        found.append(detect(model, x, conf=0.001))
        truth.append((boxes, labels))
    limits = np.linspace(0.5, 0.95, 10)
    table = [[average_precision(found, truth, label, limit) for label in range(10)] for limit in limits]
    return {"pages": count, "digits": sum(len(l) for _, l in truth),
            "mAP50": round(float(np.mean(table[0])), 4), "mAP50-95": round(float(np.mean(table)), 4)}


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + bytes([n]))


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def export(model, path):
    """ONNX, opset 13. Key and value pairs are field 14 of ModelProto: appended, since field order is free."""
    torch.onnx.export(model, torch.zeros(1, 3, SIDE, SIDE), path, opset_version=13, input_names=["images"],
                      output_names=["output0"])
    properties = {
        "description": "Fovea demonstration model: handwritten digits on pages", "author": "The Fovea authors",
        "license": "Apache-2.0", "task": "detect", "stride": "16", "batch": "1", "imgsz": str([SIDE, SIDE]),
        "names": str(dict(enumerate(NAMES))), "channels": "3",
    }
    with open(path, "ab") as file:
        for key, value in properties.items():
            file.write(field(14, field(1, key.encode()) + field(2, value.encode())))


def demonstrate(model, digits, rng):
    """page.jpg, a held-out page at 640x480, and what this network finds on it, in pixels of the picture."""
    path = os.path.join(HERE, "page.jpg")
    picture, boxes, labels = pages.compose(rng, digits, 640, 480, 22, unit=2.2)
    Image.fromarray(picture).save(path, quality=88)
    picture = np.asarray(Image.open(path).convert("RGB"))
    x, gain, left, top = pages.letterbox(picture, SIDE)
    rows = detect(model, torch.from_numpy(x).permute(2, 0, 1)[None].float() / 255, conf=0.25)
    back = np.array([left, top, left, top])
    expected = {
        "image": "page.jpg", "conf": 0.25, "iou": 0.7,
        "truth": [{"class": int(l), "box": [int(v) for v in b]} for b, l in zip(boxes, labels)],
        "detections": [{"class": r[0], "score": round(r[1], 4),
                        "box": [round(float(v), 2) for v in np.clip((np.array(r[2:]) - back) / gain, 0,
                                                                    [640, 480, 640, 480])]} for r in rows],
    }
    with open(os.path.join(HERE, "expected.json"), "w", encoding="ascii") as file:
        file.write(json.dumps(expected).replace('[{', '[\n  {').replace('}, {', '},\n  {').replace('], "', '],\n "') + "\n")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("digits")
    options.add_argument("--steps", type=int, default=1300)
    options.add_argument("--pages", type=int, default=300, help="held-out pages to measure on")
    given = options.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    train_digits, held_out = pages.load_digits(given.digits)
    model = Detector(len(NAMES), SIDE)
    print(sum(p.numel() for p in model.parameters()), "weights", flush=True)
    train(model, train_digits, given.steps, np.random.default_rng(1))
    model.eval().to(memory_format=torch.contiguous_format)
    export(model, os.path.join(HERE, "digits.onnx"))
    demonstrate(model, held_out, np.random.default_rng(4))
    metrics = {"pages_trained": given.steps * BATCH,
               **evaluate(model, held_out, given.pages, np.random.default_rng(2))}
    print(metrics)


if __name__ == "__main__":
    main()
