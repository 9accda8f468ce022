// Sends what hands do to the handheld, one thing after another, and says what went wrong.
export const $ = (id) => document.getElementById(id)

let hintTimer
/** A line under the handheld, for six seconds. */
export function say(text, wrong = false) {
  $('hint').textContent = text
  $('hint').classList.toggle('flash', wrong)
  clearTimeout(hintTimer)
  hintTimer = setTimeout(() => ($('hint').textContent = ''), 6000)
}

/** Does one action; resolves to whether it was done. */
export async function act(action) {
  try {
    const response = await fetch('api/do', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(action),
    })
    if (!response.ok) say((await response.json()).error, true)
    return response.ok
  } catch {
    say('The handheld does not answer.', true)
    return false
  }
}

/** An element with its properties and children. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties)
  element.append(...children)
  return element
}
