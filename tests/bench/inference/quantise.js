// A network in the static int8 form that ONNX Runtime's quantiser writes (which is Python and needs packages that
// the bench does without): node quantise.js MODEL INPUT DIMS OUT. Prints "ready REMARK" or "no REASON".
//
// QuantizeLinear and DequantizeLinear stand on every activation that an operator of KINDS reads or writes: uint8 with
// one scale each, from the least and the greatest value on INPUT. Weights are int8 with a scale for each output
// channel, biases int32 with the product of both scales. ONNX Runtime fuses such a neighbourhood into one operator on
// bytes. What decodes the boxes, from the first Reshape on, stays float32, as its guide advises for such a head:
// in one tensor with coordinates up to 640, scores below 1 would all be 0.
'use strict';
const fs = require('fs');
const ort = require('onnxruntime-node');

// What is quantised, and whether the result keeps the scale of the first input because bytes are only moved.
const KINDS = {
  Conv: false, Sigmoid: false, Mul: false, Add: false, Concat: false, MaxPool: true, Resize: true, Split: true,
};
const FLOAT = 1, UINT8 = 2, INT8 = 3, INT32 = 6, INT64 = 7;  // TensorProto.DataType

// ---- protobuf: a message is a list of [field, wire, bytes]

function varint(bytes, at = 0) {
  let x = 0n, shift = 0n;
  for (;; shift += 7n) {
    const byte = bytes[at++];
    x |= BigInt(byte & 127) << shift;
    if (byte < 128) return [Number(x), at];
  }
}

function parse(bytes) {
  const fields = [];
  for (let at = 0; at < bytes.length;) {
    let key, n;
    [key, at] = varint(bytes, at);
    if ((key & 7) === 2) [n, at] = varint(bytes, at);
    else n = [varint(bytes, at)[1] - at, 8, 0, 0, 0, 4][key & 7];
    fields.push([key >> 3, key & 7, bytes.subarray(at, at + n)]);
    at += n;
  }
  return fields;
}

function number(x) {
  const bytes = [];
  for (; x >= 128; x = Math.floor(x / 128)) bytes.push((x % 128) | 128);
  return Buffer.from([...bytes, x]);
}

const write = (fields) => Buffer.concat(fields.flatMap(([field, wire, bytes]) =>
  [number(field << 3 | wire), ...(wire === 2 ? [number(bytes.length)] : []), bytes]));
const int = (field, x) => [field, 0, number(x)];
const text = (field, x) => [field, 2, Buffer.from(x)];
const message = (field, fields) => [field, 2, write(fields)];
const all = (fields, field) => fields.filter(([f]) => f === field).map(([, , bytes]) => bytes);
const raw = (numbers) => Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength);

// ---- ONNX: GraphProto has nodes as 1, initialisers as 5, inputs as 11, outputs as 12

function readNode(bytes) {
  const fields = parse(bytes), [type] = all(fields, 4);
  return { type: String(type), inputs: all(fields, 1).map(String), outputs: all(fields, 2).map(String),
           rest: fields.filter(([f]) => f > 2) };
}

const writeNode = ({ inputs, outputs, rest }) =>
  message(1, [...inputs.map((x) => text(1, x)), ...outputs.map((x) => text(2, x)), ...rest]);

function readTensor(bytes) {
  const fields = parse(bytes), [data] = all(fields, 9).map((x) => Uint8Array.from(x));
  const [type] = all(fields, 2).map((x) => varint(x)[0]);
  return { name: String(all(fields, 8)[0]), dims: all(fields, 1).map((x) => varint(x)[0]),
           numbers: type === FLOAT && data ? new Float32Array(data.buffer) : null };
}

const writeTensor = (name, type, dims, numbers) =>
  message(5, [...dims.map((d) => int(1, d)), int(2, type), text(8, name), [9, 2, raw(numbers)]]);

const linear = (type, x, by, y, axis) => ({
  inputs: [x, `${by}/scale`, `${by}/zero`], outputs: [y],
  rest: [text(4, type), ...(axis ? [message(5, [text(1, 'axis'), int(3, 0), int(20, 2)])] : [])] });

// Opset 13 has the sizes of a Split as an input. The other operators of these networks are as in opset 12.
function raise(node, tensors) {
  const isSizes = ([field, , bytes]) => field === 5 && String(all(parse(bytes), 1)[0]) === 'split';
  const sizes = node.type === 'Split' && node.rest.find(isSizes);
  if (!sizes) return;
  const numbers = BigInt64Array.from(all(parse(sizes[2]), 8), (x) => BigInt(varint(x)[0]));
  node.rest = node.rest.filter((field) => field !== sizes);
  node.inputs.push(`${node.outputs[0]}/sizes`);
  tensors.push(writeTensor(node.inputs[1], INT64, [numbers.length], numbers));
}

function readModel(bytes) {
  const model = parse(bytes), graph = parse(all(model, 7)[0]);
  const weights = new Map(all(graph, 5).map(readTensor).map((t) => [t.name, t]));
  const nodes = all(graph, 1).map(readNode), decoded = new Set();
  for (const node of nodes) {
    node.quantised = node.type in KINDS && !node.inputs.some((x) => decoded.has(x));
    if (node.type === 'Reshape' || node.inputs.some((x) => decoded.has(x))) node.outputs.forEach((x) => decoded.add(x));
    node.activations = node.inputs.filter((x, i) => x && !weights.has(x) && (i === 0 || KINDS[node.type] === false));
  }
  return { model, graph, weights, nodes };
}

const assemble = ({ model }, graph) => write([
  ...model.filter(([f]) => f !== 7 && f !== 8), message(8, [text(1, ''), int(2, 13)]), message(7, graph)]);

// ---- quantising

const open = (model, options) => ort.InferenceSession.create(
  model, { graphOptimizationLevel: 'all', logSeverityLevel: 3, ...options });

// name -> [least, greatest] of all activations to quantise, and the network's result: it runs with them as outputs.
async function observe(network, feeds) {
  const names = new Set(network.nodes.filter((n) => n.quantised).flatMap((n) => [...n.activations, ...n.outputs]));
  const { graph } = network, session = await open(write([
    ...network.model.filter(([f]) => f !== 7),
    message(7, [...graph, ...[...names].filter((x) => !feeds[x]).map((x) =>
      message(12, [text(1, x), message(2, [message(1, [int(1, FLOAT)])])]))])]));
  const results = { ...await session.run(feeds), ...feeds }, ranges = new Map();
  for (const name of names) {
    let least = 0, greatest = 0;
    for (const x of results[name].data) {
      if (x < least) least = x;
      if (x > greatest) greatest = x;
    }
    ranges.set(name, [least, greatest]);
  }
  return { ranges, output: results[session.outputNames[0]] };
}

// A weight or a bias as integers with a scale for each of its first dimension, and the node that gives it back.
function constant({ dims, numbers }, name, type, scales, tensors, nodes) {
  const Integers = type === INT8 ? Int8Array : Int32Array, each = numbers.length / dims[0];
  const whole = Integers.from(numbers, (x, i) => Math.round(x / scales[Math.floor(i / each)]));
  tensors.push(writeTensor(`${name}/q`, type, dims, whole), writeTensor(`${name}/scale`, FLOAT, [dims[0]], scales),
               writeTensor(`${name}/zero`, type, [dims[0]], new Integers(dims[0])));
  nodes.push(linear('DequantizeLinear', `${name}/q`, name, `${name}/dq`, true));
  return `${name}/dq`;
}

function weightScales({ dims, numbers }) {
  const scales = new Float32Array(dims[0]), each = numbers.length / dims[0];
  numbers.forEach((x, i) => {
    const channel = Math.floor(i / each);
    scales[channel] = Math.max(scales[channel], Math.abs(x) / 127);
  });
  return scales.map((x) => x || 1);
}

function quantise(network, ranges) {
  const { graph, weights, nodes } = network, tensors = [], made = [], done = new Set();
  const scales = new Map(), owner = new Map();  // owner of a tensor: the one whose scale it has
  const source = (name) => owner.get(name) || name;
  const pair = (name) => {
    if (!ranges.has(name) || done.has(name)) return;
    const by = source(name), [least, greatest] = ranges.get(by), scale = Math.fround((greatest - least) / 255 || 1);
    if (by === name)
      tensors.push(writeTensor(`${name}/scale`, FLOAT, [], Float32Array.of(scale)),
                   writeTensor(`${name}/zero`, UINT8, [], Uint8Array.of(Math.round(-least / scale))));
    made.push(linear('QuantizeLinear', name, by, `${name}/q`),
              linear('DequantizeLinear', `${name}/q`, by, `${name}/dq`));
    scales.set(name, scale);
    done.add(name);
  };
  all(graph, 11).forEach((input) => pair(String(all(parse(input), 1)[0])));
  for (const node of nodes) {
    const [x, w, b] = node.inputs, copy = { ...node, inputs: node.inputs.map((t) => (done.has(t) ? `${t}/dq` : t)) };
    if (node.quantised && node.type === 'Conv') {
      const by = weightScales(weights.get(w)), products = by.map((s) => s * scales.get(x));
      copy.inputs[1] = constant(weights.get(w), `${node.outputs[0]}/w`, INT8, by, tensors, made);
      if (b) copy.inputs[2] = constant(weights.get(b), `${node.outputs[0]}/b`, INT32, products, tensors, made);
    }
    if (node.quantised && KINDS[node.type]) node.outputs.forEach((y) => owner.set(y, source(x)));
    raise(copy, tensors);
    made.push(copy);
    node.outputs.forEach(pair);
  }
  const used = new Set(made.flatMap((n) => n.inputs));
  const kept = graph.filter(([f, , bytes]) => ![1, 13].includes(f) && (f !== 5 || used.has(readTensor(bytes).name)));
  return assemble(network, [...kept, ...tensors, ...made.map(writeNode)]);
}

// ---- that it is what it is meant to be

// Of [1, four coordinates and then the scores, boxes].
const highest = ({ data, dims }) => data.subarray(4 * dims[2]).reduce((a, b) => Math.max(a, b));

async function main() {
  const [model, input, dims, out] = process.argv.slice(2);
  const network = readModel(fs.readFileSync(model));
  const given = Uint8Array.from(fs.readFileSync(input));
  const name = String(all(parse(all(network.graph, 11)[0]), 1)[0]);
  const feeds = { [name]: new ort.Tensor('float32', new Float32Array(given.buffer), dims.split('x').map(Number)) };
  const { ranges, output } = await observe(network, feeds);
  fs.writeFileSync(out, quantise(network, ranges));
  const session = await open(out, { optimizedModelFilePath: `${out}.fused` });
  const results = await session.run(feeds);
  const fused = all(parse(all(parse(fs.readFileSync(`${out}.fused`)), 7)[0]), 1).map(readNode);
  const count = (nodes, type) => nodes.filter((n) => n.type === type).length;
  const convolutions = count(network.nodes.filter((n) => n.quantised), 'Conv'), found = count(fused, 'QLinearConv');
  const scores = [results[session.outputNames[0]], output].map(highest);
  if (found !== convolutions) throw new Error(`ONNX Runtime fuses ${found} of ${convolutions} convolutions`);
  if (Math.abs(scores[0] - scores[1]) > 0.2) throw new Error(`the highest score is ${scores[0]}, not ${scores[1]}`);
  const others = ['QLinearSigmoid', 'QLinearMul', 'QLinearAdd', 'QLinearConcat', 'QuantizeLinear', 'DequantizeLinear'];
  console.log(`ready ${found} of ${convolutions} convolutions fused,`,
              `${others.map((t) => `${count(fused, t)} ${t}`).join(', ')};`,
              `highest score ${scores[0].toFixed(3)}, in float32 ${scores[1].toFixed(3)}`);
}

main().catch((fault) => {
  console.log('no', fault.message.split('\n')[0]);
});
