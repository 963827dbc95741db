// Section "memory": what idle workloads cost, as a process each (as the product runs them) and several in one process.

import { symlinkSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { takeAccount } from './memory-account.mjs'
import { createScratch, launch, removeScratch, runToEnd, stopGroup } from './processes.mjs'
import { readCpu } from './proc-stat.mjs'
import { format, judgeGoal, median, renderTable } from './statistics.mjs'
import { createThvHome, isThvBuilt, thvCommand } from './thv-target.mjs'

const IDLE_SERVER = fileURLToPath(new URL('idle-server.sh', import.meta.url))
const HOST = fileURLToPath(new URL('workload-host.mjs', import.meta.url))
const APP = fileURLToPath(new URL('../../apps/thv', import.meta.url))
const COMMAND_TIMEOUT_MS = 120_000
const READY_TIMEOUT_MS = 120_000
const HOST_ATTEMPTS = 3
const POLL_MS = 25
/** Long enough for start-up garbage to be collected by what V8 does on its own. */
const SETTLE_MS = 10_000
const GOAL_FIRST_MB = 60
const GOAL_FURTHER_MB = 5

/** What is compared: the plain server, and the one that a user gets who asks for nothing. */
const KINDS = [
  { kind: 'no isolation', flags: ['--isolation', 'none'], counts: [1, 10, 50] },
  { kind: 'sandbox, filtered network', flags: [], counts: [1, 10] },
]

/** `settings`: `{ quick, log }`; quick leaves out the largest count. */
export async function runMemorySection(_context, { quick, log }) {
  if (!isThvBuilt()) throw new Error("thv is not built (run 'npm run build')")
  const rows = []
  for (const { kind, flags, counts } of KINDS) {
    const wanted = quick ? counts.filter((count) => count <= 10) : counts
    const home = createThvHome()
    const host = createScratch('host')
    try {
      rows.push(...(await measureProcesses(home, { kind, flags, counts: wanted, log })))
      const program = await buildHost(host)
      rows.push(...(await measureHost(home, { kind, program, counts: wanted, log })))
    } finally {
      home.close()
      removeScratch(host)
    }
  }
  return summarize(rows)
}

/** Starts one workload after the other and looks at each count on the way. */
async function measureProcesses(home, { kind, flags, counts, log }) {
  const form = 'a process each'
  const rows = []
  const startMs = []
  for (const count of counts) {
    while (startMs.length < count) {
      const argv = thvCommand('run', '--name', nameOf(startMs.length), ...flags, '--', '/bin/sh', IDLE_SERVER)
      startMs.push((await runThv(home, argv)).elapsedMs)
    }
    await delay(SETTLE_MS)
    const records = await readRecords(home, count)
    const pids = records.map(({ process_id: pid }) => pid)
    const cpuMs = median(pids.map((pid) => readCpu(pid).selfSeconds * 1000))
    rows.push({ kind, form, count, startMs: median(startMs), cpuMs, ...takeAccount(pids, records) })
    log(describe(rows.at(-1)))
  }
  await runThv(home, thvCommand('stop', '--all'))
  return rows
}

/** The same workloads in one process, a new one for each count. */
async function measureHost(home, { kind, program, counts, log }) {
  const form = 'one process'
  const rows = []
  for (const count of counts) {
    const { running, records } = await startHost(home, { program, count })
    const startMs = (performance.now() - running.startedAt) / count
    await delay(SETTLE_MS)
    const cpuMs = (readCpu(running.pid).selfSeconds * 1000) / count
    rows.push({ kind, form, count, startMs, cpuMs, ...takeAccount([running.pid], records) })
    log(describe(rows.at(-1)))
    await stopGroup(running)
  }
  return rows
}

/** Tried again: between two runs a passing connection may have been given the port of one of the workloads. */
async function startHost(home, { program, count }) {
  const names = Array.from({ length: count }, (_, index) => nameOf(index))
  for (let attempt = 1; ; attempt++) {
    const running = launch([process.execPath, program, ...names], { env: home.env })
    try {
      return { running, records: await waitUntilServing(home, { count, running }) }
    } catch (error) {
      await stopGroup(running)
      if (attempt === HOST_ATTEMPTS) throw error
      await delay(SETTLE_MS)
    }
  }
}

/** The host finds the launcher and the forwarder where the product has them: beside its own directory. */
async function buildHost(directory) {
  const { bundle } = await import('../../tools/build.mjs')
  const output = join(directory, 'dist')
  const { entries } = await bundle({ 'workload-host': HOST }, output)
  symlinkSync(join(APP, 'bin'), join(directory, 'bin'))
  symlinkSync(join(APP, 'dist', 'forwarder.js'), join(output, 'forwarder.js'))
  return join(output, entries['workload-host'])
}

async function waitUntilServing(home, { count, running }) {
  const deadline = performance.now() + READY_TIMEOUT_MS
  const failed = running.exited.then(({ code, stderr }) => {
    throw new Error(`the host ended with code ${code}: ${stderr.trim().slice(-300)}`)
  })
  failed.catch(() => {})
  while (performance.now() < deadline) {
    const records = await readRecords(home, count)
    if (records.every(({ status, process_id: pid }) => status === 'running' && pid === running.pid)) return records
    await Promise.race([delay(POLL_MS), failed])
  }
  throw new Error(`${count} workloads in one process were not serving in time`)
}

async function readRecords(home, count) {
  const paths = Array.from({ length: count }, (_, index) =>
    join(home.dataHome, 'toolhive', 'statuses', `${nameOf(index)}.json`),
  )
  return await Promise.all(paths.map(async (path) => JSON.parse(await readFile(path, 'utf8'))))
}

async function runThv(home, argv) {
  const ended = await runToEnd(argv, { env: home.env, timeoutMs: COMMAND_TIMEOUT_MS })
  if (ended.code !== 0) throw new Error(`'${argv.slice(3).join(' ')}' failed: ${ended.stderr.trim().slice(-300)}`)
  return ended
}

function nameOf(index) {
  return `idle-${index}`
}

function describe({ kind, form, count, all }) {
  return `memory: ${kind}, ${form}, ${count}: ${format(all.rssMb)} MB RSS, ${format(all.ownMb, 1)} MB own`
}

function summarize(rows) {
  const header = 'server,workloads,in,processes,RSS MB,PSS MB,own MB,each further: RSS,PSS,own,start ms,CPU ms'
  const further = (row, unit) => {
    const first = rows.find(({ kind, form, count }) => kind === row.kind && form === row.form && count === 1)
    return row.count === 1 ? undefined : (row.all[unit] - first.all[unit]) / (row.count - 1)
  }
  const table = renderTable(
    header.split(','),
    rows.map((row) => [
      row.kind,
      String(row.count),
      row.form,
      String(row.all.processes),
      format(row.all.rssMb),
      format(row.all.pssMb),
      format(row.all.ownMb, 1),
      ...['rssMb', 'pssMb', 'ownMb'].map((unit) => format(further(row, unit), 1)),
      format(row.startMs),
      format(row.cpuMs),
    ]),
  )
  const parts = renderTable(
    'server,workloads,in,process,number,RSS MB of one,PSS,own'.split(','),
    rows.flatMap((row) =>
      Object.entries(row.account).flatMap(([role, { processes, rssMb, pssMb, ownMb }]) =>
        processes === 0
          ? []
          : [
              [
                row.kind,
                String(row.count),
                row.form,
                role,
                String(processes),
                ...[rssMb, pssMb, ownMb].map((value) => format(value / processes, 1)),
              ],
            ],
      ),
    ),
  )
  const goals = KINDS.flatMap(({ kind }) => {
    const hosted = rows.filter((row) => row.kind === kind && row.form === 'one process')
    const [first, last] = [hosted.at(0), hosted.at(-1)]
    const what = `one process, ${kind}`
    return [
      judge(`${what}, first workload: RSS`, { value: first.all.rssMb, limitMb: GOAL_FIRST_MB }),
      judge(`${what}, each further of ${last.count}: RSS`, { value: further(last, 'rssMb'), limitMb: GOAL_FURTHER_MB }),
    ]
  })
  return { title: 'Memory of idle workloads', table, goals, notes: [parts, NOTE], data: { rows } }
}

function judge(what, { value, limitMb }) {
  const text = `${format(value, 1)} MB`
  return judgeGoal({ goal: `${what} <= ${limitMb} MB`, value, text, isMet: (figure) => figure <= limitMb })
}

const NOTE =
  'stdio servers that are a shell script, so that they share nothing with thv; their own memory is left out. Sums over ' +
  `all processes of thv around them, ${SETTLE_MS / 1000} s after the last start, without any call. "Own" is what no other process ` +
  "shares. Start is 'thv run' until the server has answered, one after another, or the time of the one process until all " +
  'have, by their number. CPU is that of the supervisor, per workload. "In one process" is a program of the bench, built ' +
  'from the same sources; the product does not do it.'
