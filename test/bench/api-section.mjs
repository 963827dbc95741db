// Section "api": the API server: its start, how it is found, a list of many workloads, and how late an event is.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { launch, runToEnd, stopGroup } from './processes.mjs'
import { format, judgeGoal, median, renderTable } from './statistics.mjs'
import { createThvHome, thvCommand } from './thv-target.mjs'

const WORKLOADS = 200
const START_TIMEOUT_MS = 20_000
const LOOKUP_TIMEOUT_MS = 60_000
const EVENT_TIMEOUT_MS = 10_000
const ROOT = fileURLToPath(new URL('../..', import.meta.url))

// Finds the server as the command line does, again and again in one warm process.
const lookup = `
import { createContainer } from './apps/thv/src/container.ts'
import { discoverServer } from '@thv/client'
const deps = { ...(await createContainer().discovery()), environment: {} }
const times = []
for (let run = 0; run < Number(process.env['RUNS']); run += 1) {
  const before = performance.now()
  const found = await discoverServer(deps, AbortSignal.timeout(10_000))
  if (found.source !== 'record') throw new Error('not found: ' + JSON.stringify(found))
  times.push(performance.now() - before)
}
process.stdout.write(JSON.stringify(times))
`

/** `settings`: `{ quick, log }`. */
export async function runApiSection({ thv }, settings) {
  if (thv.reason !== undefined) return summarize([], [`Not measured: thv is ${thv.reason}.`])
  const runs = settings.quick ? 50 : 300
  const home = createThvHome()
  const stateHome = join(home.env.XDG_STATE_HOME, 'toolhive')
  try {
    settings.log('api: start')
    const startsMs = []
    for (let round = 1; round < settings.startRounds; round++) {
      const started = await startServer(home, stateHome)
      startsMs.push(started.readyMs)
      await stopGroup(started.server)
    }
    const { server, readyMs, record } = await startServer(home, stateHome)
    startsMs.push(readyMs)
    try {
      settings.log('api: lookup, list and events')
      for (let index = 0; index < WORKLOADS; index++) writeWorkload(home, stateHome, { index, record, context: '' })
      const lookupsMs = (await measureLookup(home, runs)).slice(1)
      const listsMs = await measureList(record.url, runs)
      const eventsMs = await measureEvents(record.url, {
        runs,
        write: (step) => writeWorkload(home, stateHome, step),
        record,
      })
      return summarize([
        { what: "start of 'thv serve' to its record", timesMs: startsMs },
        { what: 'discovery lookup', timesMs: lookupsMs, goalMs: 5 },
        { what: `list of ${WORKLOADS} running workloads`, timesMs: listsMs, goalMs: 50 },
        { what: `status change to subscriber, beside ${WORKLOADS} workloads`, timesMs: eventsMs, goalMs: 20 },
      ])
    } finally {
      await stopGroup(server)
    }
  } finally {
    home.close()
  }
}

async function startServer(home, stateHome) {
  const path = join(stateHome, 'server', 'server.json')
  const server = launch(thvCommand('serve', '--port', '0'), { env: home.env })
  const deadline = performance.now() + START_TIMEOUT_MS
  for (;;) {
    const record = readRecord(path)
    if (record !== undefined && record.pid === server.pid) {
      return { server, record, readyMs: performance.now() - server.startedAt }
    }
    if (performance.now() > deadline) throw new Error('the server wrote no record')
    await delay(1)
  }
}

function readRecord(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}

/** A workload that runs as far as its files say: its owner is the server, which lives. */
function writeWorkload(home, stateHome, { index, record, context }) {
  const name = `bench-${index}`
  const configs = join(stateHome, 'runconfigs')
  const statuses = join(home.dataHome, 'toolhive', 'statuses')
  mkdirSync(configs, { recursive: true })
  mkdirSync(statuses, { recursive: true })
  const config = {
    schema_version: 'v0.1.0',
    image: 'example/server:1',
    name,
    transport: 'stdio',
    host: '127.0.0.1',
    port: 20_000 + index,
    permission_profile: null,
    group: 'default',
  }
  if (context === '') writeFileSync(join(configs, `${name}.json`), JSON.stringify(config))
  const now = new Date().toISOString()
  const status = {
    status: 'running',
    status_context: context,
    created_at: now,
    updated_at: now,
    process_id: record.pid,
    thv: { owner: { pid: record.pid, started: record.thv.started }, started_at: now },
  }
  const path = join(statuses, `${name}.json`)
  writeFileSync(`${path}.new`, JSON.stringify(status))
  const before = performance.now()
  renameSync(`${path}.new`, path)
  return before
}

async function measureLookup(home, runs) {
  const argv = ['--conditions=@thv/source', '--import', 'tsx', '--input-type=module', '--eval', lookup]
  const env = { ...home.env, RUNS: String(runs) }
  const ended = await runToEnd([process.execPath, ...argv], {
    env,
    cwd: ROOT,
    stdout: 'pipe',
    timeoutMs: LOOKUP_TIMEOUT_MS,
  })
  if (ended.code !== 0) throw new Error(`the lookup failed: ${ended.stderr.trim().slice(-300)}`)
  return JSON.parse(ended.stdout)
}

async function measureList(url, runs) {
  const timesMs = []
  for (let run = 0; run < runs / 5; run++) {
    const before = performance.now()
    const answer = await fetch(`${url}/api/v1beta/workloads`)
    const { workloads } = await answer.json()
    timesMs.push(performance.now() - before)
    if (workloads.length !== WORKLOADS) throw new Error(`${workloads.length} workloads are listed`)
  }
  return timesMs
}

/** One change after another: each waits for the event of the one before. */
async function measureEvents(url, { runs, write, record }) {
  const { request, next } = await subscribe(`${url}/api/v1beta/events?kind=workload`)
  try {
    const timesMs = []
    for (let run = 0; run < runs; run++) {
      const context = `change ${run}.`
      const arrived = next(context)
      const before = write({ index: run % WORKLOADS, record, context })
      timesMs.push((await arrived) - before)
    }
    return timesMs
  } finally {
    request.destroy()
  }
}

/** A subscriber that has its snapshot; `next` resolves to when a text arrived. */
async function subscribe(url) {
  let text = ''
  let look = () => {}
  const request = get(url, (answer) => {
    answer.setEncoding('utf8')
    answer.on('data', (chunk) => {
      text += chunk
      look()
    })
  })
  request.on('error', () => {})
  const next = (wanted) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no event with '${wanted}'`)), EVENT_TIMEOUT_MS)
      look = () => {
        if (!text.includes(wanted)) return
        clearTimeout(timer)
        text = ''
        resolve(performance.now())
      }
      look()
    })
  await next('event: snapshot')
  return { request, next }
}

function summarize(rows, notes = []) {
  const figures = rows.map(({ what, timesMs, goalMs }) => {
    const sorted = [...timesMs].sort((one, other) => one - other)
    const p99 = sorted[Math.ceil(sorted.length * 0.99) - 1]
    return { what, goalMs, runs: sorted.length, best: sorted[0], p50: median(sorted), p99 }
  })
  const table = renderTable(
    ['what', 'runs', 'best ms', 'p50 ms', 'p99 ms'],
    figures.map(({ what, runs, best, p50, p99 }) => [
      what,
      String(runs),
      format(best, 1),
      format(p50, 1),
      format(p99, 1),
    ]),
  )
  const goals = figures
    .filter(({ goalMs }) => goalMs !== undefined)
    .map(({ what, goalMs, p50, p99 }) =>
      judgeGoal({
        goal: `${what} <= ${goalMs} ms`,
        value: p50,
        text: `p50 ${format(p50, 1)} ms, p99 ${format(p99, 1)} ms`,
        isMet: (value) => value <= goalMs,
      }),
    )
  const how =
    'Start: from the spawn of the command to its record. Lookup: read of the record and one answer of /health, in a warm process. ' +
    'List and event: over HTTP on loopback, to the last byte; an event from the rename of the status file. Goals are judged by the median.'
  return { title: 'API server', table, goals, notes: [...notes, how], data: { rows: figures } }
}
