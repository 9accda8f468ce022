// `postern trace`: the last card transactions as masked APDU traces: list them, take one along, run the kernel against it.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { PosternError } from '../../hal/base/errors.js'
import type { Trace, TraceEvent } from '../../runtime/secure/emv/traces/trace.js'
import { replayTrace } from '../../runtime/secure/emv/traces/trace-replay.js'
import { openTraceStore, type TraceStore } from '../../runtime/secure/trace-store.js'

/** How a transaction ended, in a word or two. */
function endOf(trace: Trace): string {
  const last = trace.events.findLast(
    (event): event is Extract<TraceEvent, { kind: 'outcome' }> => event.kind === 'outcome',
  )?.outcome
  switch (last?.kind) {
    case 'first':
      return last.decision
    case 'second':
      return last.approved ? 'approved' : 'declined'
    case 'ended':
      return last.reason
    case 'fault':
      return last.fault
    case undefined:
      return 'unknown'
  }
}

/** A file, or a name in the store. */
function load(store: TraceStore, name: string): unknown {
  if (!existsSync(name)) return store.read(name)
  try {
    return JSON.parse(readFileSync(name, 'utf8'))
  } catch (cause) {
    throw new PosternError('TRACE_INVALID', `${name} is not JSON`, {}, cause)
  }
}

export function traceCommand(program: Command): Command {
  const options = () => program.opts() as { dataDir: string; json?: boolean }
  const store = () => openTraceStore(join(options().dataDir, 'secure', 'traces'))
  const command = new Command('trace').description('masked traces of the last card transactions')
  command
    .command('list')
    .description('the newest first')
    .action(() => {
      const traces = store()
      const rows = traces.list().map((name) => {
        const trace = traces.read(name) as Trace
        return { name, type: trace.request.type, events: trace.events.length, end: endOf(trace) }
      })
      if (options().json) return console.log(JSON.stringify(rows))
      if (rows.length === 0) return console.log('No traces yet.')
      for (const { name, events, end } of rows)
        console.log(`${name}  ${String(events).padStart(4)} events  ${end}`)
    })
  command
    .command('export <name>')
    .description('one trace as JSON, to standard output or a file')
    .option('--out <file>', 'where to write it')
    .action((name: string, { out }: { out?: string }) => {
      const text = `${JSON.stringify(store().read(name), null, 2)}\n`
      if (out === undefined) process.stdout.write(text)
      else writeFileSync(out, text)
    })
  command
    .command('replay <traces...>')
    .description('runs the kernel against traces, files or names; fails where one comes out differently')
    .action(async (names: string[]) => {
      const traces = store()
      let different = 0
      for (const name of names) {
        const replay = await replayTrace(load(traces, name))
        if (replay.kind === 'differs') different++
        if (options().json) console.log(JSON.stringify({ name, ...replay }))
        else if (replay.kind === 'same') console.log(`${name}: the same, ${replay.events} events`)
        else
          console.log(
            `${name}: differs at event ${replay.event}\n  trace  ${replay.expected}\n  kernel ${replay.got}`,
          )
      }
      if (different > 0)
        throw new PosternError('TRACE_DIFFERS', `${different} of ${names.length} came out differently`)
    })
  return command
}
