import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  formatPackage,
  formatPythonRequirement,
  isPackageArgument,
  packageWorkloadName,
  parsePackageSource,
} from './package-source.ts'
import { assertWorkloadName } from './workload-name.ts'

describe('package arguments', () => {
  it.each([
    ['npx://@modelcontextprotocol/server-everything', 'npx', '@modelcontextprotocol/server-everything', undefined],
    ['npx://@scope/name@1.2.3', 'npx', '@scope/name', '1.2.3'],
    ['npx://name@latest', 'npx', 'name', 'latest'],
    ['npx://name@^1', 'npx', 'name', '^1'],
    ['uvx://mcp-server-time', 'uvx', 'mcp-server-time', undefined],
    ['uvx://mcp[cli]@1.0', 'uvx', 'mcp[cli]', '1.0'],
    ['go://github.com/owner/repo/cmd/server@v1.2.3', 'go', 'github.com/owner/repo/cmd/server', 'v1.2.3'],
  ])('%s', (argument, kind, name, version) => {
    expect(parsePackageSource(argument)).toEqual({ kind, name, version })
  })

  it.each([
    'npx://',
    'npx://--registry=evil',
    'npx://-x',
    'npx://a b',
    'npx://../../etc/passwd',
    'npx://file:..',
    'npx://a@',
    'npx://a@1 --x',
    'npx://$(id)',
    'uvx://a;b',
    'uvx://git+https://example.test/x',
    'go://../x',
    'go://a@v1 -x',
  ])('refuses %s', (argument) => {
    expect(() => parsePackageSource(argument)).toThrow(expect.objectContaining({ code: 'package-name-invalid' }))
  })

  it('refuses a scheme it does not know', () => {
    expect(() => parsePackageSource('pip://x')).toThrow('invalid protocol scheme provided for MCP server')
    expect(isPackageArgument('docker://x')).toBe(false)
  })

  it('never yields a name that a tool would read as an option', () => {
    fc.assert(
      fc.property(fc.constantFrom('npx', 'uvx', 'go'), fc.string(), (kind, rest) => {
        try {
          const { name, version } = parsePackageSource(`${kind}://${rest}`)
          expect(name).not.toMatch(/^-|\s|\0/)
          expect(version ?? '').not.toMatch(/^-|\s|\0/)
        } catch (error) {
          expect(error).toMatchObject({ code: 'package-name-invalid' })
        }
      }),
    )
  })

  it('round-trips through its text', () => {
    expect(formatPackage(parsePackageSource('npx://@a/b@1.0.0'))).toBe('npx://@a/b@1.0.0')
  })
})

describe('default names', () => {
  it.each([
    ['npx://@modelcontextprotocol/server-everything', 'modelcontextprotocol-server-everything'],
    ['npx://pkg@1.2.3', 'pkg-1-2-3'],
    ['uvx://mcp-server-time', 'mcp-server-time'],
    ['go://github.com/a/b/cmd/server@latest', 'github-com-a-b-cmd-server-latest'],
  ])('%s becomes %s', (argument, name) => {
    expect(packageWorkloadName(parsePackageSource(argument))).toBe(name)
    assertWorkloadName(name)
  })
})

it.each([
  [undefined, 'n'],
  ['latest', 'n'],
  ['1.2.3', 'n==1.2.3'],
  ['>=1.2', 'n>=1.2'],
  ['~=1.2', 'n~=1.2'],
])('a Python package of version %s is required as %s', (version, expected) => {
  expect(formatPythonRequirement({ name: 'n', version })).toBe(expected)
})
