import { formatPackage, listWorkloads, type CachedPackage } from '@thv/core'
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

/** `thv cache prune`: what a saved workload was resolved to stays, unless `--all`. */
export async function cachePruneCommand(context: CommandContext, input: CommandInput): Promise<void> {
  const cache = await context.container.packageCache()
  const used = flagOption(input, 'all') ? new Set<string>() : await packagesInUse(context)
  const keep = (cached: CachedPackage): boolean => used.has(formatPackage(cached))
  const removed = await cache.prune(keep, context.signal)
  for (const cached of removed) context.output.line(`Removed: ${formatPackage(cached)} (${formatBytes(cached.bytes)})`)
  if (removed.length === 0) context.output.line('Nothing to prune')
}

async function packagesInUse(context: CommandContext): Promise<Set<string>> {
  const listing = await listWorkloads(await context.container.reading(), { all: true })
  const configs = await context.container.configs()
  const used = new Set<string>()
  for (const { name } of listing.workloads) {
    const config = await configs.load(name).catch(() => undefined)
    if (config?.thv?.package !== undefined) used.add(formatPackage(config.thv.package))
  }
  return used
}

function formatBytes(bytes: number): string {
  return bytes < 1024 * 1024 ? `${Math.ceil(bytes / 1024)} KB` : `${(bytes / 1024 / 1024).toFixed(1)} MB`
}
