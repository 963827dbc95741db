import { messageOf, parseToolOverrides, systemCodeOf, ThvError, type ToolOverride } from '@thv/core'
import type { CommandContext } from '../command.ts'

/**
 * Reads the file of `--tools-override`, as ToolHive has it:
 * `{"toolsOverride":{"tool":{"name":"new","description":"new"}}}`. Throws
 * `invalid-argument`, `invalid-run-config`.
 */
export async function readToolsOverride(context: CommandContext, file: string): Promise<Record<string, ToolOverride>> {
  const value = parseFile(file, await readFile(context, file))
  if (typeof value !== 'object' || value === null || !('toolsOverride' in value)) {
    throw invalid(file, "it has no member 'toolsOverride'")
  }
  return parseToolOverrides(value.toolsOverride, `'toolsOverride' in '${file}'`)
}

async function readFile(context: CommandContext, file: string): Promise<string> {
  try {
    return await context.container.files.readText(file, { signal: context.signal })
  } catch (error) {
    context.signal.throwIfAborted()
    const why = systemCodeOf(error) === 'ENOENT' ? 'there is no such file' : messageOf(error)
    throw invalid(file, why, error)
  }
}

function parseFile(file: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw invalid(file, `it is not JSON: ${messageOf(error)}`, error)
  }
}

function invalid(file: string, why: string, cause?: unknown): ThvError {
  return new ThvError('invalid-argument', `the tool overrides in '${file}' cannot be read: ${why}`, {
    hint: 'write {"toolsOverride":{"tool":{"name":"new name","description":"new description"}}}',
    cause,
  })
}
