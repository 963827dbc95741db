// Section "data-plane": what one request costs in each way through thv, beside a server without a proxy and beside the
// least that a forwarder can do.

import { waitForFirstAnswer } from './first-answer.mjs'
import { runDriver } from './driver.mjs'
import { whyNotModern } from './modern-connection.mjs'
import { readMemory } from './proc-stat.mjs'
import { format, judgeGoal, median, renderTable } from './statistics.mjs'
import { ECHO_SERVER, HTTP_SERVER } from './targets.mjs'

const SIZES = [300, 10_000, 100_000]
const CONNECTIONS = [1, 16, 128]
const CELLS = SIZES.flatMap((size) => CONNECTIONS.map((connections) => ({ size, connections })))
// The peers are far away from the others; two cells say how far.
const PEER_CELLS = CELLS.filter(({ size, connections }) => connections === 16 && size <= 10_000)
const QUICK_PEER_CELLS = PEER_CELLS.slice(0, 1)
// Once per start, so that the first cell does not pay for the compiler.
const WARM_UP = { 'warmup-ms': 1_000, 'measure-ms': 100 }
const START_TIMEOUT_MS = 30_000
// Above this share of a core the driver is the bottleneck: calls/s and latency are its own then.
const DRIVER_LIMIT = 0.9

/** `targets`: `{ bare, forwarder, transparent, bridge, modern, peers }`; `settings` as for the load section. */
export async function runDataPlaneSection(targets, settings) {
  const { bare, forwarder, transparent, bridge, modern, peers } = targets
  const peerCells = settings.quick ? QUICK_PEER_CELLS : PEER_CELLS
  const results = [
    { key: 'bare', target: bare, cells: CELLS },
    { key: 'forwarder', target: forwarder, cells: CELLS },
    { key: 'transparent', target: transparent, cells: CELLS, server: HTTP_SERVER },
    { key: 'bridge', target: bridge, cells: CELLS },
    { key: 'modern', target: modern, cells: CELLS, era: 'modern' },
    ...peers.map((target) => ({ key: target.name, target, cells: peerCells })),
  ].map((result) => ({ server: ECHO_SERVER, ...result, rounds: [], failure: result.target.reason }))
  const times = settings.quick ? { 'warmup-ms': 150, 'measure-ms': 450 } : toTimes(settings)
  for (let round = 1; round <= settings.rounds; round++) {
    for (const result of results) {
      if (result.failure !== undefined) continue
      settings.log(`data-plane: round ${round} of ${settings.rounds}, ${result.target.name}`)
      try {
        result.rounds.push(await measureRound(result, times))
      } catch (error) {
        result.failure = error.message
      }
    }
  }
  return summarize(results, { rounds: settings.rounds, times })
}

function toTimes({ warmupMs, measureMs }) {
  return { 'warmup-ms': warmupMs, 'measure-ms': measureMs }
}

async function measureRound({ target, cells, server, era }, times) {
  const running = await target.launch(server)
  try {
    await waitForFirstAnswer(running, { timeoutMs: START_TIMEOUT_MS })
    const reason = era === 'modern' ? await whyNotModern(running.url) : undefined
    if (reason !== undefined) throw new Error(`not available: it does not serve Modern clients (${reason})`)
    const { pid } = await running.ready
    await runDriver({ url: running.url, connections: 16, size: SIZES[1], era, ...WARM_UP })
    const runs = new Map()
    for (const cell of cells) {
      const figures = await runDriver({ url: running.url, pid, ...cell, era, ...times })
      runs.set(cell, { ...figures, ...readMemory(pid) })
    }
    return runs
  } finally {
    await running.stop()
  }
}

function summarize(results, { rounds, times }) {
  const rows = CELLS.flatMap((cell) =>
    results.filter(({ cells }) => cells.includes(cell)).map((one) => toRow(one, cell)),
  )
  for (const row of rows) {
    const unitOf = (key) => rows.find((other) => other.key === key && other.cell === row.cell)?.cpuUs
    row.xBare = row.cpuUs / unitOf('bare')
    row.xForwarder = row.cpuUs / unitOf('forwarder')
  }
  const missing = results.filter(({ failure }) => failure !== undefined)
  const header = 'result,conns,program,CPU us/req,x bare,x forwarder,req/s,p50 ms,p99 ms,RSS after,driver,errors'
  const table = renderTable(header.split(','), rows.filter(({ failure }) => failure === undefined).map(toCells))
  const notes = [
    ...missing.map(({ target, failure }) => `${target.name}: ${failure.replaceAll(/[|\n]/g, ' ')}`),
    `Medians of ${rounds} interleaved round(s), ${times['measure-ms']} ms each after ${times['warmup-ms']} ms of ` +
      'warm-up. Closed loop on raw keep-alive sockets without pipelining, one session per connection. CPU is that of ' +
      'the program under test (all its threads, from /proc), without its server. RSS in MB after that load; sizes are ' +
      'measured one after another in the same process. "driver" is its share of one core: near 100 % calls/s and ' +
      'latency are its own, CPU per request still holds. The bare server parses each request and serializes each ' +
      `result, as the servers behind the proxies do. Peers are measured in ${PEER_CELLS.length} of ${CELLS.length} cells.`,
  ]
  const data = { rows: rows.map(({ cell, ...row }) => ({ ...row, ...cell })) }
  return { title: 'Data plane: cost of one request', table, goals: judge(rows), notes, data }
}

function toRow({ key, target, rounds, failure }, cell) {
  const of = (name) => median(rounds.map((runs) => runs.get(cell)?.[name]))
  return {
    key,
    cell,
    program: target.name,
    failure,
    cpuUs: of('cpuUsPerCall'),
    perSecond: of('callsPerSecond'),
    p50Ms: of('p50Ms'),
    p99Ms: of('p99Ms'),
    rssMb: of('rssMb'),
    driverLoad: of('driverLoad'),
    errors: rounds.reduce((sum, runs) => sum + (runs.get(cell)?.errors ?? 0), 0),
  }
}

function toCells(row) {
  const { size, connections } = row.cell
  return [
    `${format(size / 1000, size < 1000 ? 1 : 0)} KB`,
    String(connections),
    row.program,
    format(row.cpuUs),
    format(row.xBare, 2),
    format(row.xForwarder, 2),
    format(row.perSecond),
    format(row.p50Ms, 2),
    format(row.p99Ms, 2),
    format(row.rssMb),
    `${format(row.driverLoad * 100)} %${row.driverLoad > DRIVER_LIMIT ? ' (limit)' : ''}`,
    String(row.errors),
  ]
}

function judge(rows) {
  return SIZES.flatMap((size) => [
    judgeRatio(rows, { size, key: 'transparent', ratio: 'xForwarder', most: 1.3, of: 'the bare forwarder' }),
    judgeRatio(rows, { size, key: 'bridge', ratio: 'xBare', most: 2, of: 'the bare server' }),
    judgeRatio(rows, { size, key: 'modern', ratio: 'xBare', most: 3, of: 'the bare server' }),
  ])
}

/** Over the numbers of connections the middle counts: with one, waiting costs as much as working. */
function judgeRatio(rows, { size, key, ratio, most, of }) {
  const fitting = rows.filter((row) => row.key === key && row.cell.size === size)
  const value = median(fitting.map((row) => row[ratio]))
  return judgeGoal({
    goal: `${fitting[0].program}, ${size / 1000} KB: CPU <= ${most}x ${of}`,
    value,
    text: `${format(value, 2)}x`,
    isMet: (found) => found <= most,
  })
}
