import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { processLimits } from './process-limits.ts'
import { listLeftovers } from './sandbox-directory.ts'

/** The control groups of one server. */
export interface ControlGroups {
  /** Whoever is to be counted writes its pid to `cgroup.procs` of each. */
  directories: readonly string[]
  /** Removes them; they are empty when the server is gone. */
  remove(): Promise<void>
}

const none: ControlGroups = { directories: [], remove: async () => {} }
const inner = 'server'

/**
 * Makes control groups that bound the memory, the processes and the processor time of a server as a whole.
 * Only root may do that without asking a service manager, and only root needs it: the
 * limits of a user's processes do not bind root. What cannot be made is left out.
 *
 * The server joins a group within the one that has the limits: in namespaces of its own it
 * can mount the tree from its own group downwards, and root may write what it sees there.
 */
export async function createControlGroups(name: string, uid: number, root = '/sys/fs/cgroup'): Promise<ControlGroups> {
  if (uid !== 0) return none
  for (const parent of [root, ...['pids', 'memory', 'cpu'].map((kind) => join(root, kind))]) await sweep(parent)
  const unified = await unifiedGroup(join(root, name), root)
  const made = unified === undefined ? await separateGroups(name, root) : [unified]
  return {
    directories: made.map((directory) => join(directory, inner)),
    async remove() {
      for (const directory of made) await removeGroup(directory)
    },
  }
}

/** What killed supervisors left. One that is not empty yet stays for the next. */
async function sweep(parent: string): Promise<void> {
  for (const name of await listLeftovers(parent)) await removeGroup(join(parent, name))
}

/** The kernel's usual period, in microseconds. */
const cpuPeriodUs = 100_000

/** Version 2: one tree for everything. */
async function unifiedGroup(directory: string, root: string): Promise<string | undefined> {
  const controllers = (await readFile(join(root, 'cgroup.controllers'), 'utf8').catch(() => '')).trim().split(' ')
  if (!controllers.includes('pids') || !controllers.includes('memory')) return undefined
  const hasCpu = controllers.includes('cpu')
  const settings = {
    'pids.max': processLimits.sandboxProcesses,
    'memory.max': processLimits.sandboxMemoryBytes,
    ...(hasCpu ? { 'cpu.max': `${processLimits.sandboxCpus * cpuPeriodUs} ${cpuPeriodUs}` } : {}),
  }
  try {
    await writeFile(join(root, 'cgroup.subtree_control'), `+pids +memory${hasCpu ? ' +cpu' : ''}`)
  } catch {
    return undefined
  }
  return await makeGroup(directory, settings)
}

/** Version 1: one tree for each kind. */
async function separateGroups(name: string, root: string): Promise<string[]> {
  const made = await Promise.all([
    makeGroup(join(root, 'pids', name), { 'pids.max': processLimits.sandboxProcesses }),
    makeGroup(join(root, 'memory', name), { 'memory.limit_in_bytes': processLimits.sandboxMemoryBytes }),
    makeGroup(join(root, 'cpu', name), {
      'cpu.cfs_period_us': cpuPeriodUs,
      'cpu.cfs_quota_us': processLimits.sandboxCpus * cpuPeriodUs,
    }),
  ])
  return made.filter((directory) => directory !== undefined)
}

async function makeGroup(directory: string, settings: Record<string, number | string>): Promise<string | undefined> {
  try {
    await mkdir(directory)
  } catch {
    return undefined
  }
  try {
    for (const [file, value] of Object.entries(settings)) await writeFile(join(directory, file), String(value))
    await mkdir(join(directory, inner))
    return directory
  } catch {
    await removeGroup(directory)
    return undefined
  }
}

async function removeGroup(directory: string): Promise<void> {
  for (const path of [join(directory, inner), directory]) await rmdir(path).catch(() => {})
}
