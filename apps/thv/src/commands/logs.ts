import { ThvError, listWorkloads, workloadNotFound } from '@thv/core'
import { tellIsLocal } from '../actions/open-actions.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { followFile, printFile } from '../follow-file.ts'
import { flagOption } from '../options.ts'

/** `thv logs NAME` and `thv logs prune`. */
export async function logsCommand(context: CommandContext, input: CommandInput): Promise<void> {
  const name = input.args[0] ?? ''
  tellIsLocal(context, 'logs')
  const listing = await listWorkloads(await context.container.reading(), { all: true })
  const known = new Set(listing.workloads.map((workload) => workload.name))
  // A workload may be called 'prune'; then its logs are what is asked for.
  if (name === 'prune' && !known.has(name)) {
    await pruneLogs(context, known)
    return
  }
  const logs = await context.container.logs()
  const proxy = flagOption(input, 'proxy')
  const path = proxy ? logs.proxyLog(name) : logs.serverLog(name)
  const write = (chunk: Buffer): void => {
    context.output.bytes(chunk)
  }
  const found = flagOption(input, 'follow')
    ? await followFile(path, write, {
        waitForFile: known.has(name),
        isOver: async (isMissing) => isMissing && (await isRemoved(context, name)),
        signal: context.signal,
      })
    : await printFile(path, write)
  if (found) return
  if (!known.has(name)) throw workloadNotFound(name)
  if (proxy) {
    context.output.note(`no proxy log of '${name}' yet`)
    return
  }
  throw new ThvError('logs-not-found', `container logs for workload ${name} not found, use --proxy to get proxy logs`, {
    hint: `the server has written nothing yet; see 'thv logs ${name} --proxy'`,
  })
}

async function isRemoved(context: CommandContext, name: string): Promise<boolean> {
  const { statuses, configs } = await context.container.reading()
  const [record, config] = await Promise.allSettled([statuses.read(name), configs.load(name)])
  // What cannot be read is there.
  return [record, config].every((found) => found.status === 'fulfilled' && found.value === undefined)
}

async function pruneLogs(context: CommandContext, known: ReadonlySet<string>): Promise<void> {
  const logs = await context.container.logs()
  const removed = await logs.prune((name) => known.has(name))
  for (const file of removed) context.output.line(`Removed: ${file}`)
  if (removed.length === 0) context.output.line('No orphaned log files found to prune')
}
