"""What must be found, and what looks like it and must stay."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sususbot.wording.privacy import KINDS, MAIL, PERSONAL, PHONE, SECRETS, found, redact

# Made up, in the shapes their issuers document; numbers are those reserved for examples where such exist.
FOUND = {
    "write to mia.berg+chat@example.co.uk please": "write to [mail] please",
    "mia.berg [at] example [dot] com": "[mail]",
    "mia at example dot com works": "[mail] works",
    "it is mia(at)example.org": "it is [mail]",
    "call me at +44 20 7946 0958": "call me at [phone]",
    "0049 30 901820 is the office": "[phone] is the office",
    "my number is 030 901820": "my number is [phone]",
    "(213) 493-0008 or 213-493-0008": "[phone] or [phone]",
    "i live at 221B Baker Street, come over": "i live at [address], come over",
    "742 Evergreen Terrace, Springfield, OR 97403": "[address]",
    "its 15 maple street": "its [address]",
    "Lindenstraße 12, 10969 Berlin": "[address]",
    "12 rue de Rivoli, 75001 Paris": "[address]",
    "the postcode is SW1A 1AA": "the postcode is [address]",
    "P.O. Box 1234": "[address]",
    "join 93.184.216.34 port 25565": "join [ip] port 25565",
    "ipv6 2a00:1450:4001:81b::200e": "ipv6 [ip]",
    "his ip is 5.9.34.12": "his ip is [ip]",
    "IBAN DE89 3704 0044 0532 0130 00": "IBAN [bank]",
    "card 4111 1111 1111 1111 exp 12/29": "card [card] exp 12/29",
    "378282246310005": "[card]",
    "ssn 536-90-4399": "ssn [id]",
    "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs": "[token]",
    "ghp_" + "a1B2" * 9: "[token]",
    "AKIAIOSFODNN7EXAMPLE": "[token]",
    "sk-proj-" + "Ab3_" * 12: "[token]",
    "xoxb-123456789012-abcdefABCDEF": "[token]",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.dozjgNryP4J3jVmNHl0w5N": "[token]",
    "https://discord.com/api/webhooks/1234567890/abcDEF-_123": "[token]",
    'API_KEY="9f8e7d6c5b4a39281706f5e4"': 'API_KEY="[token]"',
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----": "[key]",
    "password: hunter2": "password: [password]",
    "the wifi password is tea4two!": "the wifi password is [password]",
    "Passwort=geheim99": "Passwort=[password]",
    "postgres://app:s3cr3tpw@db.example.org/x": "postgres://app:[password]@db.example.org/x",
    "my pin is 4711": "my pin is [password]",
    "the door code: 8842#": "the door code: [password]#",
    "Authorization: Bearer 9f8e7d6c5b4a39281706f5e4d3c2b1a0": "Authorization: Bearer [token]",
    "or 0151-23456789, not 07911 123456": "or [phone], not [phone]",
    "Unter den Linden 77, 10117 Berlin": "[address]",
    "calle mayor 15, madrid": "[address], madrid",
    "742 evergreen terrace, springfield": "[address], springfield",
}  # fmt: skip

LEFT = [
    "python 3.11.7 and node 20.9.0",
    "kernel 2.6.35.11 runs, 3.8.0.31 does not, firefox 2.0.0.11 crashes",
    "version 10.2.3.4 is out, update to 93.184.216.34-beta",
    "chrome v93.0.4577.63",
    "localhost is 127.0.0.1, the router 192.168.0.1, dns 8.8.8.8",
    "<@1234567890123456789> said so in 100497754651885568",
    "it is 12:34:56 on 2024-01-15 or 15.01.2024",
    "from 2019-2024 and 1999 - 2003",
    "error 0x80070005, code 404, exit 137",
    "my code is 4711 lines, zip code: 10117, error code: 4040",
    "a bearer of good news in 2024",
    "0123-456, 0800 12 and 00151 234567890123",
    "costs $1,299.00 or 1.299,00 €, was 1299.99",
    "we won 3-2 and 110-98 in 2015",
    "1,000,000 views, 10 000 000 in a year",
    "1920x1080 at 60 fps, 16:9",
    "unix time 1450137600 and 1700000000000",
    "pi is 3.14159265358979 and e 2.71828182",
    "order 1234567 of 7654321",
    "sha 3f786850e387550fdac836ed7e6dc881de23001b",
    "commit 9c5b2f1 fixes it",
    "the password is wrong",
    "forgot your password? reset password: required",
    "password: user.password",
    "i have two tokens left, my secret is that i snore",
    "@mia look at this, react@18.2.0 is out",
    "git@github.com:tea/house.git and icon@2x.png",
    "meet me at noon, dot your i",
    "20 minutes down the road, 5 people on the street",
    "a 500 gb drive, a 2 way street",
    "call it a day, number 5 is alive",
    "4111 1111 1111 1112",
    "take 2 of 3, then 1 / 2",
    "x = 20200 - 10000 + 1",
    "exercise 1.14.3.1. is hard",
    "http://localhost:3000/api?id=12345678",
    "a::b::c and std::vector",
]


@pytest.mark.parametrize("text", FOUND, ids=lambda text: text[:30])
def test_is_found_and_the_rest_stays_in_place(text: str) -> None:
    assert redact(text).text == FOUND[text]


@pytest.mark.parametrize("text", LEFT, ids=lambda text: text[:30])
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert redact(text).text == text


def test_kinds_are_chosen() -> None:
    text = "mail mia@example.com, password: hunter2"
    assert redact(text, SECRETS).text == "mail mia@example.com, password: [password]"
    assert redact(text, PERSONAL).text == "mail [mail], password: hunter2"
    assert redact(text).kinds == ("mail", "password")


def test_what_was_found_is_told_where_it_is_asked_for() -> None:
    text = "call me at +44 20 7946 0958 or write to mia@example.org"
    assert found(text) == [(PHONE, "+44 20 7946 0958"), (MAIL, "mia@example.org")]
    assert found(text, frozenset({MAIL})) == [(MAIL, "mia@example.org")]
    assert found("nothing of that kind, 12 times") == []


def test_overlapping_finds_are_one() -> None:
    assert redact("https://mia:pass99word@example.com/x").text == "https://mia:[password]@example.com/x"


@given(st.text(max_size=300))
def test_nothing_is_lost_but_what_is_marked(text: str) -> None:
    result = redact(text)
    if not result.kinds:
        assert result.text == text
    assert set(result.kinds) <= KINDS
    # A mark is nothing to be found.
    assert redact(result.text).text == result.text


@pytest.mark.parametrize(
    "text",
    ["a" * 4000, "1" * 4000, "1 " * 2000, "a.b@" * 1000, "x:" * 2000, "1-" * 2000, "token_" * 700, "12 a " * 800],
)
def test_the_longest_message_takes_no_time_that_one_would_notice(text: str) -> None:
    begun = time.process_time()
    redact(text)
    # Milliseconds when it is linear; a pattern that backtracks without end would take minutes.
    assert time.process_time() - begun < 2
