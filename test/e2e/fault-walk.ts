import { setTimeout as delay } from 'node:timers/promises'
import { collect, fixture, type ListedWorkload, type World } from './harness.ts'
import { checkWorld, litterOf, type Finding, type Rule } from './fault-checks.ts'
import {
  guardOf,
  killHard,
  livingProcess,
  livingProcesses,
  processesOf,
  type LivingProcess,
} from './fault-processes.ts'

/** What a kill of a walk hit. */
export const killTargets = [
  'command',
  'supervisor',
  'server',
  'guard',
  'supervisor and server',
  'supervisor and guard',
  'world',
] as const
export type KillTarget = (typeof killTargets)[number]

/** What a walk saw. */
export interface Walk {
  kills: Map<KillTarget, number>
  violations: Finding[]
  steps: string[]
}

/** The workloads of a walk: one that leaves when asked, and one that never does and has a family. */
const workloads: Record<string, string[]> = {
  plain: [],
  family: ['--ignore-eof', '--ignore-term', '--family'],
}

/** Kills of the server that one supervisor sees: the wait before a restart doubles each time. */
const maxServerKills = 3
const promiseMs = 5_000
/** A start is done in a second; this is for a machine under load. */
const startMs = 20_000

/** Numbers in [0, 1) that a seed repeats. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Walks at random through the life cycle of two workloads until `kills` SIGKILLs have hit, or patience is over. */
export async function walk(world: World, options: { seed: number; kills: number; withinMs: number }): Promise<Walk> {
  const walker = new Walker(world, seededRandom(options.seed))
  const deadline = performance.now() + options.withinMs
  while (walker.killCount < options.kills && performance.now() < deadline) await walker.step()
  return walker.result
}

class Walker {
  readonly result: Walk = { kills: new Map(), violations: [], steps: [] }
  readonly #world: World
  readonly #random: () => number
  /** Every guard that was ever seen, because none can be found once its supervisor is dead. */
  readonly #guards = new Map<string, LivingProcess>()
  readonly #serverKills = new Map<string, number>()
  readonly #litter = new Set<string>()
  #seen: ListedWorkload[] = []

  constructor(world: World, random: () => number) {
    this.#world = world
    this.#random = random
  }

  get killCount(): number {
    return [...this.result.kills.values()].reduce((sum, count) => sum + count, 0)
  }

  async step(): Promise<void> {
    const name = this.#pick(Object.keys(workloads))
    const found = this.#find(name)
    if (found === undefined) return await this.#command(name, 'run')
    if (found.status !== 'running') return await this.#command(name, this.#pick(this.#commandsFor(found)))
    const target = this.#pick(killTargets)
    if (target === 'command' || this.#random() < 0.4)
      return await this.#command(name, this.#pick(this.#commandsFor(found)))
    await this.#killProcesses(found, target)
  }

  #commandsFor(found: ListedWorkload): Command[] {
    if (found.status === 'running') return ['stop', 'stop', 'restart', 'restart', 'rm', 'start', 'list', 'status']
    return ['start', 'start', 'start', 'rm', 'restart', 'stop', 'list', 'status']
  }

  /** Runs a command to its end, or kills it in the middle. */
  async #command(name: string, command: Command): Promise<void> {
    const interrupted = this.#random() < 0.75
    const delayMs = Math.round(this.#random() * 300)
    const child = this.#world.spawn(commandLine(name, command))
    const ended = collect(child)
    if (interrupted) await Promise.race([delay(delayMs), ended])
    const hit = interrupted && child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')
    const result = await ended
    this.#note(`${command} ${name}${hit ? ` killed after ${delayMs} ms` : ` -> ${result.code}`}`)
    if (!hit) {
      if (result.code !== 0) this.#violate('command', `${command} ${name} exited ${result.code}: ${result.stderr}`)
      await this.#look()
      return
    }
    this.#count('command')
    await this.#afterKill([name], 'command')
  }

  async #killProcesses(found: ListedWorkload, target: Exclude<KillTarget, 'command'>): Promise<void> {
    const { name } = found
    const supervisor = found.supervisor_pid ?? 0
    const server = (await this.#world.status(name).catch(() => undefined))?.thv?.server?.pid ?? 0
    const guard = guardOf(supervisor)?.pid ?? 0
    const serverOnly = target === 'server' || target === 'guard'
    if (serverOnly && (this.#serverKills.get(name) ?? 0) >= maxServerKills) return
    if (target === 'world' && this.#random() < 0.5) {
      const child = this.#world.spawn(commandLine(name, this.#pick(this.#commandsFor(found))))
      void collect(child)
    }
    await delay(Math.round(this.#random() * 300))
    const pids: Record<typeof target, number[]> = {
      supervisor: [supervisor],
      server: [server],
      guard: [guard],
      'supervisor and server': [supervisor, server],
      'supervisor and guard': [supervisor, guard],
      world: target === 'world' ? this.#everyone() : [],
    }
    // All are looked at before one is killed: a server dies with its supervisor.
    const alive = pids[target].filter((pid) => pid > 1 && livingProcess(pid) !== undefined)
    const hit = alive.filter((pid) => killHard(pid))
    this.#note(`kill ${target} of ${name}: ${hit.join(' ')}`)
    if (alive.length < (target === 'world' ? 1 : pids[target].length)) {
      this.#violate(
        'status',
        `${name} was listed as running, but not all of its ${target} lived: ${pids[target].join(' ')}`,
      )
    }
    if (hit.length === 0) return
    this.#count(target)
    if (serverOnly) this.#serverKills.set(name, (this.#serverKills.get(name) ?? 0) + 1)
    await this.#afterKill(target === 'world' ? Object.keys(workloads) : [name], target)
  }

  /** Supervisors first: what they would do about the death of the others is another kill. */
  #everyone(): number[] {
    const supervisors = this.#seen.flatMap((one) => one.supervisor_pid ?? [])
    const guards = supervisors.flatMap((pid) => guardOf(pid)?.pid ?? [])
    const all = processesOf(this.#world, livingProcesses()).map((one) => one.pid)
    return [...new Set([...supervisors, ...guards, ...all])]
  }

  /** The invariants within five seconds, then a start that works, for every workload that was hit. */
  async #afterKill(names: readonly string[], target: KillTarget): Promise<void> {
    const mayLeaveTree = target === 'supervisor and guard' || target === 'world'
    // A user may look first, or start it again in the very next moment.
    await this.#settle(mayLeaveTree ? names : [], this.#random() < 0.5 ? promiseMs : 0)
    const before = this.#seen
    const started: string[] = []
    for (const name of names) if (await this.#recover(name)) started.push(name)
    await this.#settle([], promiseMs)
    for (const name of started) this.#compare(name, before)
    await this.#lookForLitter()
  }

  /** Looks until all is well; what is not well at the end of the time given is a violation, unless none was given. */
  async #settle(mayLeaveTree: readonly string[], withinMs: number): Promise<void> {
    const deadline = performance.now() + withinMs
    for (;;) {
      this.#trackGuards()
      const check = await checkWorld(this.#world, { guards: [...this.#guards.values()], mayLeaveTree })
      this.#seen = check.listed
      for (const finding of check.never) this.#violate(finding.rule, finding.what)
      if (check.notYet.length === 0 || withinMs === 0) break
      if (performance.now() > deadline) {
        for (const finding of check.notYet) this.#violate(finding.rule, finding.what)
        break
      }
      await delay(50)
    }
    this.#trackGuards()
  }

  /** A supervisor may be writing just now, so litter is what is there twice. */
  async #lookForLitter(): Promise<void> {
    const first = (await litterOf(this.#world)).filter((file) => !this.#litter.has(file))
    if (first.length === 0) return
    await delay(500)
    const second = await litterOf(this.#world)
    for (const file of first.filter((one) => second.includes(one))) {
      this.#litter.add(file)
      this.#violate('litter', file)
    }
  }

  /**
   * What a user does next: start it, or, when the command that was killed was making or
   * removing it, do that again. Whether it was started.
   */
  async #recover(name: string): Promise<boolean> {
    const found = this.#find(name)
    if (found !== undefined && isSaved(found) && (await this.#must(name, 'start'))) return true
    if (found !== undefined) await this.#must(name, 'rm')
    await this.#must(name, 'run')
    return false
  }

  /** A start that said it worked has made what was there before serve at the same place. */
  #compare(name: string, before: readonly ListedWorkload[]): void {
    const [then, now] = [before.find((one) => one.name === name), this.#find(name)]
    if (now?.status !== 'running') this.#violate('start', `started ${name} is ${now?.status}: ${now?.status_context}`)
    if (now?.port !== then?.port) this.#violate('port', `${name} moved from port ${then?.port} to ${now?.port}`)
    if (now?.supervisor_pid !== then?.supervisor_pid) this.#serverKills.delete(name)
  }

  async #must(name: string, command: Command): Promise<boolean> {
    const child = this.#world.spawn(commandLine(name, command))
    const tooLong = setTimeout(() => child.kill('SIGKILL'), startMs)
    const begunMs = performance.now()
    const result = await collect(child)
    clearTimeout(tooLong)
    const tookMs = Math.round(performance.now() - begunMs)
    this.#note(`${command} ${name} -> ${result.code} after ${tookMs} ms`)
    if (result.code === 0) return true
    const { stdout: log } = await this.#world.thv('logs', name, '--proxy')
    const told = `${result.stderr}\n${log.split('\n').slice(-10).join('\n')}`
    this.#violate('start', `${command} ${name} exited ${result.code} after ${tookMs} ms: ${told}`)
    return false
  }

  async #look(): Promise<void> {
    this.#seen = await this.#world.list()
    this.#trackGuards()
  }

  #trackGuards(): void {
    for (const { supervisor_pid: pid } of this.#seen) {
      const guard = pid === undefined ? undefined : guardOf(pid)
      if (guard !== undefined) this.#guards.set(`${guard.pid} ${guard.started}`, guard)
    }
  }

  #find(name: string): ListedWorkload | undefined {
    return this.#seen.find((one) => one.name === name)
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)]!
  }

  #count(target: KillTarget): void {
    this.result.kills.set(target, (this.result.kills.get(target) ?? 0) + 1)
  }

  #note(step: string): void {
    this.result.steps.push(step)
  }

  #violate(rule: Rule, what: string): void {
    this.result.violations.push({ rule, what: `${what.trim()}; after: ${this.result.steps.slice(-4).join('; ')}` })
  }
}

type Command = 'run' | 'start' | 'stop' | 'restart' | 'rm' | 'list' | 'status'

function commandLine(name: string, command: Command): string[] {
  if (command === 'run')
    return ['run', '--name', name, '--', ...fixture('stdio-server.mjs', ...(workloads[name] ?? []))]
  if (command === 'list') return ['list', '--all']
  return command === 'stop' || command === 'restart' ? [command, name, '--timeout', '1'] : [command, name]
}

/** A workload whose run config is there, so that it can be started again. */
function isSaved(found: ListedWorkload): boolean {
  return !found.package.includes('unreadable')
}
