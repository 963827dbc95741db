import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { collect, root } from './harness.ts'

/** The protocol's own test tool, installed. */
export interface ConformanceTool {
  /** The Node that it needs. */
  node: string
  /** Entry of its two versions. */
  entries: Record<'frozen' | 'next', string>
}

/** One set of checks: which version of the tool, and what is asked of it. */
export interface Suite {
  name: string
  version: keyof ConformanceTool['entries']
  flags: readonly string[]
  /** How many checks a server without a fault passes. The tool is pinned, so it is exact. */
  passed: number
}

/** What came out of one run: status by `scenario > check`, numbered where a scenario checks the same thing again. */
export type Outcome = ReadonlyMap<string, 'SUCCESS' | 'FAILURE' | 'WARNING' | 'SKIPPED'>

interface Check {
  id: string
  name: string
  status: 'SUCCESS' | 'FAILURE' | 'WARNING' | 'SKIPPED' | 'INFO'
}

const source = join(root, 'test/conformance/tool')
const cache = join(root, 'node_modules/.cache/thv-test/conformance')

/**
 * Installs the tool, unless it is there. It is kept out of the workspace, because it brings a Node that would come
 * before ours. Resolves to a reason when the packages can not be had.
 */
export async function installConformanceTool(): Promise<ConformanceTool | string> {
  const lock = await readFile(join(source, 'package-lock.json'))
  const place = join(cache, createHash('sha256').update(lock).digest('hex').slice(0, 16))
  if (!existsSync(place)) {
    const problem = await install(place)
    if (problem !== undefined) return problem
  }
  const entry = (alias: string): string => join(place, 'node_modules', alias, 'dist/index.js')
  return {
    node: join(place, 'node_modules/node/bin/node'),
    entries: { frozen: entry('conformance-frozen'), next: entry('conformance-next') },
  }
}

/** Runs one suite against a URL. */
export async function runSuite(tool: ConformanceTool, suite: Suite, url: string): Promise<Outcome> {
  const directory = await mkdtemp(join(tmpdir(), 'thv-conformance-'))
  try {
    const command = [tool.entries[suite.version], 'server', '--url', url, ...suite.flags, '--output-dir', directory]
    // Its exit code tells what its files tell, and less.
    const { stdout, stderr } = await collect(spawn(tool.node, command, { stdio: ['ignore', 'pipe', 'pipe'] }))
    const outcome = await readOutcome(directory)
    if (outcome.size === 0) throw new Error(`the conformance tool checked nothing: ${stderr}${stdout}`)
    return outcome
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** Installs beside the place and moves it there as a whole, so that a run that was cut leaves no half of it. */
async function install(place: string): Promise<string | undefined> {
  await mkdir(cache, { recursive: true })
  const draft = await mkdtemp(join(cache, 'draft-'))
  try {
    for (const file of ['package.json', 'package-lock.json']) await copyFile(join(source, file), join(draft, file))
    const problem =
      (await npm(draft, 'ci', '--ignore-scripts', '--no-audit', '--no-fund')) ?? (await npm(draft, 'rebuild', 'node'))
    if (problem === undefined) await rename(draft, place)
    return problem
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
}

async function npm(directory: string, ...args: string[]): Promise<string | undefined> {
  const child = spawn('npm', [...args, '--loglevel=error'], { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] })
  const { code, stderr } = await collect(child)
  return code === 0 ? undefined : `npm ${args[0]} exited ${code}: ${stderr.trim().split('\n')[0]}`
}

async function readOutcome(directory: string): Promise<Outcome> {
  const outcome = new Map<string, Exclude<Check['status'], 'INFO'>>()
  for (const run of (await readdir(directory)).toSorted()) {
    const scenario = run.replace(/^server-/, '').replace(/-\d{4}-\d\d-\d\dT[\d-]+Z$/, '')
    const file = join(directory, run, 'checks.json')
    // A scenario that broke off before its first check leaves an empty directory.
    const checks: Check[] = existsSync(file) ? JSON.parse(await readFile(file, 'utf8')) : []
    const seen = new Map<string, number>()
    for (const { id, name, status } of checks) {
      if (status === 'INFO') continue
      const check = `${scenario} > ${id} ${name}`
      const times = (seen.get(check) ?? 0) + 1
      seen.set(check, times)
      outcome.set(times === 1 ? check : `${check} #${times}`, status)
    }
  }
  return outcome
}
