"""Where the time of a prediction goes: the answer's own figures, the rest from outside, one request after the other.
The network is held against ONNX Runtime on the same model, in the same rounds; the other parts against the whole."""
import http.client
import json
import os
import subprocess
import time
import urllib.parse

import uploads
from measure import QUICK, VAR, comment, median, ratio, rounds, row, wanted

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NAMES = ("predict-decode", "predict-network", "predict-postprocess", "predict-overhead", "predict-total")
RUNS = 5 if QUICK else 9
FRAME = "bench-picture"


def files():
    """(model, side of its input, picture)"""
    fixtures = os.environ.get("FOVEA_FIXTURES", "")
    model, picture = (os.path.join(fixtures, name) for name in
                      ("models/real/yolov8n-coco-dq-op12.onnx", "images/bus.jpg"))
    if os.path.exists(model) and os.path.exists(picture):
        return model, 640, picture
    return ROOT + "/demo/digits.onnx", None, ROOT + "/demo/page.jpg"


class Client:
    """Asks one picture after the other on a kept connection."""

    def __init__(self, model, picture):
        url = urllib.parse.urlsplit(uploads.HTTP)
        self.connection = http.client.HTTPConnection(url.hostname, url.port, timeout=120)
        self.path = f"/api/models/{model}/predict"
        with open(picture, "rb") as data:
            self.body = (f'--{FRAME}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'.encode()
                         + data.read() + f"\r\n--{FRAME}--\r\n".encode())

    def ask(self):
        begun = time.monotonic()
        self.connection.request("POST", self.path, self.body, {
            "Authorization": "Bearer " + uploads.KEY, "Content-Type": "multipart/form-data; boundary=" + FRAME})
        answer = self.connection.getresponse()
        text = answer.read()
        total = (time.monotonic() - begun) * 1e3
        if answer.status != 200:
            raise RuntimeError(f"predict: {answer.status} {text[:300]!r}")
        return total, json.loads(text)["images"][0]["speed"]


def rival(model, side):
    """A function giving ONNX Runtime's milliseconds, or None: it cannot be had."""
    modules = os.environ.get("BENCH_NODE_MODULES")
    if side is None:
        return None
    try:
        if not modules:
            folder = VAR + "/ort"
            os.makedirs(folder, exist_ok=True)
            subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "onnxruntime-node"],
                           cwd=folder, check=True, timeout=240, capture_output=True)
            modules = folder + "/node_modules"

        def run():
            return float(subprocess.run(
                ["node", os.path.dirname(os.path.abspath(__file__)) + "/peers/ort.js", model, str(side), str(RUNS)],
                env=dict(os.environ, NODE_PATH=modules), stdout=subprocess.PIPE, check=True, timeout=120,
                stderr=subprocess.DEVNULL, text=True).stdout)

        run()
        return run
    except (OSError, ValueError, subprocess.SubprocessError) as fault:
        comment(f"predict-network: no ONNX Runtime to compare with: {fault}"[:200])
        return None


def measure():
    if not wanted(*NAMES):
        return
    file, side, picture = files()
    project = uploads.post("/api/projects", {"name": "Predict"})["projectId"]
    client = Client(uploads.send_form(file, project)["modelId"], picture)
    for _ in range(2):
        client.ask()  # loads and compiles
    asked = {"total": [], "decode": [], "preprocess": [], "inference": [], "postprocess": []}

    def ours():
        network = []
        for _ in range(RUNS):
            total, speed = client.ask()
            asked["total"].append(total)
            for part, ms in speed.items():
                asked[part].append(ms)
            network.append(speed["inference"])
        return median(network)

    other = rival(file, side)
    contenders = {"ours": ours}
    if other:
        contenders["rival"] = other
    got = rounds(contenders, 3 if QUICK else 7)
    middle = {part: median(values) for part, values in asked.items()}
    parts = sum(middle[part] for part in ("decode", "preprocess", "inference", "postprocess"))
    total = middle["total"]
    row("predict-decode", middle["decode"], "ms", total, middle["decode"] / total, "-")
    if other:
        row("predict-network", middle["inference"], "ms", median(got["rival"]), ratio(got["ours"], got["rival"]), "-")
    else:
        row("predict-network", middle["inference"], "ms", total, middle["inference"] / total, "-")
    row("predict-postprocess", middle["postprocess"], "ms", total, middle["postprocess"] / total, "-")
    row("predict-overhead", total - parts, "ms", total, (total - parts) / total, "-")
    row("predict-total", total, "ms", parts, total / parts, "-")
    comment(f"predict: {os.path.basename(file)} on {os.path.basename(picture)}; letterbox {middle['preprocess']:.2f} ms;"
            f" network against {'ONNX Runtime' if other else 'the whole'}, decode, postprocess and overhead against the"
            " whole, the whole against the sum of its parts")
