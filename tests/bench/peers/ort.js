// Milliseconds of one run of a network by ONNX Runtime, the median of RUNS: node ort.js MODEL SIDE RUNS
'use strict';
const ort = require('onnxruntime-node');

async function main() {
  const [model, side, runs] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: require('os').cpus().length });
  const input = new Float32Array(3 * side * side).map((_, i) => (i % 255) / 255);
  const feeds = { [session.inputNames[0]]: new ort.Tensor('float32', input, [1, 3, side, side]) };
  const times = [];
  for (let i = 0; i < runs + 2; i++) {
    const begun = process.hrtime.bigint();
    await session.run(feeds);
    times.push(Number(process.hrtime.bigint() - begun) / 1e6);
  }
  const after = times.slice(2).sort((a, b) => a - b);
  console.log(after[Math.floor(after.length / 2)]);
}

main().catch((fault) => {
  console.error(fault.message);
  process.exit(1);
});
