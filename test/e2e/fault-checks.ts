import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { whyNotServing } from './fault-client.ts'
import { livingProcess, livingProcesses, processesOf, type LivingProcess } from './fault-processes.ts'
import type { ListedWorkload, World } from './harness.ts'

/** What must hold whatever was killed. */
export const rules = ['orphan', 'torn', 'litter', 'list', 'status', 'start', 'port', 'command'] as const
export type Rule = (typeof rules)[number]

/** A rule that was broken, and how. */
export interface Finding {
  rule: Rule
  what: string
}

/** What is wrong now: what must never be, and what may be so for a moment. */
export interface Check {
  listed: ListedWorkload[]
  never: Finding[]
  notYet: Finding[]
}

/** Looks at a world once. */
export async function checkWorld(
  world: World,
  known: { guards: readonly LivingProcess[]; mayLeaveTree: readonly string[] },
): Promise<Check> {
  const never: Finding[] = (await tornFiles(world)).map((what) => ({ rule: 'torn', what }))
  const notYet: Finding[] = []
  const result = await world.thv('list', '--all', '--format', 'json')
  if (result.code !== 0 || result.stderr !== '') {
    never.push({ rule: 'list', what: `list exited ${result.code} and said: ${result.stderr}` })
  }
  const listed = result.code === 0 ? (JSON.parse(result.stdout) as ListedWorkload[]) : []
  for (const one of listed) {
    const finding = { rule: 'status' as const, what: `${one.name} is ${one.status} (${one.status_context ?? ''})` }
    const owner = livingProcess(one.supervisor_pid ?? 0)
    if (one.status === 'running' && owner === undefined) never.push({ ...finding, what: `${finding.what}, but dead` })
    if (one.status === 'starting') notYet.push(finding)
    if (one.status !== 'running') continue
    const why = await whyNotServing(one.url)
    if (why !== undefined) notYet.push({ ...finding, what: `${finding.what}, but does not serve: ${why}` })
  }
  notYet.push(...(await orphans(world, { listed, ...known })))
  return { listed, never, notYet }
}

/** Files that a killed process left and the commands after it did not remove: temporary ones and dead locks. */
export async function litterOf(world: World): Promise<string[]> {
  const files = await stateFiles(world)
  return files.filter((file) => /\/(statuses|runconfigs)\//.test(file) && !file.endsWith('.json'))
}

async function tornFiles(world: World): Promise<string[]> {
  const torn: string[] = []
  for (const file of await stateFiles(world)) {
    if (!file.endsWith('.json')) continue
    const text = await readFile(file, 'utf8').catch(() => undefined)
    try {
      if (text !== undefined) JSON.parse(text)
    } catch {
      torn.push(`${file}: ${text}`)
    }
  }
  return torn
}

async function stateFiles(world: World): Promise<string[]> {
  const found: string[] = []
  for (const base of ['data', 'state', 'config']) {
    const directory = join(world.directory, base)
    const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => [])
    found.push(...entries.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name)))
  }
  return found
}

/**
 * Processes of the world that no active workload accounts for. Those in `mayLeaveTree`
 * may have left stubborn descendants of their server, as long as they are called unhealthy.
 */
async function orphans(
  world: World,
  known: { listed: readonly ListedWorkload[]; guards: readonly LivingProcess[]; mayLeaveTree: readonly string[] },
): Promise<Finding[]> {
  const supervisors = new Set(known.listed.flatMap((one) => one.supervisor_pid ?? []))
  const excused = new Set<string>()
  for (const one of known.listed) {
    if (one.status !== 'unhealthy' || !known.mayLeaveTree.includes(one.name)) continue
    const record = await world.status(one.name).catch(() => undefined)
    if (record?.thv?.server?.marker !== undefined) excused.add(record.thv.server.marker)
  }
  const living = livingProcesses()
  const suspects = processesOf(world, living)
  for (const guard of known.guards) if (living.get(guard.pid)?.started === guard.started) suspects.push(guard)
  const markers = new Set<string>()
  for (const one of suspects) if (belongs(one, supervisors, living) && one.marker) markers.add(one.marker)
  return suspects
    .filter((one) => !belongs(one, supervisors, living))
    .filter((one) => one.marker === undefined || !(markers.has(one.marker) || excused.has(one.marker)))
    .map((one) => ({ rule: 'orphan', what: `${one.pid} (parent ${one.parent}) ${one.command.slice(-120)}` }))
}

/** Whether a process is one of the supervisors or below one. */
function belongs(one: LivingProcess, supervisors: ReadonlySet<number>, living: Map<number, LivingProcess>): boolean {
  for (let at: LivingProcess | undefined = one; at !== undefined; at = living.get(at.parent)) {
    if (supervisors.has(at.pid)) return true
  }
  return false
}
