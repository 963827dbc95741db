import { buildInfo } from '../build-info.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { flagOption, textOption } from '../options.ts'

/** `thv version`: the keys are ToolHive's, `go_version` included, because tools read them. */
export async function versionCommand(context: CommandContext, input: CommandInput): Promise<void> {
  const { platform, node } = context.container.runtimeFacts
  const version = `v${buildInfo.version}`
  const runtime = `none (node ${node})`
  if (flagOption(input, 'json') || textOption(input, 'format') === 'json') {
    context.output.raw(
      JSON.stringify(
        { version, commit: buildInfo.commit, build_date: buildInfo.buildDate, go_version: runtime, platform },
        null,
        2,
      ),
    )
    return
  }
  const lines = [
    `ToolHive ${version} (thv for Node.js)`,
    `Commit: ${buildInfo.commit}`,
    `Built: ${buildInfo.buildDate}`,
    `Go version: ${runtime}`,
    `Platform: ${platform}`,
  ]
  context.output.line(lines.join('\n'))
}
