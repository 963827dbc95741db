// The load driver, run in its own process: N keep-alive connections, one MCP session each, calls in a closed loop.
// Usage: node load.mjs --url U [--connections N] [--warmup-ms N] [--measure-ms N] [--pid P] [--size N] [--era modern]
// With --size each call asks for a text of that size in place of an echo; --era modern calls without a session.
// Prints one JSON line. With --pid, CPU time of that process and of its tree is taken over the measured window only.

import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { openSession } from './mcp-connection.mjs'
import { openModern } from './modern-connection.mjs'
import { readCpu } from './proc-stat.mjs'

const RECONNECT_PAUSE_MS = 20
const ERROR_SAMPLES = 3
const GRACE_MS = 25_000

const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    connections: { type: 'string', default: '1' },
    'warmup-ms': { type: 'string', default: '1000' },
    'measure-ms': { type: 'string', default: '4000' },
    pid: { type: 'string' },
    size: { type: 'string' },
    era: { type: 'string', default: 'legacy' },
  },
})
const connections = Number(values.connections)
const warmupMs = Number(values['warmup-ms'])
const measureMs = Number(values['measure-ms'])
const size = values.size === undefined ? undefined : Number(values.size)
const open = values.era === 'modern' ? openModern : openSession

// The driver ends by itself whatever the program under test does.
setTimeout(
  () => {
    process.stderr.write('the load driver ran out of time\n')
    process.exit(1)
  },
  warmupMs + measureMs + GRACE_MS,
).unref()

const state = {
  nextId: 1,
  isMeasuring: false,
  isOver: false,
  latenciesMs: [],
  errors: 0,
  samples: [],
  isSessionful: false,
}

const sessions = await Promise.all(Array.from({ length: connections }, () => open(values.url)))
state.isSessionful = sessions.every((session) => session.isSessionful)
const workers = sessions.map((session) => runWorker(session))

await delay(warmupMs)
const before = values.pid === undefined ? undefined : readCpu(Number(values.pid))
const startedAt = performance.now()
const ownCpu = process.cpuUsage()
state.isMeasuring = true
await delay(measureMs)
state.isMeasuring = false
const elapsedMs = performance.now() - startedAt
const ownUse = process.cpuUsage(ownCpu)
const after = values.pid === undefined ? undefined : readCpu(Number(values.pid))
state.isOver = true
await Promise.all(workers)

process.stdout.write(`${JSON.stringify(summarize())}\n`)
process.exit(0)

async function runWorker(session) {
  let current = session
  while (!state.isOver) {
    const id = state.nextId++
    const sentAt = performance.now()
    try {
      current ??= await open(values.url)
      if (size === undefined) await current.call(id, { message: `m-${id}` })
      else await current.callSized(id, size)
      if (state.isMeasuring) state.latenciesMs.push(performance.now() - sentAt)
    } catch (error) {
      recordError(error)
      current?.close()
      current = undefined
      await delay(RECONNECT_PAUSE_MS)
    }
  }
  await current?.end()
}

function recordError(error) {
  state.errors += 1
  if (state.samples.length < ERROR_SAMPLES) state.samples.push(error.message)
}

function summarize() {
  const sorted = Float64Array.from(state.latenciesMs).sort()
  const calls = sorted.length
  const perCallUs = (from, to) => (calls === 0 ? null : ((to - from) * 1e6) / calls)
  return {
    connections,
    calls,
    callsPerSecond: (calls * 1000) / elapsedMs,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    errors: state.errors,
    errorSamples: state.samples,
    isSessionful: state.isSessionful,
    // Near 1 the driver was the bottleneck: then calls/s and latency are its own, CPU per call still holds.
    driverLoad: (ownUse.user + ownUse.system) / 1000 / elapsedMs,
    cpuUsPerCall: before && after ? perCallUs(before.selfSeconds, after.selfSeconds) : null,
    treeCpuUsPerCall: before && after ? perCallUs(before.treeSeconds, after.treeSeconds) : null,
  }
}

function percentile(sorted, share) {
  return sorted.length === 0 ? null : sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
}
