import { randomBytes } from 'node:crypto'

/** Every process below a server inherits this variable; by its value the tree is found again. */
export const markerVariable = 'THV_WORKLOAD_MARKER'

/** A value that no other server has. */
export function createMarker(): string {
  return randomBytes(16).toString('hex')
}
