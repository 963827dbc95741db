/**
 * Orders npm versions as semver 2.0 section 11 does: numbers by value, a
 * pre-release before its release. `npm view` lists versions as text, so 2025.11.25
 * comes before 2025.4.25 there.
 */
export function compareVersions(left: string, right: string): number {
  const [a, b] = [split(left), split(right)]
  for (let index = 0; index < 3; index += 1) {
    const order = compareParts(a.core[index] ?? '0', b.core[index] ?? '0')
    if (order !== 0) return order
  }
  if (a.pre.length === 0 || b.pre.length === 0) return b.pre.length - a.pre.length
  for (let index = 0; index < Math.max(a.pre.length, b.pre.length); index += 1) {
    const [x, y] = [a.pre[index], b.pre[index]]
    if (x === undefined || y === undefined) return x === undefined ? -1 : 1
    const order = compareParts(x, y)
    if (order !== 0) return order
  }
  return 0
}

function split(version: string): { core: string[]; pre: string[] } {
  const [plain = ''] = version.split('+')
  const dash = plain.indexOf('-')
  if (dash < 0) return { core: plain.split('.'), pre: [] }
  return { core: plain.slice(0, dash).split('.'), pre: plain.slice(dash + 1).split('.') }
}

function compareParts(left: string, right: string): number {
  const [a, b] = [/^\d+$/.test(left), /^\d+$/.test(right)]
  if (a && b) return Math.sign(Number(left) - Number(right))
  if (a !== b) return a ? -1 : 1
  if (left === right) return 0
  return left < right ? -1 : 1
}
