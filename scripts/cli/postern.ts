#!/usr/bin/env node
// The one bin. Exit status: 0 done, 1 failed, 2 usage.
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { isPosternError } from '../../hal/base/errors.js'
import { ceremonyCommand } from './ceremony.js'
import { disputeCommand } from './dispute.js'
import { halCommand } from './hal.js'
import { hostCommand } from './host.js'
import { journalCommand } from './journal.js'
import { protectionsCommand } from './protections.js'
import { routeCommand } from './route.js'
import { startCommand } from './start.js'
import { traceCommand } from './trace.js'

/** A whole number between two bounds, for commander. */
export function wholeNumber(from: number, to: number) {
  return (text: string): number => {
    const value = Number(text)
    if (!Number.isInteger(value) || value < from || value > to)
      throw new InvalidArgumentError(`a whole number from ${from} to ${to}`)
    return value
  }
}

const program = new Command('postern')
  .description('The runtime of a Linux handheld payment terminal.')
  .option('--json', 'print JSON')
  .option('--data-dir <folder>', 'where the terminal keeps its data', '.postern')
  .showHelpAfterError('(--help tells more)')
  .exitOverride()
program.addCommand(startCommand(program, wholeNumber))
program.addCommand(ceremonyCommand())
program.addCommand(journalCommand(program, wholeNumber))
program.addCommand(protectionsCommand(program, wholeNumber))
program.addCommand(routeCommand(program))
program.addCommand(hostCommand(program))
program.addCommand(disputeCommand(program))
program.addCommand(traceCommand(program))
program.addCommand(halCommand(program, wholeNumber))

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2
  else {
    const message = error instanceof Error ? error.message : String(error)
    const usage =
      isPosternError(error, 'SCENARIO_UNKNOWN') ||
      isPosternError(error, 'SCENARIO_INVALID') ||
      isPosternError(error, 'USAGE')
    if ((program.opts() as { json?: boolean }).json)
      console.log(JSON.stringify({ error: message, code: isPosternError(error) ? error.code : 'FAILED' }))
    else console.error(message)
    process.exitCode = usage ? 2 : 1
  }
}
