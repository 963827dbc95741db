import { formatPackage, messageOf, ThvError, type CachedPackage } from '@thv/core'
import type { CommandContext, CommandInput } from '../command.ts'
import { flagOption, textOption } from '../options.ts'
import { renderTable } from '../output/table.ts'

/** `thv cache list`. */
export async function cacheListCommand(context: CommandContext, input: CommandInput): Promise<void> {
  const cache = await context.container.packageCache()
  const packages = await cache.list()
  if (textOption(input, 'format') === 'json') {
    context.output.json(packages.map(({ lastUsed, ...rest }) => ({ ...rest, lastUsed: lastUsed.toISOString() })))
    return
  }
  if (packages.length === 0) {
    context.output.line('No cached packages')
    return
  }
  const rows = packages.map((cached) => [
    formatPackage(cached),
    formatBytes(cached.bytes),
    cached.lastUsed.toISOString(),
  ])
  context.output.line(await renderTable(['PACKAGE', 'SIZE', 'LAST USED'], rows))
}

/** A `run` that is under way has installed its package and not yet saved what it was resolved to. */
const freshMs = 60 * 60 * 1000

/** `thv cache prune`: what a saved workload was resolved to and what was used just now stays, unless `--all`. */
export async function cachePruneCommand(context: CommandContext, input: CommandInput): Promise<void> {
  const cache = await context.container.packageCache()
  const all = flagOption(input, 'all')
  const used = all ? new Set<string>() : await packagesInUse(context)
  const fresh: CachedPackage[] = []
  const keep = (cached: CachedPackage): boolean => {
    if (all) return false
    if (used.has(formatPackage(cached))) return true
    if (Date.now() - cached.lastUsed.getTime() >= freshMs) return false
    fresh.push(cached)
    return true
  }
  const removed = await cache.prune(keep, context.signal)
  for (const cached of removed) context.output.line(`Removed: ${formatPackage(cached)} (${formatBytes(cached.bytes)})`)
  if (removed.length === 0) context.output.line('Nothing to prune')
  for (const cached of fresh) {
    context.output.note(`kept: ${formatPackage(cached)} was used within the last hour; --all removes it too`)
  }
}

/** Rejects when a config cannot be read: what it needs is not known, so nothing may go. */
async function packagesInUse(context: CommandContext): Promise<Set<string>> {
  const configs = await context.container.configs()
  const { names, problems } = await configs.list()
  const [problem] = problems
  if (problem !== undefined) throw keepsAll(problem.file, problem.reason)
  const used = new Set<string>()
  for (const name of names) {
    try {
      const config = await configs.load(name)
      if (config?.thv?.package !== undefined) used.add(formatPackage(config.thv.package))
    } catch (error) {
      throw keepsAll(name, messageOf(error), error)
    }
  }
  return used
}

function keepsAll(what: string, why: string, cause?: unknown): ThvError {
  return new ThvError(
    'run-config-unreadable',
    `nothing was pruned: the packages of '${what}' are not known, because its run config cannot be read: ${why}`,
    { hint: "mend or remove that config ('thv rm'), or remove every package with --all", cause },
  )
}

function formatBytes(bytes: number): string {
  return bytes < 1024 * 1024 ? `${Math.ceil(bytes / 1024)} KB` : `${(bytes / 1024 / 1024).toFixed(1)} MB`
}
