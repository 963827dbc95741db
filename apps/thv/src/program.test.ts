import { describe, expect, it } from 'vitest'
import { parseInvocation } from './program.ts'

function parse(...argv: string[]) {
  return parseInvocation(argv, () => {})
}

describe('the command line', () => {
  it('hands everything after the dashes to run untouched', () => {
    const found = parse('run', '--name', 'notes', '-e', 'A=1', '-e', 'B=2', '--', 'node', 'server.js', '--name', 'x')
    expect(found?.spec.name).toBe('run')
    expect(found?.input).toMatchObject({
      args: [],
      options: { name: 'notes', env: ['A=1', 'B=2'] },
      rest: ['node', 'server.js', '--name', 'x'],
    })
  })

  it('knows the difference between no dashes and nothing after them', () => {
    expect(parse('run', 'npx://x')?.input.rest).toBeUndefined()
    expect(parse('run', 'npx://x', '--')?.input.rest).toEqual([])
  })

  it('accepts aliases and --debug before or after the command', () => {
    expect(parse('ls')?.spec.name).toBe('list')
    expect(parse('--debug', 'list')?.debug).toBe(true)
    expect(parse('list', '--debug')?.debug).toBe(true)
  })

  it.each([
    [['frobnicate'], /unknown command 'frobnicate'/],
    [['list', '--frobnicate'], /unknown option '--frobnicate'/],
    [['list', '--format', 'yaml'], /Allowed choices are text, json, mcpservers/],
    [['status'], /missing required argument 'name'/],
    [['run', '--remote-auth-magic', 'npx://x'], /unknown option/],
    [['export', 'a', 'b', 'c'], /too many arguments/],
  ])('refuses %j with a stable code', (argv, message) => {
    expect(() => parse(...argv)).toThrow(expect.objectContaining({ code: 'invalid-argument' }))
    expect(() => parse(...argv)).toThrow(message)
  })

  it('prints help for the program, a command and a command group', () => {
    for (const argv of [['--help'], ['run', '--help'], ['help', 'run'], ['mcp'], []]) {
      let text = ''
      expect(parseInvocation(argv, (part) => (text += part))).toBeUndefined()
      expect(text).toContain('Usage: thv')
    }
  })
})
