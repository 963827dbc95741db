// Section "start": from the start of a program to the first answered tool call of a real server, and its idle memory.

import { setTimeout as delay } from 'node:timers/promises'
import { waitForFirstAnswer } from './first-answer.mjs'
import { PACKAGES } from './packages.mjs'
import { readMemory, readStartTimeMs } from './proc-stat.mjs'
import { format, judgeGoal, median, renderTable } from './statistics.mjs'
import { createThvHome, thvTarget } from './thv-target.mjs'

// A cold start downloads the server and all it depends on.
const COLD_TIMEOUT_MS = 120_000
const WARM_TIMEOUT_MS = 30_000
const SETTLE_MS = 1_500

/** `everything` is the argv of the installed reference server; `settings`: `{ startRounds, log }`. */
export async function runStartSection({ thv, peers, everything }, settings) {
  const reference = `npx://${PACKAGES.everything.name}@${PACKAGES.everything.version}`
  const rows = []
  const home = createThvHome()
  try {
    const target = thv.reason === undefined ? thvTarget(home) : thv
    const cold = createRow({ target, server: reference, label: 'npx:// reference, cold cache' })
    const cached = createRow({ target, server: reference, label: 'npx:// reference, cached' })
    const installed = (target) => createRow({ target, server: everything, label: 'installed program' })
    rows.push(cold, cached, installed(target), ...peers.map(installed))
    // One cold start only: it costs the registry a download, and fills the cache for the rows that follow.
    await measureStart(cold, { timeoutMs: COLD_TIMEOUT_MS, log: settings.log })
    if (cold.failure !== undefined) cached.failure ??= 'no cold start'
    for (let round = 1; round <= settings.startRounds; round++) {
      for (const row of rows.slice(1)) await measureStart(row, { timeoutMs: WARM_TIMEOUT_MS, log: settings.log })
    }
  } finally {
    home.close()
  }
  return summarize(rows)
}

function createRow({ target, server, label }) {
  return { target, server, label, runs: [], failure: target.reason ?? (server === undefined ? 'no server' : undefined) }
}

async function measureStart(row, { timeoutMs, log }) {
  if (row.failure !== undefined) return
  log(`start: ${row.target.name}, ${row.label}`)
  const running = await row.target.launch(row.server)
  try {
    const { listenedAt, answeredAt } = await waitForFirstAnswer(running, { timeoutMs })
    const { pid, commandMs } = await running.ready
    const processStartedAt = readStartTimeMs(pid)
    await delay(SETTLE_MS)
    row.runs.push({
      firstAnswerMs: answeredAt - running.startedAt,
      commandMs,
      // From the start of the serving process itself, which for thv is not the command the user typed.
      listenMs: listenedAt - (commandMs === undefined ? running.startedAt : processStartedAt),
      ...readMemory(pid),
    })
  } catch (error) {
    row.failure = error.message
  } finally {
    await running.stop()
  }
}

function summarize(rows) {
  const figures = rows.map((row) => {
    const of = (name) => median(row.runs.map((run) => run[name]))
    return {
      program: row.target.name,
      start: row.label,
      failure: row.failure,
      rounds: row.runs.length,
      firstAnswerMs: of('firstAnswerMs'),
      commandMs: of('commandMs'),
      listenMs: of('listenMs'),
      rssMb: of('rssMb'),
      pssMb: of('pssMb'),
      runs: row.runs,
    }
  })
  const header = [
    'program',
    'start of server-everything',
    'runs',
    'first answer ms',
    'command ms',
    'spawn to listen ms',
  ]
  const table = renderTable([...header, 'idle RSS MB', 'idle PSS MB'], figures.map(toCells))
  const cached = figures.filter((row) => row.program === 'thv' && row.start !== rows[0].label)
  const [listenMs, rssMb] = ['listenMs', 'rssMb'].map((name) => cached.find((row) => row[name] !== undefined)?.[name])
  const goals = [
    judgeGoal({
      goal: 'listening <= 300 ms after the spawn of the supervisor, cached start',
      value: listenMs,
      text: `${format(listenMs)} ms`,
      isMet: (value) => value <= 300,
    }),
    judgeGoal({
      goal: 'idle supervisor <= 60 MB RSS',
      value: rssMb,
      text: `${format(rssMb)} MB`,
      isMet: (value) => value <= 60,
    }),
  ]
  const notes = [
    'First answer: from the spawn of the command to the first answered tools/call. "Installed program" starts the same ' +
      'npm-installed server without npx, for every program alike; the cold row includes its download. "Command" is when ' +
      "'thv run' returned. Memory is that of the program alone, idle after that one call. Spawn to listen: thv from the spawn of the supervisor (known to 10 ms), peers from their own. " +
      'The peers accept connections before (supergateway) or after (mcp-proxy) their server has started.',
  ]
  return { title: 'Start', table, goals, notes, data: { rows: figures } }
}

function toCells(row) {
  return [
    row.program,
    row.failure === undefined ? row.start : `${row.start}: unavailable: ${row.failure.replaceAll(/[|\n]/g, ' ')}`,
    String(row.rounds),
    ...[row.firstAnswerMs, row.commandMs, row.listenMs, row.rssMb, row.pssMb].map((value) => format(value)),
  ]
}
