"""Reproducible random numbers and texts for make_fixtures.py, the hostile ones above all."""

from __future__ import annotations

import hashlib

MASK64 = (1 << 64) - 1


class SplitMix64:
    def __init__(self, seed: int):
        self.state = seed & MASK64

    def next(self) -> int:
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK64
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK64
        return z ^ (z >> 31)

    def below(self, n: int) -> int:
        return self.next() % n

    def choice(self, items):
        return items[self.below(len(items))]


def seed_of(*parts) -> int:
    """A 64-bit seed out of any labels: the first 8 bytes, little endian, of their SHA-256."""
    digest = hashlib.sha256("\x1f".join(str(p) for p in parts).encode()).digest()
    return int.from_bytes(digest[:8], "little")


def bell(seed: int, shape):
    """Float32, mean 0, variance 1, bell-shaped: the sum of four uniforms, exact arithmetic, no libm."""
    import numpy as np

    count = 4 * int(np.prod(shape))
    with np.errstate(over="ignore"):
        z = np.uint64(seed & MASK64) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    u = ((z >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(4, -1)
    return ((u.sum(axis=0) - 2.0) * 1.7320508075688772).astype(np.float32).reshape(shape)


def ids_digest(ids) -> str:
    """FNV-1a, 64 bits, of the ids as 32-bit words (a whole word at a time), in hexadecimal."""
    value = 0xCBF29CE484222325
    for i in ids:
        value = ((value ^ i) * 0x100000001B3) & MASK64
    return f"{value:016x}"


WORDS = ("the of and to in is that for it as was with be by on not he his but at are this have from or had an they which one you were "
         "all her she there would their we him been has when who will no more if out so said what up its about into than them can "
         "only other time new some could these two may then do first any my now such like our over man me even most made after also "
         "river stone lantern harbour copper signal ledger orchard winter compass granite velvet thunder meadow cipher beacon").split()
FOREIGN = ["naïve", "café", "Zürich", "Łódź", "Ελλάδα", "привет", "мир", "こんにちは", "世界", "你好", "上下文", "안녕하세요", "🙂", "🚀",
           "e=mc²", "½", "don't", "we're", "I'll", "they'd", "O'Neil"]
CODE = ["func add(_ a: Int, _ b: Int) -> Int { return a + b }", "for i in 0..<10 { print(i) }", "#include <stdio.h>",
        "SELECT id, name FROM users WHERE age > 42;", "https://example.org/a?b=c&d=%20e"]


def make_text(seed: int, characters: int) -> str:
    """Prose with digits, code, several scripts and odd white space."""
    random = SplitMix64(seed)
    out, size = [], 0
    while size < characters:
        kind = random.below(16)
        if kind == 0:
            piece = random.choice(CODE) + "\n"
        elif kind == 1:
            piece = " ".join(random.choice(FOREIGN) for _ in range(3 + random.below(4))) + ".\n\n"
        elif kind == 2:
            piece = f"{random.below(10_000_000)} + {random.below(1000)}.{random.below(100):02d} = {random.below(100_000)}%\t\r\n"
        elif kind == 3:
            piece = "  " * (1 + random.below(3)) + "- " + random.choice(WORDS).upper() + "_" + str(random.below(99)) + "   \n"
        else:
            words = [random.choice(WORDS) for _ in range(5 + random.below(14))]
            piece = " ".join(words).capitalize() + random.choice([". ", "? ", "! ", ".\n"])
        out.append(piece)
        size += len(piece)
    return "".join(out)[:characters]


# --------------------------------------------------------------------------- hostile texts

PLAIN = [
    "", " ", "a", "Hello, world!", "The quick brown fox's tail isn't 12345678 cm.", "   leading and trailing   ",
    "MixedCASEWords andCamelCase snake_case_name", "https://example.org/a?b=c&d=%20e#f", "func f(_ x: Int) -> Int { x * 2 } // 0x1F",
    "3.14159265358979 1,000,000 007", "!!!???...---===", "a" * 40, "ab" * 300, "\x00\x01\x7f\x1c\x1d\x1e\x1f\x85",
    # contractions, in every case and with the letters that fold to s
    "don't WE'RE I'LL they'd he'S she'M 'Tis you'Ve I'Ll 'dog 'real 'rest 'vex 'll'll'", "it'\u017f it'\u017fx '\u212a o'\u017ftrich",
    "x's's's 's ' s '\u2019s \u2019s",
    # white space of all kinds
    "tabs\tand\r\nline\n\n\nbreaks   ", "line1\nline2\r\rline3\u2028line4\u2029line5\x0bline6\x0cline7\x85line8", "x\n \n  \n   x", "x \n", "x\n ", " \r\n",
    "\r\n\r\n", "a  b   c    d     e", " " * 20 + "x", "x" + " " * 37, " " * 64, "\t\t\t\tif x:\n\t\t\t\t\ty", "\u00a0nbsp\u00a0\u00a0two\u00a0",
    "\u3000ideographic\u3000\u3000space", "\u200bzero\u00a0width\u200d\u2060\ufeff", "a\u2003b\u2009\u2009c\u202f1\u205f2\u1680\u180e", "!\n\n!\r\n!!\n x", "...\n\n\n   ...",
    # digits
    "1 12 123 1234 12345 123456 1234567", "\u0661\u0662\u0663\u0664 \u0967\u0968\u0969\u096a\u096b \uff11\uff12\uff13\uff14 \u2167\u2168 \u00b2\u00b3\u00b9 \u00bd\u00be \u2460\u2461 \U0001d7d8\U0001d7d9\U0001d7da\U0001d7db",
    "a1b2c3 x\u0663y 1\u0662\u0968\uff143",
    # scripts, joiners, marks
    "naïve café — Zürich, Łódź", "こんにちは世界 你好上下文注意力", "안녕하세요 мир Ελλάδα", "中文mixed英文123数字", "שלום עולם مرحبا بالعالم",
    "ไทยภาษา हिन्दी தமிழ் বাংলা", "🙂🚀👩‍👩‍👧‍👦 e=mc² ½ ①", "👍🏽👩🏾‍🚀🏳️‍🌈🇩🇪🇯🇵 👨‍👩‍👧‍👦👨‍👩‍👧‍👦", "\U00020000\U0002a6df\U0001f9ff\U000e0041\U0010ffff\uffff\ufffd\ue000",
    "e\u0301 vs \u00e9 (combining)", "a\u0327\u0301\u0323b\u0301\u0301", "\u1100\u1161\u11a8 \u1112\u1161\u11ab\u1100\u1173\u11af \uac00\u11a8 \u1100\u1161\u1161",
    "\u212b \u00c5 A\u030a \u2126 \u03a9 \u212a K", "\u0958 \u0915\u093c \ufb1d \u2adc \U0001d15e", "q\u0307\u0323 q\u0323\u0307 \u1e69 s\u0323\u0307 s\u0307\u0323",
    "\u0f71\u0f72 \u0f73 \u0f75 \u0f81 a\u0327\u0f73\u0301", "\u09c7\u09be \u0b47\u0b56 \u1025\u102e \U00011131\U00011127 \U00011935\U00011930",
    "\u0344 \u0308\u0301 \u0374 \u037e \u0387 \u1fef \u2000", "x" + "\u0301" * 50, "\u0301start", "e\u200d\u0301", "\u0085\u0301 \u0301",
    "\ua7ce\ua7d2 \U00011de0\U00011de1 \U000105c0 \U00010d40\U00010d41 \u088f", "A\u0300\u0315\u0300\u05ae\u0300",
    # special tokens in the text
    "<|begin|>special<|end|> tokens <|user|>inside", "<|begin|><|begin|><|end|>", "<|beg", "<|begin|", "<<|begin|>>", "x<|user|>  y  <|assistant|>\n",
    " <|pad|> ", "<|BEGIN|>", "<|end|>'s", "a<|end|>'s 's", "<|user|>\n\n<|end|>\n",
]

FLAGS = [
    "a  <left>  b", "a  <right>  b", "a  <both>  b", "<both><both>  <both>", "x   <left><right>   y", "<bot <both <both>", "a    b     c        d",
    "<right>    x", "<right>     x", "<right>        <left>", "single singles single. single_ single1 asingle single\u0301 (single) singlesingle",
    "\uac00x \u1100\u1161x\u1100\u1161\u11a8x \uac00\u0301x", "\u2126hm  x \u03a9hm   y \u03a9hm", "x\u4e2d\u6587y \u4e2d\u6587", "<\u0439> <\u0438\u0306> <\u0438>",
    "\n<left>\n", "\u3000<left>\u3000<right>\u3000x", " x", "x", "\u00a0x", "\nx", "<|begin|>x", "<|begin|> x", "<|begin|> ", "<|begin|>",
]

BROKEN = [
    b"\xff", b"abc\xc3", b"\xc3(", b"\xe2\x82", b"\xe2\x82\xac\xe2\x82 \xe2", b"\xf0\x9f\x99", b"\xf0\x9f\x99\x82\xf0\x9f", b"\xc0\xaf", b"\xe0\x80\xaf",
    b"\xed\xa0\x80\xed\xb0\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"x\x80y\xbfz", b"\xf0\x80\x80\x41", b"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", b"<|end\xff|>",
    b"\xfe\xff\x00a", b"ok\xf1\x80\x80\xf1\x80\xf1",
]

ALPHABET = list("aZsS'tTrReEvVlLmMdD 09\n\r\t.!_<|>") + [
    "  ", "\u00a0", "\u2028", "\u3000", "\u0301", "\u0327", "\u0323", "\u1100", "\u1161", "\u11a8", "\uac00", "\u00e9", "\u017f", "\u0130", "\u0131", "\u4e2d", "\u3042", "\u0663",
    "\u00bd", "\u2167", "\U0001f469", "\u200d", "\U0001f3fd", "\ufe0f", "\ufffd", "\u0e33", "\u093f", "\u094d", "\u05b0", "\u0f73", "\u212b", "<|begin|>", "<|end|>", "'s", "'LL", "\n\n", "\x85", "\u200b",
]


def cases(style: str):
    yield from PLAIN
    yield from BROKEN
    if style == "flags":
        yield from FLAGS
    for k in range(4):
        yield make_text(seed_of("case", k), 400)
    random = SplitMix64(seed_of("hostile", style))
    extra = ["<left>", "<right>", "<both>", "single", "    ", "<bot"] if style == "flags" else []
    for _ in range(150):
        yield "".join(random.choice(ALPHABET + extra) for _ in range(1 + random.below(24)))


def long_runs():
    for unit, count, tail in (("a", 100_000, ""), (" ", 100_000, "x"), ("ab", 50_000, " "), ("\n", 60_000, "x"), ("\u4e2d", 30_000, ""), ("e\u0301", 20_000, ""),
                              ("1", 50_000, ""), ("!", 50_000, "\n"), (" a", 30_000, ""), ("\r\n ", 20_000, "y"), ("'", 20_000, "s")):
        yield (unit, count, tail), unit * count + tail


def id_sequences(style: str, vocabulary: int):
    random = SplitMix64(seed_of("ids", style))
    for _ in range(60):
        yield [random.below(256 if random.below(2) else vocabulary) for _ in range(1 + random.below(30))]
