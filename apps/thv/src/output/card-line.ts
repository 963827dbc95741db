import type { ServerCard } from '@thv/core'

/** What a remote server says about itself, on one line. */
export function cardLine({ name, title, version, description }: ServerCard): string {
  return `${title === undefined ? name : `${title} (${name})`} ${version}: ${description}`
}
