/** Makes LF of every line end of a text that comes in pieces: CRLF, CR alone, LF. Pure. */

/** What turns one text. A CRLF may be cut in two. */
export interface LineEnds {
  readonly write: (text: string) => string
  readonly end: () => string
}

export function lineEnds(): LineEnds {
  let holdsCr = false
  return {
    write(text) {
      if (text === '') return ''
      const whole = holdsCr ? `\r${text}` : text
      holdsCr = whole.endsWith('\r')
      const ready = holdsCr ? whole.slice(0, -1) : whole
      return ready.includes('\r') ? ready.replaceAll(/\r\n?/g, '\n') : ready
    },
    end() {
      return holdsCr ? '\n' : ''
    },
  }
}
