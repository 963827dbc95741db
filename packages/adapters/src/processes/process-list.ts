import { readFileSync } from 'node:fs'
import { open, readdir, readFile } from 'node:fs/promises'
import { platform } from 'node:os'
import * as darwin from './platform/darwin.ts'
import * as linux from './platform/linux.ts'
import type { ProcessEntry } from './platform/process-entry.ts'
import * as windows from './platform/windows.ts'
import { processLimits } from './process-limits.ts'
import { runListCommand } from './run-list-command.ts'

/** What this machine says about processes. One implementation per operating system. */
export interface ProcessList {
  /** Everything that lives; `marked` tells whose environment has `variable` (`NAME=value`). */
  all(variable: string | undefined): Promise<ProcessEntry[]>
  one(pid: number): Promise<ProcessEntry | undefined>
  /** Empty when it cannot be told. */
  commandLine(pid: number): Promise<string>
}

/** The process list of the operating system we run on. */
export function createProcessList(options: { systemRoot?: string } = {}): ProcessList {
  const system = platform()
  if (system === 'darwin') return darwinList()
  if (system === 'win32') return windowsList(options.systemRoot ?? 'C:\\Windows')
  return linuxList()
}

function linuxList(): ProcessList {
  let boot: Promise<string> | undefined
  async function stat(pid: number): Promise<ProcessEntry | undefined> {
    boot ??= readFile('/proc/sys/kernel/random/boot_id', 'utf8').then(linux.bootToken)
    return linux.parseStat(statLine(pid), await boot)
  }
  async function entry(pid: number, variable: string | undefined): Promise<ProcessEntry | undefined> {
    const found = await stat(pid)
    if (found === undefined || found.dead || variable === undefined) return found
    // Foreign processes refuse; they cannot be ours.
    return { ...found, marked: linux.hasVariable(await readOrEmpty(`/proc/${pid}/environ`), variable) }
  }
  return {
    async all(variable) {
      const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
      const entries: ProcessEntry[] = []
      for (let at = 0; at < pids.length; at += processLimits.parallelReads) {
        const some = pids.slice(at, at + processLimits.parallelReads)
        const found = await Promise.all(some.map(async (pid) => await entry(pid, variable)))
        entries.push(...found.filter((one) => one !== undefined))
      }
      return entries
    },
    one: stat,
    async commandLine(pid) {
      return linux.joinCommandLine((await readOrEmpty(`/proc/${pid}/cmdline`)).toString('utf8'))
    },
  }
}

function darwinList(): ProcessList {
  return {
    async all(variable) {
      return darwin.parseList(await runListCommand(darwin.listCommand(variable !== undefined)), variable)
    },
    async one(pid) {
      return darwin.parseList(await runListCommand(darwin.identifyCommand(pid)), undefined)[0]
    },
    async commandLine(pid) {
      return (await runListCommand(darwin.commandLineCommand(pid))).trim()
    },
  }
}

function windowsList(systemRoot: string): ProcessList {
  return {
    async all() {
      return windows.parseList(await runListCommand(windows.listCommand(systemRoot)))
    },
    async one(pid) {
      return windows.parseList(await runListCommand(windows.listCommand(systemRoot, pid)))[0]
    },
    async commandLine(pid) {
      return (await runListCommand(windows.commandLineCommand(systemRoot, pid))).trim()
    },
  }
}

/** Empty when the process is gone. The kernel answers from memory: handing this to another thread costs six times as much. */
function statLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return ''
  }
}

/** A file of `/proc`, whose size reads as 0; empty when the process is gone or is not ours to read. */
async function readOrEmpty(path: string): Promise<Buffer> {
  try {
    const file = await open(path)
    try {
      const chunks: Buffer[] = []
      for (let total = 0; total < processLimits.environBytes;) {
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(64 * 1024), 0)
        if (bytesRead === 0) break
        total += bytesRead
        chunks.push(buffer.subarray(0, bytesRead))
      }
      return Buffer.concat(chunks)
    } finally {
      await file.close()
    }
  } catch {
    return Buffer.alloc(0)
  }
}
