import fc from 'fast-check'

/** A request as it goes over the wire. */
export interface HostileRequest {
  method: string
  path: string
  body: string | undefined
  headers: Record<string, string>
}

const names = fc.constantFrom(
  ...'..%2f..%2fetc%2fpasswd %2e%2e kept%2f ..%2fkept kept%00 %00 %ff%fe % %zz %2 %0d%0aX-Evil:1 __proto__ kept.json -rf'
    .concat(' constructor toString KEPT %F0%9F%92%A9 $(id) a;b * ', 'a'.repeat(4_000))
    .split(' '),
)
const keys = fc.constantFrom(
  ...'name names image url group env_vars volumes transport proxy_port target_port cmd_arguments permission_profile'
    .concat(' network_isolation tools tools_override oidc secrets __proto__ constructor x')
    .split(' '),
)
const odd: unknown[] = [null, true, 0, -1, 65_536, 1e308, '', '\0', '\ud800', 'x'.repeat(70_000)]
const atoms = fc.constantFrom<unknown>(
  ...odd,
  ...'../.. npx://left-pad /bin/sh ./sh node npx://../x uvx://-e go://./. https://127.0.0.1/'.split(' '),
)
const texts = fc.constantFrom(
  '{"__proto__":{"name":"evil"}}',
  '{"name":"a","name":"b"',
  '{"name":"ok","__proto__":{}}',
  '',
  'null',
  '\ufeff{}',
  'NaN',
)
const queries = fc.constantFrom(
  '',
  ...'?all=true&all=false ?all=maybe ?group=a&group=b ?group=%00 ?__proto__=1 ?with-workloads=2 ?% ?limit=-1&page=1e9 ?group='
    .concat('g'.repeat(9_000))
    .split(' '),
)
const headers = fc.constantFrom<Record<string, string>>(
  {},
  {},
  { 'content-type': 'text/plain' },
  { 'content-type': 'application/json;charset=utf-16' },
  { 'content-encoding': 'gzip' },
  { expect: '100-continue' },
  { origin: 'http://evil.example' },
  { 'x-forwarded-host': 'evil' },
)

/** Requests to the given operations with names, queries and bodies that nobody means well with; none names `kept`. */
export function hostileRequests(targets: readonly { method: string; path: string }[]): fc.Arbitrary<HostileRequest> {
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      atoms,
      fc.string(),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.array(fc.tuple(keys, tie('value')), { maxLength: 8 }).map((pairs) => Object.fromEntries(pairs)),
    ),
  }))
  const json = value.map((one) => JSON.stringify(one))
  const deep = fc.integer({ min: 1_000, max: 200_000 }).map((depth) => '['.repeat(depth) + ']'.repeat(depth))
  const made = fc.string({ minLength: 1, maxLength: 120 }).map((text) => encodeURIComponent(text))
  const parts = {
    target: fc.constantFrom(...targets),
    name: fc.oneof(names, made),
    body: fc.oneof({ weight: 8, arbitrary: json }, deep, texts, fc.string()),
    query: queries,
    headers,
  }
  return fc.record(parts).map(({ target: { method, path }, name, body, query, headers }) => ({
    method,
    path: path.replace(/\{\w+\}/g, () => name) + query,
    body: method === 'GET' ? undefined : body,
    headers,
  }))
}
