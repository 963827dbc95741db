import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { proxyLimits } from '@thv/proxy'
import { describe, expect, it } from 'vitest'
import { limitVariable, readLimitVariables } from './limit-variables.ts'

const root = join(import.meta.dirname, '../../..')

describe('readLimitVariables', () => {
  it('reads every limit under its own name', async () => {
    const environment = Object.fromEntries(Object.keys(proxyLimits).map((name) => [limitVariable(name), '7']))
    expect(await readLimitVariables({ ...environment, PATH: '/bin', THV_LIMIT: 'x', THV_LIMIT_SESSIONS: '' })).toEqual(
      Object.fromEntries(Object.keys(proxyLimits).flatMap((name) => (name === 'sessions' ? [] : [[name, 7]]))),
    )
  })

  it.each(['0', '-1', '1.5', '1e3', 'ten', '2147483648', ' 1'])('refuses %j', async (text) => {
    await expect(readLimitVariables({ THV_LIMIT_BODY_BYTES: text })).rejects.toMatchObject({
      code: 'invalid-argument',
      message: 'THV_LIMIT_BODY_BYTES is not a whole number from 1 to 2147483647',
    })
  })

  it('answers an unknown name with all that are known', async () => {
    await expect(readLimitVariables({ THV_LIMIT_X: '1' })).rejects.toMatchObject({
      message: 'there is no limit for THV_LIMIT_X',
      hint: expect.stringContaining('THV_LIMIT_HEALTH_FAILURES, '),
    })
  })
})

it('docs/limits.md has each limit with its variable, default and reason', async () => {
  const document = await readFile(join(root, 'docs/limits.md'), 'utf8')
  const rows = document.split('\n').filter((line) => line.startsWith('| `'))
  const source = await readFile(join(root, 'packages/proxy/src/limits.ts'), 'utf8')
  const expected = tableRows(source)
  // Copy what is missing from here.
  expect(rows.map(squeeze)).toEqual(expected)
  expect(expected).toHaveLength(Object.keys(proxyLimits).length)
})

/** One row for each limit; a comment holds for the names below it up to the next comment. */
function tableRows(source: string): string[] {
  const body = source.slice(source.indexOf('export const proxyLimits'), source.indexOf('} as const'))
  let reason = ''
  return body.split('\n').flatMap((line) => {
    reason = /\/\*\* (.*) \*\//.exec(line)?.[1] ?? reason
    const name = /^ {2}(\w+):/.exec(line)?.[1]
    const value = Object.entries(proxyLimits).find(([known]) => known === name)?.[1]
    return name === undefined ? [] : [`| \`${name}\` | \`${limitVariable(name)}\` | ${String(value)} | ${reason} |`]
  })
}

function squeeze(row: string): string {
  return row.replaceAll(/ +/g, ' ')
}
