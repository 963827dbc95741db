import type { KeptPassword, PasswordKeeper } from '@thv/core'
import { askProgram, type ProgramAnswer } from './ask-program.ts'
import { secretLimits } from './secret-limits.ts'

/**
 * The keyring that the Linux kernel keeps for a user, in memory, through the program `keyctl`: where there is no desktop.
 * Type and name of the key are ToolHive's (spec/local 9.2).
 *
 * @param searchPath `PATH` in which `keyctl` is looked for
 * @param service default `toolhive`
 */
export function createKernelKeyring(searchPath: string, service = 'toolhive'): PasswordKeeper {
  const own = `${service}:toolhive`
  const trial = `${service}-test:toolhive`
  const ask = async (args: readonly string[], input: string, signal: AbortSignal): Promise<ProgramAnswer> => {
    const environment = { PATH: searchPath, LANG: 'C' }
    return await askProgram(['keyctl', ...args], { input, environment, timeoutMs: secretLimits.kernelMs }, signal)
  }
  const find = async (name: string, signal: AbortSignal): Promise<string | undefined> => {
    const found = await ask(['search', '@u', 'user', name], '', signal)
    return found.kind === 'done' ? found.output.trim() : undefined
  }
  const read = async (name: string, signal: AbortSignal): Promise<KeptPassword> => {
    const id = await find(name, signal)
    if (id === undefined) return {}
    const found = await ask(['pipe', id], '', signal)
    if (found.kind === 'done') return { password: found.output }
    return { problem: found.kind === 'failed' ? found.why : 'is gone' }
  }
  const keep = async (name: string, password: string, signal: AbortSignal): Promise<boolean> => {
    const kept = await ask(['padd', 'user', name, '@u'], password, signal)
    // A process whose session does not reach the user's keyring may add a key that it cannot read.
    return kept.kind === 'done' && (await read(name, signal)).password === password
  }
  const forget = async (name: string, signal: AbortSignal): Promise<boolean> => {
    const id = await find(name, signal)
    return id !== undefined && (await ask(['unlink', id, '@u'], '', signal)).kind === 'done'
  }
  return {
    name: "the kernel's keyring",
    read: async (signal) => await read(own, signal),
    keep: async (password, signal) => {
      if (Buffer.byteLength(password) > secretLimits.passwordBytes) return false
      const works = await keep(trial, 'trial', signal)
      await forget(trial, signal)
      return works && (await keep(own, password, signal))
    },
    forget: async (signal) => await forget(own, signal),
  }
}
