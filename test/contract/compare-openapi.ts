/** A JSON value that is an object. */
export type Json = Record<string, unknown>

/** Where a schema is used: what a server demands in a request, it promises in a response. */
type Direction = 'request' | 'response'

interface Place {
  where: string
  direction: Direction
  ours: Json
  contract: Json
  differences: Set<string>
  /** Pairs of references on the way here, because schemas may contain themselves. */
  seen: readonly string[]
}

const methods = ['get', 'post', 'put', 'patch', 'delete', 'head', 'options']

/**
 * What a client of `contract` would notice of the server behind `ours`: paths, methods, parameters,
 * property names, types, required members, statuses and kinds of content, each as one sorted line.
 * A response may promise more members than the contract, a request may not demand more.
 */
export function compareOpenApi(ours: Json, contract: Json): string[] {
  const differences = new Set<string>()
  const base = { ours, contract, differences, seen: [] }
  const paths = { ours: at(ours, 'paths'), contract: at(contract, 'paths') }
  for (const path of union(paths.ours, paths.contract)) {
    const pair = { ours: at(paths.ours, path), contract: at(paths.contract, path) }
    for (const method of methods.filter((name) => name in pair.ours || name in pair.contract)) {
      const where = `${method.toUpperCase()} ${path}`
      if (!(method in pair.ours)) differences.add(`${where}: missing`)
      else if (!(method in pair.contract)) differences.add(`${where}: added`)
      else compareOperation({ ...base, where, direction: 'request' }, at(pair.ours, method), at(pair.contract, method))
    }
  }
  return [...differences].sort()
}

function compareOperation(place: Place, ours: Json, contract: Json): void {
  compareParameters(place, ours, contract)
  const body = { ours: at(ours, 'requestBody'), contract: at(contract, 'requestBody') }
  if ('requestBody' in ours !== 'requestBody' in contract) {
    place.differences.add(`${place.where} body: ${'requestBody' in ours ? 'added' : 'missing'}`)
  } else if ('requestBody' in ours) {
    const required = body.ours['required'] === true
    if (required !== (body.contract['required'] === true)) {
      place.differences.add(`${place.where} body: ${required ? 'required' : 'optional'}`)
    }
    compareContent({ ...place, where: `${place.where} body` }, body.ours, body.contract)
  }
  const answers = { ours: at(ours, 'responses'), contract: at(contract, 'responses') }
  for (const status of union(answers.ours, answers.contract)) {
    const where = `${place.where} ${status}`
    if (!(status in answers.ours)) place.differences.add(`${where}: missing`)
    else if (!(status in answers.contract)) place.differences.add(`${where}: added`)
    else {
      const one = resolve(place.ours, at(answers.ours, status)).schema
      compareContent({ ...place, where, direction: 'response' }, one, at(answers.contract, status))
    }
  }
}

function compareParameters(place: Place, ours: Json, contract: Json): void {
  const one = parametersOf(ours)
  const other = parametersOf(contract)
  for (const name of union(one, other)) {
    const where = `${place.where} ${name}`
    if (!(name in one)) place.differences.add(`${where}: missing`)
    else if (!(name in other)) place.differences.add(`${where}: added`)
    else {
      const required = at(one, name)['required'] === true
      if (required !== (at(other, name)['required'] === true)) {
        place.differences.add(`${where}: ${required ? 'required' : 'optional'}`)
      }
      compareSchemas({ ...place, where }, at(at(one, name), 'schema'), at(at(other, name), 'schema'))
    }
  }
}

function parametersOf(operation: Json): Json {
  const list = Array.isArray(operation['parameters']) ? operation['parameters'].map(asJson) : []
  return Object.fromEntries(list.map((parameter) => [`${text(parameter['in'])} ${text(parameter['name'])}`, parameter]))
}

function compareContent(place: Place, ours: Json, contract: Json): void {
  const types = { ours: at(ours, 'content'), contract: at(contract, 'content') }
  const [one = 'none', other = 'none'] = [Object.keys(types.ours)[0], Object.keys(types.contract)[0]]
  if (one !== other) place.differences.add(`${place.where}: content ${one} instead of ${other}`)
  if (one === 'none' || other === 'none') return
  compareSchemas(place, at(at(types.ours, one), 'schema'), at(at(types.contract, other), 'schema'))
}

function compareSchemas(place: Place, ours: Json, contract: Json): void {
  const one = resolve(place.ours, ours)
  const other = resolve(place.contract, contract)
  const pair = `${one.reference}|${other.reference}`
  if (one.reference !== '' && place.seen.includes(pair)) return
  const inner = { ...place, seen: [...place.seen, pair] }
  const types = [typesOf(one.schema), typesOf(other.schema)].map((list) => list.join(' or '))
  // A schema that says nothing allows everything.
  if (types[1] !== '' && types[0] !== types[1]) {
    place.differences.add(`${place.where}: type ${types[0]} instead of ${types[1]}`)
  }
  compareValues(place, one.schema, other.schema)
  compareMembers(inner, one.schema, other.schema)
  if ('items' in other.schema) {
    compareSchemas({ ...inner, where: `${place.where}[]` }, at(one.schema, 'items'), at(other.schema, 'items'))
  }
  const rest = [one.schema, other.schema].map((schema) => at(schema, 'additionalProperties'))
  if (Object.keys(rest[1] ?? {}).length > 0) {
    compareSchemas({ ...inner, where: `${place.where}{}` }, rest[0] ?? {}, rest[1] ?? {})
  }
}

function compareValues(place: Place, ours: Json, contract: Json): void {
  const [one, other] = [ours, contract].map((schema) => (Array.isArray(schema['enum']) ? schema['enum'].map(text) : []))
  const [left = [], right = []] = [one, other]
  if (left.toSorted().join() === right.toSorted().join()) return
  place.differences.add(`${place.where}: values ${left.join('|') || 'any'} instead of ${right.join('|') || 'any'}`)
}

function compareMembers(place: Place, ours: Json, contract: Json): void {
  const members = { ours: at(ours, 'properties'), contract: at(contract, 'properties') }
  const required = [ours, contract].map(
    (schema) => new Set(Array.isArray(schema['required']) ? schema['required'] : []),
  )
  for (const name of union(members.ours, members.contract)) {
    const where = `${place.where}.${name}`
    if (!(name in members.ours)) place.differences.add(`${where}: missing`)
    else if (!(name in members.contract)) place.differences.add(`${where}: added`)
    else compareSchemas({ ...place, where }, at(members.ours, name), at(members.contract, name))
    const [one = false, other = false] = required.map((names) => names.has(name))
    if (place.direction === 'request' && one && !other) place.differences.add(`${where}: required`)
    if (place.direction === 'response' && other && !one) place.differences.add(`${where}: optional`)
  }
  const isStrict = ours['additionalProperties'] === false && contract['additionalProperties'] !== false
  if (isStrict && place.direction === 'request') place.differences.add(`${place.where}: refuses other members`)
}

/** Follows references, and picks the one alternative that says more than "an object" or "null". */
function resolve(document: Json, schema: Json): { schema: Json; reference: string } {
  const { $ref: reference, oneOf, anyOf } = schema
  if (typeof reference === 'string') {
    const keys = reference.replace(/^#\//, '').split('/')
    const found = keys.reduce((value, key) => at(value, key), document)
    return { ...resolve(document, found), reference }
  }
  const alternatives = (Array.isArray(oneOf) ? oneOf : Array.isArray(anyOf) ? anyOf : []).map(asJson)
  const telling = alternatives.filter((one) => !isNull(one) && JSON.stringify(one) !== '{"type":"object"}')
  const [only] = telling
  return only !== undefined && telling.length === 1 ? resolve(document, only) : { schema, reference: '' }
}

function isNull(schema: Json): boolean {
  return schema['type'] === 'null'
}

function typesOf({ type }: Json): string[] {
  const list = Array.isArray(type) ? type.map(text) : type === undefined ? [] : [text(type)]
  return list.toSorted()
}

function union(one: Json, other: Json): string[] {
  return [...new Set([...Object.keys(one), ...Object.keys(other)])]
}

function at(value: Json, key: string): Json {
  return asJson(Object.hasOwn(value, key) ? value[key] : {})
}

function asJson(value: unknown): Json {
  return isJson(value) ? value : {}
}

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function text(value: unknown): string {
  return String(value)
}
