import { ThvError } from '../errors.ts'
import { limits } from '../limits.ts'

/** A set of workloads that clients and gateways address together; the file `groups/<name>.json`. */
export interface Group {
  name: string
  registered_clients: string[]
}

/** The group that always exists. */
export const defaultGroup = 'default'

/** Checks a group name: spec/local 2.7, and at most 200 characters. Throws `invalid-name`. */
export function assertGroupName(name: string): void {
  if (name.length > limits.groupNameLength) {
    throw new ThvError('invalid-name', `invalid group name: it has ${name.length} characters`, {
      hint: `use at most ${limits.groupNameLength}`,
    })
  }
  if (/^[a-z0-9_-]+(?: [a-z0-9_-]+)*$/.test(name)) return
  throw new ThvError('invalid-name', `invalid group name: '${name}'`, {
    hint: "use lower-case letters, digits, '_', '-' and single blanks",
  })
}
