import type { ListFilter, Workload, WorkloadStatus } from '@thv/core'
import { openActions } from '../actions/open-actions.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { flagOption, listOption, textOption } from '../options.ts'
import { goTime } from '../output/go-time.ts'
import { decorateStatus } from '../output/decorate-status.ts'
import { renderTable } from '../output/table.ts'
import { printable } from '../output/style.ts'
import { parseLabels } from './parse-labels.ts'

/** `thv list`: reads, never writes. */
export async function listCommand(context: CommandContext, input: CommandInput): Promise<void> {
  const { output, signal } = context
  const group = textOption(input, 'group')
  const filter: ListFilter = { all: flagOption(input, 'all'), labels: parseLabels(listOption(input, 'label')) }
  if (group !== undefined) filter.group = group
  const { workloads, problems } = await (await openActions(context, input)).list(filter, signal)
  for (const problem of problems)
    output.note(`note: ${printable(problem.file)} was passed over: ${printable(problem.reason)}`)
  const format = textOption(input, 'format')
  if (format === 'json') output.json(workloads)
  else if (format === 'mcpservers') output.json(mcpServers(workloads))
  else {
    output.line(workloads.length === 0 ? nothingFound(group) : await renderText(workloads))
    // Beside the table, whose columns scripts know.
    for (const workload of workloads.filter(({ status }) => troubled.has(status))) output.note(troubleOf(workload))
  }
}

/** Statuses that a user wants the reason of at once; an error stays until something is done about it. */
const troubled: ReadonlySet<WorkloadStatus> = new Set(['unhealthy', 'unauthenticated', 'auth_retrying'])

function troubleOf({ name, status, since, reason_message: why }: Workload): string {
  return `${name} is ${status} since ${goTime(since)}: ${printable(why)}`
}

async function renderText(workloads: readonly Workload[]): Promise<string> {
  const rows = workloads.map((workload) => [
    workload.name,
    workload.package,
    decorateStatus(workload.status),
    workload.url,
    String(workload.port),
    workload.group ?? '',
    goTime(workload.created_at),
  ])
  return await renderTable(['NAME', 'PACKAGE', 'STATUS', 'URL', 'PORT', 'GROUP', 'CREATED'], rows)
}

function mcpServers(workloads: readonly Workload[]): unknown {
  const entries = workloads.map((workload) => [workload.name, { type: workload.proxy_mode, url: workload.url }])
  return { mcpServers: Object.fromEntries(entries) }
}

function nothingFound(group: string | undefined): string {
  return group === undefined ? 'No MCP servers found' : `No MCP servers found in group '${group}'`
}
