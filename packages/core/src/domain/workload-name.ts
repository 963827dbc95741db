import { ThvError } from '../errors.ts'
import { limits } from '../limits.ts'

const allowed = /^[a-zA-Z0-9._-]+$/

/**
 * Checks a workload name: 1 to 100 of letters, digits, `.`, `_`, `-`, and no `..`
 * (spec/local 2.5). Throws `invalid-name`.
 */
export function assertWorkloadName(name: string): void {
  const problem = problemOf(name)
  if (problem === undefined) return
  throw new ThvError('invalid-name', `invalid workload name: ${problem}`, {
    hint: "use 1 to 100 letters, digits, '.', '_' or '-', without '..'",
  })
}

/** A legal name made of any text: forbidden characters become `-`, `..` becomes `--`. */
export function sanitizeWorkloadName(text: string): string {
  const clean = text
    .replace(/[^a-zA-Z0-9._-]/g, '-')
    .replaceAll('..', '--')
    .slice(0, limits.nameLength)
  return clean === '' ? 'workload' : clean
}

function problemOf(name: string): string | undefined {
  if (name === '') return 'it is empty'
  if (name.length > limits.nameLength) return `it has ${name.length} characters, ${limits.nameLength} are allowed`
  if (name.includes('..')) return `'${name}' contains '..'`
  // A lone dot is a directory of its own, not a file name.
  if (name === '.') return "'.' is not a name"
  if (!allowed.test(name)) return `'${name.replace(/[^\x20-\x7e]/g, '?')}' has a character that is not allowed`
  return undefined
}
