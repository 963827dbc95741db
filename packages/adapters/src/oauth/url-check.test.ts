import { expect, it } from 'vitest'
import { createUrlCheck } from './url-check.ts'

const addresses: Record<string, string[]> = {
  'mcp.example.com': ['203.0.113.7'],
  'as.example.com': ['203.0.113.8', '2606:4700::1'],
  'rebound.example.com': ['203.0.113.9', '10.0.0.5'],
  'mcp.corp.example': ['10.0.0.6'],
  'as.corp.example': ['10.0.0.7'],
}
const resolve = async (host: string): Promise<string[]> => {
  const found = addresses[host]
  if (found === undefined) throw new Error('ENOTFOUND')
  return found
}
const direct = { dialerOf: () => undefined, resolve }

it.each([
  ['https://as.example.com/token', undefined],
  ['https://unknown.example.com/token', undefined],
  ['https://rebound.example.com/token', 'private network'],
  ['https://10.0.0.5/token', 'private network'],
  ['https://[::ffff:10.0.0.5]/token', 'private network'],
  ['https://169.254.169.254/latest', 'private network'],
  ['https://router.local/token', 'private network'],
  ['http://localhost:8080/token', 'private network'],
  ['http://as.example.com/token', 'not https'],
  ['ftp://as.example.com/token', 'not https'],
  ['https://as.example.com/token#a', 'fragment'],
  ['nonsense', 'not a URL'],
])('a server on the internet may name %s: %s', async (url, problem) => {
  const check = await createUrlCheck(direct, 'https://mcp.example.com/mcp')
  const found = await check.problemOf(url)
  if (problem === undefined) expect(found).toBeUndefined()
  else expect(found).toContain(problem)
})

it('a server in the private network may name what is there, also when only its address tells', async () => {
  for (const server of ['https://mcp.corp.example/mcp', 'http://192.168.1.2/mcp', 'http://localhost:3000/mcp']) {
    const check = await createUrlCheck(direct, server)
    expect(await check.problemOf('https://as.corp.example/token')).toBeUndefined()
    expect(await check.problemOf('http://as.corp.example/token')).toBe('it is not https')
  }
})

it('an issuer has no query', async () => {
  const check = await createUrlCheck(direct, 'https://mcp.example.com/mcp')
  expect(await check.issuerProblemOf('https://as.example.com/a')).toBeUndefined()
  expect(await check.issuerProblemOf('https://as.example.com/a?b=c')).toBe('it has a query')
})

it('no name is resolved that a proxy resolves', async () => {
  const asked: string[] = []
  const note = async (host: string): Promise<string[]> => {
    asked.push(host)
    return ['10.0.0.1']
  }
  const dialerOf = () => async () => await Promise.reject(new Error('not dialled'))
  const check = await createUrlCheck({ dialerOf, resolve: note }, 'https://mcp.example.com/mcp')
  expect(await check.problemOf('https://as.example.com/token')).toBeUndefined()
  expect(asked).toEqual([])
})
