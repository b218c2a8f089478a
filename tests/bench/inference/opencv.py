"""OpenCV's side of `make bench-inference`: opencv.py MODEL INPUT SIDE THREADS; talks as ort.js does."""
import os
import sys
import time


def main(model, path, side, threads):
    os.environ["OPENCV_LOG_LEVEL"] = "SILENT"  # what goes wrong is told below
    try:
        import cv2
        import numpy
    except ImportError:
        print("no python3-opencv is not installed", flush=True)
        return
    cv2.setNumThreads(int(threads))
    begun = time.monotonic()
    try:
        net = cv2.dnn.readNetFromONNX(model)
        net.setInput(numpy.fromfile(path, dtype=numpy.float32).reshape(1, 3, int(side), int(side)))
        for _ in range(2):
            net.forward()
    except cv2.error as fault:
        print("no OpenCV", cv2.__version__, "cannot run it:", " ".join(str(fault).split())[-120:], flush=True)
        return
    print("ready", (time.monotonic() - begun) * 1e3, flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            start = time.monotonic()
            net.forward()
            times.append(f"{(time.monotonic() - start) * 1e3:.4f}")
        print(*times, flush=True)


main(*sys.argv[1:])
