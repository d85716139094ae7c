"""Secrets and personal data in a text, replaced in place by a mark such as `[mail]`.

What is a phone number is decided by libphonenumber's rules, bank and card numbers by their checksums (python-stdnum);
mail, network and postal addresses and the shapes of tokens are patterns of our own, each with tests for what it must
find and for what it must leave. Names of people are not looked for: a chat is made of them, and members chose theirs.
Both ways it can err: an address in prose without a street's name stays, a made-up number in a valid shape goes.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

MAIL: Final = "mail"
PHONE: Final = "phone"
ADDRESS: Final = "address"
IP: Final = "ip"
BANK: Final = "bank"
CARD: Final = "card"
PERSON_NUMBER: Final = "id"
TOKEN: Final = "token"
PASSWORD: Final = "password"
KEY: Final = "key"

SECRETS: Final = frozenset({TOKEN, PASSWORD, KEY})
PERSONAL: Final = frozenset({MAIL, PHONE, ADDRESS, IP, BANK, CARD, PERSON_NUMBER})
KINDS: Final = SECRETS | PERSONAL


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text without what was found in it, and the kinds that were found, in the order they stand."""

    text: str
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int
    kind: str


_Finder = Callable[[str], Iterator[_Span]]

# Nothing can be found in a text without one of these; most messages have none.
_ONE_DIGIT: Final = re.compile(r"\d")
_TWO_DIGITS: Final = re.compile(r"\d\d")
_LONG_RUN: Final = re.compile(r"(?<![\w\-./+=])[\w\-./+=]{16}")


def redact(text: str, kinds: frozenset[str] = KINDS) -> Redacted:
    """The text with a mark for each thing of these kinds found in it."""
    spans = _spans(text, kinds)
    if not spans:
        return Redacted(text)
    parts, at = [], 0
    for span in spans:
        parts += [text[at : span.start], f"[{span.kind}]"]
        at = span.end
    return Redacted("".join([*parts, text[at:]]), tuple(span.kind for span in spans))


def found(text: str, kinds: frozenset[str] = KINDS) -> list[tuple[str, str]]:
    """What of these kinds stands in a text: of each thing its kind and its words."""
    return [(span.kind, text[span.start : span.end]) for span in _spans(text, kinds)]


def _spans(text: str, kinds: frozenset[str]) -> list[_Span]:
    """What is found, in order and without overlaps; the finders earlier in the table win."""
    taken: list[_Span] = []
    for finder in _finders(text, kinds):
        for span in finder(text):
            if span.kind in kinds and all(span.end <= other.start or other.end <= span.start for other in taken):
                taken.append(span)
    return sorted(taken, key=lambda span: span.start)


def _finders(text: str, kinds: frozenset[str]) -> Iterator[_Finder]:
    """Those that could find something here: what is longer or surer first."""
    lower = text.lower()
    digits = _TWO_DIGITS.search(text) is not None
    if "-----begin" in lower and KEY in kinds:
        yield _private_keys
    if TOKEN in kinds and _LONG_RUN.search(text):
        yield _tokens
        if _TOKEN_HINT.search(lower):
            yield _told_tokens
    if PASSWORD in kinds and "://" in lower:
        yield _passwords_in_urls
    if PASSWORD in kinds and _PASSWORD_HINT.search(lower):
        yield _passwords
    if PASSWORD in kinds and digits and ("pin" in lower or "code" in lower):
        yield _pins
    if MAIL in kinds and _AT.search(text):
        yield _mails
    if MAIL in kinds and _SPELT_HINT.search(lower):
        yield _spelt_mails
    if digits and not kinds.isdisjoint((BANK, CARD, PERSON_NUMBER)) and _BANK_HINT.search(text):
        yield _banks
    if IP in kinds and ((digits and text.count(".") > 2) or text.count(":") > 1):
        yield _ips
    if ADDRESS in kinds and _ONE_DIGIT.search(text):
        yield _addresses
    if PHONE in kinds and digits and _PHONE.search(text):
        yield _phones


# -- secrets

# Shapes as their issuers document them, or as GitHub's list of secret scanning patterns has them.
_TOKENS: Final = re.compile(
    r"""
    (?<![\w-])(?:
      [MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,40}            # Discord bot
    | mfa\.[\w-]{80,100}                                   # Discord account
    | gh[pousr]_[A-Za-z0-9]{36,255} | github_pat_\w{22,255}
    | gl(?:pat|dt|rt|cbt|ptt|soat)-[\w-]{20,}
    | (?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}
    | sk-(?:proj-|ant-|svcacct-|or-)?[\w-]{20,}            # OpenAI, Anthropic and others
    | xox[abeoprs]-[\w-]{10,} | xapp-\d-[\w-]{20,}         # Slack
    | eyJ[\w-]{8,}\.eyJ[\w-]{8,}(?:\.[\w-]{8,})?           # JWT
    | AIza[\w-]{35} | ya29\.[\w-]{20,}                     # Google
    | [rs]k_(?:live|test)_\w{16,} | whsec_\w{24,}          # Stripe
    | \d{8,10}:AA[\w-]{33}                                 # Telegram
    | npm_[A-Za-z0-9]{36} | pypi-AgEIcHlwaS5vcmc[\w-]{50,} | hf_[A-Za-z]{30,}
    | SG\.[\w-]{22}\.[\w-]{43} | [0-9a-f]{32}-us\d{1,2}    # SendGrid, Mailchimp
    | (?:AC|SK)[0-9a-f]{32} | dop_v1_[0-9a-f]{64} | shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}
    )(?![\w-])
    | https://(?:\w+\.)?discord(?:app)?\.com/api/(?:v\d+/)?webhooks/\d+/[\w-]+
    | https://hooks\.slack\.com/services/[\w/]+
    """,
    re.VERBOSE,
)
_PRIVATE_KEY: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END[A-Z ]*-----|\Z)", re.DOTALL
)
_PASSWORD_WORD: Final = r"(?:passw(?:or[dt]|d)|passphrase|passcode|pwd|pass|pw|contrase(?:ñ|n)a|mot de passe|mdp)"
_ASSIGNED_PASSWORD: Final = re.compile(
    rf"\b{_PASSWORD_WORD}[\"']?[ \t]*(?::=|[:=])[ \t]*[\"'`]?([^\s\"'`,;()<>]{{4,}})", re.IGNORECASE
)
_SAID_PASSWORD: Final = re.compile(
    rf"\b{_PASSWORD_WORD}\s+(?:is|was|ist|war|es|est)\s*:?\s*[\"'`]?([^\s\"'`,;()<>]{{4,}})", re.IGNORECASE
)
_SAID_PIN: Final = re.compile(
    r"\b(?:pin(?: code)?|(?:door|gate|alarm|entry|lock|safe|tür)[ -]?code)\s*(?:is|ist|[:=])\s*(\d{4,8})\b",
    re.IGNORECASE,
)
_ASSIGNED_TOKEN: Final = re.compile(
    r"\b\w*(?:api[_-]?key|secret|token|access[_-]?key|auth[_-]?key|private[_-]?key)\w*[\"']?\s*(?::=|[:=]|is)\s*[\"'`]?"
    r"((?=[\w\-./+=]{0,200}\d)(?=[\w\-./+=]{0,200}[A-Za-z])[\w\-./+=]{16,})",
    re.IGNORECASE,
)
_TOKEN_HINT: Final = re.compile("key|secret|token|bearer")
_BEARER: Final = re.compile(r"\bBearer\s+((?=[\w\-./+~]{0,200}\d)[\w\-./+~]{16,}=*)", re.IGNORECASE)
_PASSWORD_HINT: Final = re.compile(r"p(?:ass|wd?)|contrase|mdp|mot de")
_IN_URL: Final = re.compile(r"\b[a-z][a-z0-9+.-]{0,20}://[^\s:/@]+:([^\s:/@]+)@", re.IGNORECASE)
# What follows `password:` in questions and in code without being one.
_NO_PASSWORD: Final = frozenset(
    """admin change correct field forgot forgotten hash hashed incorrect input invalid missing none null password
    protected required reset string text true false type undefined unknown user username value varchar wrong""".split()
)
_PLACEHOLDER: Final = re.compile(r"[<\[{$*].*|pass(?:w\w*|phrase)?$|pw$|redacted$|x+$", re.IGNORECASE)
# `user.password`, as code has it.
_MEMBER: Final = re.compile(r"\$?[A-Za-z_]+(?:\.[A-Za-z_]+)+$")


def _private_keys(text: str) -> Iterator[_Span]:
    for found in _PRIVATE_KEY.finditer(text):
        yield _Span(*found.span(), KEY)


def _tokens(text: str) -> Iterator[_Span]:
    for found in _TOKENS.finditer(text):
        yield _Span(*found.span(), TOKEN)


def _told_tokens(text: str) -> Iterator[_Span]:
    for pattern in (_ASSIGNED_TOKEN, _BEARER):
        for found in pattern.finditer(text):
            yield _Span(*found.span(1), TOKEN)


def _passwords_in_urls(text: str) -> Iterator[_Span]:
    for found in _IN_URL.finditer(text):
        if not _PLACEHOLDER.match(found[1]):
            yield _Span(*found.span(1), PASSWORD)


def _passwords(text: str) -> Iterator[_Span]:
    for found in _ASSIGNED_PASSWORD.finditer(text):
        if _may_be_password(found[1]) and not text.startswith("(", found.end(1)):
            yield _Span(*found.span(1), PASSWORD)
    for found in _SAID_PASSWORD.finditer(text):
        # Said in a sentence, a plain word is part of it: "the password is wrong".
        if _may_be_password(found[1]) and re.search(r"\d|[^\w.?!]", found[1].rstrip(".?!")):
            yield _Span(*found.span(1), PASSWORD)


def _pins(text: str) -> Iterator[_Span]:
    for found in _SAID_PIN.finditer(text):
        yield _Span(*found.span(1), PASSWORD)


def _may_be_password(value: str) -> bool:
    word = value.strip(".?!*[]{}$").lower()
    return len(word) >= 4 and word not in _NO_PASSWORD and not (_PLACEHOLDER.match(value) or _MEMBER.match(value))


# -- numbers of banks and states

_BANK_HINT: Final = re.compile(r"\d{4}[ -]?\d{4}|\d{3}-\d{2}-|[A-Z]{2}\d{2} ?[A-Z0-9]{4}|3\d{3}[ -]\d{6}")
_IBAN: Final = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b")
# 13 to 16 digits in one, or in the groups that stand on cards; a longer run of digits is an id.
_CARD: Final = re.compile(
    r"(?<![\w.#-])(?:\d{4}([ -])\d{4}\1\d{4}\1\d{4}|3\d{3}([ -])\d{6}\2\d{5}|\d{15,16})(?![\w-]|\.\d)"
)
_ISSUERS: Final = re.compile(r"4|5[1-5]|2[2-7]|3[47]|35|6011|6[245]")
_SSN: Final = re.compile(r"(?<![\w.-])\d{3}-\d{2}-\d{4}(?![\w-])")


def _banks(text: str) -> Iterator[_Span]:
    from stdnum import iban, luhn
    from stdnum.us import ssn

    for found in _IBAN.finditer(text):
        if iban.is_valid(found[0]):
            yield _Span(*found.span(), BANK)
    for found in _CARD.finditer(text):
        digits = re.sub(r"\D", "", found[0])
        if _ISSUERS.match(digits) and luhn.is_valid(digits):
            yield _Span(*found.span(), CARD)
    for found in _SSN.finditer(text):
        if ssn.is_valid(found[0]):
            yield _Span(*found.span(), PERSON_NUMBER)


# -- where somebody can be reached

_MAIL: Final = re.compile(r"(?<![\w.+/-])[\w.+%-]+@(?:[\w-]+\.)+([A-Za-z]{2,24})(?![\w@])")
_SPELT_MAIL: Final = re.compile(
    r"(?<![\w.])[\w.+-]+(?:\s*(?:\[at\]|\(at\)|\{at\})\s*|\s+at\s+)[\w-]+"
    r"(?:\s*(?:\[dot\]|\(dot\)|\{dot\})\s*|\s+dot\s+)[A-Za-z]{2,12}\b",
    re.IGNORECASE,
)
_SPELT_MAIL_DOT: Final = re.compile(
    r"(?<![\w.])[\w.+-]+\s*(?:\[at\]|\(at\)|\{at\})\s*[\w-]+\.[A-Za-z]{2,12}\b", re.IGNORECASE
)
_AT: Final = re.compile(r"@(?<=[\w.+%-]@)[\w-]")
_SPELT_HINT: Final = re.compile(r"[\[({]at[\])}]| dot ")
_NO_MAIL_HOST: Final = frozenset({"png", "jpg", "jpeg", "gif", "webp", "svg", "js", "css", "json", "html", "min"})
_NO_MAILBOX: Final = frozenset({"git", "hg", "svn", "root", "npm", "user", "username", "you", "your", "foo", "test"})


def _mails(text: str) -> Iterator[_Span]:
    for found in _MAIL.finditer(text):
        mailbox = found[0].split("@", 1)[0]
        if found[1].lower() not in _NO_MAIL_HOST and mailbox.lower() not in _NO_MAILBOX:
            yield _Span(*found.span(), MAIL)


def _spelt_mails(text: str) -> Iterator[_Span]:
    for pattern in (_SPELT_MAIL, _SPELT_MAIL_DOT):
        for found in pattern.finditer(text):
            yield _Span(*found.span(), MAIL)


_IPV4: Final = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)")
_IPV6: Final = re.compile(r"(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])", re.IGNORECASE)
_VERSION_BEFORE: Final = re.compile(
    r"(?:\bv|version|ver\.?|release|build|firmware|update|patch|exercise|section|chapter|step|§)\s*:?\s*$",
    re.IGNORECASE,
)
_IP_BEFORE: Final = re.compile(r"\bip|address|ping|host|server|//|@", re.IGNORECASE)
# One address in thirteen hundred has no larger number in it; hardly a version has one.
_SMALL: Final = 40
# Of everybody, and in every manual.
_PUBLIC_SERVERS: Final = frozenset({"8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9", "1.2.3.4", "4.3.2.1"})


def _ips(text: str) -> Iterator[_Span]:
    for pattern in (_IPV4, _IPV6):
        for found in pattern.finditer(text):
            before = text[max(0, found.start() - 12) : found.start()]
            if _is_somebodys(found[0]) and not _VERSION_BEFORE.search(before) and not _counts(found[0], before):
                yield _Span(*found.span(), IP)


def _counts(text: str, before: str) -> bool:
    """Four small numbers are a version (2.6.35.11), unless somebody says just before that they are an address."""
    return text.count(".") == 3 and max(map(int, text.split("."))) <= _SMALL and not _IP_BEFORE.search(before)


def _is_somebodys(text: str) -> bool:
    """An address on the internet, neither of one's own network nor reserved."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    told = address.version == 4 or len(re.findall(r"[0-9a-f]+", text, re.IGNORECASE)) > 3
    return told and address.is_global and not address.is_multicast and text not in _PUBLIC_SERVERS


# A number with groups, or one run of digits after + or 00: what else has digits is a number of something.
_PHONE: Final = re.compile(r"(?<![\w.,:/$€£#=+-])(?:\+|00)?\(?\d[\d() ./-]{5,18}\d(?![\w%€$£:]|[.,]\d)")
_PHONE_WORD: Final = re.compile(
    r"\b(?:call|phone|mobile|cell|tel|text me|whatsapp|signal|handy|number|nummer|fax|sms|reach me)\b[^\d+(]{0,25}$",
    re.IGNORECASE,
)
# Dates, years, sums and one decimal point.
_NO_PHONE: Final = re.compile(
    r"\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{2,4}(?!\d)|\d{4}\s*-\s*\d{4}$|.*\d [-/] ?\d|\d+\.\d+$"
)
_LONG_DISTANCE: Final = re.compile(r"0[1-9]\d{2,3}[ /-]\d{6,8}")
# Where groups of digits are read as national numbers; + works for every country.
_REGIONS: Final = ("US", "GB", "DE", "FR", "IN", "AU", "BR")


def _phones(text: str) -> Iterator[_Span]:
    for found in _PHONE.finditer(text):
        number = found[0].rstrip()
        told = _PHONE_WORD.search(text[max(0, found.start() - 40) : found.start()]) is not None
        if not _NO_PHONE.match(number) and _is_phone(number, told=told):
            yield _Span(found.start(), found.start() + len(number), PHONE)


def _is_phone(text: str, *, told: bool) -> bool:
    """`told`: somebody says so just before it."""
    import phonenumbers
    from phonenumbers import Leniency

    if not 7 <= sum(map(str.isdecimal, text)) <= 15:
        return False
    if text.startswith("00"):
        text = f"+{text[2:].lstrip()}"
    if text.startswith("+"):
        return phonenumbers.PhoneNumberMatcher(text, None, leniency=Leniency.VALID).has_next()
    groups = len(re.findall(r"\d+", text))
    # Two groups are a number where the first begins with the 0 of a long-distance call: 0151 23456789.
    if not told and groups < 3 and "(" not in text and not _LONG_DISTANCE.fullmatch(text):
        return False
    leniency = Leniency.VALID if told else Leniency.STRICT_GROUPING
    return any(phonenumbers.PhoneNumberMatcher(text, region, leniency=leniency).has_next() for region in _REGIONS)


# -- where somebody lives

_TOWN: Final = r"(?:,?\s+(?:[A-Z][\w.'-]+\s?){1,3},?\s*[A-Z]{2}\s+\d{5}(?:-\d{4})?|,?\s+\d{4,5}\s+[A-ZÄÖÜ][\wäöüß-]+)?"
# Each looks back only after its first letter: without it, a search can skip to where one stands.
_ADDRESSES: Final = (
    # 221B Baker Street; the short forms and common words only with capitals.
    re.compile(
        r"\d(?<![\w.$€£:/-].)\d{0,4}[A-Za-z]?\s+(?:(?:North|South|East|West|[NSEW])\.?\s+)?(?:[A-Z][\w'-]+\s+){1,3}"
        r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Way|Place|Pl|Terrace|Crescent|"
        r"Highway|Hwy|Square|Sq|Parkway|Pkwy)\b\.?(?:,?\s*(?:Apt|Apartment|Suite|Unit|Flat|#)\.?\s*\w+)?" + _TOWN
    ),
    re.compile(
        r"\d(?<![\w.$€£:/-].)\d{0,4}[a-z]?\s+(?!(?:min|mile|hour|day|week|year|meter|metre|km|lane|way|people|feet|of|on|"
        r"in|a|the|more|other|different|new|separate)\w*\b)(?:[a-z]{3,}\s){1,2}(?:street|avenue|boulevard|blvd|road|terrace|"
        r"crescent)\b",
    ),
    # Unter den Linden 77, 10117 Berlin: with the town, any street.
    re.compile(
        r"[A-ZÄÖÜ](?<!\w.)[\wäöüß-]+(?: [A-Za-zÄÖÜäöü][\wäöüß-]*){0,3} \d{1,4} ?[a-z]?, ?\d{5} [A-ZÄÖÜ][\wäöüß-]+"
    ),
    re.compile(r"\b(?:calle|avenida|avda\.|paseo de|rua)(?: [^\W\d]{2,}){1,4},? \d{1,4}\b", re.IGNORECASE),
    # Lindenstraße 12, 10969 Berlin
    re.compile(
        r"[A-ZÄÖÜ](?<!\w.)[\wäöüß-]*(?:stra(?:ß|ss)e|str\.|weg|platz|allee|gasse|ring|damm|ufer|chaussee)"
        r"\s+\d{1,4}\s?[a-z]?\b" + _TOWN
    ),
    re.compile(r"\d(?<!\w.)\d{0,3}\s?(?:bis|ter)?,?\s+(?:rue|avenue|boulevard|chemin|impasse|allée)\s+"
               r"(?:d[eu'] ?|des |la |l')*[A-ZÉ][\w'éèêâç-]+(?:\s+[A-ZÉ][\w'éèêâç-]+)*(?:,?\s+\d{5}\s+[A-ZÉ][\w-]+)?"),
    # A postcode of the United Kingdom is a handful of houses.
    re.compile(r"[A-PR-UWYZ](?<!\w.)(?:[A-HK-Y]?\d{1,2}|[A-HK-Y]?\d[A-Z]) \d[ABD-HJLNP-UW-Z]{2}\b"),
)  # fmt: skip
_TOLD_ADDRESS: Final = re.compile(r"P(?<!\w.)(?:\.?\s?O\.?\s*Box)\s+\d{1,6}\b", re.IGNORECASE)


def _addresses(text: str) -> Iterator[_Span]:
    for pattern in (*_ADDRESSES, _TOLD_ADDRESS):
        for found in pattern.finditer(text):
            yield _Span(*found.span(), ADDRESS)
