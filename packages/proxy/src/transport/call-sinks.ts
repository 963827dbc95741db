import type { CallSink } from './call.ts'

/** The same place for answers, and word of whether the server did what it was asked to. */
export function watchSink(sink: CallSink, ended: (isDone: boolean) => void): CallSink {
  return {
    progress: (text) => sink.progress(text),
    related: (text, isFollowUp) => sink.related(text, isFollowUp),
    response: (text, failed) => {
      ended(!failed)
      sink.response(text, failed)
    },
    refused: (error) => {
      ended(false)
      sink.refused(error)
    },
    cancelled: () => {
      ended(false)
      sink.cancelled()
    },
  }
}
