import type { ServerResponse } from 'node:http'
import type { AuthorizationTarget } from '@thv/core'
import { afterEach, describe, expect, it } from 'vitest'
import {
  startAuthorizationServer,
  type AuthorizationServer,
} from '../../../../test/fixtures/oauth/authorization-server.ts'
import { startProtectedServer, type ProtectedServer } from '../../../../test/fixtures/oauth/protected-server.ts'
import { authorization, never, redirectUri } from './fixtures/log-in.ts'
import { sendJson, startScripted, type ScriptedServer, type Script } from './fixtures/scripted-server.ts'

const opened: { close: () => Promise<void> }[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map(async (server) => await server.close()))
})

async function scripted(script: Script): Promise<ScriptedServer> {
  const server = await startScripted(script)
  opened.push(server)
  return server
}

async function real(): Promise<{ authority: AuthorizationServer; server: ProtectedServer }> {
  const authority = await startAuthorizationServer()
  const server = await startProtectedServer(authority)
  opened.push(authority, server)
  return { authority, server }
}

async function discover(url: string, more: Partial<AuthorizationTarget> = {}) {
  return await authorization.discover({ url, ...more }, never)
}

function refuse(response: ServerResponse, challenge?: string): void {
  response.writeHead(401, challenge === undefined ? {} : { 'www-authenticate': challenge }).end()
}

describe('what a server says of itself', () => {
  it('is found by its challenge, with the scopes of that', async () => {
    const { server, authority } = await real()
    server.switches.challenge = (response) => {
      const headers = new Headers(response.headers)
      const ours = headers.get('www-authenticate') ?? ''
      headers.set(
        'www-authenticate',
        `Negotiate, Basic realm="a, b", ${ours.replace(/scope="[^"]*"/, 'scope="notes:write"')}`,
      )
      return new Response(response.body, { status: response.status, headers })
    }
    expect(await discover(server.url)).toMatchObject({ issuer: authority.issuer, scopes: ['notes:write'] })
  })

  it.each([
    ['at another origin', 'Bearer resource_metadata="http://localhost:1/else"'],
    ['missing', 'Bearer'],
    ['where nothing is', 'Bearer resource_metadata="/gone"'],
  ])('is found at the well-known URL when the one of the challenge is %s', async (_what, challenge) => {
    const { server, authority } = await real()
    server.switches.challenge = (response) =>
      new Response(null, { status: response.status, headers: { 'www-authenticate': challenge } })
    expect(await discover(server.url)).toMatchObject({ issuer: authority.issuer, resource: server.url })
  })

  it('has the scopes of the challenge, but for those of OpenID Connect', async () => {
    const { server } = await real()
    const challenge = 'Bearer scope="openid notes:write offline_access"'
    server.switches.challenge = (response) =>
      new Response(null, { status: response.status, headers: { 'www-authenticate': challenge } })
    expect((await discover(server.url))?.scopes).toEqual(['notes:write'])
  })

  it('is believed without a challenge too', async () => {
    const { authority } = await real()
    const server = await scripted((line, response, origin) => {
      if (line === 'GET /.well-known/oauth-protected-resource') {
        return sendJson(response, { resource: origin, authority: 1, authorization_servers: [authority.issuer] })
      }
      sendJson(response, {}, line.startsWith('POST') ? 200 : 404)
    })
    expect(await discover(`${server.origin}/mcp`)).toMatchObject({ issuer: authority.issuer, resource: server.origin })
  })

  it('is nothing for a server that lets everybody in', async () => {
    const server = await scripted((line, response) => sendJson(response, {}, line.startsWith('POST') ? 200 : 404))
    expect(await discover(`${server.origin}/mcp`)).toBeUndefined()
  })

  it('is an error when it is about somebody else', async () => {
    const { server } = await real()
    server.switches.metadata = (document) => ({ ...document, resource: 'https://bank.example/mcp' })
    await expect(discover(server.url)).rejects.toMatchObject({
      code: 'login-failed',
      message: expect.stringContaining('https://bank.example/mcp'),
    })
    const plan = await discover(server.url, { resource: 'https://bank.example/mcp' })
    expect(plan?.resource).toBe('https://bank.example/mcp')
  })

  it.each(['Basic realm="x"', 'Digest nonce="x"', 'Negotiate'])('is an error for %s', async (challenge) => {
    const server = await scripted((_line, response) => refuse(response, challenge))
    await expect(discover(`${server.origin}/mcp`)).rejects.toMatchObject({
      code: 'login-failed',
      message: expect.stringContaining(`'${challenge.split(' ')[0]?.toLowerCase()}'`),
    })
  })

  it('is an error when the server is broken', async () => {
    const server = await scripted((line, response) => response.writeHead(line.includes('well-known') ? 404 : 503).end())
    await expect(discover(`${server.origin}/mcp`)).rejects.toThrow('503')
  })

  it('is found behind redirects of the server to itself, and no others', async () => {
    const { authority } = await real()
    const other = await scripted((_line, response) => refuse(response))
    let leadsAway = false
    const server = await scripted((line, response, origin) => {
      const to = leadsAway ? `${other.origin}/mcp/` : '/mcp/'
      if (line.endsWith(' /mcp')) return response.writeHead(308, { location: to }).end()
      if (line.includes('oauth-protected-resource')) {
        return sendJson(response, { resource: `${origin}/mcp`, authorization_servers: [authority.issuer] })
      }
      refuse(response)
    })
    expect(await discover(`${server.origin}/mcp`)).toMatchObject({ issuer: authority.issuer })
    leadsAway = true
    await discover(`${server.origin}/mcp`)
    expect(other.received).toEqual([])
  })

  it('is not read above a limit', async () => {
    const server = await scripted((line, response) => {
      if (!line.includes('well-known')) return refuse(response)
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(' '.repeat(1024 * 1024))
    })
    await expect(discover(`${server.origin}/mcp`)).rejects.toThrow('more than 65536 bytes')
  })
})

describe('an authorization server', () => {
  it('has to name the very issuer that was looked for', async () => {
    const { server, authority } = await real()
    authority.switches.metadata = (document) => ({ ...document, issuer: `${authority.issuer}/` })
    await expect(discover(server.url)).rejects.toMatchObject({
      code: 'login-failed',
      message: expect.stringContaining('another issuer'),
    })
  })

  it.each([[undefined], [['plain']]])('has to offer S256 and not %j', async (methods) => {
    const { server, authority } = await real()
    authority.switches.metadata = (document) => ({ ...document, code_challenge_methods_supported: methods })
    await expect(discover(server.url)).rejects.toThrow('PKCE')
  })

  it.each([
    ['token_endpoint', 'http://tokens.example/token'],
    ['authorization_endpoint', 'javascript:alert(1)'],
    ['registration_endpoint', 'https://user:pass@as.example/register'],
    ['token_endpoint', undefined],
  ])('has to have a usable %s and not %s', async (name, url) => {
    const { server, authority } = await real()
    authority.switches.metadata = (document) => ({ ...document, [name]: url })
    await expect(discover(server.url)).rejects.toThrow(name)
  })

  it('is the first of several that works', async () => {
    const { server, authority } = await real()
    server.switches.metadata = (document) => ({
      ...document,
      authorization_servers: [7, 'no url', 'http://as.example', `${authority.origin}/nobody`, authority.issuer],
    })
    expect(await discover(server.url)).toMatchObject({ issuer: authority.issuer })
  })

  it('is the configured one', async () => {
    const { server, authority } = await real()
    server.switches.metadata = (document) => ({ ...document, authorization_servers: ['https://other.example'] })
    expect(await discover(server.url, { issuer: authority.issuer })).toMatchObject({ issuer: authority.issuer })
  })

  it('is not asked at all when its endpoints are configured', async () => {
    const endpoints = { authorizeUrl: 'https://as.example/a', tokenUrl: 'https://as.example/t' }
    expect(await discover('http://127.0.0.1:1/mcp?key=1', { endpoints })).toMatchObject({
      issuer: 'https://as.example',
      resource: 'http://127.0.0.1:1/mcp',
      authorizationEndpoint: endpoints.authorizeUrl,
      tokenEndpoint: endpoints.tokenUrl,
    })
    const open = { ...endpoints, tokenUrl: 'http://as.example/t' }
    await expect(discover('http://127.0.0.1:1/mcp', { endpoints: open })).rejects.toMatchObject({
      code: 'login-failed',
    })
  })

  it('is the server itself for a server of 2025-03-26', async () => {
    const metadata = (origin: string) => ({
      issuer: `${origin}/`,
      authorization_endpoint: `${origin}/a`,
      token_endpoint: `${origin}/t`,
      code_challenge_methods_supported: ['S256'],
    })
    const server = await scripted((line, response, origin) => {
      if (line === 'GET /.well-known/oauth-authorization-server') return sendJson(response, metadata(origin))
      if (line.includes('well-known')) return response.writeHead(404).end()
      refuse(response)
    })
    expect(await discover(`${server.origin}/mcp`)).toMatchObject({ issuer: `${server.origin}/`, namesIssuer: false })
    const bare = await scripted((line, response) =>
      line.includes('well-known') ? response.writeHead(404).end() : refuse(response, 'Bearer'),
    )
    const plan = await discover(`${bare.origin}/mcp`)
    expect(plan).toMatchObject({
      authorizationEndpoint: `${bare.origin}/authorize`,
      tokenEndpoint: `${bare.origin}/token`,
    })
    await expect(authorization.begin(plan!, { redirectUri, scopes: [] }, never)).rejects.toMatchObject({
      code: 'login-failed',
      hint: expect.stringContaining('--remote-auth-client-id'),
    })
  })
})
