// The renderer: a scene in, a frame and its words out. It keeps nothing but the font and its enlarged glyphs.
import type { Font } from '../../../hal/base/font/font.js'
import type { DisplayCapabilities, Frame } from '../../../hal/display.js'
import type { Screen } from '../../api/screens.js'
import type { Texts } from '../texts.js'
import { Canvas } from './canvas.js'
import { divideDetails, divideList, divideMenu, drawDetails, drawList, drawMenu } from './choice-view.js'
import { drawKeyRow, drawStatusRow, drawTitle, type KeyLabel, type TitleOptions } from './chrome.js'
import { drawAmount, drawForm } from './form-view.js'
import { createGlyphScaler } from './glyph-scaler.js'
import { divide, type Layout } from './layout.js'
import type { Pen } from './pen.js'
import { drawReceipt, receiptPaper } from './receipt-view.js'
import type { Scene, SystemScreen } from './scene.js'
import { openState } from './screen-state.js'
import type { Extent } from './step.js'
import { drawCard, drawHome, drawSecret } from './system-view.js'
import {
  confirmFlow,
  drawConfirm,
  drawMessage,
  drawProgress,
  drawQr,
  messageFlow,
  progressFlow,
} from './text-view.js'
import { colourTheme, monoTheme } from './theme.js'

export interface Renderer {
  /** Draws a scene on a new frame of the panel's size; `alt` is the screen in words, top to bottom. */
  render(scene: Scene): { readonly frame: Frame; readonly alt: readonly string[] }
  /** How much of a screen is in view; the state machines need it for digits and paging. */
  extent(screen: Screen): Extent
}

/** Makes a renderer for one panel; `onCut` hears of characters that did not fit where they were drawn. */
export function createRenderer(
  capabilities: DisplayCapabilities,
  font: Font,
  texts: Texts,
  onCut?: (character: string) => void,
): Renderer {
  const scaler = createGlyphScaler(font)
  const theme = capabilities.depth === 1 ? monoTheme : colourTheme
  return {
    render(scene) {
      const { width, height } = capabilities
      const canvas = new Canvas(width, height, font, capabilities.depth !== 1, scaler, onCut)
      canvas.fill({ x: 0, y: 0, width, height }, theme.background)
      const text: Pen['text'] = (key, parameters) => texts.text(scene.language, key, parameters)
      const [left, right] = keyLabels(scene.content, text)
      const layout = divide(capabilities, left !== undefined || right !== undefined)
      const pen: Pen = { canvas, layout, theme, font, alt: [], phase: scene.phase, text }
      drawStatusRow(pen, scene)
      if (scene.content.kind !== 'home') drawTitle(pen, scene.content.title, titleOptions(scene, layout))
      // What a view draws stays between the title (which notices may cover) and the key row.
      canvas.within(
        { x: 0, y: layout.title.y, width, height: height - layout.title.y - layout.keys.height },
        () => drawContent(pen, scene),
      )
      drawKeyRow(pen, left, right)
      return { frame: canvas.frame(), alt: pen.alt }
    },
    extent: (screen) => {
      const [left, right] = keyLabels(screen, (key) => key)
      return extentOf(divide(capabilities, left !== undefined || right !== undefined), font, screen)
    },
  }
}

function drawContent(pen: Pen, scene: Scene): void {
  const { content } = scene
  const state = scene.state ?? (isSystemScreen(content) ? undefined : openState(content))
  switch (content.kind) {
    case 'home':
      return drawHome(pen, content, scene)
    case 'card':
      return drawCard(pen, content)
    case 'secret':
      return drawSecret(pen, content)
    case 'list':
      if (state?.kind === 'choice') drawList(pen, content, state)
      return
    case 'menu':
      if (state?.kind === 'choice') drawMenu(pen, content, state)
      return
    case 'details':
      if (state?.kind === 'choice') drawDetails(pen, content, state)
      return
    case 'form':
      if (state?.kind === 'form') drawForm(pen, content, state)
      return
    case 'amount':
      if (state?.kind === 'amount') drawAmount(pen, content, state)
      return
    case 'message':
      if (state?.kind === 'text') drawMessage(pen, content, state)
      return
    case 'confirm':
      if (state?.kind === 'text') drawConfirm(pen, content, state)
      return
    case 'progress':
      if (state?.kind === 'text') drawProgress(pen, content, state)
      return
    case 'receipt':
      if (state?.kind === 'text') drawReceipt(pen, content, state)
      return
    case 'qr':
      return drawQr(pen, content)
  }
}

const isSystemScreen = (content: Screen | SystemScreen): content is SystemScreen =>
  content.kind === 'home' || content.kind === 'card' || content.kind === 'secret'

function titleOptions({ content, state }: Scene, layout: Layout): TitleOptions {
  // The smallest panels have no room for a notice of its own: it takes the title's.
  if (content.kind === 'secret')
    return layout.compact && content.notice !== undefined ? { tone: 'error', shown: content.notice } : {}
  if (content.kind === 'message') return content.tone === undefined ? {} : { tone: content.tone }
  if (content.kind === 'card') return content.tone === 'info' ? {} : { tone: content.tone }
  if (content.kind === 'list' && content.items.length > 1 && state?.kind === 'choice')
    return { right: `${state.selected + 1}/${content.items.length}` }
  return {}
}

/** The two labels of the key row: the screen's own soft keys, else what cancel and enter do here. */
function keyLabels(
  content: Screen | SystemScreen,
  text: Pen['text'],
): readonly [KeyLabel | undefined, KeyLabel | undefined] {
  const cancel = (key: string): KeyLabel => ({ key: 'cancel', label: text(key) })
  const enter = (key: string): KeyLabel => ({ key: 'enter', label: text(key) })
  if (content.kind === 'confirm') {
    return [
      { key: 'cancel', label: content.no ?? text('keys.no') },
      { key: 'enter', label: content.yes ?? text('keys.yes') },
    ]
  }
  if ('softKeys' in content && content.softKeys !== undefined && content.softKeys.length > 0) {
    const [soft1, soft2] = content.softKeys
    return [soft1 && { key: 'soft', label: soft1.label }, soft2 && { key: 'soft', label: soft2.label }]
  }
  switch (content.kind) {
    case 'home':
      return [undefined, undefined]
    case 'card':
      return [content.cancellable ? cancel('keys.cancel') : undefined, undefined]
    case 'secret':
      return content.waiting === true ? [undefined, undefined] : [cancel('keys.cancel'), enter('keys.ok')]
    case 'list':
    case 'menu':
      return [cancel('keys.back'), content.items.length > 0 ? enter('keys.choose') : undefined]
    case 'details':
      return [cancel('keys.back'), content.items.length > 0 ? enter('keys.choose') : enter('keys.ok')]
    case 'form':
    case 'amount':
      return [cancel('keys.back'), enter('keys.ok')]
    case 'message':
    case 'qr':
      return [undefined, enter('keys.ok')]
    case 'receipt':
      return [cancel('keys.back'), enter('keys.print')]
    case 'progress':
      return [content.cancellable === true ? cancel('keys.cancel') : undefined, undefined]
  }
}

function extentOf(layout: Layout, font: Font, screen: Screen): Extent {
  switch (screen.kind) {
    case 'list':
      return divideList(layout, screen).extent
    case 'menu':
      return divideMenu(layout, font, screen).extent
    case 'details':
      return divideDetails(layout, font, screen).extent
    case 'message':
      return messageFlow(layout, font, screen).extent
    case 'confirm':
      return confirmFlow(layout, font, screen).extent
    case 'progress':
      return progressFlow(layout, font, screen).extent
    case 'receipt':
      return receiptPaper(layout, font, screen).extent
    case 'form':
    case 'amount':
    case 'qr':
      return { visibleItems: 0, visibleLines: 0, totalLines: 0 }
  }
}
