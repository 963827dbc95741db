import type { ListCommand, ProcessEntry } from './process-entry.ts'

// `lstart` is printed in local time and language; both are pinned, or a token would change with the time zone.
const environment = { LC_ALL: 'C', TZ: 'UTC', PATH: '/bin:/usr/bin' }

/**
 * Lists all processes. With environments (`-E`) a command column follows, in which
 * the kernel shows the environment of own processes that are not protected system
 * programs: the marker search is therefore best effort on macOS, while group and
 * parent links are exact.
 */
export function listCommand(withEnvironments: boolean): ListCommand {
  const columns = 'pid=,ppid=,pgid=,stat=,lstart='
  return {
    file: '/bin/ps',
    args: withEnvironments ? ['-axEww', '-o', `${columns},command=`] : ['-ax', '-o', columns],
    environment,
  }
}

/** Lists one process. */
export function identifyCommand(pid: number): ListCommand {
  return { file: '/bin/ps', args: ['-o', 'pid=,ppid=,pgid=,stat=,lstart=', '-p', String(pid)], environment }
}

/** Prints the command line of one process. */
export function commandLineCommand(pid: number): ListCommand {
  return { file: '/bin/ps', args: ['-ww', '-o', 'command=', '-p', String(pid)], environment }
}

const row = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(\w{3}\s+\w{3}\s+\d+\s+[\d:]+\s+\d{4})(?:\s+(.*))?$/

/** Parses what {@link listCommand} or {@link identifyCommand} print; other lines are passed over. */
export function parseList(text: string, variable: string | undefined): ProcessEntry[] {
  const entries: ProcessEntry[] = []
  for (const line of text.split('\n')) {
    const match = row.exec(line)
    if (match === null) continue
    const [, pid, parent, group, state = '', started = '', command = ''] = match
    entries.push({
      pid: Number(pid),
      parent: Number(parent),
      group: Number(group),
      started: started.trim().replaceAll(/\s+/g, '-'),
      dead: state.startsWith('Z'),
      marked: variable !== undefined && ` ${command} `.includes(` ${variable} `),
    })
  }
  return entries
}
