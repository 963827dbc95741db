import { messageOf } from '../errors.ts'

/** What a check that throws says; undefined when it does not. */
export function thrownBy(check: () => unknown): string | undefined {
  try {
    check()
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}
