import { messageOf, ThvError } from '@thv/core'
import type { CommandContext, CommandInput } from '../command.ts'
import { anyResult, type McpResult } from '../mcp-any-result.ts'
import { sentenceOf, withMcpSession } from '../mcp-client.ts'
import { flagOption, textOption } from '../options.ts'
import { printable } from '../output/style.ts'

/** `thv mcp call TOOL`: exit 1 when the tool reports an error, unless told otherwise. */
export async function mcpCallCommand(context: CommandContext, input: CommandInput): Promise<void> {
  const tool = input.args[0] ?? ''
  const params = { name: tool, arguments: await readArguments(context, input) }
  const result = await withMcpSession(context, input, async ({ client, options }) => {
    try {
      return await client.request({ method: 'tools/call', params }, anyResult, options)
    } catch (error) {
      throw new ThvError('mcp-error', `calling '${tool}' failed: ${sentenceOf(error)}`, {
        hint: "see 'thv mcp list tools' for what it offers",
        cause: error,
      })
    }
  })
  if (textOption(input, 'format') === 'json') context.output.json(result)
  else for (const line of renderContent(result)) context.output.line(line)
  if (result['isError'] !== true || flagOption(input, 'ignoreToolError')) return
  throw new ThvError('mcp-tool-error', `tool "${tool}" reported an error`, {
    hint: 'its answer is on standard output; --ignore-tool-error makes it exit 0',
  })
}

async function readArguments(context: CommandContext, input: CommandInput): Promise<Record<string, unknown>> {
  const file = textOption(input, 'argsFile')
  const inline = textOption(input, 'args')
  if (file !== undefined && inline !== undefined) {
    throw new ThvError('invalid-flag-combination', '--args and --args-file exclude each other', { hint: 'use one' })
  }
  const text = file === undefined ? (inline ?? '{}') : await readFile(context, file)
  const hint = `write a JSON object, for example --args '{"message":"hello"}'`
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new ThvError('invalid-argument', `the arguments are not JSON: ${messageOf(error)}`, { hint, cause: error })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw new ThvError('invalid-argument', 'the arguments are not a JSON object', { hint })
}

async function readFile(context: CommandContext, file: string): Promise<string> {
  try {
    return await context.container.files.readText(file, { signal: context.signal })
  } catch (error) {
    context.signal.throwIfAborted()
    throw new ThvError('invalid-argument', `arguments file '${file}' cannot be read: ${messageOf(error)}`, {
      hint: 'give a file that holds a JSON object',
      cause: error,
    })
  }
}

/** Text blocks as text, everything else as what it is and how big. */
function renderContent(result: McpResult): string[] {
  const blocks = Array.isArray(result['content']) ? result['content'] : []
  return blocks.map((block: McpResult) => {
    if (block['type'] === 'text' && typeof block['text'] === 'string') {
      return block['text'].split('\n').map(printable).join('\n')
    }
    const data = typeof block['data'] === 'string' ? `, ${block['data'].length} characters` : ''
    return `[${String(block['type'])}${data}; use --format json to see it]`
  })
}
