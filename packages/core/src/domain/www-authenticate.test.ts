import { array, constantFrom, dictionary, assert as holds, property, string, stringMatching } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { limits } from '../limits.ts'
import { parseChallenges } from './www-authenticate.ts'

const read = (header: string) =>
  parseChallenges(header).map(({ scheme, token68, parameters }) => [scheme, token68 ?? Object.fromEntries(parameters)])

describe('challenges', () => {
  it.each([
    ['Bearer', [['bearer', {}]]],
    ['Bearer realm="a", error="invalid_token"', [['bearer', { realm: 'a', error: 'invalid_token' }]]],
    ['BEARER Scope="a b",X=1', [['bearer', { scope: 'a b', x: '1' }]]],
    [
      'Basic realm="a, Bearer b=\\"c\\"", Bearer scope=d',
      [
        ['basic', { realm: 'a, Bearer b="c"' }],
        ['bearer', { scope: 'd' }],
      ],
    ],
    [
      'Negotiate abc==, Bearer realm=a',
      [
        ['negotiate', 'abc=='],
        ['bearer', { realm: 'a' }],
      ],
    ],
    [
      'Negotiate, Bearer',
      [
        ['negotiate', {}],
        ['bearer', {}],
      ],
    ],
    [',, Bearer a = "b" ,, c=d', [['bearer', { a: 'b', c: 'd' }]]],
    ['Bearer a="first", A="second"', [['bearer', { a: 'first' }]]],
    ['Bearer a="b" error="c", Basic realm=d', [['bearer', { a: 'b' }]]],
    ['Bearer a="never ends', [['bearer', {}]]],
    ['="nothing"', []],
    ['', []],
  ])('are read: %s', (header, expected) => {
    expect(read(header)).toEqual(expected)
  })

  it('are read as they were written', () => {
    const token = stringMatching(/^[A-Za-z][A-Za-z0-9!#$%&'*+.^_`|~-]{0,9}$/)
    const challenge = property(
      array(
        dictionary(token, string(), { minKeys: 1, maxKeys: 4 }).map((parameters) => ({
          parameters: Object.fromEntries(
            Object.entries(parameters).map(([name, value]) => [name.toLowerCase(), value]),
          ),
        })),
        { maxLength: 4 },
      ),
      constantFrom('Bearer', 'basic', 'DPoP'),
      (challenges, scheme) => {
        const quote = (value: string): string => `"${value.replace(/["\\]/g, '\\$&')}"`
        const text = challenges
          .map(({ parameters }) =>
            [
              scheme,
              Object.entries(parameters)
                .map(([name, value]) => `${name}=${quote(value)}`)
                .join(', '),
            ].join(' '),
          )
          .join(', ')
        expect(read(text)).toEqual(challenges.map(({ parameters }) => [scheme.toLowerCase(), parameters]))
      },
    )
    holds(challenge)
  })

  it('are found in any text without an error', () => {
    holds(property(string(), (text) => void parseChallenges(text)))
    holds(
      property(array(constantFrom('Bearer', ' ', ',', '=', '"', '\\', 'a'), { maxLength: 200 }), (parts) => {
        parseChallenges(parts.join(''))
      }),
    )
  })

  it('of a hostile length take no time, and above the limit are none', () => {
    const { challengeLength } = limits
    for (const part of ['a=', 'a="', ' ', 'a ', '"\\', 'Bearer ', 'a=b,', '=']) {
      const started = performance.now()
      parseChallenges(`Bearer ${part.repeat(challengeLength)}`.slice(0, challengeLength))
      expect(performance.now() - started).toBeLessThan(1_000)
    }
    expect(parseChallenges(`Bearer realm="${'a'.repeat(challengeLength)}"`)).toEqual([])
  })
})
