// Section "isolation": what each isolation of a server costs at its start and in each call, beside `--isolation none`.

import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runDriver } from './driver.mjs'
import { waitForFirstAnswer } from './first-answer.mjs'
import { format, judgeGoal, median, renderTable } from './statistics.mjs'
import { ECHO_SERVER, HTTP_SERVER } from './targets.mjs'

const HTTP_FLAGS = ['--transport', 'streamable-http']
const CONTAINER_DIRECTORY = '/bench'
const START_TIMEOUT_MS = 30_000
// The first start may pull the image.
const FIRST_TIMEOUT_MS = 150_000
const MOST_START_MS = 50
const MOST_CALL_RATIO = 1.05

const LEVELS = [
  { level: 'none', flags: ['--isolation', 'none'] },
  { level: 'sandbox, open network', flags: ['--isolation', 'required', '--network', 'host'] },
  { level: 'sandbox, filtered network', flags: ['--isolation', 'required'] },
  { level: 'sandbox, no network', flags: ['--isolation', 'required', '--network', 'none'] },
]

/**
 * `build(options)` makes a thv target; `peers` start the same stdio server without any isolation; `settings.image` is
 * an image with Node for the rows of containers.
 */
export async function runIsolationSection({ build, peers }, settings) {
  const rows = [
    ...LEVELS.map((one) => createRow(build, { ...one, server: ECHO_SERVER, transport: 'stdio' })),
    createRow(build, { ...containerLevel(settings.image), transport: 'stdio' }),
    ...LEVELS.map((one) =>
      createRow(build, { ...one, flags: [...one.flags, ...HTTP_FLAGS], server: HTTP_SERVER, transport: 'http' }),
    ),
    ...peers.map((target) => toRow({ target, level: target.name, server: ECHO_SERVER, transport: 'stdio' })),
  ]
  // Before anything is counted: the files of a server are read once for all rows.
  for (const row of rows) {
    await attempt(row, async () => {
      row.firstMs = await measureStart(row, FIRST_TIMEOUT_MS)
    })
  }
  for (let round = 1; round <= settings.startRounds * 3; round++) {
    settings.log(`isolation: starts, round ${round}`)
    for (const row of rows) await attempt(row, async () => row.startsMs.push(await measureStart(row, START_TIMEOUT_MS)))
  }
  for (let round = 1; round <= settings.rounds; round++) {
    settings.log(`isolation: calls, round ${round}`)
    for (const row of rows) await attempt(row, async () => row.loads.push(await measureCalls(row, settings)))
  }
  return summarize(rows, settings)
}

function containerLevel(image) {
  const [, ...scripts] = ECHO_SERVER
  const directory = dirname(fileURLToPath(import.meta.url))
  const server = ['node', ...scripts.map((path) => path.replace(directory, CONTAINER_DIRECTORY))]
  return { level: 'container', flags: ['--volume', `${directory}:${CONTAINER_DIRECTORY}:ro`, image], server }
}

function createRow(build, { level, flags, server, transport }) {
  const workload = `isolation-${transport}-${level.replaceAll(/[^a-z]+/g, '-')}`
  return toRow({ target: build({ name: level, flags, workload }), level, server, transport })
}

function toRow({ target, level, server, transport }) {
  return { target, level, server, transport, startsMs: [], loads: [], failure: target.reason }
}

async function attempt(row, measure) {
  if (row.failure !== undefined) return
  try {
    await measure()
  } catch (error) {
    row.failure = error.message
  }
}

async function measureStart({ target, server }, timeoutMs) {
  const running = await target.launch(server)
  try {
    const { answeredAt } = await waitForFirstAnswer(running, { timeoutMs })
    return answeredAt - running.startedAt
  } finally {
    await running.stop()
  }
}

async function measureCalls({ target, server }, { connections, warmupMs, measureMs }) {
  const running = await target.launch(server)
  try {
    await waitForFirstAnswer(running, { timeoutMs: START_TIMEOUT_MS })
    const { pid } = await running.ready
    const runs = {}
    for (const count of connections) {
      const load = { url: running.url, pid, connections: count, 'warmup-ms': warmupMs, 'measure-ms': measureMs }
      runs[count] = await runDriver(load)
    }
    return runs
  } finally {
    await running.stop()
  }
}

function summarize(rows, settings) {
  const figures = rows.map((row) => figuresOf(row, settings))
  for (const figure of figures) {
    const unit = figures.find(({ level, transport }) => level === 'none' && transport === figure.transport)
    figure.addedMs = figure.startMs - unit.startMs
    for (const call of figure.calls) {
      const unitCall = unit.calls.find(({ connections }) => connections === call.connections)
      call.rateRatio = call.perSecond / unitCall.perSecond
      call.cpuRatio = call.treeUs / unitCall.treeUs
    }
  }
  const head = ['server', 'isolation', 'first start ms', 'start ms', 'best', 'over none ms']
  const perCount = settings.connections.flatMap((count) => [
    `calls/s at ${count}`,
    'x none',
    `tree us/call at ${count}`,
    'x none',
  ])
  const notes = [
    `Starts: from the spawn of the command to the first answered tools/call of a server that needs nothing but Node; ` +
      `the median of ${settings.startRounds * 3} interleaved starts after the first one. Calls: medians of ` +
      `${settings.rounds} interleaved round(s) of ${settings.measureMs} ms after ${settings.warmupMs} ms. "tree" is ` +
      'the CPU of the supervisor and all below it, the forwarder among them; what runs in a container is not below it. ' +
      'The peers know no isolation.',
  ]
  const table = renderTable([...head, ...perCount], figures.map(toCells))
  return { title: 'Isolation', table, goals: figures.flatMap(judge), notes, data: { rows: figures } }
}

function figuresOf({ level, transport, failure, firstMs, startsMs, loads }, { connections }) {
  const calls = connections.map((count) => {
    const of = (name) => median(loads.map((runs) => runs[count][name]))
    return { connections: count, perSecond: of('callsPerSecond'), treeUs: of('treeCpuUsPerCall') }
  })
  const bestMs = startsMs.length === 0 ? undefined : Math.min(...startsMs)
  return { level, transport, failure, firstMs, startMs: median(startsMs), bestMs, startsMs, calls }
}

function toCells({ level, transport, failure, firstMs, startMs, bestMs, addedMs, calls }) {
  return [
    transport,
    failure === undefined ? level : `${level}: unavailable: ${failure.replaceAll(/[|\n]/g, ' ')}`,
    ...[firstMs, startMs, bestMs, addedMs].map((value) => format(value)),
    ...calls.flatMap(({ perSecond, rateRatio, treeUs, cpuRatio }) => [
      format(perSecond),
      format(rateRatio, 2),
      format(treeUs),
      format(cpuRatio, 2),
    ]),
  ]
}

function judge({ level, transport, addedMs, calls }) {
  if (!level.startsWith('sandbox')) return []
  const start = judgeGoal({
    goal: `${transport}, ${level}: start <= ${MOST_START_MS} ms over none`,
    value: addedMs,
    text: `${format(addedMs)} ms`,
    isMet: (value) => value <= MOST_START_MS,
  })
  const cost = calls.map(({ connections, rateRatio }) =>
    judgeGoal({
      goal: `${transport}, ${level}: a call <= ${MOST_CALL_RATIO}x of none at ${connections} connection(s)`,
      value: 1 / rateRatio,
      text: `${format(1 / rateRatio, 2)}x`,
      isMet: (value) => value <= MOST_CALL_RATIO,
    }),
  )
  return [start, ...cost]
}
