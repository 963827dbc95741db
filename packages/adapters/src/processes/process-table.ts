import { execFile } from 'node:child_process'
import { platform } from 'node:os'
import { ThvError, type ProcessTable } from '@thv/core'
import { killTreeCommand } from './platform/windows.ts'
import { createProcessList } from './process-list.ts'
import { reapTree } from './reap-tree.ts'

/**
 * The processes of this machine, each told apart from a later one with the same
 * number by its start time. On Windows SIGTERM is a firm end too, and a reap reaches
 * only processes whose parents still live.
 */
export function createProcessTable(options: { systemRoot?: string } = {}): ProcessTable {
  const systemRoot = options.systemRoot ?? 'C:\\Windows'
  const list = createProcessList({ systemRoot })
  const table: ProcessTable = {
    async self() {
      const found = await table.identify(process.pid)
      if (found === undefined) throw new ThvError('internal', 'the process list does not show this process')
      return found
    },
    async identify(pid) {
      if (!Number.isInteger(pid) || pid <= 0) return undefined
      const entry = await list.one(pid)
      return entry === undefined || entry.dead ? undefined : { pid, started: entry.started }
    },
    async isAlive(identity) {
      if ((await table.identify(identity.pid))?.started !== identity.started) return false
      // The first process is ours only where thv is what a container runs.
      return identity.pid !== 1 || process.pid === 1 || (await list.commandLine(1)).includes('thv')
    },
    async isSupervisorOf(pid, name) {
      if (!Number.isInteger(pid) || pid <= 1) return false
      return isSupervisorCommand(await list.commandLine(pid), name)
    },
    async signal(identity, signal) {
      if (!(await table.isAlive(identity))) return false
      return send(identity.pid, signal, systemRoot)
    },
    async reap(server, signal) {
      if (!Number.isInteger(server.group) || (server.group <= 1 && platform() !== 'win32')) {
        throw new ThvError('internal', `refused to kill process group ${server.group}`)
      }
      return await reapTree(server, { signal, list, systemRoot })
    },
  }
  return table
}

/** Whether a command line is `… thv … start <name> …`: spec/local 2.9. Pure. */
export function isSupervisorCommand(commandLine: string, name: string): boolean {
  if (!commandLine.includes('thv')) return false
  const wanted = ` start ${name}`
  for (let at = commandLine.indexOf(wanted); at >= 0; at = commandLine.indexOf(wanted, at + 1)) {
    const next = commandLine[at + wanted.length]
    if (next === undefined || next === ' ' || next === '-') return true
  }
  return false
}

function send(pid: number, signal: 'SIGTERM' | 'SIGKILL', systemRoot: string): boolean {
  if (platform() === 'win32') {
    const command = killTreeCommand(systemRoot, pid)
    execFile(command.file, [...command.args], { env: command.environment, windowsHide: true }, () => {})
    return true
  }
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}
