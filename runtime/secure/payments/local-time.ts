// Local time for receipts and messages: the offset from UTC is kept with each record, so that a move of zone changes none.

/** Minutes east of UTC at that moment, by the terminal's time zone. */
export function utcOffsetMin(atMs: number): number {
  return 0 - new Date(atMs).getTimezoneOffset()
}
