import { zeroTime, type Workload } from '@thv/core'
import { openActions } from '../actions/open-actions.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { textOption } from '../options.ts'
import { cardLine } from '../output/card-line.ts'
import { decorateStatus } from '../output/decorate-status.ts'
import { formatUptime, goTime } from '../output/go-time.ts'
import { printable } from '../output/style.ts'

/** `thv status NAME`: one workload with its reason, isolation and last words. */
export async function statusCommand(context: CommandContext, input: CommandInput): Promise<void> {
  const actions = await openActions(context, input)
  const workload = await actions.get(input.args[0] ?? '', context.signal)
  const uptime = uptimeOf(workload)
  if (textOption(input, 'format') === 'json') {
    context.output.json(toJson(workload, uptime))
    return
  }
  const pairs: [string, string | undefined][] = [
    ['Name', workload.name],
    ['Status', decorateStatus(workload.status)],
    ['Reason', workload.status_context],
    ['Since', goTime(workload.since)],
    ['Package', workload.package],
    ['URL', workload.url],
    ['Port', String(workload.port)],
    ['Transport', workload.transport_type],
    ['Proxy Mode', workload.proxy_mode],
    ['Isolation', workload.isolation],
    ['Remote', workload.remote === true ? 'true' : undefined],
    ['Server', workload.server_card && cardLine(workload.server_card)],
    ['Group', workload.group],
    ['Created', goTime(workload.created_at)],
    ['Uptime', uptime],
    ['Supervisor', workload.supervisor_pid === undefined ? undefined : `pid ${workload.supervisor_pid}`],
    ['Restarts', workload.restarts === undefined ? undefined : String(workload.restarts)],
  ]
  for (const [key, value] of pairs) {
    if (value !== undefined && value !== '') context.output.line(`${`${key}:`.padEnd(12)} ${printable(value)}`)
  }
  if (workload.last_stderr !== undefined && workload.status !== 'running') {
    context.output.line('Last stderr:')
    for (const line of workload.last_stderr) context.output.line(`  | ${printable(line)}`)
  }
}

function uptimeOf(workload: Workload): string | undefined {
  if (workload.status !== 'running' || workload.started_at === zeroTime) return undefined
  return formatUptime(Date.now() - new Date(workload.started_at).getTime())
}

function toJson(workload: Workload, uptime: string | undefined): unknown {
  return {
    name: workload.name,
    status: workload.status,
    status_context: workload.status_context,
    reason: workload.reason,
    reason_message: workload.reason_message,
    since: workload.since,
    last_error: workload.last_error,
    remote: workload.remote,
    server_card: workload.server_card,
    package: workload.package,
    url: workload.url,
    port: workload.port,
    transport: workload.transport_type,
    proxy_mode: workload.proxy_mode,
    isolation: workload.isolation,
    group: workload.group,
    uptime,
    created_at: workload.created_at,
    started_at: workload.started_at,
    supervisor_pid: workload.supervisor_pid,
    restarts: workload.restarts,
    last_stderr: workload.last_stderr,
  }
}
