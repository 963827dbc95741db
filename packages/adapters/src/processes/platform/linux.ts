import type { ProcessEntry } from './process-entry.ts'

/**
 * One `/proc/<pid>/stat` line; undefined when it is not one.
 *
 * The second field is the program's name in parentheses and may itself contain
 * blanks and parentheses, so fields are counted from the last closing one
 * (proc_pid_stat(5)).
 */
export function parseStat(text: string, boot: string): ProcessEntry | undefined {
  const open = text.indexOf(' (')
  const close = text.lastIndexOf(') ')
  if (open < 1 || close < open) return undefined
  const fields = text
    .slice(close + 2)
    .trimEnd()
    .split(' ')
  const [pid, parent, group] = [text.slice(0, open), fields[1], fields[2]].map(Number)
  const state = fields[0]
  const ticks = fields[19]
  if (pid === undefined || parent === undefined || group === undefined) return undefined
  if (!Number.isInteger(pid) || !Number.isInteger(parent) || !Number.isInteger(group)) return undefined
  if (state === undefined || ticks === undefined || !/^\d+$/.test(ticks)) return undefined
  return { pid, parent, group, started: `${boot}:${ticks}`, dead: state === 'Z' || state === 'X', marked: false }
}

/** What makes start times of different boots different: ticks count from boot. */
export function bootToken(bootId: string): string {
  return bootId.trim().slice(0, 8)
}

/** Whether a `/proc/<pid>/environ` holds exactly this `NAME=value`. */
export function hasVariable(environ: Buffer, variable: string): boolean {
  const wanted = Buffer.from(`${variable}\0`)
  // The kernel ends every variable with NUL; a preceding NUL (or the start) makes it a whole one.
  for (let at = environ.indexOf(wanted); at >= 0; at = environ.indexOf(wanted, at + 1)) {
    if (at === 0 || environ[at - 1] === 0) return true
  }
  return false
}

/** A command line as one text, from `/proc/<pid>/cmdline`. */
export function joinCommandLine(cmdline: string): string {
  return cmdline.replace(/\0+$/, '').replaceAll('\0', ' ')
}
