/**
 * Finds where text can be put into HTML: behind the beginning of its body, and before its end.
 *
 * Works on octets of any character set that has ASCII in its place, as they come. Comments, attributes, scripts and styles
 * are passed over, so that a `</body>` in them is none.
 * Pure; time by the octets, memory constant. Source: HTML standard 13.2.5 (tokenization), as far as places need it.
 */

/** Elements whose content is no markup. */
const rawElements = new Set(['script', 'style', 'title', 'textarea', 'xmp', 'iframe', 'noembed', 'noframes'])

/** Longer than any name that matters. */
const maxName = 12

const lessThan = 0x3c
const greaterThan = 0x3e
const slash = 0x2f
const dash = 0x2d
const bang = 0x21
const equals = 0x3d
const doubleQuote = 0x22
const singleQuote = 0x27

/** Reads HTML; offsets count octets from its beginning. */
export class HtmlPlaces {
  #at = 0
  #mode: 'text' | 'name' | 'attributes' | 'comment' = 'text'
  #name = ''
  #tagStart = 0
  #quote: number | null = null
  #isAfterEquals = false
  #dashes = 0
  /** The element whose content is being passed over. */
  #raw: string | null = null
  #bodyOpen: number | null = null
  #headClose: number | null = null
  #htmlOpen: number | null = null
  #bodyClose: number | null = null
  #htmlClose: number | null = null

  push(octets: Uint8Array): void {
    for (const octet of octets) {
      this.#step(octet)
      this.#at++
    }
  }

  /** Behind `<body ...>`, or what comes nearest; `null`: at the beginning. */
  get start(): number | null {
    return this.#bodyOpen ?? this.#headClose ?? this.#htmlOpen
  }

  /** Before the last `</body>`, or `</html>`; `null`: at the end. */
  get end(): number | null {
    return this.#bodyClose ?? this.#htmlClose
  }

  #step(octet: number): void {
    switch (this.#mode) {
      case 'text':
        if (octet === lessThan) this.#open()
        return
      case 'name':
        return this.#inName(octet)
      case 'attributes':
        return this.#inAttributes(octet)
      case 'comment':
        if (octet === greaterThan && this.#dashes >= 2) this.#mode = 'text'
        // Also --!> ends one.
        else if (octet !== bang || this.#dashes < 2) this.#dashes = octet === dash ? this.#dashes + 1 : 0
        return
    }
  }

  #open(): void {
    this.#mode = 'name'
    this.#name = ''
    this.#tagStart = this.#at
  }

  #inName(octet: number): void {
    const letter = octet | 0x20
    const isLetter = letter >= 0x61 && letter <= 0x7a
    const isFirst = this.#name === ''
    if (isLetter || (isFirst && (octet === slash || octet === bang)) || this.#belongs(octet)) {
      if (this.#name.length < maxName) this.#name += String.fromCharCode(isLetter ? letter : octet)
      if (this.#name === '!--' && this.#raw === null) {
        this.#mode = 'comment'
        this.#dashes = 2
      }
      return
    }
    if (isFirst || (this.#raw !== null && this.#name !== `/${this.#raw}`)) {
      this.#mode = 'text'
      return this.#step(octet)
    }
    this.#mode = 'attributes'
    this.#quote = null
    this.#isAfterEquals = false
    this.#inAttributes(octet)
  }

  /** Digits in a name, hyphens of a comment. */
  #belongs(octet: number): boolean {
    if (octet === dash) return this.#name === '!' || this.#name === '!-'
    return octet >= 0x30 && octet <= 0x39 && /[a-z]/.test(this.#name)
  }

  #inAttributes(octet: number): void {
    if (this.#quote !== null) {
      if (octet === this.#quote) this.#quote = null
      return
    }
    if (octet === greaterThan) return this.#close()
    const isQuote = octet === doubleQuote || octet === singleQuote
    // Elsewhere a quote is a character like others.
    if (isQuote && this.#isAfterEquals) this.#quote = octet
    if (octet > 0x20) this.#isAfterEquals = octet === equals
  }

  #close(): void {
    this.#mode = 'text'
    const name = this.#name
    const after = this.#at + 1
    if (rawElements.has(name)) this.#raw = name
    else if (this.#raw !== null) this.#raw = null
    else if (name === 'body') this.#bodyOpen ??= after
    else if (name === '/head') this.#headClose ??= after
    else if (name === 'html') this.#htmlOpen ??= after
    else if (name === '/body') this.#bodyClose = this.#tagStart
    else if (name === '/html') this.#htmlClose = this.#tagStart
  }
}
