import { Diagnostics, parseLabel } from '@thv/core'

/** Parses every `--label`, and tells of all bad ones at once. */
export function parseLabels(texts: readonly string[]): [key: string, value: string][] {
  const problems = new Diagnostics()
  const labels = texts.map((text) => problems.collect('--label', () => parseLabel(text)))
  problems.throwIfAny('invalid-argument', 'a label cannot be used', 'write --label key=value')
  return labels.filter((label) => label !== undefined)
}
