// ONNX Runtime's side of `make bench-inference`: node ort.js MODEL INPUT DIMS THREADS
// "ready LOAD_MS", then for each line N on standard input: N runs in milliseconds; for "load": one more load. OUTPUT in the environment: the first
// output goes there as float32, to be compared.
'use strict';
const fs = require('fs');
const ort = require('onnxruntime-node');

const now = () => Number(process.hrtime.bigint()) / 1e6;

async function main() {
  const [model, input, dims, threads] = process.argv.slice(2);
  const load = async () => {
    const begun = now();
    const session = await ort.InferenceSession.create(model, {
      intraOpNumThreads: Number(threads), interOpNumThreads: 1, executionMode: 'sequential', graphOptimizationLevel: 'all',
    });
    return { session, loaded: now() - begun };
  };
  const { session, loaded } = await load();
  const bytes = fs.readFileSync(input);
  const numbers = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const feeds = { [session.inputNames[0]]: new ort.Tensor('float32', numbers, dims.split('x').map(Number)) };
  let results;
  const run = async () => {
    const start = now();
    results = await session.run(feeds);
    return now() - start;
  };
  for (let i = 0; i < 3; i++) await run();
  if (process.env.OUTPUT) {
    const { data } = results[session.outputNames[0]];
    fs.writeFileSync(process.env.OUTPUT, Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  }
  console.log('ready', loaded.toFixed(3));
  for await (const line of require('readline').createInterface({ input: process.stdin })) {
    if (line === 'load') {
      const again = await load();
      await again.session.release();
      console.log(again.loaded.toFixed(3));
      continue;
    }
    const times = [];
    for (let i = 0; i < Number(line); i++) times.push((await run()).toFixed(4));
    console.log(times.join(' '));
  }
}

main().catch((fault) => {
  console.log('no', fault.message.split('\n')[0]);
});
