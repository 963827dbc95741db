import { createHash } from 'node:crypto'
import { isRecord } from './message.ts'
import { findValue } from './raw-message.ts'
import { isObjectText, rewriteObject } from './rewrite-object.ts'

/**
 * The text of one tool of a list as Legacy clients accept it; they reject a whole list
 * for one bad tool. Undefined for a tool whose input no Legacy client could give.
 */
export function legacyTool(toolText: string): string | undefined {
  const tool: unknown = JSON.parse(toolText)
  if (!isRecord(tool)) return undefined
  const { inputSchema, outputSchema } = tool
  if (!isRecord(inputSchema)) return undefined
  const { type } = inputSchema
  if (type !== undefined && type !== 'object') return undefined
  const isOutputFit = outputSchema === undefined || (isRecord(outputSchema) && outputSchema['type'] === 'object')
  if (type === 'object' && isOutputFit) return toolText
  return rewriteObject(toolText, (key, value) => {
    if (key === 'inputSchema' && type === undefined) return rewriteObject(value, (_key, text) => text, objectType)
    return key === 'outputSchema' && !isOutputFit ? wrapOutputSchema(value, outputSchema) : value
  })
}

/**
 * The text of a tool's result with a `structuredContent` that is an object, as Legacy
 * clients want it: anything else becomes the member `result` of one, as the schema from
 * {@link legacyTool} says, and is also there to read.
 */
export function wrapStructured(resultText: string): string {
  const span = findValue(resultText, 0, ['structuredContent'])
  if (span === undefined) return resultText
  const structured = resultText.slice(span.start, span.end)
  if (isObjectText(structured)) return resultText
  const found = findValue(resultText, 0, ['content'])
  const content = found === undefined ? '[]' : resultText.slice(found.start, found.end)
  const readable = hasText(content) ? content : withElement(content, textBlock(structured))
  return rewriteObject(
    resultText,
    (key, value) => (key === 'content' ? undefined : key === 'structuredContent' ? `{"result":${value}}` : value),
    { content: readable },
  )
}

const objectType = { type: '"object"' }

/**
 * A schema that is not one of objects, as one of objects. What can be an object may come as
 * it is or wrapped, because the answer to a call does not show which schema it belongs to.
 */
function wrapOutputSchema(schemaText: string, schema: unknown): string {
  const own = withBase(schemaText, schema)
  if (isRecord(schema) && typeof schema['type'] === 'string') {
    return `{"type":"object","properties":{"result":${own}},"required":["result"]}`
  }
  const wrapped = '{"properties":{"result":{"$ref":"#/$defs/value"}},"required":["result"]}'
  return `{"type":"object","$defs":{"value":${own}},"anyOf":[{"$ref":"#/$defs/value"},${wrapped}]}`
}

/** References inside a schema are about its own root, wherever it stands. An id of its own keeps them so. */
function withBase(schemaText: string, schema: unknown): string {
  const hasOwnBase = isRecord(schema) && typeof schema['$id'] === 'string'
  if (!isObjectText(schemaText) || hasOwnBase || !/"\$(?:dynamic|recursive)?[Rr]ef"\s*:/.test(schemaText))
    return schemaText
  const digest = createHash('sha256').update(schemaText).digest('hex')
  return rewriteObject(schemaText, (_key, value) => value, { $id: `"urn:thv:schema:${digest}"` })
}

function hasText(contentText: string): boolean {
  const content: unknown = JSON.parse(contentText)
  return Array.isArray(content) && content.some((block) => isRecord(block) && block['type'] === 'text')
}

function textBlock(structuredText: string): string {
  return `{"type":"text","text":${JSON.stringify(structuredText)}}`
}

function withElement(arrayText: string, elementText: string): string {
  const inner = arrayText.startsWith('[') ? arrayText.slice(1, -1).trim() : ''
  return inner === '' ? `[${elementText}]` : `[${inner},${elementText}]`
}
