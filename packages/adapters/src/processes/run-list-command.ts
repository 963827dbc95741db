import { execFile } from 'node:child_process'
import { processLimits } from './process-limits.ts'
import type { ListCommand } from './platform/process-entry.ts'

/** What a listing program prints; empty when it fails, as `ps -p` does for a process that is gone. */
export async function runListCommand(command: ListCommand): Promise<string> {
  return await new Promise((resolve) => {
    execFile(
      command.file,
      [...command.args],
      {
        env: command.environment,
        timeout: processLimits.listCommandMs,
        maxBuffer: processLimits.listCommandBytes,
        windowsHide: true,
      },
      (_error, stdout) => {
        resolve(stdout)
      },
    )
  })
}
