import { readdirSync, readFileSync } from 'node:fs'

/**
 * Descriptors that this process got from its own caller, beside the first three, and would
 * hand on: Node closes what it opens itself, and nothing else. Empty where there is no /proc.
 */
export function inheritedDescriptors(): number[] {
  const numbers = listOf('/proc/self/fd').map(Number)
  return numbers.filter((number) => number > 2 && number < 4096 && isHandedOn(number))
}

function listOf(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

function isHandedOn(number: number): boolean {
  try {
    const flags = /^flags:\s+([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${number}`, 'utf8'))?.[1]
    return flags !== undefined && (parseInt(flags, 8) & closeOnExec) === 0
  } catch {
    // Closed in the meantime.
    return false
  }
}

/** `O_CLOEXEC`, the same on all processors that Node runs on. */
const closeOnExec = 0o2000000
