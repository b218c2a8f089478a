"""make bench-inference: our plans against ONNX Runtime (and OpenCV) on the same networks and the same picture, in
rounds that interleave. Prints tab-separated `name value unit ceiling ratio goal`; see docs/bench.md. Contenders are
processes that wait while others run."""
import glob
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
RUNNER = sys.argv[1]
FIXTURES = os.environ.get("FOVEA_FIXTURES", "")
QUICK = bool(os.environ.get("QUICK"))
ONLY = set(os.environ.get("ONLY", "").split())
ROUNDS = 3 if QUICK else 7
RUNS = 3 if QUICK else 7

# name, file below the fixtures, side
NETWORKS = (
    ("yolov8n", "models/real/yolov8n-coco-dq-op12.onnx", 640),
    ("yolo11n", "models/generated/yolo11n.onnx", 640),
    ("yolo26n", "models/generated/yolo26n.onnx", 640),
    ("yolo11n-cls", "models/generated/yolo11n-cls.pt", 224),
)
# (network, precision): goals with 1 and 2 threads
GOALS = {
    ("yolov8n", "f32"): (1.4, 1.55), ("yolov8n", "bf16"): (2.2, 2.4), ("yolov8n", "int8"): (3.3, 3.5),
    ("yolo11n", "f32"): (1.3, 1.5), ("yolo11n", "bf16"): (2.2, 2.5),
    ("yolo26n", "f32"): (1.3, 1.3), ("yolo26n", "bf16"): (2.1, 2.1),
    ("yolo11n-cls", "f32"): (1.5, 1.5), ("yolo11n-cls", "bf16"): (1.5, 1.5),
}
STATIC_INT8 = {"yolov8n": (1.6, 1.7)}  # networks whose int8 stands against ONNX Runtime's own as well; goals likewise
PRECISIONS = ("f32", "bf16", "f16", "int8")
DEBIAN_PYTHON = "/usr/bin/python3"  # the one that python3-opencv belongs to


def comment(*lines):
    for line in lines:
        print("#", line, flush=True)


def show(number):
    return number if isinstance(number, str) else f"{number:.4g}" if abs(number) < 1000 else f"{number:.0f}"


def wanted(name):
    return not ONLY or name in ONLY


def row(name, value, unit, ceiling="n/a", ratio="n/a", goal="-"):
    if wanted(name):
        print("\t".join([name, show(value), unit, show(ceiling), show(ratio), goal]), flush=True)


def absent(name, unit, why, goal="-"):
    """A line without numbers, and the reason."""
    if wanted(name):
        row(name, "n/a", unit, goal=goal)
        comment(f"{name}: {why}")


def forget(path):
    """Out of the system's memory of files: who reads it next reads the disk."""
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Contender:
    """A process that has said "ready" or "no REASON"."""

    def __init__(self, command, **environment):
        for file in filter(os.path.isfile, command[1:]):
            forget(file)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **environment})
        words = self.process.stdout.readline().split()
        self.why = None if words[:1] == ["ready"] else " ".join(words[1:]) or "it ended early"
        self.facts = [float(word) for word in words[1:]] if not self.why else []

    def ask(self, what):
        """The numbers of its answer; none where it has ended."""
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        return [float(word) for word in self.process.stdout.readline().split()]

    def resident(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) / 1024

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def node_modules(folder):
    """A folder with onnxruntime-node, or the reason why there is none."""
    given = os.environ.get("BENCH_NODE_MODULES")
    if given:
        return given, None
    if not shutil.which("npm"):
        return None, "npm is not installed"
    done = subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "onnxruntime-node"],
                          cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        return None, "npm cannot fetch onnxruntime-node: " + done.stderr.strip()[-100:]
    return folder + "/node_modules", None


def runner(*words):
    done = subprocess.run([RUNNER, *map(str, words)], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    return done


class Bench:
    def __init__(self, folder):
        self.folder = folder
        self.modules, self.no_rival = node_modules(folder)
        self.peaks = {}
        self.quantised = {}  # path of a static int8 form: whether it was made

    def peak(self, threads):
        if threads not in self.peaks:
            self.peaks[threads] = float(runner("peak", threads))
        return self.peaks[threads]

    def rival(self, model, given, side, threads):
        return Contender(["node", HERE + "/ort.js", model, given, f"1x3x{side}x{side}", str(threads)],
                         NODE_PATH=self.modules)

    def as_onnx(self, model, *plain):
        """The file, or for a checkpoint the same network as ONNX; (None, reason). plain: see runner.c."""
        if model.endswith(".onnx") and not plain:
            return model, None
        name = f"{self.folder}/{os.path.basename(model)}{''.join(plain)}.onnx"
        if os.path.exists(name):
            return name, None
        said = runner("export", model, name, *plain)
        return (None, "ONNX has no " + said[3:]) if said.startswith("no ") else (name, None)

    def static_int8(self, onnx, given, side):
        """The network as ONNX Runtime's static quantiser writes it, or None with a remark; tried once."""
        path = f"{self.folder}/{os.path.basename(onnx)}.int8"
        if path not in self.quantised:
            done = subprocess.run(["node", HERE + "/quantise.js", onnx, given, f"1x3x{side}x{side}", path],
                                  stdout=subprocess.PIPE, text=True, env={**os.environ, "NODE_PATH": self.modules})
            word, _, remark = done.stdout.strip().partition(" ")
            self.quantised[path] = word == "ready"
            comment(f"{os.path.basename(onnx)} in ONNX Runtime's static int8: {remark or 'quantise.js ended early'}")
        return path if self.quantised[path] else None

    def opencv(self, model, given, side, threads):
        """As the file is, or else spelt more plainly."""
        for plain in ((), ("plain",)):
            file, why = self.as_onnx(model, *plain)
            if why:
                continue
            contender = Contender([DEBIAN_PYTHON, HERE + "/opencv.py", file, given, str(side), str(threads)])
            if not contender.why:
                break
        if not contender.why and plain and threads == 1:
            comment(f"{os.path.basename(model)}: OpenCV runs it with constants of full shape and slices for splits only")
        return contender

    def network(self, name, path, side):
        """All lines of one network."""
        model, given = os.path.join(FIXTURES, path), f"{self.folder}/{side}.f32"
        if not os.path.exists(given):
            runner("input", FIXTURES + "/images/bus.jpg", side, given)
        onnx, why = self.as_onnx(model)
        for threads in (1, 2):
            self.threads(name, model, onnx, why, given, side, threads)

    def calibration(self, model):
        """For int8, from the pictures of the fixtures; made once."""
        path = f"{self.folder}/{os.path.basename(model)}.calibration"
        if not os.path.exists(path):
            sets = ("images", "datasets/coco8", "datasets/coco8-pose", "datasets/coco8-seg", "datasets/coco8-human",
                    "datasets/imagenet10", "datasets/bccd")
            found = [name for each in sets for kind in ("jpg", "jpeg", "JPEG", "png")
                     for name in sorted(glob.glob(f"{FIXTURES}/{each}/**/*.{kind}", recursive=True))]
            runner("calibrate", model, path, *found[:68])
        return path

    def threads(self, name, model, onnx, why, given, side, threads):
        lines = {precision: f"{name}-{precision}-{threads}t" for precision in PRECISIONS}
        if ONLY and not any(line in ONLY or any(o.startswith(line) for o in ONLY) for line in lines.values()):
            return
        extra = {"int8": [self.calibration(model)]}
        ours = {p: Contender([RUNNER, "serve", model, given, p, str(threads), *extra.get(p, [])])
                for p in PRECISIONS}
        avx2 = Contender([RUNNER, "serve", model, given, "f32", str(threads)], FOVEA_MAX_ISA="avx2",
                         ONEDNN_MAX_CPU_ISA="AVX2")
        rivals = {}
        if self.no_rival or why:
            comment(f"{name}: no ONNX Runtime beside it: {self.no_rival or why}")
        else:
            rivals["ort"] = self.rival(onnx, given, side, threads)
            rivals["opencv"] = self.opencv(model, given, side, threads)
            if name in STATIC_INT8 and self.static_int8(onnx, given, side):
                rivals["ort-int8"] = self.rival(self.static_int8(onnx, given, side), given, side, threads)
        everybody = {**ours, "avx2": avx2, **rivals}
        for who in rivals:
            if rivals[who].why and who != "opencv":
                comment(f"{name}: ONNX Runtime ({who}): {rivals[who].why}")
        running = {who: c for who, c in everybody.items() if not c.why}
        times = {who: [] for who in running}
        best = float("inf")
        for _ in range(ROUNDS):
            for who, contender in running.items():
                runs = contender.ask(RUNS)
                times[who].append(statistics.median(runs))
                best = min([best, *runs]) if who == "f32" else best
        self.report(name, threads, everybody, times, best)
        for contender in everybody.values():
            contender.close()

    def report(self, name, threads, everybody, times, best):
        def against(who, rival):
            if who not in times or rival not in times:
                return "n/a", "n/a"
            ratios = [theirs / ours for ours, theirs in zip(times[who], times[rival])]
            return statistics.median(times[rival]), statistics.median(ratios)

        for precision in (*PRECISIONS, "avx2"):
            line = f"{name}-{precision}-{threads}t" if precision != "avx2" else f"{name}-f32-{threads}t-avx2"
            goal = GOALS.get((name, "bf16" if precision == "f16" else precision))
            goal = f">= {goal[threads - 1]}" if goal else "-"
            if everybody[precision].why:
                absent(line, "ms", everybody[precision].why, goal)
            else:
                row(line, statistics.median(times[precision]), "ms", *against(precision, "ort"), goal)
        if "f32" not in times:
            return
        speed = everybody["f32"].facts[1] / best * 1e3  # the fastest run, as the peak is the fastest loop
        row(f"{name}-f32-{threads}t-peak", speed, "GFLOP/s", self.peak(threads), speed / self.peak(threads))
        if "ort" in everybody and not everybody["ort"].why:
            mine, theirs = everybody["f32"].resident(), everybody["ort"].resident()
            row(f"{name}-f32-{threads}t-memory", mine, "MiB", theirs, mine / theirs, "<= 0.6")
            self.loads(f"{name}-f32-{threads}t-load", everybody["f32"], everybody["ort"])
        for rival, line in (("opencv", f"{name}-f32-{threads}t-opencv"),):
            if rival in everybody and everybody[rival].why:
                absent(line, "ms", everybody[rival].why)
            elif rival in everybody:
                row(line, statistics.median(times["f32"]), "ms", *against("f32", rival))
        if name in STATIC_INT8 and "int8" in times:
            row(f"{name}-int8-{threads}t-ort-int8", statistics.median(times["int8"]), "ms",
                *against("int8", "ort-int8"), f">= {STATIC_INT8[name][threads - 1]}")

    def loads(self, line, ours, rival):
        """Cold: the first of a process, the file not in memory. Then again in the same processes."""
        row(line + "-cold", ours.facts[0], "ms", rival.facts[0], ours.facts[0] / rival.facts[0])
        mine, theirs = (statistics.median([c.ask("load")[0] for _ in range(3)]) for c in (ours, rival))
        row(line, mine, "ms", theirs, mine / theirs, "<= 150 ms")

    def clients(self):
        model, given = os.path.join(FIXTURES, NETWORKS[0][1]), f"{self.folder}/640.f32"
        if not wanted("two-clients"):
            return
        if not os.path.exists(given):
            runner("input", FIXTURES + "/images/bus.jpg", 640, given)
        one, two = (Contender([RUNNER, "clients", model, given, str(n)]) for n in (1, 2))
        rates = [(one.ask(2)[0], two.ask(2)[0]) for _ in range(ROUNDS)]
        row("two-clients", statistics.median(b for _, b in rates), "runs/s", statistics.median(a for a, _ in rates),
            statistics.median(b / a for a, b in rates), ">= 1.9")
        one.close()
        two.close()

    def predict(self):
        for name, width, height in (("1080p", 1920, 1080), ("12mp", 4000, 3000)):
            stages = ("decode", "preprocess", "network", "postprocess", "total")
            lines = [f"predict-{name}-{stage}" for stage in stages]
            if not any(map(wanted, lines)):
                continue
            picture = f"{self.folder}/{name}.jpg"
            runner("picture", FIXTURES + "/images/zidane.jpg", width, height, picture)
            contender = Contender([RUNNER, "predict", os.path.join(FIXTURES, NETWORKS[0][1]), picture, "2"])
            if contender.why:
                absent(lines[-1], "ms", contender.why)
                continue
            contender.ask(2)
            runs = [contender.ask(1) for _ in range(ROUNDS * 2)]
            contender.close()
            total = statistics.median(map(sum, runs))
            comment(f"{name}: a JPEG of {os.path.getsize(picture) / 1e6:.2f} MB, 2 threads; ceiling: the total")
            for i, line in enumerate(lines[:-1]):
                part = statistics.median(run[i] for run in runs)
                row(line, part, "ms", total, part / total)
            row(lines[-1], total, "ms")


def main():
    if not os.path.isdir(os.path.join(FIXTURES, "models")):
        comment("the networks are in FOVEA_FIXTURES, which is not there: nothing is measured")
        return
    with tempfile.TemporaryDirectory(prefix="fovea-bench-") as folder:
        bench = Bench(folder)
        comment(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors, {ROUNDS} rounds of {RUNS} runs",
                "name\tvalue\tunit\tceiling\tratio\tgoal")
        for network in NETWORKS:
            bench.network(*network)
        absent("libtorch", "ms", "it runs TorchScript only, which nobody publishes of these networks; making it takes the"
               " package that they were trained with")
        bench.clients()
        bench.predict()


main()
