// Every sync that the terminal's promises rest on: with any one of them taken out, power cuts must lose something.
import type { DiskCall } from './recording.js'

/** A call in the code that syncs, and how its calls are told in a recording. */
export interface RequiredSync {
  readonly name: string
  is(call: DiskCall): boolean
}

const syncOf = (call: DiskCall) => (call.kind === 'fsync' ? call.path : undefined)

export const REQUIRED_SYNCS: readonly RequiredSync[] = [
  {
    name: "the journal's log, at each step (synchronous FULL)",
    is: (call) => syncOf(call) === 'journal.db-wal',
  },
  { name: "the journal's tables, at each checkpoint", is: (call) => syncOf(call) === 'journal.db' },
  { name: "the journal's folder, when it is made", is: (call) => syncOf(call) === '' },
  {
    name: "a key record's content, before it takes the old one's place",
    is: (call) => syncOf(call)?.startsWith('keys/') === true,
  },
  { name: "the keys' folder, after each change of names", is: (call) => syncOf(call) === 'keys' },
]

/** The recording of a build in which that sync is missing. */
export const without = (calls: readonly DiskCall[], sync: RequiredSync): DiskCall[] =>
  calls.filter((call) => !sync.is(call))
