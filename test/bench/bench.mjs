// The whole bench: which targets there are, which sections run, and what is printed and written.

import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runApiSection } from './api-section.mjs'
import { runCommandSection } from './command-section.mjs'
import { runDataPlaneSection } from './data-plane-section.mjs'
import { runIsolationSection } from './isolation-section.mjs'
import { runLoadSection } from './load-section.mjs'
import { runMemorySection } from './memory-section.mjs'
import { CACHE_DIRECTORY, PACKAGES, installPackage } from './packages.mjs'
import { cleanUpNow } from './processes.mjs'
import { runSoakSection } from './soak-section.mjs'
import { runStartSection } from './start-section.mjs'
import { bareTarget, forwarderTarget, mcpProxyTarget, missingTarget, supergatewayTarget } from './targets.mjs'
import { createThvHome, isThvBuilt, thvTarget } from './thv-target.mjs'

const SECTIONS = {
  load: runLoad,
  start: runStartSection,
  command: runCommandSection,
  api: runApiSection,
  'data-plane': runDataPlane,
  soak: runSoakSection,
  memory: runMemorySection,
  isolation: runIsolation,
}
// The others take long, or are of interest by themselves, and are asked for by name.
const DEFAULT_SECTIONS = ['load', 'start', 'command']
// Past this something hangs that has no deadline of its own; the bench then ends rather than the patience of its user.
const TOTAL_TIMEOUT_MS = 60 * 60_000
const NOT_BUILT = "not built (run 'npm run build')"

/** Runs the sections, prints their tables and writes them; never asserts a goal. */
export async function runBench(argv) {
  const settings = readSettings(argv)
  const watchdog = setTimeout(() => abandon('the bench ran out of time', 1), TOTAL_TIMEOUT_MS)
  process.once('SIGINT', () => abandon('interrupted', 130))
  process.once('SIGTERM', () => abandon('terminated', 143))
  const loadBefore = loadavg()[0]
  const sections = []
  const thvHome = createThvHome()
  try {
    const context = await prepareContext(thvHome, settings)
    for (const name of settings.sections) sections.push({ name, ...(await SECTIONS[name](context, settings)) })
  } finally {
    cleanUpNow()
    clearTimeout(watchdog)
  }
  const machine = {
    node: process.version,
    cpus: cpus().length,
    model: cpus()[0]?.model,
    load: [loadBefore, loadavg()[0]],
  }
  await report(sections, { machine, settings })
}

function readSettings(argv) {
  const { values } = parseArgs({
    args: argv,
    options: {
      quick: { type: 'boolean', default: false },
      // Read by the caller: measure the build that is there.
      'no-build': { type: 'boolean', default: false },
      only: { type: 'string' },
      rounds: { type: 'string' },
      'warmup-ms': { type: 'string' },
      'measure-ms': { type: 'string' },
      connections: { type: 'string', default: '1,16' },
      minutes: { type: 'string', default: '10' },
      image: { type: 'string', default: 'node:24-alpine' },
    },
  })
  const sections = values.only?.split(',') ?? DEFAULT_SECTIONS
  const unknown = sections.find((name) => !Object.hasOwn(SECTIONS, name))
  if (unknown !== undefined) throw new Error(`unknown section '${unknown}': use ${Object.keys(SECTIONS).join(', ')}`)
  const { quick } = values
  return {
    quick,
    sections,
    rounds: readCount('rounds', values.rounds ?? (quick ? '1' : '3')),
    startRounds: readCount('rounds', values.rounds ?? (quick ? '1' : '5')),
    commandRuns: quick ? 7 : 21,
    warmupMs: readCount('warmup-ms', values['warmup-ms'] ?? (quick ? '500' : '1000')),
    measureMs: readCount('measure-ms', values['measure-ms'] ?? (quick ? '1000' : '4000')),
    soakMinutes: readCount('minutes', values.minutes),
    image: values.image,
    connections: values.connections.split(',').map((text) => readCount('connections', text)),
    log: (text) => process.stderr.write(`${text}\n`),
  }
}

function readCount(name, text) {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} needs a whole number above 0, not '${text}'`)
  return value
}

async function prepareContext(thvHome, { sections, log }) {
  const needsPeers = ['load', 'start', 'data-plane', 'isolation'].some((name) => sections.includes(name))
  const peers = []
  for (const [key, create] of needsPeers
    ? [
        ['supergateway', supergatewayTarget],
        ['mcp-proxy', mcpProxyTarget],
      ]
    : []) {
    const { name, version } = PACKAGES[key]
    const { program, reason } = await tryInstall(PACKAGES[key], log)
    peers.push(program === undefined ? missingTarget(`${name} ${version}`, reason) : create(program))
  }
  const { program } = sections.includes('start') ? await tryInstall(PACKAGES.everything, log) : {}
  return {
    thvHome,
    thv: isThvBuilt() ? thvTarget(thvHome) : missingTarget('thv', NOT_BUILT),
    peers,
    everything: program === undefined ? undefined : [process.execPath, program, 'stdio'],
  }
}

async function tryInstall(wanted, log) {
  try {
    log(`install: ${wanted.name}@${wanted.version}`)
    return { program: await installPackage(wanted) }
  } catch (error) {
    return { reason: error.message }
  }
}

function runLoad({ thv, peers: [first, ...others] }, settings) {
  return runLoadSection([bareTarget(), first, thv, ...others], settings)
}

function runDataPlane({ thv, thvHome, peers }, settings) {
  // What a network of the server's own adds has a section of its own: isolation.
  const flagsOf = ({ flags = [] }) => ['--isolation', 'none', ...flags]
  const build = (options) => ({
    ...thvTarget(thvHome, { ...options, flags: flagsOf(options) }),
    reason: thv.reason,
  })
  return runDataPlaneSection(
    {
      bare: bareTarget(),
      forwarder: forwarderTarget(),
      transparent: build({
        name: 'thv transparent',
        mode: 'HTTP server, sessions',
        flags: ['--transport', 'streamable-http'],
      }),
      bridge: build({ name: 'thv stdio bridge', mode: 'stdio server, sessions' }),
      modern: build({ name: 'thv Modern to Legacy', mode: 'stdio server, translated' }),
      peers,
    },
    settings,
  )
}

function runIsolation({ thv, thvHome, peers }, settings) {
  const build = (options) => ({ ...thvTarget(thvHome, options), reason: thv.reason })
  return runIsolationSection({ build, peers }, settings)
}

async function report(sections, { machine, settings }) {
  const [before, after] = machine.load.map((value) => value.toFixed(2))
  const intro = `thv bench: Node ${machine.node}, ${machine.cpus} CPUs (${machine.model}), load average ${before} to ${after}`
  const parts = sections.map(({ title, table, goals, notes }) =>
    [`## ${title}`, table, goals.map((goal) => goal.line).join('\n'), ...notes]
      .filter((text) => text !== '')
      .join('\n\n'),
  )
  const markdown = `${[intro, ...parts].join('\n\n')}\n`
  const directory = join(CACHE_DIRECTORY, 'results')
  await mkdir(directory, { recursive: true })
  await writeFile(join(directory, 'latest.md'), markdown)
  const data = { machine, settings, sections: sections.map(({ name, data, goals }) => ({ name, goals, ...data })) }
  await writeFile(join(directory, 'latest.json'), `${JSON.stringify(data, null, 2)}\n`)
  process.stdout.write(`${markdown}\nwritten to ${join(directory, 'latest.md')} and latest.json\n`)
}

function abandon(reason, code) {
  process.stderr.write(`${reason}: ending what was started\n`)
  cleanUpNow()
  process.exit(code)
}
