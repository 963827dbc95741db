import { readdirSync, readFileSync } from 'node:fs'
import type { World } from './harness.ts'

/** One living process as /proc shows it. */
export interface LivingProcess {
  pid: number
  parent: number
  /** Start time in clock ticks: tells a process from a later one with the same number. */
  started: string
  command: string
  environment: string
  /** Value of the variable by which a server's tree is found, if it has one. */
  marker: string | undefined
}

/** Every living process; a zombie is none, and the kernel's own threads are nobody's. */
export function livingProcesses(): Map<number, LivingProcess> {
  const found = new Map<number, LivingProcess>()
  for (const entry of readdirSync('/proc')) {
    const one = /^\d+$/.test(entry) ? livingProcess(Number(entry)) : undefined
    if (one !== undefined) found.set(one.pid, one)
  }
  return found
}

/** One process, if it lives. */
export function livingProcess(pid: number): LivingProcess | undefined {
  const command = read(pid, 'cmdline').replaceAll('\0', ' ').trim()
  if (command === '') return undefined
  const stat = read(pid, 'stat')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [state = '', parent = '0'] = fields
  if (stat === '' || state === 'Z' || state === 'X') return undefined
  const environment = read(pid, 'environ')
  const marker = /(?:^|\0)THV_WORKLOAD_MARKER=([^\0]*)/.exec(environment)?.[1]
  return { pid, parent: Number(parent), started: fields[19] ?? '', command, environment, marker }
}

/** Those of the processes that a world has started, by the rules of {@link World.processes}. */
export function processesOf(world: World, living: ReadonlyMap<number, LivingProcess>): LivingProcess[] {
  const mark = world.environment['THV_TEST_WORLD'] ?? world.directory
  return [...living.values()].filter((one) => {
    const text = `${one.environment}${one.command}`
    return one.pid !== process.pid && (text.includes(mark) || text.includes(world.directory))
  })
}

/** A guard carries no mark of its world, so it is known only as a child of its supervisor. */
export function guardOf(supervisor: number): LivingProcess | undefined {
  const children = read(supervisor, `task/${supervisor}/children`).trim().split(' ')
  return children
    .map((pid) => livingProcess(Number(pid)))
    .find((one) => one !== undefined && one.command.endsWith(' server-guard'))
}

/** Ends a process, which may have ended by itself; whether there was one. */
export function killHard(pid: number): boolean {
  if (pid <= 1) throw new Error(`refused to kill ${pid}`)
  try {
    return process.kill(pid, 'SIGKILL')
  } catch {
    return false
  }
}

/** Command lines of a world's living processes, for what a failed test shows. */
export function describeProcesses(world: World): string[] {
  return processesOf(world, livingProcesses()).map((one) => `${one.pid} (parent ${one.parent}) ${one.command}`)
}

/** Highest resident memory that a process ever had, in MB. */
export function peakMb(pid: number): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(read(pid, 'status'))?.[1] ?? 0) / 1024
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1')
  } catch {
    return ''
  }
}
