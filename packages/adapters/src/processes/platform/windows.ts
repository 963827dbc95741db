import type { ListCommand, ProcessEntry } from './process-entry.ts'

/** Lists all processes, or one: number, parent and start time, tab separated. */
export function listCommand(systemRoot: string, pid?: number): ListCommand {
  const filter = pid === undefined ? '' : ` -Filter 'ProcessId=${pid}'`
  return powershell(
    systemRoot,
    `Get-CimInstance Win32_Process${filter} | ForEach-Object { "$($_.ProcessId)\`t$($_.ParentProcessId)\`t$($_.CreationDate.ToFileTimeUtc())" }`,
  )
}

/** Prints the command line of one process. */
export function commandLineCommand(systemRoot: string, pid: number): ListCommand {
  return powershell(systemRoot, `(Get-CimInstance Win32_Process -Filter 'ProcessId=${pid}').CommandLine`)
}

/** Ends a process and everything below it. Windows has no groups and no signals: this is the only firm end. */
export function killTreeCommand(systemRoot: string, pid: number): ListCommand {
  return {
    file: `${systemRoot}\\System32\\taskkill.exe`,
    args: ['/PID', String(pid), '/T', '/F'],
    environment: { SystemRoot: systemRoot },
  }
}

/** Parses what {@link listCommand} prints; lines of other shape are passed over. */
export function parseList(text: string): ProcessEntry[] {
  const entries: ProcessEntry[] = []
  for (const line of text.split(/\r?\n/)) {
    // System processes have no creation date; nothing of ours is among them.
    const match = /^(\d+)\t(\d+)\t(\d+)$/.exec(line.trim())
    if (match === null) continue
    const [, pid, parent, started = ''] = match
    entries.push({ pid: Number(pid), parent: Number(parent), group: 0, started, dead: false, marked: false })
  }
  return entries
}

function powershell(systemRoot: string, script: string): ListCommand {
  return {
    file: `${systemRoot}\\System32\\WindowsPowerShell\\v1.0\\powershell.exe`,
    args: ['-NoProfile', '-NonInteractive', '-Command', script],
    environment: { SystemRoot: systemRoot },
  }
}
