import { execFile } from 'node:child_process'
import { systemCodeOf } from '@thv/core'
import { secretLimits } from './secret-limits.ts'

/** What a program said. `absent`: there is none of that name. */
export type ProgramAnswer = { kind: 'done'; output: string } | { kind: 'failed'; why: string } | { kind: 'absent' }

/**
 * Runs a program with `input` on its stdin, where no other process can read it, and ends it after `timeoutMs`. Rejects with
 * the signal's reason only.
 */
export async function askProgram(
  command: readonly string[],
  {
    input,
    environment,
    timeoutMs,
  }: { input: string; environment: Readonly<Record<string, string>>; timeoutMs: number },
  signal: AbortSignal,
): Promise<ProgramAnswer> {
  const [file = '', ...args] = command
  const answer = await new Promise<ProgramAnswer>((resolve) => {
    const child = execFile(
      file,
      args,
      {
        env: environment,
        timeout: timeoutMs,
        killSignal: 'SIGKILL',
        maxBuffer: secretLimits.outputBytes,
        signal,
        windowsHide: true,
      },
      (error, output, said) => resolve(error === null ? { kind: 'done', output } : failureOf(error, said)),
    )
    // Whoever does not read its input has a reason that its exit tells.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
  })
  signal.throwIfAborted()
  return answer
}

/** Never the message of the error, which repeats the command. */
function failureOf(error: Error & { killed?: boolean }, said: string): ProgramAnswer {
  if (systemCodeOf(error) === 'ENOENT') return { kind: 'absent' }
  if (error.killed === true) return { kind: 'failed', why: 'does not answer' }
  const line = said.trim().split('\n').at(-1) ?? ''
  return {
    kind: 'failed',
    why: line === '' ? 'fails' : `says ${JSON.stringify(line.slice(0, secretLimits.problemLength))}`,
  }
}
