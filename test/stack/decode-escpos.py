# Reads ESC/POS from standard input with nothing of ours: text by Python's codecs, symbols' data, pictures as dots.
# Epson ESC/POS Command Reference. usage: decode-escpos.py DOTS PICTURE.pbm ; prints JSON, writes the pictures as PBM.
import json
import sys

PAGES = {
    0: "cp437", 2: "cp850", 13: "cp857", 14: "cp737", 16: "cp1252", 17: "cp866", 18: "cp852", 19: "cp858",
    45: "cp1250", 46: "cp1251", 47: "cp1253", 48: "cp1254", 51: "cp1257",
}
# Commands with a fixed number of bytes behind them.
FIXED = {
    b"\x1b@": 0, b"\x1bt": 1, b"\x1ba": 1, b"\x1bE": 1, b"\x1bG": 1, b"\x1bd": 1, b"\x1bJ": 1, b"\x1b!": 1,
    b"\x1bM": 1, b"\x1d!": 1, b"\x1dh": 1, b"\x1dw": 1, b"\x1dH": 1, b"\x1df": 1, b"\x1dV": 1, b"\x1c.": 0,
}
data = sys.stdin.buffer.read()
dots = int(sys.argv[1])
width = dots // 8
page, align, at = "cp437", 0, 0
line, lines, symbols, stored, rows = b"", [], [], b"", []
blank = bytes(width)


def code128(payload):
    text, mode, i = "", None, 0
    while i < len(payload):
        byte = payload[i]
        if byte == 0x7B and payload[i + 1 : i + 2] in (b"A", b"B", b"C"):
            mode, i = chr(payload[i + 1]), i + 2
            continue
        if byte == 0x7B:
            i += 1
        text += "%02d" % payload[i] if mode == "C" else chr(payload[i])
        i += 1
    return text


while at < len(data):
    two = data[at : at + 2]
    if data[at] == 0x0A:
        if line:
            lines.append({"text": line.decode(page), "page": page})
        line, at = b"", at + 1
    elif data[at : at + 3] == b"\x1dv0":
        columns = data[at + 4] | data[at + 5] << 8
        height = data[at + 6] | data[at + 7] << 8
        left = (0, (width - columns) // 2, width - columns)[align]
        for y in range(height):
            dot = data[at + 8 + y * columns : at + 8 + (y + 1) * columns]
            rows.append(bytes(left) + dot + bytes(width - left - columns))
        at += 8 + columns * height
    elif two == b"\x1d(":
        size = data[at + 3] | data[at + 4] << 8
        block = data[at + 5 : at + 5 + size]
        if data[at + 2 : at + 3] == b"k" and block[1] == 80:
            stored = block[3:]
        elif data[at + 2 : at + 3] == b"k" and block[1] == 81:
            symbols.append({"kind": "QR-Code", "data": stored.decode("utf-8")})
        at += 5 + size
    elif two == b"\x1dk":
        assert data[at + 2] == 73
        size = data[at + 3]
        symbols.append({"kind": "CODE-128", "data": code128(data[at + 4 : at + 4 + size])})
        at += 4 + size
    elif two in FIXED:
        if two == b"\x1bt":
            page = PAGES[data[at + 2]]
        if two == b"\x1b@":
            page, align = "cp437", 0
        if two == b"\x1ba":
            align = data[at + 2]
        if two == b"\x1bJ":
            rows.extend([blank] * data[at + 2])
        at += 2 + FIXED[two]
    else:
        assert data[at] >= 0x20, "unknown command %s at %d" % (data[at : at + 4].hex(), at)
        line, at = line + data[at : at + 1], at + 1

with open(sys.argv[2], "wb") as out:
    margin = [blank] * 40
    everything = margin + rows + margin
    out.write(b"P4\n%d %d\n" % (dots, len(everything)) + b"".join(everything))
print(json.dumps({"lines": lines, "symbols": symbols, "rows": len(rows)}))
