import { describe, expect, it } from 'vitest'
import { imageName } from './build-image.ts'
import { buildDockerfile } from './dockerfile.ts'

const full = {
  additionalPackages: ['curl', 'git'],
  runtimeEnvironment: { NODE_ENV: 'production' },
  caCertificate: 'pem',
  args: ['--port', '$PORT and "quotes"'],
}

describe('the Dockerfile', () => {
  it('of an npm package', () => {
    expect(buildDockerfile({ kind: 'npx', name: '@scope/server', version: '1.2.3' })).toMatchSnapshot()
  })
  it('of a Python package, with everything', () => {
    const wanted = { kind: 'uvx' as const, name: 'server[extra]', version: '1.0', buildWith: ['mcp<2', 'httpx'] }
    expect(buildDockerfile({ ...wanted, ...full, builderImage: 'python:3.12-slim' })).toMatchSnapshot()
  })
  it('of the newest version of a Go module', () => {
    expect(buildDockerfile({ kind: 'go', name: 'github.com/owner/server' })).toMatchSnapshot()
  })
  it('of a Go program of this machine, with variables for its build', () => {
    const wanted = { kind: 'go' as const, name: '/home/me/it', localPath: '/home/me/it/cmd/server' }
    expect(buildDockerfile({ ...wanted, buildEnvironment: { GOPROXY: 'direct' } }, './cmd/server')).toMatchSnapshot()
  })

  const safe = { kind: 'npx' as const, name: 'server' }
  it.each([
    [{ ...safe, name: "x' && rm -rf /" }],
    [{ ...safe, version: '1\nRUN evil' }],
    [{ ...safe, builderImage: 'node AS x\nRUN evil' }],
    [{ ...safe, builderImage: '--platform=x' }],
    [{ ...safe, additionalPackages: ['curl; evil'] }],
    [{ ...safe, additionalPackages: ['-o'] }],
    [{ ...safe, args: ["it's"] }],
    [{ ...safe, args: ['a\nb'] }],
    [{ ...safe, buildWith: ['mcp'] }],
    [{ ...safe, kind: 'uvx' as const, buildWith: ["mcp'"] }],
    [{ ...safe, buildEnvironment: { PATH: 'x' } }],
    [{ ...safe, buildEnvironment: { A: '$(evil)' } }],
    [{ ...safe, runtimeEnvironment: { path: 'x' } }],
    [{ ...safe, runtimeEnvironment: { PATH: 'x' } }],
    [{ ...safe, runtimeEnvironment: { LD_PRELOAD: 'x' } }],
    [{ ...safe, runtimeEnvironment: { A: '$(evil)' } }],
    [{ ...safe, runtimeEnvironment: { A: 'a"\nRUN evil' } }],
  ])('is not written for %j', (wanted) => {
    expect(() => buildDockerfile(wanted)).toThrow(expect.objectContaining({ code: 'invalid-argument' }))
  })

  it('does not repeat a value that may be a secret', () => {
    const wanted = { ...safe, runtimeEnvironment: { TOKEN: 'secret`' } }
    expect(() => buildDockerfile(wanted)).toThrow(expect.not.stringContaining('secret'))
  })
})

it.each([
  ['npx', '@modelcontextprotocol/server-everything', 'npx-modelcontextprotocol-server-everything'],
  ['uvx', 'arxiv-mcp-server', 'uvx-arxiv-mcp-server'],
  ['uvx', 'Some_Server[all]', 'uvx-some-server-all'],
  ['go', 'github.com/Owner/repo/cmd/server', 'go-github-com-owner-repo-cmd-server'],
] as const)('the image of %s %s is named %s', (kind, name, expected) => {
  const now = new Date(2026, 7, 5, 9, 8, 7)
  expect(imageName({ kind, name }, now)).toBe(`toolhivelocal/${expected}:20260805090807`)
})
